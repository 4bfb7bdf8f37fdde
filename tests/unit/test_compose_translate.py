"""Why a verb failed: what Compose 5.6 and Engine 28.5 said, word for word, and what devenv makes of it."""

from __future__ import annotations

import os
import socket
from collections import deque

import pytest
from msgspec.structs import replace

from devenv.control.failures import FailedStep, translate, unknown_service
from devenv.control.stream import Step
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
        ("no service selected", DevenvError, "No service of the project is active", "--profile NAME"),
        ('no container found for project "shop": not found', DevenvError, "project shop has no container", "devenv up"),
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
            "The image localhost/nosuch:img cannot be had: it is not on the engine",
            "docker pull localhost/nosuch:img",
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
        ("something nobody knows \x1b[31mred", DevenvError, "something nobody knows red", "devenv status"),
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
        ("OCI runtime create failed: no such program", "Service web could not be started: no such program"),
        ("No such image: localhost/nosuch:img", "The image localhost/nosuch:img of service web cannot be had"),
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


@pytest.mark.parametrize(
    "said",
    [
        "compose build requires buildx 0.17.0 or later",
        "docker: 'buildx' is not a docker command.",
        "docker: unknown command: docker buildx",
        "failed to fetch metadata: fork/exec /usr/libexec/docker/cli-plugins/docker-buildx: exec format error",
    ],
)
def test_building_without_buildx_is_a_missing_tool(said: str) -> None:
    error = translate(said, PROJECT)
    assert isinstance(error, ToolMissing)
    assert "buildx" in error.message
    assert "github.com/docker/buildx" in error.hint


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
        ("Bind for :::8080 failed: port is already allocated", "Port 8080/tcp on ::"),
        ("Bind for ::1:18916 failed: port is already allocated", "Port 18916/tcp on ::1"),
        (
            "failed to set up container networking: driver failed programming external connectivity on endpoint "
            "shop-web-1 (2b3c): failed to bind host port for [::1]:18911:172.20.0.2:80/tcp: address already in use",
            "Port 18911/tcp on ::1, which service web publishes,",
        ),
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


DAEMON = "Error response from daemon: "
CONFLICT = (
    f'{DAEMON}Conflict. The container name "/db" is already in use by container "85629391288b7f13". You have to remove '
    "(or rename) that container to be able to reuse that name."
)


@pytest.mark.parametrize(
    ("holder", "told", "hint"),
    [
        (("", "", False), "held by a container made by hand", "docker rm -f db"),
        (("other", "web", False), "held by service web of the project other", "docker compose -p other down"),
        (("other", "web", True), "held by a one-off run of service web of the project other", "another container_name"),
        (("shop", "old", False), "held by service old of this project", "--remove-orphans"),
        (None, "held by another container", "docker rm -f db"),
    ],
)
def test_a_container_name_that_is_taken_says_who_has_it(
    holder: tuple[str, str, bool] | None, told: str, hint: str
) -> None:
    error = translate(CONFLICT, PROJECT, service="web", holder={"db": holder}.get)
    assert error.message.startswith("Service web needs the container name db, which is ")
    assert told in error.message
    assert "85629391288b7f13" not in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("said", "told", "hint"),
    [
        (
            'invalid mount config for type "bind": bind source path does not exist: /p/missing',
            "Service web could not be created: /p/missing, which it mounts, does not exist",
            "Make it",
        ),
        (
            "failed to create task for container: failed to create shim task: OCI runtime create failed: error "
            'mounting "/p/file" to rootfs at "/etc": mount src=/p/file, dst=/etc: not a directory: Are you trying '
            "to mount a directory onto a file (or vice-versa)?",
            "of /p/file on the engine's machine and /etc in the image one is a file, the other a folder",
            "Look at /p/file",
        ),
        (
            "failed to set up container networking: Address already in use",
            "Service web has an IP address that another container in its network has",
            "ipv4_address",
        ),
        (
            "driver failed programming external connectivity on endpoint shop-worker-1 (5f1b): failed to bind host "
            "port for 10.99.99.99:18915:172.20.0.2:80/tcp: cannot assign requested address",
            "Service worker publishes a port on the address 10.99.99.99",
            "Publish the port on",
        ),
        (
            "failed to set up container networking: network nosuch not found",
            "Service web has no network: ",
            "networks or network_mode",
        ),
        ("range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available", "could not be created", "cpus"),
        ('could not select device driver "nvidia" with capabilities: [[gpu]]', "nvidia", "container toolkit"),
        ("unable to find user nobody9: no matching entries in passwd file", "nobody9", "Correct user"),
        (
            'create shop_data: error looking up volume plugin none: plugin "none" not found',
            "The volume shop_data could not be created: error looking up volume plugin none",
            "`driver`",
        ),
        ("mkdir /var/lib/docker/x: no space left on device", "the engine's disk is full", "docker system df"),
        ("mounts denied: the path /p is not shared from the host", "/p is not shared", "File sharing"),
        ("No such container: gone", "No such container: gone", "volumes_from"),
        (
            'failed to create task for container: exec: "/run.sh": permission denied: unknown',
            "Service web could not be started",
            "chmod +x",
        ),
        (
            "failed to create task for container: exec /run.sh: exec format error",
            "Service web could not be started",
            "another processor",
        ),
    ],
)
def test_what_the_engine_refuses_says_what_to_correct(said: str, told: str, hint: str) -> None:
    error = translate(f"{DAEMON}{said}", PROJECT, service="web")
    assert told in error.message
    assert hint in error.hint


