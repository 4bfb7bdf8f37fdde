"""What a real engine does reaches the records: quickly, completely and in the right words."""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections.abc import Callable

import pytest
from throwaway import Throwaway

from devenv.backends.docker.endpoint import Endpoint
from devenv.backends.docker.snapshot import EngineEvents, read_resources
from devenv.core.model import Happening, Health, Seen, State

pytestmark = pytest.mark.engine
SLEEP = {"command": ["sleep", "300"]}
CHECK = {"interval": "1s", "timeout": "5s", "retries": 1, "start_period": "0s"}
Factory = Callable[..., Throwaway]


def test_three_replicas_a_stopped_and_an_absent_service(project: Factory) -> None:
    made = project(
        web=SLEEP | {"scale": 3},
        job={"command": ["sh", "-c", "exit 4"]},
        never=SLEEP | {"scale": 0},
    )
    reader = made.reader()
    reader.live(3)
    assert {r.state for r in reader.store.resources.values()} == {State.ABSENT}
    made.compose("up", "-d")
    reader.until(lambda: reader.has(made.container("job"), state=State.EXITED, exit_code=4))
    reader.until(lambda: all(reader.has(made.container("web", n), state=State.RUNNING, number=n) for n in (1, 2, 3)))
    assert reader.has("never", state=State.ABSENT)
    assert len(reader.store.resources) == 5
    made.compose("down")
    reader.until(lambda: {r.kind for r in reader.store.resources.values()} == {"service"})
    assert len(reader.store.resources) == 3


def test_a_reading_says_the_same_as_the_events_did(project: Factory, engine: Endpoint) -> None:
    made = project(web=SLEEP, job={"command": ["sh", "-c", "exit 4"]}, ghost=SLEEP | {"scale": 0})
    made.compose("up", "-d")
    reader = made.reader()
    reader.until(lambda: reader.has(made.container("job"), exit_code=4, restarts=0))
    reader.until(lambda: reader.has(made.container("web"), restarts=0))
    read = {resource.key: resource for resource in read_resources(reader.project, engine)}
    assert read.keys() == reader.store.resources.keys()
    for key, resource in reader.store.resources.items():
        for field in ("state", "health", "exit_code", "name", "service", "pid", "started_at", "image", "labels"):
            assert getattr(read[key], field) == getattr(resource, field), field


def test_a_crash_is_a_record_within_milliseconds_of_the_event(
    project: Factory, record_property: Callable[[str, object], None]
) -> None:
    made = project(web=SLEEP | {"restart": "always", "init": False})
    made.compose("up", "-d")
    reader = made.reader()
    name = made.container("web")
    from_crash, from_event = [], []
    for crash in range(5):
        reader.until(lambda: reader.has(name, state=State.RUNNING, restarts=crash), limit=30)  # noqa: B023 - called here
        # The engine restarts at once only what has lived a while; its pauses are doubled otherwise.
        reader.records.clear()
        killed_at = time.time()
        os.kill(made.pid("web"), signal.SIGKILL)
        reader.until(lambda: any(seen.exit_code == 137 for seen in reader.seen(name)))
        now = time.time()
        died = next(r.at for r in reader.records if isinstance(r, Happening) and r.action == "die")
        from_crash.append(now - killed_at)
        from_event.append(now - died)
    reader.until(lambda: reader.has(name, state=State.RUNNING, restarts=5), limit=30)
    record_property("crash to record, s", statistics.median(from_crash))
    record_property("event to record, s", statistics.median(from_event))
    assert statistics.median(from_event) < 0.05, from_event


def test_a_crash_loop_is_seen_as_such(project: Factory) -> None:
    made = project(loop={"command": ["sh", "-c", "exit 3"], "restart": "always"})
    reader = made.reader()
    reader.live()
    made.compose("up", "-d")
    name = made.container("loop")
    reader.until(
        lambda: reader.has(name, state=State.RESTARTING, exit_code=3) and reader.named(name).restarts, limit=30
    )


def test_out_of_memory(project: Factory) -> None:
    eat = "x = []\nwhile True: x.append(bytearray(1 << 20))"
    made = project(
        hungry={
            "command": ["python3", "-c", eat],
            "mem_limit": "24m",
            "memswap_limit": "24m",
            "restart": "on-failure:1",
        }
    )
    reader = made.reader()
    reader.live()
    made.compose("up", "-d")
    name = made.container("hungry")
    reader.until(lambda: reader.has(name, state=State.EXITED, exit_code=137, restarts=1, oom_killed=True), limit=30)
    lived_again = [r for r in reader.seen(name) if r.state is State.RUNNING and r.restarts == 1]
    assert lived_again
    assert all(r.oom_killed for r in lived_again), "it is remembered after the restart"


