"""The engine goes away, comes back, says no, or says nothing."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from devenv.backends.docker import watcher
from devenv.backends.docker.client import connect
from devenv.backends.docker.endpoint import resolve_endpoint
from devenv.core.errors import DevenvError, EngineForbidden, EngineUnreachable, UsageError
from devenv.core.model import Health, State
from fakes.docker_engine import FakeEngine
from tests.wire.reading import Reader


def test_a_restarted_engine_is_found_again_with_what_it_has_now(engine: FakeEngine, reader: Reader) -> None:
    kept, gone = engine.add("kept", health="healthy"), engine.add("gone")
    reader.start().live(2)
    reader.until(lambda: reader.has("kept", restarts=0))
    engine.stop()
    reader.until(lambda: reader.state() == "stale")
    reader.until(lambda: reader.state() == "retrying")
    connection = reader.connection()
    assert connection is not None
    assert connection.last_live is not None
    assert connection.retry_in is not None
    assert len(reader.store.resources) == 2, "the last known contents stay"
    del engine.containers[gone.id]
    kept.state, kept.status = "exited", "Exited (255) 1 second ago"
    engine.add("new")
    engine.start()
    reader.until(lambda: reader.state() == "live" and reader.has("new") and not reader.has("gone"))
    assert reader.has("kept", state=State.EXITED, exit_code=255, health=Health.NONE)
    assert [state for state in reader.states() if state != "connecting"] == ["live", "stale", "retrying", "live"]
    assert reader.scopes == 2, "the project is resolved again"
    engine.die(kept, 1)
    engine.begin(kept)
    reader.until(lambda: reader.has("kept", state=State.RUNNING))


def test_no_engine_is_a_visible_failure_that_heals(engine: FakeEngine, reader: Reader) -> None:
    engine.stop()
    engine.add("web")
    reader.start()
    reader.until(lambda: reader.state() == "failed")
    connection = reader.connection()
    assert connection is not None
    assert engine.host in connection.message
    assert "DOCKER_HOST" in connection.hint
    engine.start()
    reader.live(1)


def test_a_half_open_connection_is_noticed(engine: FakeEngine, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "QUIET", 0.2)
    monkeypatch.setattr(watcher, "ANSWER_WITHIN", 0.2)
    web = engine.add("web")
    reader.start().live(1)
    reader.until(lambda: engine.requests["_ping"] >= 2)
    assert reader.state() == "live", "silence alone is no failure"
    engine.freeze()
    reader.until(lambda: "stale" in reader.states())
    web.state = "exited"
    engine.flowing.set()
    reader.until(lambda: reader.state() == "live" and reader.has("web", state=State.EXITED))


def test_a_dead_event_stream_beside_a_live_engine_is_noticed(
    engine: FakeEngine, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "QUIET", 0.1)
    web = engine.add("web")
    reader.start().live(1)
    reader.until(lambda: reader.has("web", restarts=0))
    web.state = "exited"  # and no event tells of it
    reader.until(lambda: "stale" in reader.states() and reader.state() == "live")
    reader.until(lambda: reader.has("web", state=State.EXITED))


def test_quiet_means_few_questions(engine: FakeEngine, reader: Reader) -> None:
    engine.add("web")
    reader.start().live(1)
    reader.until(lambda: reader.has("web", restarts=0))
    before, wakes = engine.requests.copy(), reader.wakes
    # Ten seconds of silence are one ping; within two of them nothing at all happens.
    with pytest.raises(AssertionError, match="not within"):
        reader.until(lambda: engine.requests != before or reader.wakes != wakes, limit=2.0)


@pytest.mark.parametrize(
    ("path", "answer", "message"),
    [
        ("/version", (500, b'{"message": "disk full \\u001b[31m"}'), "disk full"),
        ("/version", (200, b"<html>"), "no Docker Engine"),
        ("/version", (200, b"[]"), "no Docker Engine"),
        ("/containers/json", (500, b'{"message": "database is locked"}'), "database is locked"),
        ("/containers/json", (200, b"{}"), "does not answer like"),
        ("/containers/json", (200, b"[{"), "no Docker Engine"),
        ("/events", (403, b"forbidden by policy"), "forbidden by policy"),
    ],
)
def test_an_engine_that_says_no(
    engine: FakeEngine, reader: Reader, path: str, answer: tuple[int, bytes], message: str
) -> None:
    engine.add("web")
    engine.faults[path] = answer
    reader.start()
    reader.until(lambda: reader.state() == "failed")
    connection = reader.connection()
    assert connection is not None
    assert message in connection.message
    assert "\x1b" not in connection.message
    engine.faults.clear()
    reader.live(1)


def test_odd_entries_of_the_list_are_left_out(engine: FakeEngine, reader: Reader) -> None:
    engine.faults["/containers/json"] = (200, b'[null, 7, {}, {"Id": "abc"}, {"Id": "def", "Names": null, "State": 3}]')
    reader.start().live(2)
    assert {(r.name, r.state) for r in reader.store.resources.values()} == {
        ("abc", State.UNKNOWN),
        ("def", State.UNKNOWN),
    }


def test_a_socket_without_permission_is_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError(13, "Permission denied")

    # The tests may run as root, whom no mode of a socket stops: the refusal is put where the kernel gives it.
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(EngineForbidden) as caught:
        connect(resolve_endpoint({"DOCKER_HOST": f"unix://{tmp_path}/sock"}))
    assert caught.value.exit_code == 4
    assert "group" in caught.value.hint


def test_nobody_behind_a_socket_file(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    with pytest.raises(EngineUnreachable, match="nobody listens"):
        connect(resolve_endpoint({"DOCKER_HOST": f"unix://{path}"}))
    with pytest.raises(EngineUnreachable, match="no such socket"):
        connect(resolve_endpoint({"DOCKER_HOST": f"unix://{path}2"}))


def test_an_engine_that_accepts_and_never_answers(engine: FakeEngine) -> None:
    engine.freeze()
    with pytest.raises(EngineUnreachable, match="no answer in time"):
        connect(resolve_endpoint(engine.environ), timeout=0.2)


def _ssh(folder: Path, script: str) -> dict[str, str]:
    program = folder / "ssh"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


# Stands for a machine that ssh reaches: dial-stdio connects its input and output with the engine's socket.
DIAL = """
import os, socket, sys, threading
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
def pump(read, write):
    while data := read(65536): write(data)
