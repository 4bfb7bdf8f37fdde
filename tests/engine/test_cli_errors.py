"""Each class of error with the real thing: what is told, what is advised, and the documented exit code."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from program import PROJECTS, Program, program

pytestmark = pytest.mark.engine


@pytest.fixture
def strange(tmp_path: Path, base_image: str) -> Iterator[Program]:
    with program("strange", tmp_path, base_image) as made:
        yield made


def failed(done: subprocess.CompletedProcess[str], code: int) -> str:
    """Check the exit code and return what was told; stdout has no place for complaints."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert "hint:" in done.stderr
    return done.stderr


@pytest.mark.parametrize("verb", [("up",), ("up", "--wait"), ("down",), ("status",), ("restart",), ("logs",)])
def test_no_engine(strange: Program, verb: tuple[str, ...]) -> None:
    done = strange.run("-f", "port.yaml", *verb, PORT="1", DOCKER_HOST="unix:///devenv-test/no.sock")
    told = failed(done, 3)
    assert "unix:///devenv-test/no.sock" in told
    assert "Start the Docker Engine" in told or "DOCKER_HOST" in told


def test_no_permission_on_the_socket(strange: Program, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "devenv", "-f", "port.yaml", "up"]
    environ = strange.environ | {"PORT": "1", "HOME": str(tmp_path)}
    if os.geteuid() == 0:
        # As nobody, who may read everything (a test may be in a folder of root's) but not write to the socket.
        may_read = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
        command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *may_read, *command]
    else:
        path = tmp_path / "closed.sock"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
        path.chmod(0)
        environ["DOCKER_HOST"] = f"unix://{path}"
    environ["XDG_STATE_HOME"] = str(tmp_path / "not-mine")
    done = subprocess.run(command, cwd=strange.folder, env=environ, capture_output=True, text=True, check=False)
    told = failed(done, 4)
    assert "permission denied" in told
    assert "docker" in told


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("not_yaml.yaml", r"not_yaml\.yaml: line \d+, column \d+: "),
        ("unknown_key.yaml", r"unknown_key\.yaml: services\.one\.imagee is not a key"),
        ("undefined_dependency.yaml", r"undefined_dependency\.yaml: .*undefined service"),
        ("missing_variable.yaml", r"DEVENV_TEST_NOBODY_SETS_THIS.*set me"),
        ("no_such_file.yaml", r"no_such_file\.yaml does not exist"),
    ],
)
def test_an_invalid_project(strange: Program, file: str, told: str) -> None:
    for verb in ("up", "status"):
        assert re.search(told, failed(strange.run("-f", file, verb), 5))


def test_no_project_says_where_it_was_searched(strange: Program, tmp_path: Path, base_image: str) -> None:
    nowhere = Program(strange.name, tmp_path, tmp_path, base_image)
    told = failed(nowhere.run("status"), 5)
    assert str(tmp_path) in told
    assert "compose.yaml" in told


def test_an_external_network_that_is_missing(strange: Program) -> None:
    for options in ((), ("--wait",)):
        told = failed(strange.run("-f", "network.yaml", "up", *options), 5)
        assert "docker network create devenv-test-no-such-network" in told


def test_an_external_volume_that_is_missing(strange: Program) -> None:
    told = failed(strange.run("-f", "volume.yaml", "up", "--wait"), 5)
    assert "docker volume create devenv-test-no-such-volume" in told