def test_health_goes_from_starting_to_healthy_to_unhealthy(project: Factory) -> None:
    command = "echo '[/foo] checking'; test ! -e /tmp/broken"
    made = project(web=SLEEP | {"healthcheck": CHECK | {"test": ["CMD-SHELL", command]}})
    reader = made.reader()
    reader.live()
    made.compose("up", "-d")
    name = made.container("web")
    reader.until(lambda: reader.has(name, health=Health.HEALTHY))
    assert any(r.health is Health.STARTING for r in reader.seen(name))
    reader.backend.watch_detail(reader.named(name).key)
    reader.until(lambda: len(reader.named(name).checks) >= 2)
    assert reader.named(name).checks[-1].output == "[/foo] checking\n"
    made.docker("exec", name, "touch", "/tmp/broken")
    reader.until(lambda: reader.has(name, health=Health.UNHEALTHY))
    reader.until(lambda: reader.named(name).checks[-1].exit_code == 1)
    # Of the checks themselves, three exec_ events each, nothing is told.
    assert not [action for action in reader.actions() if action.startswith("exec")]


def test_what_people_do_by_hand(project: Factory) -> None:
    made = project(web=SLEEP)
    made.compose("up", "-d")
    reader = made.reader()
    name = made.container("web")
    reader.until(lambda: reader.has(name, state=State.RUNNING, restarts=0))
    made.docker("pause", name)
    reader.until(lambda: reader.has(name, state=State.PAUSED))
    made.docker("unpause", name)
    reader.until(lambda: reader.has(name, state=State.RUNNING))
    made.docker("rename", name, f"{name}-renamed")
    name += "-renamed"
    reader.until(lambda: reader.has(name, state=State.RUNNING))
    made.docker("kill", name)
    reader.until(lambda: reader.has(name, state=State.EXITED, exit_code=137))
    made.docker("start", name)
    reader.until(lambda: reader.has(name, state=State.RUNNING, exit_code=None) and reader.named(name).pid)
    made.docker("stop", name)
    reader.until(lambda: reader.has(name, state=State.EXITED))
    made.docker("rm", name)
    reader.until(lambda: reader.has("web", state=State.ABSENT))
    assert "was sent SIGKILL" in [r.text for r in reader.records if isinstance(r, Happening)]


def test_a_one_off_container_does_not_stand_for_its_service(project: Factory) -> None:
    made = project(web=SLEEP)
    reader = made.reader()
    reader.live(1)
    made.compose("run", "-d", "--name", f"{made.name}-task", "web")
    reader.until(lambda: reader.has(f"{made.name}-task", one_off=True, service="web", state=State.RUNNING))
    assert reader.has("web", state=State.ABSENT)


def test_markup_in_labels_and_command_is_text(project: Factory) -> None:
    evil = "[/foo] [bold]x \x1b[31mred"
    made = project(web={"command": ["sh", "-c", "sleep 300", evil], "labels": {"note": evil}})
    made.compose("up", "-d")
    reader = made.reader()
    reader.until(lambda: reader.has(made.container("web"), restarts=0))
    resource = reader.named(made.container("web"))
    assert dict(resource.labels)["note"] == "[/foo] [bold]x red"
    assert resource.command.endswith("'[/foo] [bold]x red'")


def test_usage_is_what_docker_stats_says(project: Factory) -> None:
    burn = "x = bytearray(60 << 20)\nwhile True: pass"
    made = project(busy={"command": ["python3", "-c", burn], "cpus": 0.3, "mem_limit": "200m"}, idle=SLEEP)
    made.compose("up", "-d")
    reader = made.reader()
    reader.live(2)
    busy, idle = (reader.named(made.container(name)).key for name in ("busy", "idle"))
    reader.backend.watch_stats([busy, idle])
    reader.until(lambda: len([s for s in reader.samples() if s.key == busy and s.cpu is not None]) >= 2)
    sample = [s for s in reader.samples() if s.key == busy][-1]
    assert sample.cpu is not None
    assert sample.memory is not None
    assert 0.1 < sample.cpu < 0.5, "limited to 0.3 of a core"
    assert sample.memory_limit == 200 << 20
    shown = made.docker("stats", "--no-stream", "--format", "{{.MemUsage}}", made.container("busy"))
    used = float(shown.partition("MiB")[0])
    assert sample.memory / (1 << 20) == pytest.approx(used, rel=0.15)
    assert [s.cpu for s in reader.samples() if s.key == idle][-1] == pytest.approx(0.0, abs=0.1)


def test_the_events_of_a_project_from_before_the_first_reading_on(project: Factory, engine: Endpoint) -> None:
    made = project(job={"command": ["sh", "-c", "exit 7"]})
    with EngineEvents(engine, made.name) as events:
        assert events.events(0.0) == []
        made.compose("up", "-d")
        found: list[Happening] = []
        deadline = time.monotonic() + 10
        while "die" not in [h.action for h in found] and time.monotonic() < deadline:
            found += events.events(1.0)
    assert [h.action for h in found][:3] == ["create", "start", "die"]
    assert found[2].attributes[0] == ("exitCode", "7")


def test_the_first_list_needs_no_inspection(project: Factory) -> None:
    made = project(web=SLEEP | {"scale": 3})
    made.compose("up", "-d")
    reader = made.reader()
    reader.live(3)
    assert all(r.state is State.RUNNING for r in reader.store.resources.values())
    reader.until(lambda: all(r.restarts == 0 for r in reader.store.resources.values()))
    assert len([r for r in reader.records if isinstance(r, Seen)]) <= 3
