"""What users of Compose and its terminals reported, as they would do it here; each project is written by its test."""

from __future__ import annotations

import os
import pty
import re
import socket
import termios
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from program import Program, program

from tests import forked

pytestmark = pytest.mark.engine

Make = Callable[[str], Program]


@pytest.fixture
def make(tmp_path: Path, base_image: str) -> Iterator[Make]:
    """Make a project of the text of a Compose file in a folder of its own; nothing is left afterwards."""
    with ExitStack() as stack:

        def written(text: str, folder: str = "here") -> Program:
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "compose.yaml").write_text(text)
            where, state = str(tmp_path / folder), tmp_path / "state"
            return stack.enter_context(program(where, state, base_image, CASE_IMAGE=base_image))

        yield written


SLEEPING = 'image: "${CASE_IMAGE:?}", init: true, stop_grace_period: 1s, command: [sleep, "1000"]'


def test_up_after_stop_does_not_tell_the_end_of_the_run_before(make: Make) -> None:
    made = make(
        f"""
services:
  deaf: {{{SLEEPING}}}
  other: {{{SLEEPING}, restart: always}}
  badmount:
    profiles: [bad]
    image: "${{CASE_IMAGE:?}}"
    volumes: [{{type: bind, source: ./missing, target: /x, bind: {{create_host_path: false}}}}]
"""
    )
    assert made.run("up").returncode == 0
    assert made.run("stop").returncode == 0
    again = made.run("up", "--wait", "deaf", "other")
    assert again.returncode == 0, again.stderr
    assert "Failed" not in again.stderr
    assert made.run("stop").returncode == 0
    aborted = made.run("--profile", "bad", "up", "--wait")
    assert aborted.returncode == 1
    assert "Service badmount could not be created" in aborted.stderr
    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in aborted.stdout.splitlines()[1:]}
    assert rows["deaf"] == rows["other"] == ["waiting", "stopped, not started"]
    assert rows["badmount"][0] == "failed"


def test_a_timeout_names_the_service_that_has_to_end(make: Make) -> None:
    made = make(
        f"""
services:
  slow: {{{SLEEPING}}}
  waits: {{{SLEEPING}, depends_on: {{slow: {{condition: service_completed_successfully}}}}}}
"""
    )
    done = made.run("up", "--wait", "--timeout", "4")
    assert done.returncode == 8
    assert "waits: not started: waits for slow to be completed" in done.stderr
    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in done.stdout.splitlines()[1:3]}
    assert rows["slow"] == ["waiting", "running, must end with 0"]


PROVIDER = """#!/bin/sh
echo '{"type":"setenv","message":"URL=http://x.invalid"}'
"""


