"""Replica sets, stateful sets, daemon sets and jobs."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from devenv.backends.kube.kinds import DAEMON_SETS, JOBS, NODES, REPLICA_SETS, STATEFUL_SETS, Kind
from fakes.api_server.pod_life import set_condition
from fakes.api_server.status import Object, Refusal

if TYPE_CHECKING:
    from fakes.api_server.controllers import Controllers


def template_hash(template: Object) -> str:
    """Name a pod template: the same text for the same template, as pod-template-hash."""
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]


def is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def leaving(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def replica_set(controllers: Controllers, content: Object) -> None:
    pods = [pod for pod in controllers.pods_of(content) if not leaving(pod)]
    wanted = content["spec"].get("replicas", 1)
    status = content.setdefault("status", {})
    failure = ""
    for _ in range(wanted - len(pods)):
        try:
            controllers.create_pod(content, content["spec"]["template"])
        except Refusal as refusal:
            failure = str(refusal)
            break
    for pod in sorted(pods, key=is_ready)[: max(0, len(pods) - wanted)]:
        controllers.end_pod(pod)
    if failure:
        if not any(item.get("message") for item in status.get("conditions") or []):
            told = f"Error creating: {failure}"
            controllers.tell(content, "FailedCreate", told, kind="Warning", component="replicaset-controller")
            set_condition(status, "ReplicaFailure", True, "FailedCreate", failure)
    else:
        status.pop("conditions", None)
    _count(controllers, REPLICA_SETS, content)


def stateful_set(controllers: Controllers, content: Object) -> None:
    """One pod after the other: created from the first, updated from the last."""
    name, spec = content["metadata"]["name"], content["spec"]
    revision = f"{name}-{template_hash(spec['template'])}"
    pods = {pod["metadata"]["name"]: pod for pod in controllers.pods_of(content)}
    names = [f"{name}-{number}" for number in range(spec.get("replicas", 1))]
    labels = {"controller-revision-hash": revision}
    status = content.setdefault("status", {})
    held = False
    for number, wanted in enumerate(names):
        if wanted not in pods:
            one = {**labels, "statefulset.kubernetes.io/pod-name": wanted, "apps.kubernetes.io/pod-index": str(number)}
            controllers.create_pod(content, spec["template"], name=wanted, labels=one)
            held = True
        elif not is_ready(pods[wanted]) or leaving(pods[wanted]):
            held = True
        if held:
            break
    extra = [pod for key, pod in pods.items() if key not in names]
    old = [pod for key, pod in sorted(pods.items(), reverse=True) if key in names and not _is_of(pod, revision)]
    if extra and not any(leaving(pod) for pod in pods.values()):
        controllers.end_pod(extra[-1])
    elif old and not any(leaving(pod) for pod in pods.values()) and (not held or not is_ready(old[0])):
        controllers.end_pod(old[0])
    status["updateRevision"] = revision
    status["updatedReplicas"] = sum(1 for pod in pods.values() if _is_of(pod, revision))
    if status["updatedReplicas"] == len(names):
        status["currentRevision"] = revision
    status.setdefault("currentRevision", revision)
    _count(controllers, STATEFUL_SETS, content)


def daemon_set(controllers: Controllers, content: Object) -> None:
    revision = template_hash(content["spec"]["template"])
    nodes = [entry.content["metadata"]["name"] for entry in controllers.api.store.all(NODES, None)]
    pods = controllers.pods_of(content)
    taken = {pod["spec"].get("nodeName") for pod in pods}
    for node in nodes:
        if node not in taken:
            template = {**content["spec"]["template"]}
            template["spec"] = {**template["spec"], "nodeName": node}
            controllers.create_pod(content, template, labels={"controller-revision-hash": revision})
    old = [pod for pod in pods if not _is_of(pod, revision)]
    if old and not any(leaving(pod) for pod in pods):
        controllers.end_pod(old[0])
    ready = sum(1 for pod in pods if is_ready(pod))
    content["status"] = {
        "observedGeneration": content["metadata"].get("generation", 1),
        "desiredNumberScheduled": len(nodes),
        "currentNumberScheduled": len(pods),
        "updatedNumberScheduled": len(pods) - len(old),
        "numberReady": ready,
        "numberAvailable": ready,
        "numberUnavailable": len(nodes) - ready,
        "numberMisscheduled": 0,
    }
    controllers.save(DAEMON_SETS, content)


def job(controllers: Controllers, content: Object) -> None:
    spec, status = content["spec"], content.setdefault("status", {})
    if any(item["status"] == "True" for item in status.get("conditions") or []):
        return
    phases = [pod.get("status", {}).get("phase") for pod in controllers.pods_of(content)]
    done, failed = phases.count("Succeeded"), phases.count("Failed")
    active = len(phases) - done - failed
    status |= {"active": active, "succeeded": done, "failed": failed, "ready": 0}
    if done >= spec.get("completions", 1):
        set_condition(status, "Complete", True, "CompletionsReached")
    elif failed > spec.get("backoffLimit", 6):
        set_condition(status, "Failed", True, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    elif active < spec.get("parallelism", 1):
        controllers.create_pod(content, spec["template"], labels={"job-name": content["metadata"]["name"]})
    controllers.save(JOBS, content)


def _is_of(pod: Object, revision: str) -> bool:
    return bool(pod["metadata"].get("labels", {}).get("controller-revision-hash") == revision)


def _count(controllers: Controllers, kind: Kind, content: Object) -> None:
    pods = [pod for pod in controllers.pods_of(content) if not leaving(pod)]
    ready = sum(1 for pod in pods if is_ready(pod))
    content["status"] |= {
        "observedGeneration": content["metadata"].get("generation", 1),
        "replicas": len(pods),
        "readyReplicas": ready,
        "availableReplicas": ready,
    }
    controllers.save(kind, content)
