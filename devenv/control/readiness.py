"""When is a service up? Rules on what the engine tells; pure, so that time and events come from outside.

The rules, and why:

- Healthy where there is a health check, of the Compose file or of the image.
- Without one: running for SETTLE seconds. What cannot start (a wrong command, a missing import) ends within that.
  One that ended before while we waited must stay for RECOVERED seconds.
- Ended with 0 under restart policy `no` or `on-failure`: completed, whatever Compose's own --wait says of it.
- Whose end another service waits for (service_completed_successfully): it has to end, to run is not enough.
- Of a provider: there is no container; it is ready when Compose says that the provider has done its part.
- Ended with an error and nobody restarts it: failed. Ended by SIGKILL (code 137): the engine's word that memory ran
  out may come after that of the end, or from a busy kernel later still, so it is given OOM_NEWS seconds.
- Stopped or only created in the first reading, with the same StartedAt ever since: this start has not reached it, so
  its exit, its error and its OOM kill are an earlier run's. Times of the engine are compared with each other alone,
  since its clock may differ from ours.
- Unhealthy: failed at once. The retries of its health check are already used up, and the engine does not restart
  unhealthy containers, so that waiting longer changes nothing.
- Crash loop: CRASH_EXITS ends while we waited. The engine restarts after 0.1, 0.2, 0.4 ... s, so this takes a second or
  two. A loop from before this start has delays of up to a minute: the engine's own count is believed. But many
  programs end until their database answers: as long as another service, one that does not itself wait for the looping
  one, is on its way, only PATIENT_EXITS count, and afterwards one more run has to fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from devenv.control.stream import service_of_step
from devenv.core.errors import DevenvError
from devenv.core.model import Dependency, Happening, Health, Progress, Project, Resource, Service, State
from devenv.core.why import without_callers


class Outcome(StrEnum):
    """How a service stands."""

    WAITING = "waiting"
    READY = "ready"  # running and healthy, or running for the settled period without a health check
    COMPLETED = "completed"  # a one-shot that ended with 0
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One service: `reason` says what it waits for or why it failed, `after` the seconds until it was ready.

    `evidence` holds the last lines of what speaks for a failure: log lines, or the health check's last output.
    """

    service: str
    outcome: Outcome
    reason: str = ""
    after: float | None = None
    container_id: str = ""  # the one that the reason is about
    exit_code: int | None = None
    exits: int = 0  # how often its containers ended while we waited
    begun: bool = False  # all of its containers exist and were started
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpOutcome:
    """The whole start. `error` is None when every service is ready or completed."""

    services: tuple[ServiceStatus, ...]
    seconds: float
    error: DevenvError | None = None


SETTLE = 2.0  # seconds: an interpreter that fails on an import needs up to about one on a busy machine
RECOVERED = 10.0  # seconds: a run this long is a successful start to the engine too (moby restartmanager)
OOM_NEWS = 1.0  # seconds
KILLED = 128 + 9  # the exit code of what SIGKILL ended
CRASH_EXITS = 3
PATIENT_EXITS = 10  # 51 s of the engine's restart delays
_KEPT = ("Running", "Starting", "Started", "Waiting", "Healthy", "Exited", "Error")  # Compose's words
_COMPLETED = "service_completed_successfully"
_CONDITIONS = {"service_healthy": "healthy", _COMPLETED: "completed"}


@dataclass(slots=True)
class _Track:
    """What was seen of one container while we waited; times are the waiter's own clock."""

    exits_before: int = 0  # how often the engine had restarted it when we came and found it restarting
    run_began: float = 0.0
    exits: list[float] = field(default_factory=list)  # begin of each run that ended
    started_at: float | None = None  # the engine's time of the run that we know of
    from_before: bool = False  # it existed when we began: Compose may be about to replace it
    not_begun: bool = False  # it was not up when we began, and was not started since: what it shows is an earlier run's
    stopping: bool = False  # somebody asked it to stop: Compose replacing it, or a person
    oom: bool = False
    ended: float | None = None  # when its last run did, as far as seen
    exit_code: int | None = None  # of the last run that ended: what runs again shows none