def test_a_port_taken_by_a_process_and_by_a_container(strange: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        told = failed(strange.run("-f", "port.yaml", "up", "--wait", PORT=port), 6)
        assert f"Port {port}/tcp on 127.0.0.1, which service server publishes" in told
        assert f"process {os.getpid()} (" in told
    assert strange.run("-f", "port.yaml", "up", PORT=port).returncode == 0
    other = ("-f", "port.yaml", "-p", f"{strange.name}-b")
    told = failed(strange.run(*other, "up", PORT=port), 6)
    assert f"container {strange.name}-server-1" in told
    assert strange.run(*other, "down", PORT=port).returncode == 0


def test_unknown_services_and_options(strange: Program) -> None:
    for verb in ("up", "stop", "logs", "build"):
        assert "Did you mean server?" in failed(strange.run("-f", "port.yaml", verb, "sever", PORT="1"), 2)
    assert strange.run("up", "--bogus").returncode == 2
    assert "--wait" in failed(strange.run("-f", "port.yaml", "up", "--timeout", "3", PORT="1"), 2)


def test_nothing_to_start_says_up(strange: Program) -> None:
    assert "devenv up" in failed(strange.run("-f", "port.yaml", "start", PORT="1"), 1)
    assert "devenv up" in failed(strange.run("-f", "port.yaml", "restart", PORT="1"), 1)
    stopped = strange.run("-f", "port.yaml", "stop", PORT="1")
    assert (stopped.returncode, stopped.stdout) == (0, "")


def test_an_image_that_cannot_be_had(strange: Program) -> None:
    told = failed(strange.run("-f", "no_image.yaml", "up"), 1)
    assert "localhost/devenv-test-no-such-image:1" in told


def test_a_build_that_fails_shows_service_step_line_and_last_output(strange: Program) -> None:
    for verb in (("build",), ("up", "--wait")):
        told = failed(strange.run("-f", "build.yaml", *verb, "bad"), 1)
        assert "image of service bad could not be built" in told
        assert "Dockerfile line 3" in told
        assert "\n    [/foo] compiling\n    error: it does not compile\n" in told
        assert "exit code: 7" in told


def test_no_docker_and_no_compose(strange: Program, tmp_path: Path) -> None:
    assert "docker program is not installed" in failed(strange.run("-f", "port.yaml", "up", PATH=str(tmp_path)), 9)
    # The real docker CLI, which looks for its plugins in other folders than the machine's.
    docker = next(
        Path(folder) / "docker" for folder in os.environ["PATH"].split(":") if (Path(folder) / "docker").exists()
    )
    bare = subprocess.run([docker, "compose-that-is-not-there"], capture_output=True, text=True, check=False)
    (tmp_path / "docker").write_text(
        f"#!/bin/sh\ncat >&2 <<'END'\n{bare.stderr.replace('-that-is-not-there', '')}END\nexit 1\n"
    )
    (tmp_path / "docker").chmod(0o755)
    done = strange.run("-f", "port.yaml", "up", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert "docker has no compose command" in failed(done, 9)


@pytest.mark.parametrize("how", ["--read-only", "DEVENV_READ_ONLY", "devenv.toml"])
def test_read_only_refuses_every_change(strange: Program, tmp_path: Path, how: str) -> None:
    config = tmp_path / "devenv.toml"
    config.write_text(f"read_only = true\n[compose]\nfiles = ['{PROJECTS / 'strange' / 'port.yaml'}']\n")
    options = {"--read-only": ("--read-only",), "devenv.toml": ("--config", str(config))}.get(how, ())
    files = () if how == "devenv.toml" else ("-f", "port.yaml")
    variables = {"PORT": "1"} | ({"DEVENV_READ_ONLY": "1"} if how == "DEVENV_READ_ONLY" else {})
    for verb in ("up", "down", "restart", "stop", "start", "build"):
        assert "read-only" in failed(strange.run(*files, verb, *options, **variables), 10)
    assert strange.run(*files, "status", *options, **variables).returncode == 0
    assert [record["event"] for record in strange.audit()] == ["refused"] * 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_being_ended_stops_compose_and_says_what_is_left(strange: Program, number: signal.Signals) -> None:
    process = strange.start("-f", "build.yaml", "up", "good")
    assert process.stderr is not None
    assert any("RUN sleep 20" in line for line in process.stderr), "the build must have begun"
    children = psutil.Process(process.pid).children(recursive=True)
    assert any("compose" in child.name() for child in children)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=180)
    assert process.returncode == 130
    assert "stopping up" in stderr
    assert "left as it is now: good absent\n" in stderr
    assert stdout == ""
    assert strange.audit()[-1]["result"] == "interrupted"
    assert psutil.wait_procs(children, timeout=60)[1] == []
