"""The waiting itself: Compose is played by a script, the engine by a list of what it tells."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import pytest
from fakedocker import fake_docker

from devenv.backends.compose import ComposeOptions
from devenv.control.guard import optional_of, scope_of
from devenv.control.job import Job
from devenv.control.readiness import Outcome, UpOutcome
from devenv.control.stream import Remark
from devenv.control.wait import Waiter
from devenv.core.errors import EngineUnreachable, Interrupted, PortTaken, ServiceFailed, WaitTimeout
from devenv.core.model import Dependency, Happening, Health, Progress, Project, Resource, Runtime, Service, State

PROJECT = Project("p", "/p", (), (Service("web", has_healthcheck=True),))
STARTED = '{"id":"Container p-web-1","status":"Done","text":"Started"}'


def web(state: State = State.RUNNING, health: Health = Health.HEALTHY, code: int | None = None) -> Resource:
    return Resource(
        "docker/w",
        Runtime.COMPOSE,
        "container",
        "p-web-1",
        "web",
        state,
        health,
        exit_code=code,
        started_at=1.0,
        container_id="w",
    )


class Engine:
    """Tells readings one after another; the last one for ever. An event comes with each new reading."""

    def __init__(self, *readings: tuple[Resource, ...], error: Exception | None = None) -> None:
        self._readings = list(readings)
        self._error = error
        self._more = threading.Event()
        self.closed = False
        self.is_stale = False

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.closed = True

    def events(self, timeout: float) -> Sequence[Happening]:
        if self._error is not None:
            raise self._error
        self._more.wait(timeout)
        self._more.clear()
        return [Happening("docker/w", time.time(), "health_status", "changed")]

    def read(self) -> tuple[Resource, ...]:
        reading = self._readings.pop(0) if len(self._readings) > 1 else self._readings[0]
        self._more.set()
        return reading


def waiter(folder: Path, engine: Engine, script: str, timeout: float = 20.0) -> Waiter:
    options = ComposeOptions(directory=str(folder))
    job = Job(options, PROJECT, "up", ("--detach",), (), fake_docker(folder, script))
    return Waiter(PROJECT, job, engine, lambda resource: (f"last words of {resource.name}",), timeout)


def run(made: Waiter) -> tuple[UpOutcome, list[Progress | Remark]]:
    told: list[Progress | Remark] = []
    return made.run(told.append), told


def test_ready_when_compose_is_done_and_the_engine_says_healthy(tmp_path: Path) -> None:
    engine = Engine((), (web(health=Health.STARTING),), (web(),))
    status, told = run(waiter(tmp_path, engine, f"echo '{STARTED}' >&2"))
    assert status.error is None
    assert status.services[0].outcome is Outcome.READY
    assert status.services[0].evidence == ()
    assert engine.closed
    words = [(record.id, record.text) for record in told if isinstance(record, Progress)]
    assert ("Container p-web-1", "Started") in words
    assert words[-1] == ("Service web", "Ready")


def test_failing_early_ends_a_compose_that_would_wait_on(tmp_path: Path) -> None:
    engine = Engine((), (web(health=Health.UNHEALTHY),))
    began = time.monotonic()
    status, _ = run(waiter(tmp_path, engine, "exec sleep 60"))
    assert time.monotonic() - began < 40
    assert isinstance(status.error, ServiceFailed)
    assert status.services[0].evidence == ("last words of p-web-1",)


DB = Resource(
    "docker/d",
    Runtime.COMPOSE,
    "container",
    "p-db-1",
    "db",
    State.EXITED,
    exit_code=3,
    started_at=1.0,
    container_id="d",
)
OPTIONAL = Project(
    "p",
    "/p",
    (),
    (Service("db"), Service("web", depends_on=(Dependency("db", "service_healthy", required=False),))),
)


@pytest.mark.parametrize("optional", [frozenset(), frozenset({"db"})])
def test_what_nobody_requires_does_not_keep_the_others_from_coming_up(tmp_path: Path, optional: frozenset[str]) -> None:
    engine = Engine((), (DB,), (DB,), (DB,), (DB, web()))
    job = Job(ComposeOptions(directory=str(tmp_path)), OPTIONAL, "up", (), (), fake_docker(tmp_path, "sleep 2"))
    status, _ = run(Waiter(OPTIONAL, job, engine, lambda resource: (), 20.0, optional))
    assert {item.service: item.outcome for item in status.services} == {"db": Outcome.FAILED, "web": Outcome.READY}
    assert isinstance(status.error, ServiceFailed) is not bool(optional)


def test_what_only_optional_dependencies_lead_to_is_optional() -> None:
    chain = Service("cache", depends_on=(Dependency("disk"),))
    both = Service("web", depends_on=(Dependency("db"), Dependency("cache", required=False)))
    shop = Project("p", "/p", (), (chain, both, Service("db"), Service("disk"), Service("other")))
    assert optional_of(shop, ("web",)) == {"cache", "disk"}
    assert optional_of(shop, ("web", "disk")) == {"cache"}
    assert optional_of(shop, ()) == frozenset()
    assert {service.name for service in scope_of(shop, ("web",)).services} == {"cache", "web", "db", "disk"}


def test_a_failure_does_not_keep_compose_from_starting_the_others(tmp_path: Path) -> None:
    engine = Engine((), (web(health=Health.UNHEALTHY),))
    script = f"for i in 1 2 3 4; do sleep 0.2; echo '{STARTED}' >&2; done; touch {tmp_path}/all; exec sleep 60"
    status, _ = run(waiter(tmp_path, engine, script))
    assert isinstance(status.error, ServiceFailed)
    assert (tmp_path / "all").exists()


def test_composes_complaint_about_a_dependency_becomes_the_verdict(tmp_path: Path) -> None:
    engine = Engine((), (), (web(health=Health.UNHEALTHY),))
    message = "dependency failed to start: container p-web-1 is unhealthy"
    status, _ = run(waiter(tmp_path, engine, f"""echo '{{"error":true,"message":"{message}"}}' >&2; exit 1"""))
    assert isinstance(status.error, ServiceFailed)
    assert status.error.message == "web: is unhealthy: its health check keeps failing"


def test_any_other_complaint_of_compose_is_the_error(tmp_path: Path) -> None:
    message = "Bind for 127.0.0.1:80 failed: port is already allocated"
    engine = Engine((web(State.CREATED, Health.NONE),))
    status, _ = run(waiter(tmp_path, engine, f"""echo '{{"error":true,"message":"{message}"}}' >&2; exit 1"""))
    assert isinstance(status.error, PortTaken)


def test_time_runs_out(tmp_path: Path) -> None:
    status, _ = run(waiter(tmp_path, Engine((web(health=Health.STARTING),)), "exec sleep 60", timeout=0.3))
    assert isinstance(status.error, WaitTimeout)
    assert "After 0.3 s still waiting for web: running, its health check" in status.error.message
    assert status.services[0].evidence == ("last words of p-web-1",)


def test_everything_ready_but_compose_still_busy_is_said_so(tmp_path: Path) -> None:
    status, _ = run(waiter(tmp_path, Engine((), (web(),)), "exec sleep 60", timeout=0.5))
    assert isinstance(status.error, WaitTimeout)
    assert "Compose is still busy" in status.error.message


def test_an_engine_that_goes_away_is_an_error(tmp_path: Path) -> None:
    engine = Engine((web(health=Health.STARTING),), error=EngineUnreachable("gone"))
    with pytest.raises(EngineUnreachable, match="gone"):
        run(waiter(tmp_path, engine, "exec sleep 60"))
    assert engine.closed


def test_a_fault_in_a_thread_ends_the_wait_at_once(tmp_path: Path) -> None:
    engine = Engine((web(health=Health.STARTING),), error=ZeroDivisionError("nobody foresaw this"))
    with pytest.raises(ZeroDivisionError):
        run(waiter(tmp_path, engine, "exec sleep 60"))


def test_interrupting_ends_compose_and_the_wait(tmp_path: Path) -> None:
    made = waiter(tmp_path, Engine((web(health=Health.STARTING),)), "exec sleep 60")
    timer = threading.Timer(0.3, made.interrupt)
    timer.start()
    with pytest.raises(Interrupted):
        run(made)
    timer.join()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith(("up-", "compose-std"))]
