"""One stack under test, whatever runs it: brought up, waited for, watched and removed through its runtime's driver."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from devenv.backends.kube.pod_start import STAGES as POD_STAGES
from devenv.backends.kube.pod_start import PodStages
from devenv.control.readiness import UpOutcome
from devenv.control.stream import Remark
from devenv.core.errors import DevenvError
from devenv.core.model import Progress
from devenv.core.verify_settings import EndpointSettings, VerifySettings
from devenv.runs.identity import Run
from devenv.verify.http import Endpoint, Persistence, Reload, endpoint_named
from devenv.verify.recorder import Recorder, explain
from devenv.verify.service_verdicts import Subject
from devenv.verify.waiting import Lasting, wait_until

if TYPE_CHECKING:
    from devenv.verify.engine import Engine

SETTLING = 2.0  # seconds that an event may be later than the reading which shows the same
_STEP = re.compile(r"^Step .*\[[^\]]*\d+/\d+\]")
# To find the base image is a step that nothing saves: whether its word is Built or Cached says nothing about a build.
_FROM = re.compile(r"\d+/\d+\] FROM\s")


@dataclass(frozen=True, slots=True)
class BuildReport:
    """One build: image ids by service, and the steps (without FROM) that came from the cache or really ran."""

    seconds: float
    images: Mapping[str, str]
    cached: tuple[str, ...] = ()
    built: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpReport:
    """One start: seconds from its beginning until each stage was reached by the slowest service, and by each."""

    seconds: float
    stages: Mapping[str, float]
    services: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    outcome: UpOutcome | None = None


class BuildWatch:
    """Follows the progress of a build."""

    def __init__(self) -> None:
        self._words: dict[str, str] = {}

    def take(self, record: Progress | Remark) -> None:
        """Take one record of the job."""
        if isinstance(record, Progress) and _STEP.match(record.id):
            self._words[record.id.removeprefix("Step ")] = record.text

    def report(self, seconds: float, images: Mapping[str, str]) -> BuildReport:
        """Sum up."""
        cached = tuple(name for name, word in self._words.items() if word == "Cached" and not _FROM.search(name))
        built = tuple(name for name, word in self._words.items() if word == "Built" and not _FROM.search(name))
        return BuildReport(seconds, images, cached, built)


def stages_of(engine: Engine, began: float, seconds: float, built: BuildReport | None, outcome: UpOutcome) -> UpReport:
    """Return when each container was created, started and healthy; what was there before `began` counts as 0."""
    reached: list[tuple[str, Mapping[str, float | None]]] = []
    for container in engine.containers():
        times = {"create": container.created_at, "start": container.started_at}
        if container.health == "healthy":
            since = container.started_at or began
            event = next(iter(engine.events(since, container.service, "health_status")), None)
            if event is None and since >= began:
                event = engine.wait_event("health_status", container.service, since=since, timeout=SETTLING)
            times["healthy"] = event.at if event is not None else began
        reached.append((container.service, times))
    first = {"build": built.seconds} if built is not None else {}
    return _report(reached, ("create", "start", "healthy"), began, first, seconds, outcome)


def of_pods(pods: Iterable[PodStages], began: float, applied: float, seconds: float) -> UpReport:
    """Return when the pods of each workload were created, scheduled, pulled, started and ready, by the cluster's clock.

    Kubernetes tells whole seconds: a stage is exact to one.
    """
    reached = [(pod.workload.partition("/")[2], {stage: getattr(pod, stage) for stage in POD_STAGES}) for pod in pods]
    return _report(reached, POD_STAGES, began, {"applied": applied}, seconds)


def _report(
    reached: Iterable[tuple[str, Mapping[str, float | None]]],
    order: Sequence[str],
    began: float,
    first: Mapping[str, float],
    seconds: float,
    outcome: UpOutcome | None = None,
) -> UpReport:
    """Return the report of a start; `reached` has a service and when one of its containers or pods was how far."""
    services: dict[str, dict[str, float]] = {}
    for service, times in reached:
        stages_reached = services.setdefault(service, {})
        for stage, at in times.items():
            if at is not None:
                stages_reached[stage] = max(stages_reached.get(stage, 0.0), at - began, 0.0)
    slowest = {
        stage: [stages_reached[stage] for stages_reached in services.values() if stage in stages_reached]
        for stage in order
    }
    stages = {**first, **{stage: max(values) for stage, values in slowest.items() if values}, "served": seconds}
    return UpReport(seconds, stages, services, outcome)


CALL_LIMIT = 300.0  # seconds of one call of a runtime that is not a build


@dataclass(frozen=True, slots=True)
class Started:
    """What was started: the services whose endpoints are to be served, and the report once they are.

    `report` takes when the start began (wall clock) and the seconds that it took.
    """

    services: frozenset[str]
    report: Callable[[float, float], UpReport]


class Driver(Protocol):
    """What a stack asks its runtime. Names of services that are left out mean all of them."""

    target: str
    name: str
    isolated: bool
    services: Mapping[str, Any]
    settings: VerifySettings
    wait_timeout: float
    scale: float  # how much wider than stated limits are
    root: Path | None  # what the private copy was made of; None where nothing is reloaded from files
    folder: Path
    place: str  # in a cluster, as verdicts name it; "" for a Compose project
    changed: bool  # by the test: what it finds out is not about the project as it is
    recorder: Recorder
    every: float  # seconds between two looks while it is waited for

    @property
    def engine(self) -> Any:
        """The runtime's side of the stack."""
        ...

    def endpoint_settings(self) -> Sequence[EndpointSettings]:
        """The addresses that the stack has."""
        ...

    def make_endpoint(self, settings: EndpointSettings) -> Endpoint:
        """Make one of them."""
        ...

    def up(self, *, build: bool, wait: bool, services: Sequence[str], limit: float) -> Started:
        """Create and start, and wait until all is ready; raises VerificationFailed."""
        ...

    def down(self, *, volumes: bool) -> None:
        """Take it down; with `volumes`, all data too."""
        ...

    def stop(self, *services: str) -> None:
        """Stop services."""
        ...

    def start(self, *services: str) -> None:
        """Start what was stopped."""
        ...

    def restart(self, *services: str) -> None:
        """Restart services."""
        ...

    def reset(self) -> None:
        """Undo what a test has done, as far as bringing it up again does not."""
        ...

    def before_waiting(self, services: Sequence[str], limit: float) -> str:
        """Return what is waited for, in words; raises Never where it cannot come."""
        ...

    def unready(self, services: Sequence[str] = ()) -> tuple[list[str], str]:
        """Return what is not ready, and why it is in vain to wait for that, "" where it may not be."""
        ...

    def subjects(self) -> dict[str, Subject]:
        """What each service is made of, as verdicts are about it; what cannot be read is left unknown."""
        ...

    def explain(self) -> list[str]:
        """Lines that the recorder does not know."""
        ...

    def end(self, *, remove: bool) -> None:
        """Stop the recorder; remove all that is the stack's own."""
        ...


