"""Objects as clusters write them, to start from: pods in each state, workloads, nodes, metrics, events."""

from __future__ import annotations

from fakes.api_server.status import Object
from fakes.api_server.store import now


def namespace_object(name: str) -> Object:
    labels = {"kubernetes.io/metadata.name": name}
    about = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": about, "status": {"phase": "Active"}}


def node_object(name: str, *, ready: bool = True, cpu: str = "2", memory: str = "8140452Ki") -> Object:
    sizes = {"cpu": cpu, "memory": memory, "pods": "110"}
    conditions = [
        {
            "type": "Ready",
            "status": "True" if ready else "False",
            "reason": "KubeletReady",
            "lastTransitionTime": now(),
        },
        {"type": "MemoryPressure", "status": "False", "reason": "KubeletHasSufficientMemory"},
    ]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": {},
        "status": {
            "capacity": sizes,
            "allocatable": sizes,
            "conditions": conditions,
            "nodeInfo": {"kubeletVersion": "v1.36.2", "containerRuntimeVersion": "containerd://2.1.4"},
            "addresses": [{"type": "InternalIP", "address": "192.168.49.2"}, {"type": "Hostname", "address": name}],
        },
    }


def template(app: str, image: str, *, container: str = "main") -> Object:
    spec = {"containers": [{"name": container, "image": image, "ports": [{"containerPort": 8080}]}]}
    return {"metadata": {"labels": {"app": app}}, "spec": spec}


def deployment(
    name: str, image: str = "web:1", *, replicas: int = 1, namespace: str = "default", strategy: str = "RollingUpdate"
) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"type": strategy},
            "template": template(name, image),
        },
    }


def pod(
    name: str,
    image: str = "web:1",
    *,
    namespace: str = "default",
    labels: dict[str, str] | None = None,
    owner: Object | None = None,
    node: str = "minikube",
    container: str = "main",
) -> Object:
    """A pod that runs and is ready."""
    about: Object = {"name": name, "namespace": namespace, "labels": labels or {"app": name}}
    if owner is not None:
        about["ownerReferences"] = [owner_reference(owner)]
    moment = now()
    ready = [
        {"type": word, "status": "True", "lastTransitionTime": moment}
        for word in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": about,
        "spec": {"nodeName": node, "restartPolicy": "Always", "containers": [{"name": container, "image": image}]},
        "status": {
            "phase": "Running",
            "podIP": "10.244.0.7",
            "startTime": moment,
            "conditions": ready,
            "containerStatuses": [running(container, image)],
        },
    }


def running(container: str, image: str, *, ready: bool = True, restarts: int = 0) -> Object:
    return {
        "name": container,
        "image": image,
        "imageID": image if "@sha256:" in image else f"docker.io/library/{image}@sha256:{'0' * 64}",
        "containerID": "containerd://" + "1" * 64,
        "ready": ready,
        "started": True,
        "restartCount": restarts,
        "state": {"running": {"startedAt": now()}},
    }


def waiting(container: str, image: str, reason: str, message: str = "", *, restarts: int = 0) -> Object:
    state: Object = {"reason": reason}
    if message:
        state["message"] = message
    made: Object = {"name": container, "image": image, "ready": False, "started": False, "restartCount": restarts}
    return made | {"state": {"waiting": state}}


def owner_reference(owner: Object) -> Object:
    about = owner["metadata"]
    made = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": about["name"], "uid": about["uid"]}
    return {**made, "controller": True, "blockOwnerDeletion": True}


def event(about: Object, reason: str, message: str, *, kind: str = "Normal", component: str = "kubelet") -> Object:
    """An event of an object that is stored already; its name is its own, as in a cluster."""
    meta = about["metadata"]
    namespace = meta.get("namespace", "default")
    moment = now()
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{meta['name']}.{abs(hash((meta['uid'], reason, message))):016x}",
            "namespace": namespace,
        },
        "involvedObject": {
            "kind": about["kind"],
            "apiVersion": about["apiVersion"],
            "namespace": namespace,
            "name": meta["name"],
            "uid": meta["uid"],
        },
        "reason": reason,
        "message": message,
        "type": kind,
        "count": 1,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "source": {"component": component},
        "reportingComponent": component,
    }


def pod_metrics(
    name: str, *, namespace: str = "default", cpu: str = "12m", memory: str = "30Mi", window: str = "15s"
) -> Object:
    return {
        "apiVersion": "metrics.k8s.io/v1beta1",
        "kind": "PodMetrics",
        "metadata": {"name": name, "namespace": namespace},
        "timestamp": now(),
        "window": window,
        "containers": [{"name": "main", "usage": {"cpu": cpu, "memory": memory}}],
    }