def test_a_service_of_a_provider_is_done_when_compose_says_so(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(
        f"""
services:
  database: {{provider: {{type: devenv-test-provider}}}}
  app: {{{SLEEPING}, depends_on: [database]}}
"""
    )
    program = made.folder / "devenv-test-provider"
    program.write_text(PROVIDER)
    missing = made.run("up", "--wait", "--timeout", "20")
    assert missing.returncode == 9
    assert "made by the provider devenv-test-provider" in missing.stderr
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{made.folder}:{os.environ['PATH']}")
    done = made.run("up", "--wait", "--timeout", "20")
    assert done.returncode == 0, done.stderr
    assert made.states() == {"app": "running", "database": "provided"}


def test_a_dependency_that_is_not_required_may_fail(make: Make) -> None:
    made = make(
        f"""
services:
  db: {{{SLEEPING.replace('"1000"', '"x"')}, healthcheck: {{test: "false", interval: 1s}}}}
  web: {{{SLEEPING}, depends_on: {{db: {{condition: service_healthy, required: false}}}}}}
"""
    )
    done = made.run("up", "--wait", "web")
    assert done.returncode == 0, done.stdout + done.stderr
    assert made.states() == {"db": "failed", "web": "running"}


def test_the_restart_of_a_shared_namespace_names_its_sharers(make: Make) -> None:
    made = make(
        f"""
services:
  gw: {{{SLEEPING}}}
  app: {{{SLEEPING}, network_mode: "service:gw"}}
"""
    )
    assert made.run("up").returncode == 0
    for verb in ("restart", "stop"):
        done = made.run(verb, "gw")
        assert done.returncode == 0, done.stderr
        assert "app shares a namespace (network, pid or ipc) of gw" in done.stderr
        assert "devenv restart gw app" in done.stderr
    assert "shares a namespace" not in made.run("restart", "gw", "app").stderr


def test_the_containers_of_another_clone_are_told(make: Make) -> None:
    first = make(f"services: {{web: {{{SLEEPING}}}}}")
    assert "was started from" not in first.run("up").stderr
    assert "was started from" not in first.run("status").stderr
    (first.folder.parent / "clone").mkdir()
    clone = replace(first, folder=first.folder.parent / "clone")
    (clone.folder / "compose.yaml").write_text(f"services: {{web: {{{SLEEPING}, environment: {{WHO: b}}}}}}")
    assert f"started from {first.folder}" in clone.run("doctor").stdout
    for verb in ("status", "restart", "stop", "up", "down"):
        done = clone.run(verb)
        assert done.returncode == 0, done.stderr
        assert (f"was started from {first.folder}" in done.stderr) is (verb != "down"), verb


@pytest.mark.parametrize(
    "config", ['{"auths": {"registry.example": {"auth": "eH', '{"auths": [], "currentContext": 7}']
)
def test_a_docker_config_that_docker_only_warns_of_refuses_nothing(make: Make, tmp_path: Path, config: str) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "config.json").write_text(config)
    made = make(f"services:\n  web: {{{SLEEPING}}}\n")
    made.variables["DOCKER_CONFIG"] = str(tmp_path / "docker")
    up = made.run("up")
    assert up.returncode == 0, up.stderr
    status = made.run("status")
    assert status.returncode == 0, status.stderr
    assert "config.json" in status.stderr, "a warning, as docker gives it"
    assert "config.json" in made.run("doctor").stdout


def test_a_named_project_is_controlled_without_its_file(make: Make) -> None:
    made = make(f'services: {{db: {{{SLEEPING}, environment: {{P: "${{DEVENV_TEST_SECRET:?put it into .env}}"}}}}}}')
    assert made.run("up", DEVENV_TEST_SECRET="x").returncode == 0
    file = made.folder / "compose.yaml"
    told = {"lacks a variable": "DEVENV_TEST_SECRET: put it into .env", "invalid": "line 2", "gone": "No Compose file"}
    for state, reason in told.items():
        if state == "invalid":
            file.write_text("services: {db: [")
        elif state == "gone":
            file.unlink()
        for verb in ("status", "logs", "stop", "start", "restart"):
            done = made.run("-p", made.name, verb)
            assert done.returncode == 0, done.stderr
            assert reason in done.stderr, (state, verb)
        assert made.run("-p", made.name, "restart", "nobody").returncode == 2
        for verb in ("up", "build"):
            assert made.run("-p", made.name, verb).returncode == 5
    assert made.states("-p", made.name) == {"db": "running"}
    assert made.states() == {"db": "running"}, "COMPOSE_PROJECT_NAME names it too"
    assert "Container" in made.run("-p", made.name, "down").stderr
    nothing = made.run("-p", made.name, "status")
    assert nothing.returncode == 0
    assert "has no container on the engine" in nothing.stderr
    assert made.run("status").returncode == 5


def test_without_its_file_a_project_wants_to_be_named(make: Make) -> None:
    made = make(f'services: {{db: {{{SLEEPING}, environment: {{P: "${{DEVENV_TEST_SECRET:?put it into .env}}"}}}}}}')
    told = made.run("status", COMPOSE_PROJECT_NAME="").stderr
    assert "DEVENV_TEST_SECRET: put it into .env" in told
    assert "-p NAME" in told
    assert "-p NAME" not in made.run("up", COMPOSE_PROJECT_NAME="").stderr
    assert made.run("-f", str(made.folder / "gone.yaml"), "-p", made.name, "status").returncode == 5


