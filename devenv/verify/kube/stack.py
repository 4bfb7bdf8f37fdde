"""One namespace under test: applied, changed, watched and removed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError, NotFound
from devenv.backends.kube.kinds import NAMESPACES
from devenv.backends.kube.parse.workload import template_hash
from devenv.backends.kube.workload import progress_of, read_workload
from devenv.control.kube import rollout
from devenv.control.kube.apply import apply
from devenv.control.kube.change import Call, Ref
from devenv.control.kube.objects import KindBook, flatten
from devenv.control.kube.wait import Patience, WaitResult, wait_for
from devenv.core.errors import DevenvError
from devenv.core.verify_settings import EndpointSettings
from devenv.runs.identity import Run
from devenv.verify.calls import Persistence, Reload
from devenv.verify.http import endpoint_named
from devenv.verify.kube.cluster import EVERY, WORKLOAD_KINDS, Cluster
from devenv.verify.kube.endpoint import KubeEndpoint
from devenv.verify.kube.source import KubeSource, Object
from devenv.verify.kube.watching import record
from devenv.verify.recorder import explain
from devenv.verify.service_verdicts import Subject, digests
from devenv.verify.stages import UpReport, of_pods
from devenv.verify.waiting import Lasting, Never, VerificationFailed, wait_until

STAYS: Final = ("Namespace", "PriorityClass", "ResourceQuota", "LimitRange", "PersistentVolumeClaim", "Secret")
GONE_WITHIN: Final = 120.0  # seconds until a namespace that was deleted is gone, its pods' grace included


@dataclass(frozen=True, slots=True)
class KubeStackPlan:
    """What a stack is made of: `objects` as they are applied; `image_notes` say which images may not be there."""

    source: KubeSource
    run: Run
    namespace: str
    objects: tuple[Object, ...]
    isolated: bool = False
    image_notes: tuple[str, ...] = ()
    own: tuple[str, ...] = ()  # PriorityClasses of the copy


class KubeStack:
    """A namespace under test. Raises VerificationFailed where it does not do what is expected of it, and KubeError."""

    target: Final = "kubernetes"

    def __init__(self, plan: KubeStackPlan, scale: float = 1.0) -> None:
        self.plan = plan
        self.name = plan.namespace
        self.isolated = plan.isolated
        self.settings = plan.source.config.verify
        self.scale = scale
        self.objects = list(plan.objects)
        self.first_up: UpReport | None = None  # of the shared copy: how its first deployment went
        self.services: Mapping[str, Object] = {
            item["metadata"]["name"]: item for item in plan.objects if item.get("kind") in WORKLOAD_KINDS
        }
        target = replace(plan.source.target, namespace=plan.namespace)
        self.client = KubeClient(target, plan.source.environ)
        path = plan.run.folder / "evidence" / f"{self.name}.jsonl"
        self.recorder = record(plan.source, self.name, self.services, plan.run.id, path)
        self.engine = Cluster(self.client, self.name, self.services, self.recorder, plan.source.environ)
        self.endpoints = {item.name: KubeEndpoint(item, self.engine, self.recorder.probe) for item in self._endpoints()}
        settings = self.settings.persistence
        self.persistence = Persistence(settings, self.endpoint) if settings is not None else None
        self.recorder.start()

    @property
    def reloads(self) -> list[Reload]:
        """None: nothing is reloaded in a pod."""
        return []

    @property
    def keys(self) -> list[tuple[str, str, str]]:
        """The workloads as waiting names them."""
        return [(item["kind"].lower(), self.name, name) for name, item in self.services.items()]

    def endpoint(self, name: str) -> KubeEndpoint:
        """Return an endpoint by its name; raises DevenvError with the names there are."""
        return endpoint_named(self.endpoints, name)

    def up(self, *, build: bool = False, timeout: float | None = None) -> UpReport:
        """Apply all objects, wait until the workloads are rolled out and every endpoint of theirs is served.

        `build` is for Compose: the images are on the node before.
        """
        __tracebackhide__ = True
        at, began = time.time(), time.monotonic()
        self.mark("apply")
        apply(self.client, self.objects, force_conflicts=True)
        applied = time.monotonic() - began
        limit = self._limit(timeout)
        outcome = self.wait_rolled_out(limit)
        for endpoint in self.endpoints.values():
            if self._declared(endpoint.settings.service):
                endpoint.wait_served(max(1.0, limit - (time.monotonic() - began)))
        return of_pods(outcome.pods, at, applied, time.monotonic() - began)

    def wait_rolled_out(
        self, timeout: float | None = None, *services: str, patience: Patience | None = None
    ) -> WaitResult:
        """Wait until the workloads are rolled out; raises VerificationFailed with what holds them back."""
        __tracebackhide__ = True
        limit = self._limit(timeout)
        wanted = [key for key in self.keys if not services or key[2] in services]
        outcome = wait_for(self.client, wanted, patience or Patience(timeout=limit))
        if not outcome.done:
            seen = "\n".join([outcome.reason, *self.plan.image_notes])
            raise VerificationFailed(f"{', '.join(key[2] for key in wanted)} to be rolled out", seen)
        return outcome

    def down(self, *, volumes: bool = False) -> None:
        """Remove what was applied but the namespace with its limits, and, without `volumes`, all that holds data."""
        self._own("down")
        self.recorder.state()
        if volumes and self.persistence is not None:
            self.persistence.forget()
        book = KindBook(self.client)
        stays = set(STAYS) - ({"PersistentVolumeClaim"} if volumes else set())
        for item in reversed(flatten(self.objects)):
            kind = book.find(item)
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
        self.mark(f"restart {' '.join(services)}")
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

    def mend(self) -> None:
        """Bring it back to what the manifests say, whatever a test has done to it."""
        for service in self.services:
            for pod in self.engine.pods(service):
                if not pod.ready:
                    self.client.request("DELETE", f"/api/v1/namespaces/{self.name}/pods/{pod.name}")
        self.up()

    def wait_healthy(self, timeout: float | None = None, services: Sequence[str] = ()) -> float:
        """Wait until the workloads are rolled out and all their pods are ready; return the seconds it took."""
        __tracebackhide__ = True
        began = time.monotonic()
        if not self.isolated:
            self._refuse_absent(services or tuple(self.services))
        self.wait_rolled_out(timeout, *services)
        # The controllers may not have seen yet that a pod is gone: the pods themselves have the last word.
        what = f"all pods of {', '.join(services) or self.name} to be ready"
        lasting = Lasting()

        def look() -> list[str]:
            unready = self._unready(*services)
            if unready:
                reasons = [self.engine.in_vain(name) for name in services or self.services if self._declared(name)]
                lasting.look(next(filter(None, reasons), ""))
            return unready

        wait_until(what, look, self._limit(timeout), lambda seen: not seen, every=EVERY)
        return time.monotonic() - began

    def is_well(self) -> bool:
        """Whether every workload is rolled out with all its pods ready."""
        return not self._unready()

    def subjects(self) -> dict[str, Subject]:
        """Return what each workload is made of, as verdicts are about it; what cannot be read is left unknown."""
        found = {name: Subject() for name in self.services}
        for name in self.services:
            try:
                images = digests(pod.image_id for pod in self.engine.pods(name))
                found[name] = Subject(images, template_hash(self.client.get(self.engine.path(name))))
            except KubeError as error:
                self.mark(f"what is verified of {name} could not be told: {error.message}")
        return found

    def mark(self, text: str) -> None:
        """Write a moment into the evidence."""
        self.recorder.mark("phase", text)

    def explain(self, at: float | None = None) -> str:
        """Say what the namespace showed around that time: last event, probe and log lines, and what is missing."""
        text = explain(self.recorder, time.time() if at is None else at)
        try:
            waits = self._unready()
        except KubeError as error:
            waits = [f"the cluster could not be asked: {error.message}"]
        return "\n".join([text, *(f"workload:   {line}" for line in waits)])

    def close(self, *, keep: bool = False) -> None:
        """Write the last state down, and remove all that is the stack's own; safe at any time, even half made."""
        try:
            self.recorder.state()
            self.recorder.mark("cleanup", "kept as it is" if keep or not self.isolated else "clean-up begins")
        finally:
            for endpoint in self.endpoints.values():
                endpoint.close()
            try:
                if self.isolated and not keep:
                    self._remove()
            finally:
                self.recorder.stop()
                self.client.close()

    def _remove(self) -> None:
        from devenv.verify.kube.leftovers import delete_namespace, delete_priority

        for name in self.plan.own:
            delete_priority(self.client, name)
        delete_namespace(self.client, self.name)

        def there() -> str:
            try:
                found: dict[str, Any] = self.client.get(NAMESPACES.path(name=self.name))
            except NotFound:
                return ""
            conditions = (found.get("status") or {}).get("conditions") or ()
            told = [str(item.get("message")) for item in conditions if item.get("status") == "True"]
            return f"{self.name} is still there: {'; '.join(told) or 'its content is being removed'}"

        wait_until(f"{self.name} to be gone", there, GONE_WITHIN, lambda seen: not seen, every=0.5)

    def _wait_gone(self, *services: str) -> None:
        def there() -> list[str]:
            names = services or tuple(self.services)
            return [pod.name for name in names for pod in self.engine.pods(name, leaving=True)]

        wait_until("the pods to be gone", there, self._limit(None), lambda seen: not seen, every=EVERY)

    def _unready(self, *services: str) -> list[str]:
        found = []
        for name in services or self.services:
            try:
                item = self.engine.workload(name)
            except NotFound:
                found.append(f"{name}: it is not there")
                continue
            progress = progress_of(read_workload(str(self.services[name]["kind"]).lower(), item))
            if not progress.done:
                found.append(f"{name}: {progress.words}")
                continue
            ready = sum(pod.ready for pod in self.engine.pods(name))
            if ready < progress.desired or (self._declared(name) and not progress.desired):
                found.append(f"{name}: {ready} of {progress.desired} pods are ready")
        return found

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
            raise Never(f"{', '.join(absent)} is not in the namespace {self.name}", hint)

    def _own(self, verb: str) -> None:
        if not self.isolated:
            raise DevenvError(f"{self.name} is not a copy: tests do not {verb} it", "Use isolated_stack in this test.")
        self.mark(verb)

    def _limit(self, timeout: float | None) -> float:
        return (self.plan.source.config.wait_timeout if timeout is None else timeout) * self.scale

    def _endpoints(self) -> list[EndpointSettings]:
        return [item for item in self.settings.endpoints if item.service in self.services]
