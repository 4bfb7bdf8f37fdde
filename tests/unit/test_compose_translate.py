"""Why a verb failed: what Compose 5.6 and Engine 28.5 said, word for word, and what devenv makes of it."""

from __future__ import annotations

import os
import socket
from collections import deque

import pytest

from devenv.control.build import Step
from devenv.control.failures import translate, unknown_service
from devenv.core.errors import (
    DevenvError,
    EngineForbidden,
    EngineUnreachable,
    PortTaken,
    ProjectError,
    ServiceFailed,
    ToolMissing,
    UsageError,
)
from devenv.core.model import Port, Project, Service

PROJECT = Project(
    "shop", "/p", ("/p/compose.yaml",), (Service("web", ports=(Port(80, host=18799),)), Service("worker"))
)


@pytest.mark.parametrize(
    ("said", "kind", "told", "hint"),
    [
        (
            "network nonet-x declared as external, but could not be found",
            ProjectError,
            "external network nonet-x does not exist",
            "docker network create nonet-x",
        ),
        (
            'external volume "novol-x" not found',
            ProjectError,
            "external volume novol-x does not exist",
            "docker volume create novol-x",
        ),
        ("no such service: wbe", UsageError, "no service 'wbe'", "Did you mean web?"),
        ('service "web" has no container to start', DevenvError, "Nothing to start", "devenv up"),
        (
            "dependency failed to start: container shop-db-1 is unhealthy",
            ServiceFailed,
            "container shop-db-1 is unhealthy",
            "devenv logs",
        ),
        (
            'service "db" didn\'t complete successfully: exit 3',
            ServiceFailed,
            "service db did not complete: exit 3",
            "devenv logs db",
        ),
        (
            "Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime "
            'create failed: runc create failed: exec: "nosuch": executable file not found in $PATH',
            ServiceFailed,
            'exec: "nosuch"',
            "command",
        ),
        (
            "Error response from daemon: No such image: localhost/nosuch:img",
            DevenvError,
            "An image cannot be had: No such image: localhost/nosuch:img",
            "docker login",
        ),
        (
            "failed to connect to the docker API at unix:///x.sock; check if the path is correct and if the daemon is "
            "running: dial unix /x.sock: connect: no such file or directory",
            EngineUnreachable,
            "unix:///x.sock",
            "Start the Docker Engine",
        ),
        (
            "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock",
            EngineForbidden,
            "unix:///var/run/docker.sock",
            "docker",
        ),
        ("something nobody knows \x1b[31mred", DevenvError, "something nobody knows red", "docker compose up"),
        ("", DevenvError, "without a reason", ""),
    ],
)
def test_translation(said: str, kind: type[DevenvError], told: str, hint: str) -> None:
    error = translate(said, PROJECT)
    assert type(error) is kind
    assert told in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            'invalid mount config for type "bind": bind source path does not exist: /x',
            "Service web could not be created",
        ),
        ("OCI runtime create failed: no such program", "Service web could not be started: OCI"),
        ("No such image: localhost/nosuch:img", "The image of service web cannot be had"),
        ("something nobody knows", "Service web: something nobody knows"),
    ],
)
def test_the_service_whose_step_failed_is_named(said: str, told: str) -> None:
    assert translate(f"Error response from daemon: {said}", PROJECT, service="web").message.startswith(told)


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        ("no credit left", ServiceFailed, "The provider cloud of service db failed: no credit left"),
        ('exec: "cloud": executable file not found in $PATH', ToolMissing, "made by the provider cloud"),
    ],
)
def test_a_provider_that_fails_is_no_container(said: str, kind: type[DevenvError], told: str) -> None:
    provided = Project("shop", "/p", (), (Service("db", provider="cloud", replicas=0),))
    error = translate(said, provided, service="db")
    assert type(error) is kind
    assert told in error.message


def test_models_without_their_plugin_are_a_missing_tool() -> None:
    assert isinstance(translate("'models' support requires Docker Model plugin", PROJECT), ToolMissing)


BOUND = (
    "Error response from daemon: failed to set up container networking: driver failed programming external "
    "connectivity on endpoint shop-{service}-1 (e76136ca): failed to bind host port for "
    "127.0.0.1:{port}:172.18.0.2:80/tcp: address already in use"
)
ALLOCATED = (
    "Error response from daemon: driver failed programming external connectivity on endpoint shop-web-1 (4e3a): "
    "Bind for 127.0.0.1:18799 failed: port is already allocated"
)


def test_a_port_held_by_a_container_names_it_and_the_service() -> None:
    error = translate(ALLOCATED, PROJECT, publishers=lambda port, protocol: (f"other-{port}-{protocol}",))
    assert isinstance(error, PortTaken)
    assert "Port 18799/tcp on 127.0.0.1" in error.message
    assert "service web" in error.message
    assert "container other-18799-tcp" in error.message
    assert "docker stop other-18799-tcp" in error.hint


def test_a_port_held_by_a_process_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        error = translate(BOUND.format(port=port, service="worker"), PROJECT)
    assert f"Port {port}/tcp on 127.0.0.1, which service worker publishes," in error.message
    assert f"process {os.getpid()} (" in error.message


def test_a_port_on_a_remote_engine_is_not_looked_for_here() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        said = BOUND.format(port=server.getsockname()[1], service="web")
        error = translate(said, PROJECT, is_local=False)
    assert "could not be found from here" in error.message


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Bind for [::1]:80 failed: port is already allocated", "Port 80/tcp on ::1"),
        ("Bind for :::8080 failed: port is already allocated", "port is already allocated"),
        ("listen tcp4 0.0.0.0:80: bind: address already in use", "Port 80/tcp on 0.0.0.0"),
        ("listen udp 0.0.0.0:53: bind: address already in use", "Port 53/udp on 0.0.0.0"),
        ("Ports are not available: exposing port TCP 0.0.0.0:80 -> 0.0.0.0:0: x", "Port 80/tcp"),
    ],
)
def test_other_forms_of_a_taken_port(said: str, told: str) -> None:
    error = translate(said, PROJECT, is_local=False)
    assert isinstance(error, PortTaken)
    assert told in error.message


def test_a_failed_build_shows_the_step_its_lines_and_the_dockerfile_line() -> None:
    said = (
        "Dockerfile:2\n\n--------------------\n\n   1 |     FROM x\n\n   2 | >>> RUN echo [/foo]; exit 7\n\n"
        "--------------------\n\ntarget web: failed to solve: process did not complete successfully: exit code: 7\n"
    )
    step = Step("[web 2/2] RUN echo", started=True, error="exit code: 7", lines=deque(["one", "[/foo]"]))
    error = translate(said, PROJECT, step=step, service="worker")
    assert error.message.splitlines() == [
        "The image of service web could not be built",
        "  Dockerfile line 2: RUN echo [/foo]; exit 7",
        "  exit code: 7",
        "  last output of the step:",
        "    one",
        "    [/foo]",
    ]
    assert error.hint.endswith("devenv build web")


def test_a_build_that_fails_before_any_step() -> None:
    said = "Dockerfile:2\n\n---\n   2 | >>> FROB x\n---\nfailed to solve: dockerfile parse error on line 2: FROB\n"
    error = translate(said, PROJECT)
    assert "Dockerfile line 2: FROB x" in error.message
    assert "dockerfile parse error on line 2: FROB" in error.message


def test_unknown_services_name_what_there_is() -> None:
    assert unknown_service("zzz", ("web", "db")).hint == "The project has: web, db."
    assert "\x1b" not in unknown_service("\x1b[1m", ()).message