class Readiness:
    """Follows the services of one `up`. Call `see` and `observe` with news, then `statuses`."""

    def __init__(self, project: Project, began: float) -> None:
        self._services = {service.name: service for service in project.services}
        self._must_end = {
            item.service for service in project.services for item in service.depends_on if item.condition == _COMPLETED
        }
        self._began = began
        self._tracks: dict[str, _Track] = {}
        self._containers: dict[str, list[Resource]] = {}
        self._compose_ended = False
        self._compose_succeeded = False
        self._seen = False
        self._kept: set[str] = set()
        self._starting: set[str] = set()  # containers that Compose tried to start
        self._refused: dict[str, str] = {}  # service -> why its container could not be created
        self._provided: dict[str, Progress] = {}  # service of a provider -> what Compose said of it last
        self._in_company: set[str] = set()  # services that had company, something that a loop may wait for, last time
        self._company_until: dict[str, float] = {}  # when that company was last seen, or first seen to be gone
        self._ready_at: dict[str, float] = {}

    def observe(self, happening: Happening, now: float) -> None:
        """Take one engine event."""
        track = self._tracks.setdefault(happening.key, _Track(run_began=now))
        if happening.action in ("start", "restart"):
            track.run_began, track.stopping, track.ended = now, False, None
        elif happening.action in ("kill", "stop"):
            track.stopping = True
        elif happening.action == "oom":
            track.oom = True
        elif happening.action == "die" and not track.stopping:
            track.exits.append(track.run_began)
            track.exit_code = happening.exit_code

    def see(self, resources: Iterable[Resource], now: float) -> None:
        """Take the engine's present state of all containers of the project."""
        self._containers = {}
        for resource in resources:
            if resource.kind != "container" or resource.one_off:
                continue
            self._containers.setdefault(resource.service, []).append(resource)
            track = self._tracks.get(resource.key)
            if track is None:
                before = resource.restarts or 0 if resource.state is State.RESTARTING else 0
                track = self._tracks[resource.key] = _Track(run_began=now, exits_before=before)
                track.from_before = not self._seen
                track.not_begun = track.from_before and resource.state in (State.EXITED, State.CREATED)
            elif resource.started_at != track.started_at:
                track.not_begun = False
            if resource.started_at != track.started_at:
                if track.started_at is not None:
                    track.run_began = now
                track.started_at = resource.started_at
            if resource.state is State.EXITED and track.ended is None:
                track.ended = now
        self._seen = True

    def compose_did(self, step: Progress) -> None:
        """Take a step of Compose: which containers it keeps, so that what they show is not to be replaced any more."""
        kind, _, name = step.id.partition(" ")
        if kind == "Container" and step.text in _KEPT:
            self._kept.add(name)
            if step.text == "Starting":
                self._starting.add(name)
        elif step.id in self._services and self._services[step.id].provider:
            self._provided[step.id] = step
        elif step.status == "error" and (service := service_of_step(step.id)):
            self._refused[service] = without_callers(step.text)

    def compose_ended(self, *, succeeded: bool) -> None:
        """Compose has done its part: from now on the containers show what this start made of them."""
        self._compose_ended, self._compose_succeeded = True, succeeded

    def statuses(self, now: float) -> tuple[ServiceStatus, ...]:
        """Judge every service at the time `now`."""
        statuses = {name: self._status(service, now) for name, service in self._services.items()}
        looping = {name for name, status in statuses.items() if self._loops(status)}
        waiting = [name for name, status in statuses.items() if status.outcome is Outcome.WAITING]
        company = {name for name in waiting if self._has_company(name, statuses, looping)}
        # Who was on its way when we last looked was so until some moment between then and now.
        for name in company | self._in_company:
            self._company_until[name] = now
        self._in_company = company
        for name in looping:
            statuses[name] = self._crash_loop(statuses[name])
        return tuple(self._timed(status, now) for status in statuses.values())

    def next_change(self, now: float) -> float:
        """Return in how many seconds a status may change without any event: a settled period ends."""
        tracks = self._tracks.values()
        ends = [track.run_began + period - now for track in tracks for period in (SETTLE, RECOVERED)]
        ends += [track.ended + OOM_NEWS - now for track in tracks if track.ended is not None]
        return min((end for end in ends if end > 0), default=RECOVERED)

    def blocked_by(self, service: str, statuses: Iterable[ServiceStatus]) -> str:
        """Say which dependencies a service that was not started still waits for; empty: none."""
        known = {status.service: status for status in statuses}
        waits = [
            f"{item.service} to be {_CONDITIONS.get(item.condition, 'started')}"
            for item in self._services[service].depends_on
            if item.service in known and _blocks(item, known[item.service])
        ]
        return " and ".join(waits)

    def _status(self, service: Service, now: float) -> ServiceStatus:
        if service.provider:
            return self._provider(service)
        if service.replicas == 0:
            return ServiceStatus(service.name, Outcome.READY, "scaled to 0", begun=True)
        if self._compose_ended and service.name in self._refused:
            return ServiceStatus(service.name, Outcome.FAILED, f"could not be created: {self._refused[service.name]}")
        parts = [self._container(service, resource, now) for resource in self._containers.get(service.name, ())]
        exits = max((part.exits for part in parts), default=0)
        for part in parts:
            if part.outcome is Outcome.FAILED:
                return part
        done = [part for part in parts if part.outcome is not Outcome.WAITING]
        waiting = [part for part in parts if part.outcome is Outcome.WAITING]
        if len(done) >= service.replicas and not waiting:
            completed = all(part.outcome is Outcome.COMPLETED for part in done)
            last = done[-1]
            outcome = Outcome.COMPLETED if completed else Outcome.READY
            return ServiceStatus(service.name, outcome, last.reason, exit_code=last.exit_code, exits=exits, begun=True)
        begun = len(parts) >= service.replicas and all(part.begun for part in parts)
        worst = max(waiting, key=lambda part: part.exits, default=None)
        reason = worst.reason if worst else "not created yet"
        if service.replicas > 1:
            reason = f"{len(done)} of {service.replicas} replicas are ready; {reason}"
        container_id = worst.container_id if worst else ""
        code = worst.exit_code if worst else None
        return ServiceStatus(service.name, Outcome.WAITING, reason, None, container_id, code, exits, begun)

    def _provider(self, service: Service) -> ServiceStatus:
        step = self._provided.get(service.name)
        if self._compose_succeeded or (step is not None and step.status == "done"):
            return ServiceStatus(service.name, Outcome.READY, f"provided by {service.provider}", begun=True)
        if step is not None and step.status == "error":
            return ServiceStatus(service.name, Outcome.FAILED, f"its provider {service.provider} failed: {step.text}")
        at = f": {step.text}" if step is not None else ""
        return ServiceStatus(service.name, Outcome.WAITING, f"its provider {service.provider} has not ended yet{at}")

    def _container(self, service: Service, resource: Resource, now: float) -> ServiceStatus:
        track = self._tracks[resource.key]
        if track.not_begun and resource.state in (State.EXITED, State.CREATED):
            return self._not_begun(service, resource)
        current = self._compose_ended or not track.from_before or resource.name in self._kept
        outcome, reason = self._state(service, resource, track, now)
        if not current and outcome is not Outcome.WAITING:
            outcome, reason = Outcome.WAITING, f"{reason} since before this start; Compose has not dealt with it yet"
        if (track.oom or resource.oom_killed) and outcome in (Outcome.FAILED, Outcome.WAITING):
            reason += "; it was killed because it ran out of memory (OOM)"
        exits = len(track.exits) + track.exits_before if current else 0
        begun = resource.state is not State.CREATED
        code = track.exit_code if resource.exit_code is None and track.exits else resource.exit_code
        return ServiceStatus(service.name, outcome, reason, None, resource.container_id, code, exits, begun)

    def _not_begun(self, service: Service, resource: Resource) -> ServiceStatus:
        if resource.error and self._compose_ended and resource.name in self._starting:
            return ServiceStatus(
                service.name, Outcome.FAILED, f"could not be started: {without_callers(resource.error)}"
            )
        was = "stopped" if resource.state is State.EXITED else "created"
        if self._compose_succeeded:
            return ServiceStatus(service.name, Outcome.FAILED, f"is {was}: Compose ended without starting it")
        return ServiceStatus(service.name, Outcome.WAITING, f"{was}, not started")

    def _state(self, service: Service, resource: Resource, track: _Track, now: float) -> tuple[Outcome, str]:
        state = resource.state
        if state is State.RUNNING:
            outcome, reason = self._running(resource, track, now)
            if outcome is Outcome.READY and service.name in self._must_end:
                return Outcome.WAITING, f"{reason}, must end with 0"
            return outcome, reason
        if state is State.RESTARTING:
            return Outcome.WAITING, f"is restarted after it exited with code {resource.exit_code}"
        if state is State.PAUSED:
            return Outcome.FAILED, "is paused; continue it with docker compose unpause"
        if state is State.EXITED:
            return self._exited(service, resource, track, now)
        if state is State.DEAD:
            return Outcome.FAILED, "is dead: the engine could not remove it"
        if resource.error and self._compose_ended:
            return Outcome.FAILED, f"could not be started: {without_callers(resource.error)}"
        return Outcome.WAITING, "created, not started yet" if state is State.CREATED else state.value

    def _running(self, resource: Resource, track: _Track, now: float) -> tuple[Outcome, str]:
        if resource.health is Health.HEALTHY:
            return Outcome.READY, "healthy"
        if resource.health is Health.UNHEALTHY:
            return Outcome.FAILED, "is unhealthy: its health check keeps failing"
        if resource.health is Health.STARTING:
            return Outcome.WAITING, "running, its health check has not succeeded yet"
        if now - track.run_began >= (RECOVERED if track.exits else SETTLE):
            return Outcome.READY, "running"
        return Outcome.WAITING, "running, must stay so for a moment"

    def _exited(self, service: Service, resource: Resource, track: _Track, now: float) -> tuple[Outcome, str]:
        restarts_always = service.restart in ("always", "unless-stopped")
        if track.stopping and not self._compose_ended:
            return Outcome.WAITING, "is being replaced"
        if resource.exit_code == 0 and not restarts_always:
            return Outcome.COMPLETED, "ended with 0"
        if track.stopping or restarts_always:
            return Outcome.FAILED, f"was stopped from outside (exit code {resource.exit_code})"
        known = track.oom or resource.oom_killed or track.ended is None or now - track.ended >= OOM_NEWS
        if resource.exit_code == KILLED and not known:
            return Outcome.WAITING, "was killed; why is not known yet"
        tries = f", {len(track.exits)} times" if len(track.exits) > 1 else ""
        return Outcome.FAILED, f"exited with code {resource.exit_code}{tries}"

    def _loops(self, status: ServiceStatus) -> bool:
        return status.outcome is Outcome.WAITING and status.exits >= CRASH_EXITS

    def _has_company(self, name: str, statuses: Mapping[str, ServiceStatus], looping: set[str]) -> bool:
        return any(
            status.outcome is Outcome.WAITING
            and other != name
            and other not in looping
            and not self._needs(other, looping | {name})
            for other, status in statuses.items()
        )

    def _crash_loop(self, status: ServiceStatus) -> ServiceStatus:
        runs = [self._tracks[item.key].exits for item in self._containers.get(status.service, ())]
        last_run = max((exits[-1] for exits in runs if exits), default=0.0)
        patient = self._company_until.get(status.service, -1.0) >= last_run
        failed = status.exits >= PATIENT_EXITS if patient else True
        text = f"exits again and again: {status.exits} times so far, last with code {status.exit_code}"
        return replace(
            status,
            outcome=Outcome.FAILED if failed else Outcome.WAITING,
            reason=f"{text}; it ran out of memory (OOM)" if "OOM" in status.reason else text,
        )

    def _needs(self, name: str, targets: set[str]) -> bool:
        seen: set[str] = set()
        todo = [name]
        while todo:
            service = self._services.get(todo.pop())
            for dependency in service.depends_on if service else ():
                if dependency.service in targets:
                    return True
                if dependency.service not in seen:
                    seen.add(dependency.service)
                    todo.append(dependency.service)
        return False

    def _timed(self, status: ServiceStatus, now: float) -> ServiceStatus:
        if status.outcome not in (Outcome.READY, Outcome.COMPLETED):
            self._ready_at.pop(status.service, None)
            return status
        at = self._ready_at.setdefault(status.service, now)
        return replace(status, after=at - self._began, container_id="")


def _blocks(dependency: Dependency, status: ServiceStatus) -> bool:
    """Whether Compose still holds back who depends so on a service that stands like this."""
    if status.outcome is Outcome.FAILED and not dependency.required:
        return False
    if dependency.condition == _COMPLETED:
        return status.outcome is not Outcome.COMPLETED
    if dependency.condition == "service_healthy":
        return status.outcome is not Outcome.READY
    return not status.begun
