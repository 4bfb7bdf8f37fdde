"""The rules of `up --wait`, one a test; time and events are given by hand."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from devenv.control.readiness import (
    CRASH_EXITS,
    OOM_NEWS,
    PATIENT_EXITS,
    RECOVERED,
    SETTLE,
    Outcome,
    Readiness,
    ServiceStatus,
)
from devenv.core.model import Dependency, Happening, Health, Progress, Project, Resource, Runtime, Service, State


def project(*services: Service) -> Project:
    return Project("p", "/p", ("/p/compose.yaml",), services)


def container(service: str, state: State = State.RUNNING, number: int = 1, **changes: object) -> Resource:
    key = f"docker/{service}{number}"
    made = Resource(key, Runtime.COMPOSE, "container", f"p-{service}-{number}", service, state)
    made = replace(made, number=number, container_id=f"{service}{number}", started_at=1000.0)
    return replace(made, **changes)  # type: ignore[arg-type]  # the tests name real fields


class Scene:
    """A judge with a clock that the test moves."""

    def __init__(self, *services: Service, before: tuple[Resource, ...] = ()) -> None:
        self.now = 0.0
        self.readiness = Readiness(project(*services), 0.0)
        self.readiness.see(before, 0.0)
        self.containers = {item.key: item for item in before}

    def see(self, *containers: Resource, after: float = 0.0) -> None:
        self.now += after
        self.containers |= {item.key: item for item in containers}
        self.readiness.see(self.containers.values(), self.now)

    def happen(self, key: str, *actions: str) -> None:
        for action in actions:
            self.readiness.observe(Happening(key, self.now, action, action), self.now)

    def start(self, service: str, **changes: object) -> None:
        item = container(service, **changes)  # type: ignore[arg-type]  # the tests name real fields
        item = replace(item, started_at=1000.0 + self.now)
        self.happen(item.key, "start")
        self.see(item)

    def crash(self, service: str, code: int, state: State = State.RESTARTING) -> None:
        item = container(service, state, exit_code=code)
        died = Happening(item.key, self.now, "die", "die", (("exitCode", str(code)),))
        self.readiness.observe(died, self.now)
        self.see(replace(item, started_at=1000.0 + self.now))

    def status(self, service: str, after: float = 0.0) -> ServiceStatus:
        self.now += after
        return next(item for item in self.readiness.statuses(self.now) if item.service == service)


def test_nothing_exists_yet() -> None:
    status = Scene(Service("a")).status("a")
    assert (status.outcome, status.reason) == (Outcome.WAITING, "not created yet")


def test_healthy_is_ready_at_once_and_says_when() -> None:
    scene = Scene(Service("a", has_healthcheck=True))
    scene.start("a", health=Health.STARTING)
    assert scene.status("a", after=3).outcome is Outcome.WAITING
    scene.see(container("a", health=Health.HEALTHY, started_at=1000.0))
    status = scene.status("a")
    assert (status.outcome, status.after) == (Outcome.READY, 3.0)
    assert scene.status("a", after=5).after == 3.0


def test_without_health_check_it_must_stay_for_the_settled_period() -> None:
    scene = Scene(Service("a"))
    scene.start("a")
    assert scene.status("a", after=SETTLE - 0.1).outcome is Outcome.WAITING
    assert scene.readiness.next_change(scene.now) == pytest.approx(0.1)
    assert scene.status("a", after=0.1).outcome is Outcome.READY


def test_one_that_ended_before_must_stay_longer() -> None:
    scene = Scene(Service("a", restart="always"))
    scene.start("a")
    scene.crash("a", 1)
    scene.start("a")
    assert scene.status("a", after=SETTLE + 1).outcome is Outcome.WAITING
    assert scene.status("a", after=RECOVERED - SETTLE - 1).outcome is Outcome.READY


def test_a_health_check_of_the_image_counts_too() -> None:
    scene = Scene(Service("a", has_healthcheck=False))
    scene.start("a", health=Health.STARTING)
    assert scene.status("a", after=SETTLE * 3).outcome is Outcome.WAITING


@pytest.mark.parametrize("restart", ["no", "on-failure", "on-failure:3"])
def test_a_one_shot_that_ended_well_is_completed(restart: str) -> None:
    scene = Scene(Service("a", restart=restart))
    scene.start("a")
    scene.crash("a", 0, State.EXITED)
    status = scene.status("a")
    assert (status.outcome, status.exit_code) == (Outcome.COMPLETED, 0)


def test_a_one_shot_that_ended_badly_failed_with_its_code() -> None:
    scene = Scene(Service("a"))
    scene.start("a")
    scene.crash("a", 3, State.EXITED)
    status = scene.status("a")
    assert (status.outcome, status.exit_code) == (Outcome.FAILED, 3)
    assert "exited with code 3" in status.reason


def test_what_was_there_before_is_no_verdict_until_compose_has_acted() -> None:
    before = (container("a", State.DEAD), container("b", health=Health.UNHEALTHY), container("c"))
    scene = Scene(Service("a"), Service("b", has_healthcheck=True), Service("c"), before=before)
    for service in "abc":
        assert scene.status(service, after=SETTLE).outcome is Outcome.WAITING
        assert "Compose has not dealt with it yet" in scene.status(service).reason
    scene.readiness.compose_ended(succeeded=True)
    assert [scene.status(service).outcome for service in "abc"] == [Outcome.FAILED, Outcome.FAILED, Outcome.READY]


@pytest.mark.parametrize(
    ("ended", "restart"),
    [
        ({"state": State.EXITED, "exit_code": 143}, "no"),
        ({"state": State.EXITED, "exit_code": 143}, "always"),
        ({"state": State.EXITED, "exit_code": 0}, "no"),
        ({"state": State.EXITED, "exit_code": 137, "oom_killed": True}, "no"),
        ({"state": State.CREATED, "error": "port is taken"}, "no"),
    ],
)
def test_the_end_of_an_earlier_run_is_not_this_ones(ended: dict[str, object], restart: str) -> None:
    old = container("a", **ended)  # type: ignore[arg-type]  # the tests name real fields
    scene = Scene(Service("a", restart=restart), before=(old,))
    scene.readiness.compose_did(Progress("Container p-a-1", "Starting"))
    scene.happen("docker/a1", "start")
    scene.see(old)
    status = scene.status("a", after=SETTLE)
    assert (status.outcome, status.exit_code, status.container_id) == (Outcome.WAITING, None, "")
    assert status.reason == f"{'stopped' if old.state is State.EXITED else 'created'}, not started"
    scene.crash("a", 3, State.EXITED)
    assert scene.status("a").exit_code == 3, "an end of this run counts at once"
    assert "OOM" not in scene.status("a").reason


def test_a_start_is_told_by_the_engines_times_alone_whatever_its_clock_says() -> None:
    old = container("a", State.EXITED, exit_code=143, started_at=5000.0)
    scene = Scene(Service("a"), before=(old,))
    scene.readiness.compose_did(Progress("Container p-a-1", "Started", "done"))
    scene.see(replace(old, exit_code=3, started_at=200.0))  # the engine's clock was set back meanwhile
    status = scene.status("a")
    assert (status.outcome, status.reason) == (Outcome.FAILED, "exited with code 3")


def test_when_compose_gives_up_what_it_did_not_reach_is_stopped_and_not_failed() -> None:
    before = (container("a", State.EXITED, exit_code=143), container("c", State.CREATED, error="an old reason"))
    scene = Scene(Service("a"), Service("b"), Service("c"), Service("d"), before=before)
    scene.readiness.compose_did(
        Progress("service:b:1", "Error response from daemon: invalid mount config", status="error")
    )
    scene.see(container("d", State.CREATED, error="no such program"))
    scene.readiness.compose_ended(succeeded=False)
    assert [(scene.status(service).outcome, scene.status(service).reason) for service in "abcd"] == [
        (Outcome.WAITING, "stopped, not started"),
        (Outcome.FAILED, "could not be created: invalid mount config"),
        (Outcome.WAITING, "created, not started"),
        (Outcome.FAILED, "could not be started: no such program"),
    ]


def test_a_start_that_failed_again_has_the_engines_reason() -> None:
    scene = Scene(Service("a"), before=(container("a", State.EXITED, exit_code=128, error="port is taken"),))
    scene.readiness.compose_did(Progress("Container p-a-1", "Starting"))
    scene.readiness.compose_ended(succeeded=False)
    status = scene.status("a")
    assert (status.outcome, status.reason) == (Outcome.FAILED, "could not be started: port is taken")


def test_what_compose_leaves_stopped_though_it_ended_well_does_not_come_up_any_more() -> None:
    scene = Scene(Service("a"), before=(container("a", State.EXITED, exit_code=0),))
    scene.readiness.compose_ended(succeeded=True)
    status = scene.status("a")
    assert (status.outcome, status.reason) == (Outcome.FAILED, "is stopped: Compose ended without starting it")


def test_an_old_crash_loop_goes_on_while_its_better_successor_is_built() -> None:
    scene = Scene(Service("a", restart="always"), before=(container("a"),))
    loop(scene, "a", CRASH_EXITS + 1)
    assert scene.status("a").outcome is Outcome.WAITING
    scene.readiness.compose_did(Progress("Container p-a-1", "Recreate"))
    assert scene.status("a").outcome is Outcome.WAITING
    scene.containers.clear()
    scene.start("a", number=2)
    assert scene.status("a", after=SETTLE).outcome is Outcome.READY


def test_unhealthy_fails_at_once() -> None:
    scene = Scene(Service("a", has_healthcheck=True))
    scene.start("a", health=Health.UNHEALTHY)
    status = scene.status("a")
    assert status.outcome is Outcome.FAILED
    assert "unhealthy" in status.reason


def test_a_container_that_compose_replaces_has_not_failed() -> None:
    scene = Scene(Service("a"), before=(container("a"),))
    scene.happen("docker/a1", "kill", "die", "stop")
    scene.see(container("a", State.EXITED, exit_code=143))
    assert scene.status("a").outcome is Outcome.WAITING


def test_a_container_that_somebody_stops_has_failed_without_a_crash() -> None:
    scene = Scene(Service("a"))
    scene.start("a")
    scene.happen("docker/a1", "kill", "die", "stop")
    scene.see(container("a", State.EXITED, exit_code=143))
    assert scene.status("a").outcome is Outcome.WAITING, "Compose is still busy and may be the one"
    scene.readiness.compose_ended(succeeded=True)
    status = scene.status("a")
    assert (status.outcome, status.exits) == (Outcome.FAILED, 0)
    assert "stopped from outside" in status.reason


def loop(scene: Scene, service: str, times: int, code: int = 3) -> None:
    for _ in range(times):
        scene.now += 0.5
        scene.start(service)
        scene.crash(service, code)


@pytest.mark.parametrize(("restart", "code"), [("always", 3), ("unless-stopped", 0), ("on-failure", 1)])
def test_a_crash_loop_alone_fails_after_few_exits(restart: str, code: int) -> None:
    scene = Scene(Service("a", restart=restart))
    loop(scene, "a", CRASH_EXITS - 1, code)
    assert scene.status("a").outcome is Outcome.WAITING
    loop(scene, "a", 1, code)
    status = scene.status("a")
    assert (status.outcome, status.exits, status.exit_code) == (Outcome.FAILED, CRASH_EXITS, code)
    assert "again and again" in status.reason
    scene.start("a")  # looked at just when it runs once more
    assert scene.status("a").reason.endswith(f"last with code {code}")


def test_a_loop_from_before_is_known_by_the_engines_count() -> None:
    scene = Scene(Service("a", restart="always"), before=(container("a", State.RESTARTING, exit_code=3, restarts=12),))
    assert scene.status("a").outcome is Outcome.WAITING, "Compose may be about to replace it"
    scene.readiness.compose_did(Progress("Container p-a-1", "Running", "done"))
    status = scene.status("a")
    assert (status.outcome, status.exits) == (Outcome.FAILED, 12)


def test_a_loop_may_wait_for_another_service_and_recover() -> None:
    scene = Scene(Service("app", restart="always"), Service("db", has_healthcheck=True))
    scene.start("db", health=Health.STARTING)
    loop(scene, "app", CRASH_EXITS + 2)
    assert scene.status("app").outcome is Outcome.WAITING
    scene.see(container("db", health=Health.HEALTHY))
    assert scene.status("app", after=0.1).outcome is Outcome.WAITING, "its present run began before db was there"
    scene.start("app")
    assert scene.status("app", after=RECOVERED).outcome is Outcome.READY


def test_a_loop_that_goes_on_after_the_others_are_there_fails() -> None:
    scene = Scene(Service("app", restart="always"), Service("db", has_healthcheck=True))
    scene.start("db", health=Health.STARTING)
    loop(scene, "app", CRASH_EXITS)
    scene.see(container("db", health=Health.HEALTHY))
    scene.status("app", after=0.1)
    loop(scene, "app", 1)
    assert scene.status("app").outcome is Outcome.FAILED


def test_a_run_that_began_between_two_looks_had_the_company_seen_at_the_first() -> None:
    scene = Scene(Service("app", restart="always"), Service("db", has_healthcheck=True))
    scene.start("db", health=Health.STARTING)
    scene.status("app")
    loop(scene, "app", CRASH_EXITS)
    scene.see(container("db", health=Health.HEALTHY))
    assert scene.status("app", after=0.1).outcome is Outcome.WAITING, "db may have come after its last run began"
    loop(scene, "app", 1)
    assert scene.status("app").outcome is Outcome.FAILED


def test_patience_with_a_loop_ends() -> None:
    scene = Scene(Service("app", restart="always"), Service("db", has_healthcheck=True))
    scene.start("db", health=Health.STARTING)
    loop(scene, "app", PATIENT_EXITS)
    assert scene.status("app").outcome is Outcome.FAILED


def test_who_waits_for_the_loop_is_no_reason_for_patience() -> None:
    web = Service("web", depends_on=(Dependency("mid"),))
    mid = Service("mid", depends_on=(Dependency("app", "service_healthy"),))
    scene = Scene(Service("app", restart="always", has_healthcheck=True), mid, web)
    scene.see(container("web", State.CREATED), container("mid", State.CREATED))
    scene.status("app")
    loop(scene, "app", CRASH_EXITS)
    assert scene.status("app").outcome is Outcome.FAILED
    assert scene.readiness.blocked_by("mid", scene.readiness.statuses(scene.now)) == "app to be healthy"


COMPLETED = "service_completed_successfully"


def test_a_service_whose_end_is_waited_for_is_not_ready_while_it_runs() -> None:
    waits = Service("waits", depends_on=(Dependency("slow", COMPLETED),))
    scene = Scene(Service("slow"), waits)
    scene.start("slow", health=Health.HEALTHY)
    scene.see(container("waits", State.CREATED, started_at=None))
    status = scene.status("slow", after=SETTLE)
    assert (status.outcome, status.reason) == (Outcome.WAITING, "healthy, must end with 0")
    assert scene.readiness.blocked_by("waits", scene.readiness.statuses(scene.now)) == "slow to be completed"
    scene.crash("slow", 0, State.EXITED)
    assert scene.status("slow").outcome is Outcome.COMPLETED
    assert scene.readiness.blocked_by("waits", scene.readiness.statuses(scene.now)) == ""


@pytest.mark.parametrize(
    ("condition", "state", "health", "blocks"),
    [
        ("service_started", State.CREATED, Health.NONE, True),
        ("service_started", State.RUNNING, Health.STARTING, False),
        ("service_healthy", State.RUNNING, Health.STARTING, True),
        ("service_healthy", State.RUNNING, Health.HEALTHY, False),
        (COMPLETED, State.RUNNING, Health.HEALTHY, True),
        (COMPLETED, State.EXITED, Health.NONE, False),
        ("service_healthy", State.EXITED, Health.NONE, True),
    ],
)
def test_a_condition_is_met_by_what_it_names_and_by_nothing_else(
    condition: str, state: State, health: Health, blocks: bool
) -> None:
    scene = Scene(Service("db"), Service("web", depends_on=(Dependency("db", condition),)))
    scene.see(container("db", state, health=health, exit_code=0 if state is State.EXITED else None))
    assert bool(scene.readiness.blocked_by("web", scene.readiness.statuses(scene.now))) is blocks


@pytest.mark.parametrize("required", [True, False])
def test_a_dependency_that_is_not_required_blocks_until_it_fails(required: bool) -> None:
    scene = Scene(Service("db"), Service("web", depends_on=(Dependency("db", "service_healthy", required),)))
    scene.start("db", health=Health.STARTING)
    assert scene.readiness.blocked_by("web", scene.readiness.statuses(scene.now)) == "db to be healthy"
    scene.crash("db", 3, State.EXITED)
    assert bool(scene.readiness.blocked_by("web", scene.readiness.statuses(scene.now))) is required
    assert scene.readiness.blocked_by("web", ()) == "", "what is not in the project blocks nobody"


def test_a_provider_has_done_its_part_when_compose_says_so() -> None:
    scene = Scene(Service("db", replicas=0, provider="cloud"), Service("web", depends_on=(Dependency("db"),)))
    assert scene.status("db").outcome is Outcome.WAITING
    scene.readiness.compose_did(Progress("db", "Creating"))
    assert scene.status("db").reason == "its provider cloud has not ended yet: Creating"
    assert scene.readiness.blocked_by("web", scene.readiness.statuses(scene.now)) == "db to be started"
    scene.readiness.compose_did(Progress("db", "Created", "done"))
    status = scene.status("db")
    assert (status.outcome, status.reason) == (Outcome.READY, "provided by cloud")
    assert scene.readiness.blocked_by("web", scene.readiness.statuses(scene.now)) == ""


def test_a_provider_that_fails_has_its_own_words() -> None:
    scene = Scene(Service("db", replicas=0, provider="cloud"))
    scene.readiness.compose_did(Progress("db", "no credit left", "error"))
    status = scene.status("db")
    assert (status.outcome, status.reason) == (Outcome.FAILED, "its provider cloud failed: no credit left")


def test_a_provider_of_which_compose_tells_nothing_is_done_when_compose_is() -> None:
    scene = Scene(Service("db", replicas=0, provider="cloud"))
    scene.readiness.compose_ended(succeeded=True)
    assert scene.status("db").outcome is Outcome.READY


def test_all_replicas_are_needed() -> None:
    scene = Scene(Service("a", replicas=3))
    for number in (1, 2):
        scene.start("a", number=number)
    status = scene.status("a", after=SETTLE)
    assert (status.outcome, status.reason) == (Outcome.WAITING, "2 of 3 replicas are ready; not created yet")
    scene.start("a", number=3)
    assert scene.status("a").outcome is Outcome.WAITING
    assert scene.status("a", after=SETTLE).outcome is Outcome.READY


def test_one_failing_replica_fails_the_service() -> None:
    scene = Scene(Service("a", replicas=2))
    scene.start("a", number=1)
    scene.happen("docker/a2", "start", "die")
    scene.see(container("a", State.EXITED, number=2, exit_code=9))
    status = scene.status("a", after=SETTLE)
    assert (status.outcome, status.container_id, status.exit_code) == (Outcome.FAILED, "a2", 9)


def test_scaled_to_zero_is_ready() -> None:
    assert Scene(Service("a", replicas=0)).status("a").outcome is Outcome.READY


def test_out_of_memory_is_said_even_when_the_engine_forgot() -> None:
    scene = Scene(Service("a"))
    scene.start("a")
    scene.happen("docker/a1", "oom")
    scene.crash("a", 137, State.EXITED)
    assert "OOM" in scene.status("a").reason


def test_who_was_killed_is_judged_once_the_engine_had_the_time_to_tell_of_memory() -> None:
    scene = Scene(Service("a"))
    scene.start("a")
    scene.crash("a", 137, State.EXITED)
    assert scene.status("a").outcome is Outcome.WAITING
    assert 0 < scene.readiness.next_change(scene.now) <= OOM_NEWS
    late = Scene(Service("a"))
    late.start("a")
    late.crash("a", 137, State.EXITED)
    late.happen("docker/a1", "oom")
    assert (late.status("a").outcome, "OOM" in late.status("a").reason) == (Outcome.FAILED, True)
    status = scene.status("a", after=OOM_NEWS)
    assert (status.outcome, status.reason) == (Outcome.FAILED, "exited with code 137")


def test_a_container_of_compose_run_is_not_the_service() -> None:
    scene = Scene(Service("a"))
    scene.see(container("a", one_off=True))
    assert scene.status("a", after=SETTLE).reason == "not created yet"


def test_paused_and_dead_do_not_heal() -> None:
    scene = Scene(Service("a"), Service("b"), Service("c"))
    broken = container("c", State.CREATED, error="no such file")
    scene.see(container("a", State.PAUSED), container("b", State.DEAD), broken)
    scene.readiness.compose_ended(succeeded=True)
    assert {status.outcome for status in scene.readiness.statuses(1.0)} == {Outcome.FAILED}
    assert "no such file" in scene.status("c").reason
