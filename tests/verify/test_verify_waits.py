"""Waits that end at once because what they wait for can never come; and an address on all of IPv6, asked on IPv6."""

from __future__ import annotations

import os
import re
import subprocess
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest

from devenv.core.errors import UsageError
from devenv.verify.waiting import Lasting, Never, wait_until
from tests import forked
from tests.engine.stack_images import ROOT

ENDPOINT = """
[[verify.endpoint]]
name = "{0}"
service = "{0}"
port = 8000
path = "/"
"""
SERVICE = """
  {0}:
    image: ${{PYTHON_IMAGE:?}}
    init: true
    command: [python3, -m, http.server, "8000", --bind, "::"]
    ports: [{1}]
"""
TEST = """
def test_it_is_served(endpoint):
    answer = endpoint("web").get("/")
    assert answer.status_code == 200
    print("asked at", answer.request.url)
"""


@pytest.fixture
def image() -> str:
    given = os.environ.get("DEVENV_TEST_IMAGE")
    if given:
        return given
    done = subprocess.run([ROOT / "scripts" / "base-image"], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


def smoke(
    folder: Path, image: str, ports: str, *options: str, text: str = TEST, services: Sequence[str] = ("web",)
) -> tuple[int, str, float]:
    state, folder = folder / "state", folder / "project"
    (folder / "smoketests").mkdir(parents=True)
    (folder / "smoketests" / "test_web.py").write_text(text)
    (folder / "devenv.toml").write_text("".join(ENDPOINT.format(name) for name in services))
    parts = "".join(SERVICE.format(name, ports) for name in services)
    (folder / "compose.yaml").write_text(f"services:{parts}")
    environ = {
        **os.environ,
        "PYTHON_IMAGE": image,
        "PYTHONPATH": str(ROOT),
        "XDG_STATE_HOME": str(state),
        "COMPOSE_PROJECT_NAME": f"devenv-test-{uuid.uuid4().hex[:8]}",
    }
    began = time.monotonic()
    done = forked.run("pytest", "-rP", "smoketests", *options, cwd=folder, env=environ, timeout=300)
    return done.returncode, done.stdout + done.stderr, time.monotonic() - began


def test_a_wait_ends_at_once_for_what_can_never_come() -> None:
    def probe() -> bool:
        raise Never("the port is not published")

    with pytest.raises(Never, match="not published"):
        wait_until("it to be served", probe, 100)


@pytest.mark.parametrize("error", [NameError("not_there"), UsageError("devenv.toml is wrong")])
def test_a_probe_that_fails_the_same_at_every_try_ends_the_wait(error: Exception) -> None:
    def probe() -> bool:
        raise error

    with pytest.raises(type(error), match=str(error)):
        wait_until("it to be served", probe, 100)


def test_what_is_hopeless_for_a_while_ends_a_wait_and_what_changes_does_not() -> None:
    now = 0.0
    lasting = Lasting(lambda: now)
    for now, why in ((0.0, "stopped"), (4.9, "stopped"), (5.0, ""), (6.0, "stopped"), (10.9, "stopped")):  # noqa: B007
        lasting.look(why)
    now = 11.0
    with pytest.raises(Never, match="stopped"):
        lasting.look("stopped")
    with pytest.raises(Never, match="at once"):
        lasting.look("at once", 0.0)


HOPELESS = """
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from devenv.core.errors import UsageError
from devenv.verify.waiting import Never

@pytest.fixture(autouse=True)
def at_once():
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 90  # each wait is one of 100 s at least

def test_names_that_are_not_there(engine, endpoint, wait_for):
    for call in (
        lambda: engine.wait_event("die", "wbe", since=0.0, timeout=100),
        lambda: engine.wait_event("died", "web", since=0.0, timeout=100),
        lambda: engine.wait_health("web", healthy=True, since=0.0, timeout=100),
        lambda: wait_for("the container", lambda: engine.container("wbe"), 100),
        lambda: wait_for("the page", lambda: endpoint("wbe").probe().ok, 100),
    ):
        with pytest.raises(Never) as told:
            call()
        print("told:", told.value)
    with pytest.raises(UsageError, match="cannot be asked for .page."):
        wait_for("the page", lambda: endpoint("web").probe("page").ok, 100)

def test_what_nobody_starts_again(isolated_stack):
    # a service for each, and all waits side by side: each ends only after some seconds in which nothing changed
    verbs = {"stop": "web", "pause": "paused", "kill": "killed", "rm": "removed"}
    for verb, service in verbs.items():
        isolated_stack.compose(*{"rm": ("rm", "--force", "--stop")}.get(verb, (verb,)), service)

    def told(verb, wait):
        with pytest.raises(Never) as told:
            wait()
        return f"{verb}: {told.value}"

    with ThreadPoolExecutor(8) as pool:
        waiting = []
        for verb, service in verbs.items():
            wait_healthy = partial(isolated_stack.wait_healthy, services=(service,))
            wait_served = partial(isolated_stack.endpoint(service).wait_served, 100)
            waiting += [pool.submit(told, verb, wait) for wait in (wait_healthy, wait_served)]
        for done in waiting:
            print(done.result())
    isolated_stack.compose("unpause", check=False)
    isolated_stack.up()
"""


@pytest.mark.engine
def test_waits_of_a_stack_end_for_what_can_never_come(tmp_path: Path, image: str) -> None:
    services = ("killed", "paused", "removed", "web")
    code, output, _ = smoke(tmp_path, image, '"127.0.0.1::8000"', text=HOPELESS, services=services)
    assert code == 0, output
    for told in (
        "told: .* has no service 'wbe'; it has: killed, paused, removed, web",
        "told: no event is called 'died'; there are: create, start",
        "told: web has no health check",
        "told: no endpoint 'wbe'; there are: killed, paused, removed, web",
        "stop: web is exited, and nothing starts it",
        "kill: killed is exited, and nothing starts it",
        "pause: paused is paused, and nothing starts it",
        "rm: removed is not created, and nothing starts it",
        "rm: .* has no container of the service removed",
    ):
        assert re.search(told, output), told


@pytest.mark.engine
@pytest.mark.parametrize(
    ("ports", "options", "told"),
    [
        ("", (), "port 8000 of web is not published"),
        ('"127.0.0.1::9000"', (), "port 8000 of web is not published"),
        ('"127.0.0.1::8000"', ("--devenv-running",), "is up"),
    ],
)
def test_a_start_that_can_never_be_served_is_refused(
    tmp_path: Path, image: str, ports: str, options: tuple[str, ...], told: str
) -> None:
    code, output, seconds = smoke(tmp_path, image, ports, *options)
    assert code == 1, output
    assert told in output
    assert seconds < 90, "a start has 120 s"


@pytest.mark.engine
def test_a_port_on_all_of_ipv6_is_asked_on_ipv6(tmp_path: Path, image: str) -> None:
    code, output, _ = smoke(tmp_path, image, '"[::]::8000"')
    assert code == 0, output
    assert "asked at http://[::1]:" in output