D = TypeVar("D", bound=Driver)


class Stack(Generic[D]):
    """A stack under test. Raises VerificationFailed where it does not do what is expected of it.

    What only one runtime has (`compose`, `replace_pods` ...) is in its own class beside the driver.
    """

    def __init__(self, driver: D) -> None:
        self.driver = driver
        self.target = driver.target
        self.name = driver.name
        self.isolated = driver.isolated
        self.services = driver.services
        self.settings = driver.settings
        self.scale = driver.scale
        self.recorder = driver.recorder
        self.engine: Any = driver.engine
        self.first_up: UpReport | None = None  # of the shared copy: how its first start went
        self.endpoints = {item.name: driver.make_endpoint(item) for item in driver.endpoint_settings()}
        settings = self.settings.persistence
        self.persistence = Persistence(settings, self.endpoint) if settings is not None else None
        self.recorder.start()

    @property
    def reloads(self) -> list[Reload]:
        """The reloads that devenv.toml describes, on the private copy; empty for a stack that has none."""
        root, folder = self.driver.root, str(self.driver.folder)
        if not self.isolated or root is None:
            return []
        return [Reload(item, str(root), folder, self.endpoint(item.endpoint)) for item in self.settings.reloads]

    def endpoint(self, name: str) -> Endpoint:
        """Return an endpoint by its name; raises DevenvError with the names there are."""
        return endpoint_named(self.endpoints, name)

    def up(
        self, *, build: bool = False, wait: bool = True, services: tuple[str, ...] = (), timeout: float | None = None
    ) -> UpReport:
        """Create and start, wait until every service is ready and every endpoint of theirs is served.

        `build` is for Compose: on Kubernetes the images are on the node before.
        """
        __tracebackhide__ = True
        at, began = time.time(), time.monotonic()
        limit = self._limit(timeout)
        started = self.driver.up(build=build, wait=wait, services=services, limit=limit)
        for endpoint in self.endpoints.values():
            if wait and endpoint.settings.service in started.services:
                endpoint.wait_served(max(1.0, limit - (time.monotonic() - began)) if limit else CALL_LIMIT)
        return started.report(at, time.monotonic() - began)

    def down(self, *, volumes: bool = False) -> None:
        """Take it down; with `volumes`, all data too."""
        self.recorder.state()
        if self.isolated and volumes and self.persistence is not None:
            self.persistence.forget()
        self.driver.down(volumes=volumes)

    def stop(self, *services: str) -> None:
        """Stop services; on Kubernetes they are scaled to nothing, and their pods are gone afterwards."""
        self.driver.stop(*services)

    def start(self, *services: str) -> None:
        """Start what was stopped."""
        self.driver.start(*services)

    def restart(self, *services: str) -> None:
        """Restart services; on Kubernetes, begin a rolling restart."""
        self.driver.restart(*services)

    def mend(self) -> None:
        """Bring it back to what the project says, whatever a test has done to it."""
        self.driver.reset()
        self.up()

    def wait_healthy(self, timeout: float | None = None, services: Sequence[str] = ()) -> float:
        """Wait until all run and are ready, and healthy where they have a health check; return the seconds it took."""
        __tracebackhide__ = True
        began, limit = time.monotonic(), self._limit(timeout)
        what = self.driver.before_waiting(services, limit)
        lasting = Lasting()

        def look() -> list[str]:
            unready, in_vain = self.driver.unready(services)
            lasting.look(in_vain)
            return unready

        wait_until(what, look, limit, lambda seen: not seen, every=self.driver.every)
        return time.monotonic() - began

    def is_well(self) -> bool:
        """Whether every service runs and is ready, and healthy where it has a health check."""
        return not self.driver.unready()[0]

    def mark(self, text: str) -> None:
        """Write a moment into the evidence."""
        self.recorder.mark("phase", text)

    def explain(self, at: float | None = None) -> str:
        """Say what it showed around that time (default: now): last event, last probe, log lines, what is missing."""
        return "\n".join([explain(self.recorder, time.time() if at is None else at), *self.driver.explain()])

    def close(self, *, keep: bool = False) -> None:
        """Write the last state down, and remove all that is the stack's own; safe at any time, even half made."""
        try:
            self.recorder.state()
            self.recorder.mark("cleanup", "kept as it is" if keep or not self.isolated else "clean-up begins")
        finally:
            for endpoint in self.endpoints.values():
                endpoint.close()
            self.driver.end(remove=self.isolated and not keep)

    def _limit(self, timeout: float | None) -> float:
        return (self.driver.wait_timeout if timeout is None else timeout) * self.scale


S = TypeVar("S", bound=Stack[Any])


class Stacks(Generic[S]):
    """The stacks of one run on one runtime; `close` may be called at any time and more than once."""

    def __init__(self, run: Run, *, keep: bool = False, scale: float = 1.0) -> None:
        self.run = run
        self.scale = scale
        self._keep = keep
        self.stacks: list[S] = []

    def add(self, stack: S) -> S:
        """Take a new stack, not started, and return it."""
        self.stacks.append(stack)
        return stack

    def remove(self, stack: S) -> None:
        """Remove one stack with all that is its own; with --keep it stays as it is."""
        if stack in self.stacks:
            self.stacks.remove(stack)
            stack.close(keep=self._keep)

    def close(self) -> None:
        """Remove whatever is still there; the last error is raised when all were tried."""
        problem: DevenvError | AssertionError | None = None
        for stack in list(self.stacks):
            try:
                self.remove(stack)
            except (DevenvError, AssertionError) as error:
                problem = error
        if problem is not None:
            raise problem
