"""An engine that takes connections and answers nothing: every command says so, and ends with the documented code."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from devenv.backends.docker import heartbeat
from devenv.backends.docker.endpoint import resolve_endpoint
from devenv.backends.docker.heartbeat import Heartbeat
from fakes.docker_engine import FakeEngine
from tests import forked
from tests.unit.fakedocker import fake_docker

ROOT = Path(__file__).parents[2]
# Compose reads the project by itself, and then waits for the engine as the docker program does: without an end.
COMPOSE = """case "$*" in
*config*) echo '{"name": "fake", "services": {"web": {}}, "volumes": {"data": {"name": "fake_data"}}}';;
*) exec sleep 100;;
esac"""


COMMANDS = ("up", "up --wait", "logs -f", "status", "down -v --yes", "build")


def run(engine: FakeEngine, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "compose.yaml").touch()
    environ = fake_docker(folder, COMPOSE) | engine.environ | {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder)}
    return forked.run("devenv", *arguments, cwd=folder, env=environ)


GivenUp = dict[str, tuple[str, subprocess.CompletedProcess[str]]]
Hung = Callable[[FakeEngine], None]


def hang_on_the_list(engine: FakeEngine) -> None:
    engine.hanging.add("/containers/json")


def hang_on_logs(engine: FakeEngine) -> None:
    web = engine.add("fake-web-1", project="fake", service="web")
    other = engine.add("fake-db-1", project="fake", service="db")
    engine.hanging |= {f"/containers/{item.id}/logs" for item in (web, other)}


SILENT: dict[str, tuple[str, Hung]] = {
    **{command: (command, FakeEngine.freeze) for command in COMMANDS},
    "the list": ("logs -f", hang_on_the_list),
    "a log": ("logs -f", hang_on_logs),
}


@pytest.fixture(scope="module")
def given_up(tmp_path_factory: pytest.TempPathFactory) -> GivenUp:
    """The engine's address and what became of each command: all wait side by side, ten seconds or thirty each."""

    def wait(name: str) -> tuple[str, subprocess.CompletedProcess[str]]:
        command, hang = SILENT[name]
        with FakeEngine() as engine:
            hang(engine)
            try:
                return engine.host, run(engine, tmp_path_factory.mktemp("silent"), *command.split())
            finally:
                engine.flowing.set()

    with ThreadPoolExecutor(len(SILENT)) as pool:
        return dict(zip(SILENT, pool.map(wait, SILENT), strict=True))


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_says_that_it_waits_and_gives_up(given_up: GivenUp, command: str) -> None:
    host, done = given_up[command]
    assert done.returncode == 3, done.stderr
    where = "" if command == "build" else f" at {host}"
    assert f"still waiting for the Docker Engine{where} (3 s)" in done.stderr
    assert f"no Docker Engine answers at {host}" in done.stderr
    assert "hint:" in done.stderr


def test_one_that_answers_pings_and_hangs_on_the_list_of_containers(
    given_up: GivenUp,
) -> None:
    host, done = given_up["the list"]
    assert done.returncode == 3, done.stderr
    assert f"still waiting for the list of containers from the Docker Engine at {host} (3 s)" in done.stderr
    assert f"the Docker Engine at {host} does not give the list of containers: no answer within" in done.stderr
    assert "hint:" in done.stderr


def test_logs_of_a_container_that_holds_its_log_back_are_given_up(
    given_up: GivenUp,
) -> None:
    host, done = given_up["a log"]
    assert done.returncode == 3, done.stderr
    assert f"still waiting for the log of fake-web-1 from the Docker Engine at {host} (3 s)" in done.stderr
    assert f"the Docker Engine at {host} does not give the log of fake-web-1: no answer within 30 s" in done.stderr
    assert "fake-db-1" not in done.stderr, "nobody asked for its log"


def test_an_engine_that_falls_silent_later_is_noticed(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "EVERY", 0.05)
    told: list[str] = []
    gave_up = threading.Event()
    with Heartbeat(resolve_endpoint(engine.environ), told.append, gave_up.set) as pulse:
        while engine.requests["_ping"] < 5:
            time.sleep(0.02)
        assert (told, gave_up.is_set()) == ([], False), "it answers"
        monkeypatch.setattr(heartbeat, "TELL_EVERY", 0.1)
        monkeypatch.setattr(heartbeat, "GIVE_UP_AFTER", 0.5)
        pings = engine.requests["_ping"]
        while engine.requests["_ping"] < pings + 3:
            time.sleep(0.02)
        engine.freeze()
        assert gave_up.wait(60.0)
    assert pulse.error is not None
    assert "no answer within 0 s" in pulse.error.message
    assert told[0].startswith("still waiting for the Docker Engine at unix://")


def test_each_log_is_asked_for_once_and_the_list_again_and_again(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "EVERY", 0.05)
    web, _ = engine.add("fake-web-1", service="web"), engine.add("fake-db-1", service="db")
    engine.say(web, b"hello\n")
    told: list[str] = []
    asked = Heartbeat(
        resolve_endpoint(engine.environ), told.append, lambda: None, project="fake", logs=frozenset({"web"})
    )
    with asked as pulse:
        while engine.requests["json"] < 5:
            time.sleep(0.02)
    assert engine.requests["logs"] == 1
    assert (told, pulse.error) == ([], None)


def test_one_that_is_slow_is_waited_for(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "TELL_EVERY", 1.0)
    monkeypatch.setattr(heartbeat, "EVERY", 0.05)
    told: list[str] = []
    engine.freeze()
    with Heartbeat(resolve_endpoint(engine.environ), told.append, lambda: None) as pulse:
        while not told:
            time.sleep(0.02)
        engine.flowing.set()
        while engine.requests["_ping"] < 3:  # the first one was answered
            time.sleep(0.02)
        count = len(told)
        while engine.requests["_ping"] < 20:
            time.sleep(0.02)
    assert len(told) == count
    assert pulse.error is None


def test_one_that_is_gone_is_not_silent(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "EVERY", 0.05)
    monkeypatch.setattr(heartbeat, "TELL_EVERY", 0.3)
    endpoint, told = resolve_endpoint(engine.environ), list[str]()
    engine.stop()
    with Heartbeat(endpoint, told.append, lambda: None) as pulse:
        time.sleep(0.8)
    assert (told, pulse.error) == ([], None)