threading.Thread(target=pump, args=(lambda n: os.read(0, n), s.sendall), daemon=True).start()
pump(s.recv, lambda data: os.write(1, data))
"""


def test_ssh_runs_the_command_of_the_docker_cli(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dial.py").write_text(DIAL)
    script = f'printf "%s\\n" "$*" >>{tmp_path}/calls\nexec python3 {tmp_path}/dial.py {engine.socket}'
    for name, value in _ssh(tmp_path, script).items():
        monkeypatch.setenv(name, value)
    web = engine.add("web")
    reader = Reader({"DOCKER_HOST": "ssh://me@box:2222/run/user/1000/docker.sock"}).start()
    try:
        reader.live(1)
        engine.die(web, 3)
        reader.until(lambda: reader.has("web", exit_code=3))
        engine.end_events()
        reader.until(lambda: "stale" in reader.states() and reader.state() == "live")
    finally:
        reader.stop()
    calls = set((tmp_path / "calls").read_text().splitlines())
    assert calls == {
        "-o BatchMode=yes -o ConnectTimeout=10 -T -l me -p 2222 -- box "
        "docker --host unix:///run/user/1000/docker.sock system dial-stdio"
    }


def test_what_ssh_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in _ssh(tmp_path, "echo 'me@box: Permission denied (publickey).' >&2; exit 255").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(EngineUnreachable, match="publickey") as caught:
        connect(resolve_endpoint({"DOCKER_HOST": "ssh://me@box"}))
    assert "ssh" in caught.value.hint


@pytest.mark.parametrize("host", ["ssh://", "ssh://me:secret@box", "ssh://box:99999", "ssh://box?x=1"])
def test_an_address_that_ssh_cannot_use(host: str) -> None:
    with pytest.raises(DevenvError) as caught:
        connect(resolve_endpoint({"DOCKER_HOST": host}))
    assert isinstance(caught.value, UsageError)
    assert "secret" not in caught.value.message
