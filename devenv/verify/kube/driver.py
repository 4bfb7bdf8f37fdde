"""The Kubernetes driver of a stack under test: one namespace, applied, changed, recorded and removed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from devenv.backends.kube.backend import KubeBackend
from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError, NotFound
from devenv.backends.kube.kinds import NAMESPACES
from devenv.backends.kube.parse.workload import template_hash
from devenv.backends.kube.workload import progress_of, read_workload
from devenv.control.kube import rollout
from devenv.control.kube.apply import apply
from devenv.control.kube.change import Call, Ref
from devenv.control.kube.forward import Forward
from devenv.control.kube.objects import KindLookup, flatten
from devenv.control.kube.wait import Patience, WaitResult, wait_for
from devenv.core.errors import DevenvError
from devenv.core.model import Project, Service
from devenv.core.verify_settings import EndpointSettings
from devenv.runs.identity import Run
from devenv.verify.http import Endpoint, ForwardedEndpoint
from devenv.verify.kube.cluster import EVERY, WORKLOAD_KINDS, Cluster
from devenv.verify.kube.source import KubeSource, Object, containers_of
from devenv.verify.recorder import Recorder
from devenv.verify.service_verdicts import Subject, digests
from devenv.verify.stack import Stack, Started, UpReport, of_pods
from devenv.verify.waiting import Never, VerificationFailed, wait_until

STAYS: Final = ("Namespace", "PriorityClass", "ResourceQuota", "LimitRange", "PersistentVolumeClaim", "Secret")
GONE_WITHIN: Final = 120.0  # seconds until a namespace that was deleted is gone, its pods' grace included
RECORDED: Final = ("pod",)  # kinds that have logs
HELD: Final = 1.0  # seconds that a connection is held while no pod takes it: a test shall see that nothing answers


@dataclass(frozen=True, slots=True)
class KubeStackPlan:
    """What a stack is made of: `objects` as they are applied; `image_notes` say which images may not be there."""

    source: KubeSource
    run: Run
    namespace: str
    place: str  # that verdicts are about
    objects: tuple[Object, ...]
    isolated: bool = False
    image_notes: tuple[str, ...] = ()
    own: tuple[str, ...] = ()  # PriorityClasses of the copy


class KubeDriver:
    """What a stack asks of a namespace; `devenv.verify.stack.Driver` says what each method is for. Raises KubeError."""

    target = "kubernetes"
    every = EVERY
    changed = False
    root: Path | None = None  # nothing is reloaded in a pod

    def __init__(self, plan: KubeStackPlan, scale: float = 1.0) -> None:
        self.plan = plan
        self.scale = scale
        self.name = plan.namespace
        self.folder = plan.source.root
        self.isolated = plan.isolated
        self.place = plan.place
        self.settings = plan.source.config.verify
        self.wait_timeout = plan.source.config.wait_timeout
        self.objects = list(plan.objects)
        self.services: Mapping[str, Any] = {
            item["metadata"]["name"]: item for item in plan.objects if item.get("kind") in WORKLOAD_KINDS
        }
        target, environ = replace(plan.source.target, namespace=plan.namespace), plan.source.environ
        self.client = KubeClient(target, environ)
        # It is recorded by the reader that the terminal has too.
        project = Project(self.name, "", (), tuple(Service(name) for name in self.services))
        path = plan.run.folder / "evidence" / f"{self.name}.jsonl"
        self.recorder = Recorder(path, plan.run.id, project, environ, KubeBackend(target, environ), RECORDED)
        self.engine = Cluster(self.client, self.name, self.services, self.recorder, environ)

    @property
    def keys(self) -> list[tuple[str, str, str]]:
        """The workloads as waiting names them."""
        return [(item["kind"].lower(), self.name, name) for name, item in self.services.items()]

    def endpoint_settings(self) -> list[EndpointSettings]:
        """Return those of devenv.toml whose workload is there."""
        return [item for item in self.settings.endpoints if item.service in self.services]

    def make_endpoint(self, settings: EndpointSettings) -> Endpoint:
        """Make an endpoint that a port-forward leads to; a pod that is not ready is reached too, as tests ask why."""
        service = settings.service

        def forward() -> Forward:
            self.engine.path(service)  # notes that a test touched it, and knows the names where there is none
            item = self.services[service]
            port = settings.port or _only_port(item)
            kind = str(item["kind"]).lower()
            return Forward(self.client, kind, service, port, namespace=self.name, unready=True, patience=HELD)

        return ForwardedEndpoint(settings, forward, self.recorder.probe, lambda: self.engine.in_vain(service))

    def up(self, *, build: bool, wait: bool, services: Sequence[str], limit: float) -> Started:
        """Apply all objects, and wait until the workloads are rolled out; the images are on the node before."""
        __tracebackhide__ = True
        began = time.monotonic()
        self._mark("apply")
        apply(self.client, self.objects, force_conflicts=True)
        applied = time.monotonic() - began
        if not wait:
            return Started(frozenset(), lambda at, seconds: UpReport(seconds, {"applied": applied}))
        pods = self._roll_out(limit, services).pods
        names = frozenset(name for name in services or self.services if self._declared(name))
        return Started(names, lambda at, seconds: of_pods(pods, at, applied, seconds))

    def wait_rolled_out(
        self, timeout: float | None = None, *services: str, patience: Patience | None = None
    ) -> WaitResult:
        """Wait until the workloads are rolled out; raises VerificationFailed with what holds them back."""
        __tracebackhide__ = True
        limit = (self.wait_timeout if timeout is None else timeout) * self.scale
        return self._roll_out(limit, services, patience)

    def _roll_out(self, limit: float, services: Sequence[str], patience: Patience | None = None) -> WaitResult:
        __tracebackhide__ = True
        keys = [key for key in self.keys if not services or key[2] in services]
        outcome = wait_for(self.client, keys, patience or Patience(timeout=limit))
        if not outcome.done:
            seen = "\n".join([outcome.reason, *self.plan.image_notes])
            raise VerificationFailed(f"{', '.join(key[2] for key in keys)} to be rolled out", seen)
        return outcome

    def down(self, *, volumes: bool) -> None:
        """Remove what was applied but the namespace with its limits, and, without `volumes`, all that holds data."""
        self._own("down")
        kinds = KindLookup(self.client)
        stays = set(STAYS) - ({"PersistentVolumeClaim"} if volumes else set())
        for item in reversed(flatten(self.objects)):
            kind = kinds.find(item)
            if kind is not None and item["kind"] not in stays:
                self.engine.delete(kind, item["metadata"]["name"])
        self._wait_gone()

    def stop(self, *services: str) -> None:
        """Scale to nothing, and wait until the pods are gone."""
        self._own("stop")
        for service in services or self.services:
            self.engine.scale(service, 0)
        self._wait_gone(*services)

    def start(self, *services: str) -> None:
        """Scale to what the manifests say."""
        for service in services or self.services:
            self.engine.scale(service, int(self.services[service]["spec"].get("replicas") or 1))

    def restart(self, *services: str) -> None:
        """Begin a rolling restart."""
        self._mark(f"restart {' '.join(services)}")
        kinds = {name: WORKLOAD_KINDS[item["kind"]] for name, item in self.services.items()}
        refs = tuple(Ref(kinds[name], self.name, name) for name in services or self.services)
        rollout.restart(Call(self.client, refs))

    def replace_pods(self, service: str, timeout: float) -> float:
        """Restart a service and wait until its new pods are ready and its old ones are gone; return the seconds.

        A rollout is over before its last old pods are: they still end what they have begun.
        """
        before, began = {pod.name for pod in self.engine.pods(service)}, time.monotonic()
        self.restart(service)
        self.wait_rolled_out(timeout, service)

        def left() -> set[str]:
            return before & {pod.name for pod in self.engine.pods(service, leaving=True)}

        wait_until(f"the old pods of {service} to be gone", left, timeout, lambda seen: not seen, every=EVERY)
        return time.monotonic() - began

    def reset(self) -> None:
        """Delete the pods that are not ready: others take their place."""
        for service in self.services:
            for pod in self.engine.pods(service):
                if not pod.ready:
                    self.client.request("DELETE", f"/api/v1/namespaces/{self.name}/pods/{pod.name}")

    def before_waiting(self, services: Sequence[str], limit: float) -> str:
        """Wait until the workloads are rolled out; then the pods themselves have the last word.

        The controllers may not have seen yet that a pod is gone. Raises Never where nobody has deployed it.
        """
        __tracebackhide__ = True
        if not self.isolated:
            self._refuse_absent(services or tuple(self.services))
        self._roll_out(limit, services)
        return f"all pods of {', '.join(services) or self.name} to be ready"

    def unready(self, services: Sequence[str] = ()) -> tuple[list[str], str]:
        """Return which workloads are not rolled out with all their pods ready; in vain by the pods' own reasons."""
        unready = self._unready(*services)
        declared = [name for name in services or self.services if unready and self._declared(name)]
        return unready, next(filter(None, map(self.engine.in_vain, declared)), "")

    def subjects(self) -> dict[str, Subject]:
        """Return what each workload is made of, as verdicts are about it; what cannot be read is left unknown."""
        subjects = {name: Subject() for name in self.services}
        for name in self.services:
            try:
                images = digests(pod.image_id for pod in self.engine.pods(name))
                subjects[name] = Subject(images, template_hash(self.client.get(self.engine.path(name))))
            except KubeError as error:
                self._mark(f"what is verified of {name} could not be read: {error.message}")
        return subjects

    def explain(self) -> list[str]:
        """Return what is missing."""
        try:
            waits = self._unready()
        except KubeError as error:
            waits = [f"the cluster could not be asked: {error.message}"]
        return [f"workload:   {line}" for line in waits]

    def end(self, *, remove: bool) -> None:
        """Remove the namespace and what else is the stack's own, then stop the recorder and the connection."""
        try:
            if remove:
                self._remove()
        finally:
            self.recorder.stop()
            self.client.close()

    def _mark(self, text: str) -> None:
        self.recorder.mark("phase", text)

    def _remove(self) -> None:
        from devenv.verify.kube.leftovers import delete_namespace, delete_priority

        for name in self.plan.own:
            delete_priority(self.client, name)
        delete_namespace(self.client, self.name)

        def there() -> str:
            try:
                namespace: dict[str, Any] = self.client.get(NAMESPACES.path(name=self.name))
            except NotFound:
                return ""
            conditions = (namespace.get("status") or {}).get("conditions") or ()
            messages = [str(item.get("message")) for item in conditions if item.get("status") == "True"]
            return f"{self.name} is still there: {'; '.join(messages) or 'its content is being removed'}"

        wait_until(f"{self.name} to be gone", there, GONE_WITHIN, lambda seen: not seen, every=0.5)

    def _wait_gone(self, *services: str) -> None:
        def there() -> list[str]:
            names = services or tuple(self.services)
            return [pod.name for name in names for pod in self.engine.pods(name, leaving=True)]

        wait_until("the pods to be gone", there, self.wait_timeout * self.scale, lambda seen: not seen, every=EVERY)

    def _unready(self, *services: str) -> list[str]:
        unready = []
        for name in services or self.services:
            try:
                item = self.engine.workload(name)
            except NotFound:
                unready.append(f"{name}: it is not there")
                continue
            progress = progress_of(read_workload(str(self.services[name]["kind"]).lower(), item))
            if not progress.done:
                unready.append(f"{name}: {progress.words}")
                continue
            ready = sum(pod.ready for pod in self.engine.pods(name))
            if ready < progress.desired or (self._declared(name) and not progress.desired):
                unready.append(f"{name}: {ready} of {progress.desired} pods are ready")
        return unready

    def _declared(self, service: str) -> bool:
        """Whether the manifests want a pod of it at all."""
        return bool(self.services[service]["spec"].get("replicas") != 0)

    def _refuse_absent(self, services: Sequence[str]) -> None:
        """Raise Never where nobody has deployed what is to be tested."""
        absent = []
        for name in services:
            try:
                self.engine.workload(name)
            except NotFound:
                absent.append(name)
        if absent:
            hint = "`devenv deploy` puts it there; without --running a copy is tested."
            verb = "is" if len(absent) == 1 else "are"
            raise Never(f"{', '.join(absent)} {verb} not in the namespace {self.name}", hint)

    def _own(self, verb: str) -> None:
        if not self.isolated:
            raise DevenvError(f"{self.name} is not a copy: tests do not {verb} it", "Use isolated_stack in this test.")
        self._mark(verb)


class KubeStack(Stack[KubeDriver]):
    """A namespace under test, with what only Kubernetes has; `KubeDriver` says what it does."""

    def __init__(self, driver: KubeDriver) -> None:
        super().__init__(driver)
        self.plan, self.client, self.objects, self.keys = driver.plan, driver.client, driver.objects, driver.keys
        self.wait_rolled_out, self.replace_pods = driver.wait_rolled_out, driver.replace_pods


def _only_port(item: Object) -> int:
    ports = [
        int(port["containerPort"])
        for container in containers_of(item["spec"]["template"]["spec"])
        for port in container.get("ports") or ()
    ]
    if len(ports) != 1:
        raise Never(
            f"{item['kind']} {item['metadata']['name']} has {len(ports)} ports", "Name one in [[verify.endpoint]]."
        )
    return ports[0]
