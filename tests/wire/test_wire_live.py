"""Events of an engine become resources, also where the engine misbehaves."""

from __future__ import annotations

import json
import time

import pytest
from msgspec.structs import replace

from devenv.backends.docker.parse import LABEL_FOLDER
from devenv.core.errors import ProjectError
from devenv.core.model import Beyond, Connection, Dependency, Health, Port, Resource, Service, State
from fakes.docker_engine import CUT, FakeEngine
from tests.wire.reading import Reader


def test_the_list_is_one_request_and_each_container_is_inspected_once(engine: FakeEngine, reader: Reader) -> None:
    for number in range(20):
        engine.add(f"c{number}", restarts=number)
    engine.add("stranger", project="other")
    reader.start().live(20)
    reader.until(lambda: all(r.restarts is not None for r in reader.store.resources.values()))
    assert reader.has("c7", restarts=7, state=State.RUNNING, pid=4711)
    # "json" counts GET /containers/json and GET /containers/{id}/json.
    assert engine.requests == {"version": 3, "events": 1, "json": 21}


def test_declared_services_are_absent_until_a_container_of_theirs_exists(engine: FakeEngine) -> None:
    engine.add("run-1", service="db", one_off=True)
    reader = Reader(engine.environ, services=("web", "db")).start()
    try:
        reader.live(3)
        assert reader.has("web", state=State.ABSENT, kind="service", key="compose/fake/web")
        assert reader.has("db", state=State.ABSENT)
        assert reader.has("run-1", one_off=True, service="db")
        web = engine.add("fake-web-1", service="web", announce=True)
        reader.until(lambda: reader.has("fake-web-1", state=State.RUNNING) and not reader.has("web"))
        engine.remove(web)
        reader.until(lambda: reader.has("web", state=State.ABSENT) and not reader.has("fake-web-1"))
    finally:
        reader.stop()