@pytest.mark.parametrize("content", [None, "no good variable\n", "directory"])
def test_an_env_file_that_cannot_be_read_keeps_only_what_needs_it_from_starting(
    make: Make, content: str | None
) -> None:
    made = make(f"services: {{needy: {{{SLEEPING}, env_file: needed.env}}, other: {{{SLEEPING}}}}}")
    file = made.folder / "needed.env"
    if content == "directory":
        file.mkdir()
    elif content is not None:
        file.write_text(content)
    assert made.states() == {"needy": "absent", "other": "absent"}
    assert made.run("up", "other").returncode == 0
    for verb in ("up", "up --wait"):
        refused = made.run(*verb.split())
        assert refused.returncode == 5
        assert str(file) in refused.stderr
    for verb in ("logs", "restart", "stop", "start", "down"):
        assert made.run(verb, *(() if verb == "down" else ("other",))).returncode == 0, verb


def test_a_container_name_that_is_taken_says_who_has_it(make: Make) -> None:
    name = f"devenv-test-{uuid.uuid4().hex[:8]}"
    holder = make(f"services: {{first: {{{SLEEPING}, container_name: {name}}}}}", "holder")
    made = make(f"services: {{second: {{{SLEEPING}, container_name: {name}}}}}")
    assert holder.run("up").returncode == 0
    told = made.run("up").stderr
    assert f"Service second needs the container name {name}, which is held by service first of the project" in told
    assert f"docker compose -p {holder.name} down" in told
    assert "already in use by container" not in told


def test_ports_of_ipv6_and_addresses_that_are_not_here_are_told(make: Make) -> None:
    made = make(f'services: {{web: {{{SLEEPING}, ports: ["${{AT}}:80"]}}}}')
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        port = server.getsockname()[1]
        taken = made.run("up", AT=f"[::1]:{port}")
        assert taken.returncode == 6, taken.stderr
        assert (
            f"Port {port}/tcp on ::1, which service web publishes, is in use by process {os.getpid()}" in taken.stderr
        )
    elsewhere = made.run("up", AT="198.51.100.9:18915")
    assert elsewhere.returncode == 1
    assert "Service web publishes a port on the address 198.51.100.9" in elsewhere.stderr


def test_several_images_that_cannot_be_had_are_told_one_by_one(make: Make) -> None:
    made = make("services: {a: {image: 'localhost:1/devenv-a:1'}, b: {image: 'localhost:1/devenv-b:1'}}")
    expected = [f"The image localhost:1/devenv-{service}:1 of service {service} cannot" for service in "ab"]
    for _ in range(8):  # Compose gives up on the second where the first has failed before it was asked for
        lines = made.run("up").stderr.splitlines()
        of_images = [number for number, line in enumerate(lines) if any(words in line for words in expected)]
        assert of_images, lines
        assert all(lines[number + 1].startswith("  hint: ") for number in of_images)
        if len(of_images) == 2:
            break
    assert [words for words in expected if any(words in line for line in lines)] == expected


BUILDS = """
services:
  nofile: {build: {context: ., dockerfile: nope.Dockerfile}}
  nocontext: {profiles: [b], build: {context: ./nowhere}}
  nobase: {profiles: [c], build: {dockerfile_inline: "FROM localhost:1/devenv-x:1\\n"}}
  syntax: {profiles: [d], build: {dockerfile_inline: "FROM scratch\\nRNU true\\n"}}
"""


@pytest.mark.parametrize("verb", ["build", "up"])
def test_a_build_that_fails_names_the_service_and_what_is_wrong(make: Make, verb: str) -> None:
    made = make(BUILDS)
    for service, told, hint in (
        ("nofile", "nope.Dockerfile", "build.dockerfile"),
        ("nocontext", str(made.folder / "nowhere"), "build.context"),
        ("nobase", "the registry localhost:1 cannot be reached", "Check the network"),
        ("syntax", "Dockerfile line 2: RNU true", "Correct the Dockerfile"),
    ):
        done = made.run(verb, service)
        assert done.returncode in (1, 5)
        assert re.search(rf"[Ss]ervice {service}\b", done.stderr)
        assert told in done.stderr
        assert hint in done.stderr.rpartition("hint:")[2]
    assert "of service nocontext " in made.run("--profile", "b", verb).stderr


@pytest.mark.parametrize(("key", "named"), [("-p", "-p NAME"), ("name", "COMPOSE_PROJECT_NAME")])
def test_a_bad_project_name_says_how_to_choose_another(make: Make, key: str, named: str) -> None:
    made = make(f"services: {{web: {{{SLEEPING}}}}}")
    done = made.run("-p", "Bad Name", "up") if key == "-p" else made.run("up", COMPOSE_PROJECT_NAME="Bad Name")
    assert done.returncode == 5
    assert "'Bad Name' is not a name for a project" in done.stderr
    assert named in done.stderr


