"""A backend and a control that do what a test tells them: the seams of the terminal, without any runtime."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping

from devenv.backends.look import Seen, Subject
from devenv.control.protocol import Place, PlaceKind, Plan
from devenv.control.verbs import VERBS
from devenv.core.errors import DevenvError, Refused
from devenv.core.model import (
    Action,
    Change,
    Connection,
    ConnectionState,
    Health,
    HealthCheck,
    LogLine,
    Phase,
    Port,
    Resource,
    Runtime,
    Snapshot,
    State,
)


class Buffer:
    """Records that wait, and the wake-up for the first of them: the contract of both protocols."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Change] = []
        self._wake: Callable[[], None] | None = None
        self.drains = 0

    def start(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        if self._waiting:
            wake()

    def emit(self, *changes: Change) -> None:
        with self._lock:
            first = not self._waiting
            self._waiting.extend(changes)
        if first and self._wake is not None and changes:
            self._wake()

    def drain(self) -> list[Change]:
        self.drains += 1
        with self._lock:
            waiting, self._waiting = self._waiting, []
        return waiting

    def stop(self) -> None:
        self._wake = None


class ScriptedBackend(Buffer):
    name = "docker"

    def __init__(self) -> None:
        super().__init__()
        self.stats: frozenset[str] = frozenset()
        self.logs: frozenset[str] = frozenset()
        self.detail: str | None = None
        self.asked: list[tuple[str, object]] = []
        self.seen_of: dict[str, Seen] = {}
        self.looks: list[tuple[str, str]] = []
        self.look_gate: threading.Event | None = None

    def watch_stats(self, keys: Collection[str]) -> None:
        self.stats = frozenset(keys)
        self.asked.append(("stats", self.stats))

    def follow_logs(self, keys: Collection[str], tail: int = 500) -> None:
        self.logs = frozenset(keys)
        self.asked.append(("logs", self.logs))

    def watch_detail(self, key: str | None) -> None:
        self.detail = key
        self.asked.append(("detail", key))

    def look(self, resource: Resource, subject: Subject) -> Seen:
        self.looks.append((resource.name, subject))
        if self.look_gate is not None:
            self.look_gate.wait(30)
        if subject not in self.seen_of:
            raise DevenvError(f"no {subject} of {resource.name}", "Look again.")
        return self.seen_of[subject]

    def address(self, port: Port) -> str:
        return port.host_ip if port.host_ip.startswith("127.") else "localhost" if port.host is not None else ""

    def live(self, *resources: Resource) -> None:
        self.emit(Snapshot(self.name, resources), connection())


class ScriptedControl(Buffer):
    def __init__(self) -> None:
        super().__init__()
        self.plans: list[Plan] = []
        self.requested: list[Plan] = []
        self.cancelled: list[int] = []
        self.refusal: tuple[str, str] | None = None
        self.busy = ""
        self.losses: tuple[str, ...] = ()
        self.reached: Callable[[Plan], Plan] = lambda plan: plan
        self.no_shell = ""
        self.handed: list[list[str]] = []
        self.code = 0
        self.known_profiles: tuple[str, ...] = ()
        self.active_profiles: tuple[str, ...] = ()
        self.known_places: dict[PlaceKind, tuple[Place, ...]] = {}
        self.next_place: Place | None = None
        self.sentences: tuple[str, ...] = ("Stops and removes 2 containers of the project shop.",)

    def plan(
        self,
        verb: str,
        targets: tuple[str, ...] = (),
        *,
        volumes: bool = False,
        options: Mapping[str, str] | None = None,
    ) -> Plan:
        plan = Plan(
            verb=verb,
            targets=targets,
            volumes=volumes,
            allowed=self.refusal is None,
            needs_confirmation=VERBS[verb].takes_away if verb in VERBS else False,
            typed="shop" if volumes else "",
            sentences=self.sentences,
            losses=self.losses if volumes else (),
            reason=self.refusal[0] if self.refusal else "",
            hint=self.refusal[1] if self.refusal else "",
            options=tuple((options or {}).items()),
        )
        self.plans.append(plan)
        return plan

    def reach(self, plan: Plan) -> Plan:
        return self.reached(plan)

    def shell(self, resource: Resource) -> tuple[Plan, list[str]]:
        if self.no_shell:
            raise DevenvError(self.no_shell)
        return self.plan("exec", (resource.service,)), ["docker", "exec", "-it", resource.name, "bash"]

    def one_off(self, service: str, words: list[str]) -> tuple[Plan, list[str]]:
        return self.plan("run", (service,)), ["docker", "compose", "run", "--rm", service, *words]

    def hand_over(self, plan: Plan, line: list[str]) -> int:
        self.handed.append(line)
        return self.code

    def profiles(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self.known_profiles, self.active_profiles

    def choose_profiles(self, names: tuple[str, ...]) -> None:
        self.active_profiles = names

    def places(self, kind: PlaceKind) -> tuple[Place, ...]:
        return self.known_places[kind]

    def go_to(self, place: Place) -> None:
        self.next_place = place

    def request(self, plan: Plan) -> Action:
        if self.busy:
            raise Refused(self.busy, "Wait for it, or cancel it with x.")
        self.requested.append(plan)
        action = Action(len(self.requested), plan.verb, plan.targets, Phase.RUNNING, time.time())
        self.emit(action)
        return action

    def cancel(self, action_id: int) -> None:
        self.cancelled.append(action_id)


def connection(state: ConnectionState = ConnectionState.LIVE, **facts: object) -> Connection:
    known: dict[str, object] = {"endpoint": "unix:///var/run/docker.sock", "version": "28.5.2"}
    known |= {"since": time.time(), "last_live": time.time()} | facts
    return Connection("docker", state, **known)  # type: ignore[arg-type]  # facts of the test, checked at run time


def container(service: str, number: int = 1, state: State = State.RUNNING, **facts: object) -> Resource:
    known: dict[str, object] = {
        "key": f"docker/{service}-{number}",
        "runtime": Runtime.COMPOSE,
        "kind": "container",
        "name": f"shop-{service}-{number}",
        "project": "shop",
        "number": number,
        "image": f"shop-{service}:latest",
        "container_id": f"{service}{number}".ljust(64, "0"),
        "started_at": time.time() - 200,
        "created_at": time.time() - 300,
        "restarts": 0,
    }
    return Resource(service=service, state=state, **(known | facts))  # type: ignore[arg-type]  # as above


def absent(service: str) -> Resource:
    return Resource(
        f"compose/shop/{service}", Runtime.COMPOSE, "service", service, service, State.ABSENT, project="shop"
    )


def shop() -> tuple[Resource, ...]:
    """A project with one of each: healthy, unhealthy, crashed, looping, completed, starting, paused, absent, scaled."""
    now = time.time()
    failed = HealthCheck(now - 12, now - 11.9, 1, "curl: (7) Failed to connect to localhost port 8000\n")
    passed = HealthCheck(now - 42, now - 41.94, 0, "ok\n")
    web = (Port(80, "tcp", 8080, "0.0.0.0"), Port(80, "tcp", 8080, "::"))
    return (
        container("web", 1, health=Health.HEALTHY, ports=web, checks=(passed,), command="nginx -g 'daemon off;'"),
        container(
            "api",
            1,
            health=Health.UNHEALTHY,
            checks=(passed, failed),
            restarts=2,
            ports=(Port(8000, "tcp", 8000, "127.0.0.1"),),
            command="uvicorn app:app --password=hunter2",
        ),
        container("worker", 1),
        container("worker", 2),
        container("worker", 3, State.PAUSED),
        container("db", 1, State.EXITED, exit_code=137, finished_at=now - 65),
        container("cache", 1, State.RESTARTING, restarts=3, exit_code=1),
        container("migrate", 1, State.EXITED, exit_code=0, finished_at=now - 3700),
        container("mail", 1, health=Health.STARTING),
        absent("docs"),
    )


def log(key: str, text: str, stream: str = "stdout", at: float | None = None, cut: int = 0) -> LogLine:
    return LogLine(key, time.time() if at is None else at, stream, text, cut)