def test_a_network_that_cannot_be_made_is_named() -> None:
    said = f"failed to create network shop_default: {DAEMON}invalid pool request: Pool overlaps with other one"
    error = translate(said, PROJECT)
    assert error.message.startswith("The network shop_default could not be created: invalid pool request")
    assert "choose another subnet" in error.hint


LOOKUP = 'Get "https://registry.invalid/v2/": dial tcp: lookup registry.invalid on 10.0.0.1:53: no such host'


@pytest.mark.parametrize(
    ("said", "image", "told", "hint"),
    [
        (LOOKUP, "registry.invalid/x:1", "the registry registry.invalid cannot be reached", "the network"),
        (
            "pull access denied for shop/web, repository does not exist or may require 'docker login'",
            "",
            "The image shop/web cannot be had: the registry docker.io does not know it",
            "docker login docker.io",
        ),
        ("manifest for nginx:9 not found: manifest unknown", "", "docker.io has no such name or tag", "tag"),
        ("toomanyrequests: You have reached your unauthenticated pull rate limit", "nginx:1", "no more pulls", "Wait"),
        (
            "no matching manifest for linux/arm64/v8 in the manifest list entries",
            "x:1",
            "for this platform",
            "platform",
        ),
        (
            'Get "https://r.example:5000/v2/": http: server gave HTTP response to HTTPS client',
            "r.example:5000/x:1",
            "registry r.example:5000 has no certificate that the engine trusts",
            "insecure-registries",
        ),
        (
            "unable to get image 'Bad Image!:1': invalid reference format",
            "",
            "that is not a name of an image",
            "lowercase",
        ),
        ("error getting credentials - err: exec: docker-credential-x: executable file not found", "x:1", "helper", ""),
    ],
)
def test_an_image_that_cannot_be_had_says_why(said: str, image: str, told: str, hint: str) -> None:
    failed = (FailedStep(said, "worker", image),) if image else ()
    error = translate(f"{DAEMON}{said}", PROJECT, failed=failed)
    assert told in error.message
    assert not image or f"The image {image} of service worker cannot be had" in error.message
    assert hint in error.hint
    assert "Dockerfile" not in error.hint


def test_several_errors_are_told_apart_each_with_its_service_and_hint() -> None:
    message = f"{DAEMON}{LOOKUP}\n{DAEMON}No such image: registry.invalid/y:1"
    project = replace(PROJECT, services=(Service("a", "registry.invalid/x:1"), Service("b", "registry.invalid/y:1")))
    steps = (
        FailedStep(LOOKUP, "a", "registry.invalid/x:1"),
        FailedStep(f"{DAEMON}invalid volume specification: 'v'", "web"),
    )
    error = translate(message, project, failed=steps)
    told = [(item.message.partition(" cannot be had")[0], item.hint.split()[0]) for item in (error, *error.also)]
    assert told[:2] == [
        ("The image registry.invalid/x:1 of service a", "Check"),
        ("The image registry.invalid/y:1 of service b", "Pull"),
    ]
    assert told[2][0].startswith("Service web could not be created"), "what only its step told"
    assert len(told) == 3


def test_lines_of_one_error_stay_together() -> None:
    error = translate("nobody knows\n  what this is\nor that", PROJECT)
    assert error.message == "nobody knows what this is or that"
    assert error.also == ()


@pytest.mark.parametrize(
    ("said", "told", "hint"),
    [
        (
            "target web: failed to solve: failed to read dockerfile: open nope.Dockerfile: no such file or directory\n",
            "service web could not be built\n  there is no Dockerfile nope.Dockerfile in its build folder",
            "build.dockerfile",
        ),
        (
            "failed to solve: registry.invalid/x:1: failed to resolve source metadata for registry.invalid/x:1: failed "
            'to do request: Head "https://registry.invalid/v2/x/manifests/1": dial tcp: lookup registry.invalid on '
            "10.0.0.1:53: no such host",
            "the image registry.invalid/x:1, which the build needs, cannot be had: the registry registry.invalid can",
            "Check the network",
        ),
        ('failed to solve: target stage "nosuch" could not be found\n', "no stage nosuch", "build.target"),
        ("failed to stat /p/s: stat /p/s: no such file or directory\n", "/p/s of a build secret", "secrets"),
        ('invalid tag "Bad Name": invalid reference format\n', "'Bad Name' is not a name of an image", "`image`"),
        (
            'failed to solve: failed to compute cache key: failed to calculate checksum of ref a::b: "/x": not found\n',
            "/x is not in the build folder",
            ".dockerignore",
        ),
        (
            'unable to prepare context: path "/nowhere" not found\n',
            "The build folder /nowhere of service web is not",
            "build",
        ),
    ],
)
def test_a_build_that_cannot_be_done_says_what_to_correct(said: str, told: str, hint: str) -> None:
    error = translate(said, PROJECT, service="web")
    assert told in error.message
    assert hint in error.hint


def test_all_build_folders_that_are_missing_are_told() -> None:
    project = replace(PROJECT, services=(Service("a", context="/no/a"), Service("b", context="/no/b"), Service("c")))
    error = translate('unable to prepare context: path "/no/b" not found\n', project)
    assert "/no/a of service a; the build folder /no/b of service b are not there" in error.message


def test_what_compose_says_of_the_project_is_said_by_every_verb() -> None:
    said = "error while interpolating services.a.image: required variable X is missing a value: set it\n" * 2
    error = translate(said, PROJECT)
    assert isinstance(error, ProjectError)
    assert error.message == "/p/compose.yaml: required variables have no value: X: set it"
    assert ".env" in error.hint
