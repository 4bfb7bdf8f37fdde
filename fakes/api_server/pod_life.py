"""The life of a pod by what its image does: one stage a step, with the kubelet's and the scheduler's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devenv.backends.kube.kinds import NODES, PODS
from fakes.api_server.samples import running, waiting
from fakes.api_server.status import Object
from fakes.api_server.store import now

if TYPE_CHECKING:
    from fakes.api_server.controllers import Controllers

UNSCHEDULABLE = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available."
MOST_RESTARTS = 3  # then a crash loop waits, so that `settle` ends
PULLED = "devenv.test/pulling"  # an annotation: the stage between scheduled and running


def advance(controllers: Controllers, pod: Object, behaviour: str) -> None:
    """Move a pod on by one stage, or leave it where it stays."""
    status = pod.setdefault("status", {})
    if status.get("phase") in ("Succeeded", "Failed"):
        return
    if not _true(status, "PodScheduled"):
        _schedule(controllers, pod, behaviour)
        return
    states = status.get("containerStatuses") or []
    if not states:
        status["containerStatuses"] = _all(pod, "ContainerCreating")
        controllers.api.store.write(PODS, pod)
        return
    words = {_reason(state) for state in states}
    if all("running" in state.get("state", {}) for state in states):
        _run(controllers, pod, behaviour)
    elif behaviour == "missing":
        _fail_pull(controllers, pod, words)
    elif behaviour == "crash":
        _crash(controllers, pod, words)
    elif behaviour != "never-starts":
        _start(controllers, pod)


def _schedule(controllers: Controllers, pod: Object, behaviour: str) -> None:
    status = pod["status"]
    nodes = [
        entry.content["metadata"]["name"]
        for entry in controllers.api.store.all(NODES, None)
        if not entry.content.get("spec", {}).get("unschedulable")
    ]
    if behaviour == "unschedulable" or not nodes:
        if not status.get("conditions"):
            _condition(status, "PodScheduled", False, "Unschedulable", UNSCHEDULABLE)
            controllers.api.store.write(PODS, pod)
            controllers.tell(pod, "FailedScheduling", UNSCHEDULABLE, kind="Warning", component="default-scheduler")
        return
    name = pod["metadata"]["name"]
    pod["spec"].setdefault("nodeName", nodes[sum(name.encode()) % len(nodes)])
    status |= {"phase": "Pending", "startTime": now()}
    status["conditions"] = []
    _condition(status, "PodScheduled", True)
    _condition(status, "Initialized", True)
    _condition(status, "Ready", False, "ContainersNotReady", "containers with unready status: [main]")
    status["containerStatuses"] = _all(pod, "ContainerCreating")
    controllers.api.store.write(PODS, pod)
    told = f"Successfully assigned {pod['metadata']['namespace']}/{name} to {pod['spec']['nodeName']}"
    controllers.tell(pod, "Scheduled", told, component="default-scheduler")


def _start(controllers: Controllers, pod: Object) -> None:
    image = pod["spec"]["containers"][0].get("image", "")
    notes = pod["metadata"].setdefault("annotations", {})
    if PULLED not in notes:
        notes[PULLED] = "true"
        controllers.api.store.write(PODS, pod)
        controllers.tell(pod, "Pulling", f'Pulling image "{image}"')
        return
    status = pod["status"]
    restarts = {state["name"]: state.get("restartCount", 0) for state in status["containerStatuses"]}
    status["containerStatuses"] = [
        running(item["name"], item.get("image", ""), ready=False, restarts=restarts.get(item["name"], 0))
        for item in pod["spec"]["containers"]
    ]
    status |= {"phase": "Running", "podIP": f"10.244.0.{sum(pod['metadata']['name'].encode()) % 250 + 2}"}
    controllers.api.store.write(PODS, pod)
    controllers.tell(pod, "Pulled", f'Successfully pulled image "{image}" in 1.2s')
    controllers.tell(pod, "Started", "Started container main")


def _run(controllers: Controllers, pod: Object, behaviour: str) -> None:
    status = pod["status"]
    if behaviour == "crash":
        _crash(controllers, pod, set())
        return
    if pod["spec"].get("restartPolicy") in ("Never", "OnFailure"):
        _finish(controllers, pod, 0)
        return
    if behaviour == "unready":
        if _true(status, "Ready"):
            _ready(pod, False)
            controllers.api.store.write(PODS, pod)
        elif not any(state.get("devenvTold") for state in status["containerStatuses"]):
            status["containerStatuses"][0]["devenvTold"] = True
            controllers.api.store.write(PODS, pod)
            told = "Readiness probe failed: HTTP probe failed with statuscode: 503"
            controllers.tell(pod, "Unhealthy", told, kind="Warning")
        return
    if not _true(status, "Ready"):
        _ready(pod, True)
        controllers.api.store.write(PODS, pod)


def _fail_pull(controllers: Controllers, pod: Object, words: set[str]) -> None:
    image = pod["spec"]["containers"][0].get("image", "")
    failed = f'failed to pull and unpack image "docker.io/library/{image}": not found'
    if "ImagePullBackOff" in words:
        return
    if "ErrImagePull" in words:
        told = f'Back-off pulling image "{image}"'
        pod["status"]["containerStatuses"] = _all(pod, "ImagePullBackOff", f"{told}: ErrImagePull: {failed}")
        controllers.api.store.write(PODS, pod)
        controllers.tell(pod, "BackOff", told)
        return
    pod["status"]["containerStatuses"] = _all(pod, "ErrImagePull", failed)
    controllers.api.store.write(PODS, pod)
    controllers.tell(pod, "Failed", f'Failed to pull image "{image}": {failed}', kind="Warning")


def _crash(controllers: Controllers, pod: Object, words: set[str]) -> None:
    status = pod["status"]
    if pod["spec"].get("restartPolicy") == "Never":
        _finish(controllers, pod, 1)
        return
    restarts = max((state.get("restartCount", 0) for state in status["containerStatuses"]), default=0)
    if restarts >= MOST_RESTARTS and "CrashLoopBackOff" in words:
        return
    name, image = pod["spec"]["containers"][0]["name"], pod["spec"]["containers"][0].get("image", "")
    told = f"back-off {10 * 2**restarts}s restarting failed container={name} pod={pod['metadata']['name']}"
    state = waiting(name, image, "CrashLoopBackOff", told, restarts=restarts + 1)
    state["lastState"] = {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": now(), "finishedAt": now()}}
    status["phase"] = "Running"
    status["containerStatuses"] = [state]
    _condition(status, "Ready", False, "ContainersNotReady", f"containers with unready status: [{name}]")
    controllers.api.store.write(PODS, pod)
    controllers.tell(pod, "BackOff", f"Back-off restarting failed container {name}", kind="Warning")


def _finish(controllers: Controllers, pod: Object, code: int) -> None:
    status = pod["status"]
    ended = {"exitCode": code, "reason": "Error" if code else "Completed", "startedAt": now(), "finishedAt": now()}
    for state in status["containerStatuses"]:
        state |= {"ready": False, "state": {"terminated": ended}}
    status["phase"] = "Failed" if code else "Succeeded"
    _condition(status, "Ready", False, "PodFailed" if code else "PodCompleted")
    controllers.api.store.write(PODS, pod)


def _ready(pod: Object, ready: bool) -> None:
    for state in pod["status"]["containerStatuses"]:
        state["ready"] = ready
    for word in ("ContainersReady", "Ready"):
        _condition(pod["status"], word, ready, "" if ready else "ContainersNotReady")


def _all(pod: Object, reason: str, message: str = "") -> list[Object]:
    return [waiting(item["name"], item.get("image", ""), reason, message) for item in pod["spec"]["containers"]]


def _reason(state: Object) -> str:
    reason: str = state.get("state", {}).get("waiting", {}).get("reason", "")
    return reason


def _true(status: Object, word: str) -> bool:
    return any(item["type"] == word and item["status"] == "True" for item in status.get("conditions") or [])


def _condition(status: Object, word: str, true: bool, reason: str = "", message: str = "") -> None:
    set_condition(status, word, true, reason, message)


def set_condition(status: Object, word: str, true: bool, reason: str = "", message: str = "") -> None:
    """Write one condition; its transition time changes only with its status."""
    conditions = status.setdefault("conditions", [])
    made: Object = {"type": word, "status": "True" if true else "False", "lastTransitionTime": now()}
    made |= {key: value for key, value in (("reason", reason), ("message", message)) if value}
    for at, old in enumerate(conditions):
        if old["type"] == word:
            if old["status"] == made["status"]:
                made["lastTransitionTime"] = old.get("lastTransitionTime", made["lastTransitionTime"])
            conditions[at] = made
            return
    conditions.append(made)
