"""Logs, scale and eviction."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from devenv.backends.kube.kinds import PDBS, PODS, Kind
from fakes.api_server.selectors import label_test
from fakes.api_server.served import SCALABLE
from fakes.api_server.status import Object, Refusal

if TYPE_CHECKING:
    from fakes.api_server.handler import Handler


def answer(handler: Handler, kind: Kind, namespace: str, name: str, sub: str, body: Object) -> None:
    """Answer a request for a subresource, and refuse what is not served."""
    if handler.api.faults.node_gone and sub in ("log", "exec", "portforward"):
        raise Refusal(500, handler.api.faults.node_gone, "InternalError")
    match (kind.full_name, sub, handler.command):
        case ("pods", "log", "GET"):
            _log(handler, namespace, name)
        case ("pods", "eviction", "POST"):
            _evict(handler, namespace, name, body)
        case (full_name, "scale", _) if full_name in SCALABLE:
            _scale(handler, kind, namespace, name, body)
        case _:
            raise Refusal(404, "the server could not find the requested resource", "NotFound")


def _scale(handler: Handler, kind: Kind, namespace: str, name: str, body: Object) -> None:
    operations = handler.api.operations
    content = operations.read(kind, namespace, name)
    if handler.command in ("PUT", "PATCH"):
        version = (body.get("metadata") or {}).get("resourceVersion")
        patch: Object = {"spec": {"replicas": (body.get("spec") or {}).get("replicas", 0)}}
        if version:
            patch["metadata"] = {"resourceVersion": version}
        query = {"fieldManager": "devenv", **handler.query}
        content = operations.patch(kind, namespace, name, patch, "application/merge-patch+json", query, sub="scale")
    about = {key: content["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion")}
    labels = content["spec"].get("selector", {}).get("matchLabels", {})
    handler.json(
        {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": about,
            "spec": {"replicas": content["spec"].get("replicas", 1)},
            "status": {
                "replicas": content.get("status", {}).get("replicas", 0),
                "selector": ",".join(f"{key}={value}" for key, value in labels.items()),
            },
        }
    )


def _evict(handler: Handler, namespace: str, name: str, body: Object) -> None:
    api = handler.api
    pod = api.operations.read(PODS, namespace, name)
    for entry in api.store.all(PDBS, namespace):
        labels = entry.content["spec"].get("selector", {}).get("matchLabels", {})
        fits = label_test(",".join(f"{key}={value}" for key, value in labels.items()))(pod)
        if fits and entry.content.get("status", {}).get("disruptionsAllowed", 0) <= 0:
            budget = entry.content["metadata"]["name"]
            told = f"The disruption budget {budget} needs 1 healthy pods and has 1 currently"
            causes = [{"reason": "DisruptionBudget", "message": told}]
            message = "Cannot evict pod as it would violate the pod's disruption budget."
            raise Refusal(429, message, details={"causes": causes})
    if "dryRun" not in handler.query:
        options = body.get("deleteOptions") or {}
        if not api.controllers.delete_pod(namespace, name, options):
            api.operations.delete(PODS, namespace, name, options)
    handler.json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}, 201)


def _log(handler: Handler, namespace: str, name: str) -> None:
    """Send a container's lines: follow, tailLines, sinceTime, timestamps, previous, as the kubelet does."""
    api, query = handler.api, handler.query
    pod = api.operations.read(PODS, namespace, name)
    names = [item["name"] for item in pod["spec"].get("containers", [])]
    inits = [item["name"] for item in pod["spec"].get("initContainers", [])]
    container = query.get("container", "")
    if not container:
        if len(names) > 1:
            raise Refusal(400, f"a container name must be specified for pod {name}, choose one of: {names}")
        container = names[0] if names else ""
    if container not in (*names, *inits):
        raise Refusal(400, f"container {container} is not valid for pod {name}")
    if reason := _waiting(pod, container):
        message = f'container "{container}" in pod "{name}" is waiting to start: {reason}'
        raise Refusal(400, message)
    previous = query.get("previous") == "true"
    lines = api.logs.lines(namespace, name, container, previous=previous)
    if previous and not lines:
        raise Refusal(400, f'previous terminated container "{container}" in pod "{name}" not found')
    since = query.get("sinceTime", "")
    start = 0
    if since:
        begin = datetime.fromisoformat(since).astimezone(UTC).timestamp() * 1e9
        start = sum(1 for stamp, _ in lines if stamp < begin)
    if "sinceSeconds" in query:
        begin = time.time_ns() - int(query["sinceSeconds"]) * 1_000_000_000
        start = sum(1 for stamp, _ in lines if stamp < begin)
    if "tailLines" in query:
        start = max(start, len(lines) - int(query["tailLines"]))
    stamped = query.get("timestamps") == "true"
    if query.get("follow") != "true" or previous:
        handler.reply(b"".join(_line(entry, stamped) for entry in lines[start:]), media="text/plain")
        return
    handler.begin("text/plain")
    sent = start
    while not handler.server.stopping.is_set():
        known = api.logs.lines(namespace, name, container)
        if len(known) > sent and not api.faults.hanging:
            handler.chunk(b"".join(_line(entry, stamped) for entry in known[sent:]))
            sent = len(known)
        elif api.logs.ended(namespace, name, container) or api.store.get(PODS, namespace, name) is None:
            handler.wfile.write(b"0\r\n\r\n")
            return
        api.logs.wait(0.05)
        if api.logs.cut_since(handler):
            handler.close_connection = True
            return


def _waiting(pod: Object, container: str) -> str:
    for key in ("containerStatuses", "initContainerStatuses"):
        for status in pod.get("status", {}).get(key) or []:
            if status["name"] == container and not status.get("restartCount"):
                reason: str = status.get("state", {}).get("waiting", {}).get("reason", "")
                return reason
    return ""


def _line(entry: tuple[int, str], stamped: bool) -> bytes:
    stamp, text = entry
    if not stamped:
        return f"{text}\n".encode()
    seconds, nanos = divmod(stamp, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09}Z {text}\n".encode()