def test_an_event_is_a_record_at_once_and_needs_no_inspection(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web")
    reader.start().live(1)
    reader.until(lambda: reader.has("web", restarts=0))
    engine.faults[f"/containers/{web.id}/json"] = (500, b'{"message": "busy"}')
    engine.die(web, 137)
    took = reader.until(lambda: reader.has("web", state=State.EXITED, exit_code=137))
    assert took < 8, "a connection that says nothing is asked after 10 s"
    assert reader.store.happenings(web.key)[-1].text == "exited with code 137 (SIGKILL)"


def test_every_kind_of_event(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web", health="healthy")
    reader.start().live(1)
    reader.until(lambda: reader.has("web", health=Health.HEALTHY, restarts=0))
    web.state = "paused"
    engine.emit(web, "pause")
    reader.until(lambda: reader.has("web", state=State.PAUSED))
    web.state = "running"
    engine.emit(web, "unpause")
    reader.until(lambda: reader.has("web", state=State.RUNNING))
    web.health = "unhealthy"
    engine.emit(web, "health_status: unhealthy")
    reader.until(lambda: reader.has("web", health=Health.UNHEALTHY))
    web.name = "web2"
    engine.emit(web, "rename", oldName="/web", name="web2")
    reader.until(lambda: reader.has("web2") and not reader.has("web"))
    engine.emit(web, "kill", signal="15")
    engine.die(web, 143)
    engine.emit(web, "stop")
    reader.until(lambda: reader.has("web2", state=State.EXITED, exit_code=143, health=Health.NONE))
    web.restarts = 1
    engine.begin(web)
    reader.until(lambda: reader.has("web2", state=State.RUNNING, restarts=1, exit_code=None))
    engine.remove(web)
    reader.until(lambda: not reader.store.resources)
    expected = ["pause", "unpause", "health_status", "rename", "kill", "die", "stop", "start", "destroy"]
    assert reader.actions() == expected


def test_health_checks_themselves_cause_no_work(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web", health="healthy")
    reader.start().live(1)
    reader.until(lambda: reader.has("web", restarts=0))
    before, wakes = engine.requests.copy(), reader.wakes
    for _ in range(50):
        for action in ("exec_create: sh -c 'die'", "exec_start: sh -c 'die'", "exec_die"):
            engine.emit(web, action, execID="x")
            # An engine that ignores the filter sends them all the same.
            engine.emit_raw(json.dumps(engine.history[-1]).encode() + b"\n")
    engine.emit(web, "kill", signal="1")
    reader.until(lambda: "kill" in reader.actions())
    assert engine.requests == before
    assert reader.actions() == ["kill"]
    assert reader.wakes == wakes + 1


def test_out_of_memory_is_remembered_over_the_restart(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web")
    reader.start().live(1)
    engine.emit(web, "oom")
    engine.die(web, 137)
    web.restarts = 1
    engine.begin(web)
    reader.until(lambda: reader.has("web", state=State.RUNNING, restarts=1))
    assert not web.oom_killed, "the engine forgot"
    assert reader.named("web").oom_killed
    engine.die(web, 1)
    reader.until(lambda: reader.has("web", exit_code=1))
    assert not reader.named("web").oom_killed, "this death had another reason"


def test_what_happened_before_the_start_is_told_and_changes_nothing(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web")
    engine.emit(web, "start")
    engine.emit(web, "oom")
    engine.die(web, 137)
    engine.begin(web)
    reader.start().live(1)
    reader.until(lambda: reader.actions() == ["start", "oom", "die", "start"])
    reader.until(lambda: reader.has("web", restarts=0, oom_killed=True))
    assert {record.state for record in reader.seen("web")} == {State.RUNNING}


@pytest.mark.parametrize(
    "garbage",
    [
        b"{not json}\n",
        b"[]\n",
        b"null\n",
        b'{"Type": "container", "Action": 7}\n',
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
    ],
    ids=["broken", "list", "null", "number", "bytes", "deep"],
)
def test_an_event_that_cannot_be_read_makes_everything_be_read_again(
    engine: FakeEngine, reader: Reader, garbage: bytes
) -> None:
    web = engine.add("web")
    reader.start().live(1)
    reader.until(lambda: reader.has("web", restarts=0))
    web.restarts = 5
    engine.add("new")
    engine.emit_raw(garbage + b"\n")
    reader.until(lambda: reader.has("web", restarts=5) and reader.has("new", restarts=0))
    assert set(reader.states()) <= {"connecting", "live"}, "the connection is as good as before"


def test_an_endless_event_is_given_up_and_the_next_one_is_read(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web")
    reader.start().live(1)
    for _ in range(20):
        engine.emit_raw(b"x" * 100_000)
    engine.emit_raw(b"\n")
    engine.die(web, 3)
    reader.until(lambda: reader.has("web", exit_code=3))


def test_events_cut_anywhere_are_joined(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web")
    reader.start().live(1)
    lines = b""
    for code in range(1, 6):
        event = {"Type": "container", "Action": "die", "Actor": {"ID": web.id, "Attributes": {"exitCode": str(code)}}}
        lines += json.dumps(event | {"timeNano": time.time_ns()}).encode() + b"\n"
    for position in range(0, len(lines), 7):
        engine.emit_raw(lines[position : position + 7])
    reader.until(lambda: len(reader.actions()) == 5)
    assert [h.text for h in reader.store.happenings(web.key)] == [f"exited with code {code}" for code in range(1, 6)]


def test_hostile_texts_arrive_as_text(engine: FakeEngine, reader: Reader) -> None:
    evil = "[/foo] \x1b]52;c;ZXZpbA==\x07\x1b[31mred\x9b2J\u202eabc"
    engine.add(
        "[/foo]",
        service=evil,
        command=(evil, "\ud800"),
        labels={evil: evil},
        image=evil,
        health="healthy",
        checks=[{"Start": "x", "End": None, "ExitCode": 1, "Output": evil + "\nsecond\n"}],
        ports=[{"IP": evil, "PrivatePort": 80, "PublicPort": 8080, "Type": evil}, {"PrivatePort": "x"}, None],
    )
    reader.start().live(1)
    reader.until(lambda: all(r.restarts is not None for r in reader.store.resources.values()))
    reader.backend.watch_detail(next(iter(reader.store.resources)))
    reader.until(lambda: any(r.checks for r in reader.store.resources.values()))
    (resource,) = reader.store.resources.values()
    assert resource.name == "[/foo]"
    assert resource.checks[0].output == "[/foo] redabc\nsecond\n"
    told = repr(resource)
    assert all(bad not in told for bad in ("\\x1b", "\\x07", "\\x9b", "\\u202e", "\\ud8"))


def test_replicas_and_ports(engine: FakeEngine, reader: Reader) -> None:
    ports = [
        {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
    ]
    for number in (1, 2, 3):
        engine.add(f"web-{number}", service="web", number=number, ports=ports)
    reader.start().live(3)
    assert sorted(r.number for r in reader.store.resources.values()) == [1, 2, 3]
    seen_first = next(r for r in reader.records if hasattr(r, "resources"))
    assert {r.ports for r in seen_first.resources} == {(Port(80, "tcp", 8080, "0.0.0.0"),)}


def test_an_invalid_project_is_a_visible_failure_that_heals(engine: FakeEngine, reader: Reader) -> None:
    reader.scope_error = ProjectError("services.web: nonsense", "Repair compose.yaml.")
    engine.add("web")
    reader.start()
    reader.until(lambda: reader.state() == "failed")
    connection = reader.connection()
    assert connection is not None
    assert (connection.message, connection.hint) == ("services.web: nonsense", "Repair compose.yaml.")
    assert connection.retry_in is not None
    reader.scope_error = None
    reader.live(1)


def test_stop_ends_all_threads_at_once(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web")
    reader.start().live(1)
    reader.backend.follow_logs([web.key])
    reader.backend.watch_stats([web.key])
    reader.until(lambda: engine.log_readers(web))
    began = time.monotonic()
    reader.stop()
    assert time.monotonic() - began < 8, "streams are closed from outside, not waited for"
    assert not [s.name for s in reader.backend.streams() if s.alive]


def test_the_end_of_the_stream_is_noticed_and_nothing_is_lost(engine: FakeEngine, reader: Reader) -> None:
    web, api = engine.add("web"), engine.add("api")
    reader.start().live(2)
    for how in ("clean", CUT):
        reader.records.clear()
        engine.end_events(how)
        engine.emit(web, "kill", signal="1")
        engine.die(api, 9)
        reader.until(lambda: "live" in reader.states())
        assert reader.states() == ["stale", "live"]
        reader.until(lambda: reader.has("api", state=State.EXITED, exit_code=9) and len(reader.actions()) == 2)
        assert reader.actions() == ["kill", "die"], "each event once, in order"
        engine.begin(api)
        reader.until(lambda: reader.has("api", state=State.RUNNING))


def test_containers_of_no_active_service_say_where_they_come_from(engine: FakeEngine) -> None:
    reader = Reader(engine.environ, services=("web",), inactive=("debug",))
    try:
        engine.add("web-1", service="web")
        engine.add("run-1", service="web", one_off=True)
        engine.add("debug-1", service="debug")
        reader.start().live(3)
        reader.until(lambda: reader.has("debug-1", beyond=Beyond.INACTIVE, restarts=0))
        assert reader.has("web-1", beyond=None)
        assert reader.has("run-1", beyond=None, one_off=True)
        engine.add("old-1", service="old", announce=True)
        reader.until(lambda: reader.has("old-1", beyond=Beyond.ORPHAN, restarts=0))
        assert reader.asked_for_inactive == 1
    finally:
        reader.stop()


def test_services_of_inactive_profiles_are_shown_as_such_until_they_are_active(engine: FakeEngine) -> None:
    engine.add("web-1", service="web")
    engine.add("seed-1", service="seed")
    reader = Reader(engine.environ, services=("web",), inactive=("debug", "seed"))
    try:
        reader.start()
        reader.until(lambda: reader.has("debug", state=State.ABSENT, beyond=Beyond.INACTIVE))
        assert [one.name for one in reader.store.resources.values() if one.service == "seed"] == ["seed-1"]
        debug = engine.add("debug-1", service="debug", announce=True)
        reader.until(lambda: reader.has("debug-1", beyond=Beyond.INACTIVE) and not reader.has("debug"))
        engine.remove(debug)
        reader.until(lambda: reader.has("debug", state=State.ABSENT, beyond=Beyond.INACTIVE))
        reader.change(replace(reader.project, services=(Service("web"), Service("debug"))))
        reader.until(lambda: reader.has("debug", state=State.ABSENT, beyond=None))
    finally:
        reader.stop()


def test_what_a_service_depends_on_and_its_profiles_are_told_of_containers_and_of_what_is_absent(
    engine: FakeEngine,
) -> None:
    engine.add("web-1", service="web")
    reader = Reader(engine.environ, services=("web", "db"))
    try:
        reader.start()
        reader.until(lambda: reader.has("web-1", depends_on=()) and reader.has("db", state=State.ABSENT))
        web, db = Service("web", depends_on=(Dependency("db"),)), Service("db", profiles=("data",))
        reader.change(replace(reader.project, services=(web, db)))
        reader.until(lambda: reader.has("web-1", depends_on=("db",), profiles=()))
        reader.until(lambda: reader.has("db", state=State.ABSENT, depends_on=(), profiles=("data",)))
    finally:
        reader.stop()


def test_a_project_that_was_started_elsewhere_is_told_while_all_is_well(engine: FakeEngine) -> None:
    reader = Reader(engine.environ, services=("web",), files=("/compose.yaml",))
    try:
        engine.add("web-1", service="web", labels={LABEL_FOLDER: "/another/clone"})
        told = reader.start().live(1).connection()
        assert told is not None
        assert told.message == "project fake was started from /another/clone"
        assert "-p NAME" in told.hint
    finally:
        reader.stop()


def test_a_changed_file_shows_new_services_as_absent_and_removed_ones_as_orphans(engine: FakeEngine) -> None:
    engine.add("fake-web-1", service="web")
    engine.add("fake-db-1", service="db")
    reader = Reader(engine.environ, services=("web", "db", "job", "cache")).start()
    try:
        reader.live(4)
        reader.until(lambda: all(resource.restarts is not None for resource in running(reader)))
        before = engine.requests.copy()
        reader.change(replace(reader.project, services=(Service("web"), Service("other"), Service("cache", "new:1"))))
        reader.until(lambda: reader.has("other", state=State.ABSENT))
        reader.until(lambda: reader.has("fake-db-1", beyond=Beyond.ORPHAN, state=State.RUNNING))
        reader.until(lambda: reader.has("cache", state=State.ABSENT, image="new:1") and not reader.has("job"))
        assert reader.has("fake-web-1", beyond=None)
        reader.change(replace(reader.project, services=(Service("web"), Service("db"))))
        reader.until(lambda: reader.has("fake-db-1", beyond=None) and len(reader.store.resources) == 2)
        assert engine.requests == before, "the containers are the same: the engine is not asked"
        assert reader.states() in (["connecting", "live"], ["live"])
        assert reader.scopes == 3
    finally:
        reader.stop()


def test_what_is_wrong_with_the_files_is_told_once_beside_the_live_connection(engine: FakeEngine) -> None:
    engine.add("fake-web-1", service="web")
    reader = Reader(engine.environ, services=("web",)).start()
    try:
        reader.live(1)
        good = reader.project
        reader.change(replace(good, problem="The Compose file is gone", hint="Look.", by_labels=True))
        reader.until(lambda: message(reader) == ("The Compose file is gone", "Look."))
        reader.change(good)
        reader.until(lambda: message(reader) == ("", ""))
        assert reader.states() in (["connecting", "live"], ["live"])
        assert len([record for record in reader.records if isinstance(record, Connection)]) == 4
        assert reader.has("fake-web-1", beyond=None)
    finally:
        reader.stop()


def test_a_project_of_another_name_is_listed_anew(engine: FakeEngine) -> None:
    engine.add("fake-web-1", service="web")
    engine.add("new-web-1", service="web", project="new")
    reader = Reader(engine.environ, services=("web",)).start()
    try:
        reader.live(1)
        reader.change(replace(reader.project, name="new"))
        reader.until(lambda: reader.has("new-web-1") and not reader.has("fake-web-1"))
        reader.live(1)
    finally:
        reader.stop()


def test_a_project_that_could_not_be_read_is_tried_again_as_soon_as_its_files_change(
    engine: FakeEngine, reader: Reader
) -> None:
    engine.add("fake-web-1", service="web")
    reader.scope_error = ProjectError("compose.yaml: bad", "Mend it.")
    reader.start()
    reader.until(lambda: reader.scopes >= 4)  # the pauses have grown to seconds
    reader.change()
    assert reader.until(lambda: reader.state() == "live") < 2.0


def test_what_was_resolved_early_is_not_shown_where_the_files_changed_before_the_engine_came(
    engine: FakeEngine, reader: Reader
) -> None:
    engine.stop()
    reader.backend.prefetch()
    reader.until(lambda: reader.scopes == 1)
    reader.start()
    reader.until(lambda: reader.state() == "failed")
    reader.change(replace(reader.project, services=(Service("fresh"),)))
    time.sleep(1.2)  # two looks
    engine.start()
    reader.until(lambda: reader.has("fresh", state=State.ABSENT))


def running(reader: Reader) -> list[Resource]:
    return [resource for resource in reader.store.resources.values() if resource.container_id]


def message(reader: Reader) -> tuple[str, str]:
    connection = reader.connection()
    return (connection.message, connection.hint) if connection is not None else ("", "")
