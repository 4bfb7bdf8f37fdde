"""The driver of a cluster: the pods of the workload of a service's name; files go in by a tar in the container.

A container that is restarted begins with its image again, in whichever pod: what was synced goes in once more. So a
rule that restarts or rebuilds makes no sense here, and `without_restarts` leaves it out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import IO, Any, Final

from devenv.backends.inside import CommandFailed, Containers, Inside
from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError, NotFound
from devenv.backends.kube.fields import key_of, mapping, mappings, word
from devenv.backends.kube.kinds import DAEMON_SETS, DEPLOYMENTS, STATEFUL_SETS
from devenv.backends.kube.pod import Pod
from devenv.control.guard import Guard, Ticket
from devenv.control.job import Job
from devenv.control.kube.change import cluster_identity, label_selector, pods_in
from devenv.control.kube.exec import run_in_pod
from devenv.core.errors import DevenvError, ProjectError
from devenv.core.model import Happening, Resource, Runtime, State
from devenv.core.text import sanitize
from devenv.core.verify_settings import EndpointSettings
from devenv.watch.rules import Action, ServiceRules

EVERY: Final = 2.0  # seconds between two looks whether pods are others
_WORKLOADS: Final = (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS)
_READ_ONLY: Final = ("configMap", "secret", "projected", "downwardAPI")  # volumes that no container can write
# The archive ends where `head` says, since stdin cannot be closed; owner and mode are those of who unpacks.
_UNPACK: Final = 'head -c "$0" | tar -xpof - -C "$1"'


class PodContainers:
    """`devenv.backends.inside.Containers` of one namespace.

    `names` are the workloads of services whose workload has another name.
    """

    def __init__(self, client: KubeClient, namespace: str, names: Mapping[str, str]) -> None:
        self._client = client
        self._namespace = namespace
        self._names = names
        self._selectors: dict[str, str] = {}
        self._places: dict[str, tuple[Pod, str]] = {}  # by id: the pod and its container's name

    def close(self) -> None:
        """Forget what may have changed; the client's connections are everybody's."""
        self._selectors.clear()

    def of_service(self, service: str) -> tuple[Resource, ...]:
        """Return the container of the service's name in each pod, else the first one; pods that leave are left out."""
        found = []
        for pod in sorted(self._pods(service), key=lambda pod: pod.name):
            running = [item for item in pod.mains if item.running]
            container = next((item for item in running if item.name == service), next(iter(running), None))
            if container is None or pod.is_leaving:
                continue
            identity = f"{pod.name}/{container.name}/{container.id}"
            self._places[identity] = pod, container.name
            found.append(
                Resource(
                    key=key_of(pod.uid),
                    runtime=Runtime.KUBERNETES,
                    kind="pod",
                    name=pod.name,
                    service=service,
                    state=State.RUNNING,
                    container_id=identity,
                )
            )
        return tuple(found)

    def look_inside(self, resource: Resource) -> Inside:
        """Ask the container who it runs as, and its pod's spec what is mounted."""
        pod, container = self._places[resource.container_id]
        spec = next(item for item in pod.declared() if item.get("name") == container)
        volumes = {word(item.get("name")): item for item in mappings(pod.spec.get("volumes"))}
        mounts = {}
        for mount in mappings(spec.get("volumeMounts")):
            fixed = any(kind in volumes.get(word(mount.get("name")), {}) for kind in _READ_ONLY)
            mounts[word(mount.get("mountPath"))] = "ro" if fixed or mount.get("readOnly") is True else "rw"
        read_only = mapping(spec.get("securityContext")).get("readOnlyRootFilesystem") is True
        uid, gid = (int(self._run(resource.container_id, ("id", option)) or 0) for option in ("-u", "-g"))
        return Inside(
            resource.container_id, resource.name, "", uid, gid, read_only, mounts, resource.key, as_root=False
        )

    def put(self, container_id: str, folder: str, archive: IO[bytes]) -> None:
        """Unpack a tar archive in a folder, by the container's own sh, head and tar."""
        size = archive.seek(0, 2)
        archive.seek(0)
        self._run(container_id, ("sh", "-c", _UNPACK, str(size), folder), archive)

    def run(
        self,
        container_id: str,
        command: Sequence[str],
        *,
        user: str = "",
        privileged: bool = False,
        working_dir: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """Run a command as the container's user: a pod knows no other one."""
        if user or privileged:
            raise CommandFailed("a command in a pod runs as the container's user", 1)
        words = [
            "env",
            *(["-C", working_dir] if working_dir else []),
            *(f"{k}={v}" for k, v in (environment or {}).items()),
        ]
        return self._run(container_id, (*words, *command) if len(words) > 1 else command)

    def _run(self, container_id: str, command: Sequence[str], stdin: IO[bytes] | None = None) -> str:
        pod, container = self._places[container_id]
        code, output = run_in_pod(self._client, self._namespace, pod.name, container, command, stdin=stdin)
        text = sanitize(output, newlines=True).strip()
        if code:
            last = "\n  ".join(text.splitlines()[-10:]) or "it wrote nothing"
            raise CommandFailed(f"{sanitize(' '.join(command))[:200]} ended with {code}: {last}", code)
        return text

    def _pods(self, service: str) -> list[Pod]:
        if service not in self._selectors:
            self._selectors[service] = self._selector(self._names.get(service, service))
        return pods_in(self._client, self._namespace, labels=self._selectors[service])

    def _selector(self, name: str) -> str:
        for kind in _WORKLOADS:
            try:
                workload: Mapping[str, Any] = self._client.get(kind.path(self._namespace, name))
            except NotFound:
                continue
            return label_selector(mapping(mapping(workload.get("spec")).get("selector")))
        hint = "Another name of its workload is told by [manifests.compose] workloads in devenv.toml."
        raise KubeError(f"Namespace {sanitize(self._namespace)} has no workload {sanitize(name)}", hint)


class PodEvents:
    """Looks every two seconds whether the containers are others; what happened is not told, only that it did."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._due = 0.0
        self._containers: frozenset[tuple[str, str, bool]] = frozenset()

    def __enter__(self) -> PodEvents:
        """Look for the first time; raises KubeError."""
        self._look()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """There is nothing to close."""

    def events(self, timeout: float) -> Sequence[Happening]:
        """Return one start where containers came or went; raises Unreachable."""
        time.sleep(timeout)
        return (Happening("", time.time(), "start", ""),) if time.monotonic() >= self._due and self._look() else ()

    def _look(self) -> bool:
        before, self._due = self._containers, time.monotonic() + EVERY
        pods = pods_in(self._client, self._namespace)
        self._containers = frozenset((pod.uid, item.id, item.running) for pod in pods for item in pod.mains)
        return self._containers != before


class PodDriver:
    """`devenv.watch.driver.Driver` of one namespace."""

    def __init__(self, client: KubeClient, guard: Guard, names: Mapping[str, str]) -> None:
        self._client = client
        self.guard = guard
        self._names = names
        self.namespace = client.target.namespace

    def containers(self) -> Containers:
        """Return the containers of the workloads' pods."""
        return PodContainers(self._client, self.namespace, self._names)

    def events(self) -> PodEvents:
        """Return what tells when pods are others."""
        return PodEvents(self._client, self.namespace)

    def begin(self, verb: str, service: str) -> Ticket:
        """Let the guard pass a change; raises Refused."""
        place = cluster_identity(self._client, self.namespace)
        target = f"pods/{self.namespace}/{self._names.get(service, service)}"
        return self.guard.begin(self.guard.plan_cluster(verb, (target,), place), now=place)

    def job(self, verb: str, flags: tuple[str, ...], targets: tuple[str, ...]) -> Job:
        """Raise DevenvError: no rule asks for it."""
        raise DevenvError(f"{verb} of {' '.join(targets)} is not for pods", "devenv deploy builds and rolls out.")

    def address_of(self, settings: EndpointSettings) -> Callable[[], str]:
        """Return what says that a pod publishes no port here."""

        def url() -> str:
            raise LookupError(f"no port of {settings.service} is published: --probe with a port-forward shows it")

        return url

    def how_to_start(self, services: str) -> str:
        """Name the commands."""
        return f"Start it: devenv deploy. Or wait for it (--wait): {services}."


def without_restarts(services: Sequence[ServiceRules]) -> tuple[tuple[ServiceRules, ...], list[str]]:
    """Return the rules that only sync, and what was left out; raises ProjectError where nothing is left."""
    kept, remarks = [], []
    for item in services:
        rules = [rule for rule in item.rules if rule.action in (Action.SYNC, Action.SYNC_EXEC)]
        left = sorted({f"{rule.action} of {sanitize(rule.path)}" for rule in item.rules if rule not in rules})
        if left:
            remarks.append(f"{item.service}: {', '.join(left)} is left out: a pod that restarts begins with its image")
        if rules:
            kept.append(item.only(rules))
    if not kept:
        raise ProjectError("No service has a rule that can be carried out in a pod", "There are sync and sync+exec.")
    return tuple(kept), remarks
