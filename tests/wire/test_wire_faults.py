"""What an engine and its containers do on a bad day: many at once, too often, too old, not allowed, half broken."""

from __future__ import annotations

import json
import socket

import pytest

from devenv.backends.docker.client import connect
from devenv.backends.docker.endpoint import resolve_endpoint
from devenv.core.errors import DevenvError
from devenv.core.model import State
from fakes.docker_engine import FakeEngine
from tests.wire.reading import Reader


def test_a_container_that_flaps_ends_as_it_is_and_costs_no_list(engine: FakeEngine, reader: Reader) -> None:
    web, calm = engine.add("web"), engine.add("calm")
    reader.start().live(2)
    reader.until(lambda: reader.has("web", restarts=0) and reader.has("calm", restarts=0))
    before = engine.requests.copy()
    for turn in range(50):  # ten times a second it is five seconds; here as fast as it can be told
        engine.die(web, turn % 3)
        engine.begin(web)
    engine.die(web, 9)
    reader.until(lambda: reader.has("web", state=State.EXITED, exit_code=9))
    reader.until(lambda: reader.actions().count("die") == 51)
    engine.begin(web)
    reader.until(lambda: reader.has("web", state=State.RUNNING))
    assert reader.states()[-1] == "live"
    assert reader.states().count("live") == 1
    assert engine.requests["version"] == before["version"], "the connection stays"
    assert calm in engine.containers.values()
    assert len(reader.seen("calm")) <= 2, "the others are not told anew"


def test_two_hundred_containers_that_start_at_once_are_there_with_one_inspection_each(
    engine: FakeEngine, reader: Reader
) -> None:
    engine.add("first")
    reader.start().live(1)
    for number in range(200):
        engine.add(f"web-{number}", announce=True)
    reader.until(lambda: len(reader.store.resources) == 201)
    reader.until(lambda: all(item.restarts == 0 for item in reader.store.resources.values()))
    assert {item.state for item in reader.store.resources.values()} == {State.RUNNING}
    assert reader.actions().count("start") == 200
    lists = 1 + 1  # of the start: one of containers, and the version is another word
    assert engine.requests["json"] <= lists + 2 * 201, "an inspection for each, and one more where it started meanwhile"


def test_a_socket_that_is_granted_later_is_used_then(
    engine: FakeEngine, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, granted = socket.socket.connect, False

    def refuse(self: socket.socket, address: object) -> None:
        if not granted:
            raise PermissionError(13, "Permission denied")
        real(self, address)  # type: ignore[arg-type]  # as it was given

    # The tests may run as root, whom no mode of a socket stops: the refusal is put where the kernel gives it.
    monkeypatch.setattr(socket.socket, "connect", refuse)
    engine.add("web")
    reader.start()
    reader.until(lambda: reader.state() == "failed")
    connection = reader.connection()
    assert connection is not None
    assert "no permission to talk to the Docker Engine" in connection.message
    assert "group" in connection.hint
    granted = True
    reader.live(1)


def test_an_engine_whose_api_is_too_old_is_told_as_such(engine: FakeEngine, reader: Reader) -> None:
    engine.faults["/version"] = (200, json.dumps({"ApiVersion": "1.12", "Version": "1.0.0"}).encode())
    with pytest.raises(DevenvError) as caught:
        connect(resolve_endpoint(engine.environ))
    assert "too old" in caught.value.message
    assert "no Docker Engine" not in caught.value.message
    engine.add("web")
    reader.start()
    reader.until(lambda: reader.state() == "failed")
    engine.faults.clear()
    reader.live(1)


def test_an_inspection_that_fails_leaves_what_the_list_said_until_it_works(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web")
    engine.faults[f"/containers/{web.id}/json"] = (500, b'{"message": "layer is locked"}')
    reader.start().live(1)
    assert reader.has("web", state=State.RUNNING)
    engine.faults.clear()
    engine.die(web, 3)
    reader.until(lambda: reader.has("web", state=State.EXITED, exit_code=3))


def test_two_terminals_on_one_project_both_follow_it(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web")
    other = Reader(engine.environ)
    try:
        for one in (reader, other):
            one.start().live(1)
            one.backend.follow_logs([web.key])
        reader.until(lambda: engine.log_readers(web) == 2)
        engine.say(web, b"for both\n")
        engine.die(web, 3)
        for one in (reader, other):
            one.until(lambda one=one: one.has("web", state=State.EXITED, exit_code=3))  # type: ignore[misc]  # bound
            one.until(lambda one=one: one.texts("stdout") == ["for both"])  # type: ignore[misc]  # at once
        other.stop()
        engine.begin(web)
        reader.until(lambda: reader.has("web", state=State.RUNNING))
    finally:
        other.stop()