def test_status_says_why_what_is_created_or_exited_does_not_run(make: Make) -> None:
    made = make(
        f"""
services:
  nothing: {{image: "${{CASE_IMAGE:?}}", entrypoint: [/no/such/program]}}
  fails: {{image: "${{CASE_IMAGE:?}}", command: [sh, -c, "exit 3"]}}
  sick: {{{SLEEPING}, healthcheck: {{test: "echo no database; exit 4", interval: 1s, retries: 1}}}}
  waits: {{{SLEEPING}, depends_on: {{sick: {{condition: service_healthy}}}}}}
  tools: {{{SLEEPING}, profiles: [tools]}}
"""
    )
    assert made.run("up").returncode == 7
    for service in ("nothing", "fails", "tools"):
        made.run("--profile", "tools", "up", service)
    told = {"nothing": "/no/such/program", "fails": "with code 3", "sick": "no database", "waits": "waits for sick"}
    services = {item["name"]: item for item in made.status()["services"]}
    assert all(words in services[name]["why"] for name, words in told.items()), services
    screen = on_terminal(made, "status", columns=80)
    assert max(map(len, screen)) <= 80
    assert "WHY" in screen[0]
    text = " ".join(" ".join(screen).split())
    for words in ("/no/such/program", "exited with code 3", "no database", "tools (inactive", "--profile tools"):
        assert words in text, screen


def on_terminal(made: Program, *arguments: str, columns: int) -> list[str]:
    """Return the lines that a terminal of so many columns gets."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    process = forked.Popen("devenv", *arguments, cwd=made.folder, env=made.environ, stdin=theirs, stdout=theirs)
    os.close(theirs)
    data = bytearray()
    while True:
        try:
            data += os.read(ours, 1 << 16)
        except OSError:  # how Linux says that the other side was closed (EIO)
            break
    os.close(ours)
    assert process.wait(timeout=30) == 0
    return data.decode().splitlines()


def test_containers_of_other_files_are_told(make: Make) -> None:
    made = make(f"services: {{web: {{{SLEEPING}}}}}")
    (made.folder / "more.yaml").write_text("services: {web: {environment: {MORE: 1}}}")
    both = ("-f", str(made.folder / "compose.yaml"), "-f", str(made.folder / "more.yaml"))
    assert "other files" not in made.run(*both, "up").stderr
    assert "other files" not in made.run(*both, "status").stderr
    for verb in ("status", "stop"):
        assert f"was started with other files: {both[1]}, {both[3]}" in made.run(verb).stderr
    assert "with other files" in made.run("doctor").stdout


def test_a_context_that_does_not_exist_is_told_once(make: Make) -> None:
    made = make(f"services: {{web: {{{SLEEPING}}}}}")
    done = made.run("doctor", DOCKER_CONTEXT="devenv-test-nowhere", DOCKER_HOST="")
    assert done.returncode == 1
    assert done.stdout.count("devenv-test-nowhere") == 1, done.stdout
    assert done.stdout.count("failed ") == 1


def test_down_names_what_stays_and_status_groups_it_alike(make: Make) -> None:
    made = make(f"services: {{web: {{{SLEEPING}}}, debug: {{{SLEEPING}, profiles: [debug]}}, old: {{{SLEEPING}}}}}")
    every = ("--profile", "*")
    assert made.run(*every, "up").returncode == 0
    made.compose("run", "--detach", "--name", f"{made.name}-once", "web", "sleep", "1000")
    (made.folder / "compose.yaml").write_text(
        f"services: {{web: {{{SLEEPING}}}, debug: {{{SLEEPING}, profiles: [debug]}}}}"
    )
    shown = made.run("status").stdout
    for words in ("debug (inactive profile)", "--profile debug", "old (orphan)", f"{made.name}-once (one-off)"):
        assert words in shown
    done = made.run("down")
    assert done.returncode == 1
    for words in ("debug-1 (inactive profile)", "old-1 (orphan)", "once (one-off)"):
        assert f"{made.name}-{words}" in done.stderr
    assert "devenv down --all" in done.stderr
    assert made.run("down", "--all").returncode == 0
    assert made.compose("ps", "-aq") == ""
