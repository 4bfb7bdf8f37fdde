"""The engine's JSON, Docker's and Podman's, whole and broken, becomes records."""

from __future__ import annotations

import random
from typing import Any

import pytest

from devenv.backends.docker.parse import (
    check_interval,
    fold_ports,
    from_inspect,
    from_list,
    has_healthcheck,
    image_name,
    parse_health,
    parse_state,
    parse_time,
    status_sentence,
)
from devenv.core.model import Health, HealthCheck, Port, State

ID = "0d0d586a4131" + "c" * 52
DIGEST = "sha256:4957cb9d21ce" + "e" * 52
LISTED: dict[str, Any] = {
    "Id": ID,
    "Names": ["/other/alias", "/shop-web-2"],
    "Image": DIGEST,
    "ImageID": DIGEST,
    "Command": "sh -c 'sleep 1'",
    "Created": 1795451972,
    "Ports": [
        {"IP": "::", "PrivatePort": 8000, "PublicPort": 32769, "Type": "tcp"},
        {"IP": "0.0.0.0", "PrivatePort": 8000, "PublicPort": 32769, "Type": "tcp"},
        {"IP": "127.0.0.1", "PrivatePort": 80, "PublicPort": 32768, "Type": "tcp"},
        {"PrivatePort": 53, "Type": "udp"},
    ],
    "Labels": {
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": "web",
        "com.docker.compose.container-number": "2",
        "com.docker.compose.oneoff": "False",
    },
    "State": "running",
    "Status": "Up 5 seconds (healthy)",
}
INSPECTED: dict[str, Any] = {
    "Id": ID,
    "Created": "2026-11-23T16:39:32.296072689Z",
    "Path": "sh",
    "Args": ["-c", "sleep 1"],
    "Name": "/shop-web-2",
    "Image": DIGEST,
    "RestartCount": 3,
    "State": {
        "Status": "running",
        "Running": True,
        "OOMKilled": False,
        "Pid": 11203,
        "ExitCode": 0,
        "Error": "",
        "StartedAt": "2026-11-23T16:39:32.61021007Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
        "Health": {
            "Status": "unhealthy",
            "Log": [
                {
                    "Start": "2026-11-23T16:39:33Z",
                    "End": "2026-11-23T16:39:34.5Z",
                    "ExitCode": 1,
                    "Output": "a\n\x1b[1mb\n",
                }
            ],
        },
    },
    "Config": {
        "Image": "shop/web:1",
        "Tty": True,
        "Labels": LISTED["Labels"],
        "Healthcheck": {"Test": ["CMD", "x"], "Interval": 5_000_000_000, "StartInterval": 1_000_000_000},
    },
    "NetworkSettings": {
        "Ports": {
            "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "32768"}],
            "8000/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32769"}, {"HostIp": "::", "HostPort": "32769"}],
            "53/udp": None,
        }
    },
}
PORTS = (Port(53, "udp"), Port(80, "tcp", 32768, "127.0.0.1"), Port(8000, "tcp", 32769, "0.0.0.0"))


def test_a_list_entry() -> None:
    found = from_list(LISTED)
    assert found.key == f"docker/{ID}"
    assert (found.name, found.service, found.project, found.number, found.one_off) == (
        "shop-web-2",
        "web",
        "shop",
        2,
        False,
    )
    assert (found.state, found.health, found.exit_code) == (State.RUNNING, Health.HEALTHY, None)
    assert found.image == "sha256:4957cb9d21ce"
    assert found.image_id == DIGEST
    assert found.created_at == 1795451972
    assert found.ports == PORTS
    assert (found.restarts, found.started_at, found.checks) == (None, None, ())


def test_an_inspection_says_the_same_and_more() -> None:
    found, listed = from_inspect(INSPECTED), from_list(LISTED)
    for field in ("key", "name", "service", "project", "number", "one_off", "state", "ports", "command", "labels"):
        assert getattr(found, field) == getattr(listed, field), field
    assert (found.health, found.restarts, found.pid, found.tty) == (Health.UNHEALTHY, 3, 11203, True)
    assert found.exit_code is None, "a running container has not exited"
    assert found.started_at == pytest.approx(1795451972.61021007)
    assert found.finished_at is None
    assert found.checks == (HealthCheck(1795451973.0, 1795451974.5, 1, "a\nb\n"),)
    assert has_healthcheck(INSPECTED)
    assert check_interval(INSPECTED) == 5.0
    assert check_interval(INSPECTED, starting=True) == 1.0
    assert check_interval({}) == 30.0


@pytest.mark.parametrize(
    ("status", "state", "health", "exit_code"),
    [
        ("Exited (137) 2 minutes ago", "exited", Health.NONE, 137),
        ("Exited (0) About an hour ago", "exited", Health.NONE, 0),
        ("Restarting (1) 5 seconds ago", "restarting", Health.NONE, 1),
        ("Up 5 seconds (health: starting)", "running", Health.STARTING, None),
        ("Up 5 seconds (starting)", "running", Health.STARTING, None),
        ("Up 2 hours (unhealthy)", "running", Health.UNHEALTHY, None),
        ("Up 2 hours (Paused)", "paused", Health.NONE, None),
        ("Up 2 hours", "running", Health.NONE, None),
        ("Created", "created", Health.NONE, None),
        ("Exited (-1) 2 days ago", "exited", Health.NONE, -1),
        ("Exited (99999999999999999999) ago", "exited", Health.NONE, None),
        (None, "running", Health.NONE, None),
    ],
)
def test_the_sentence_of_the_list(status: str | None, state: str, health: Health, exit_code: int | None) -> None:
    found = from_list({"Id": "x", "State": state, "Status": status})
    assert (found.health, found.exit_code) == (health, exit_code)


def test_an_exited_container_has_no_health_whatever_it_was() -> None:
    state = INSPECTED["State"] | {"Status": "exited", "ExitCode": 137, "Running": False, "OOMKilled": True}
    found = from_inspect(INSPECTED | {"State": state})
    assert (found.state, found.health, found.exit_code, found.pid, found.oom_killed) == (
        State.EXITED,
        Health.NONE,
        137,
        None,
        True,
    )
    assert found.status == "Exited (137)"


def test_podmans_words() -> None:
    assert [parse_state(word) for word in ("configured", "initialized", "stopped", "stopping", "Running")] == [
        State.CREATED,
        State.CREATED,
        State.EXITED,
        State.RUNNING,
        State.RUNNING,
    ]
    assert parse_state("dreaming") is State.UNKNOWN
    assert parse_state(None) is State.UNKNOWN
    state = {"Running": True, "Healthcheck": {"Status": "healthy", "Log": None}}
    found = from_inspect({"Id": "x", "Name": "plain", "State": state, "Created": "2026-11-23T17:39:32.5+01:00"})
    assert (found.name, found.state, found.health) == ("plain", State.RUNNING, Health.HEALTHY)
    assert found.created_at == 1795451972.5


def test_times() -> None:
    assert parse_time("2026-11-23T16:39:32.500000001Z") == pytest.approx(1795451972.5)
    assert parse_time("2026-11-23T16:39:32Z") == 1795451972.0
    assert parse_time("2026-11-23T16:39:32.123456789+00:00") == pytest.approx(1795451972.123456)
    for nothing in ("0001-01-01T00:00:00Z", "", "yesterday", "2026-13-45T99:99:99Z", "2026-11-23T16:39:xxZ", None, 7):
        assert parse_time(nothing) is None


def test_names_of_images() -> None:
    assert image_name(DIGEST) == "sha256:4957cb9d21ce"
    assert image_name(f"registry.example/a/b@{DIGEST}") == "registry.example/a/b@sha256:4957cb9d21ce"
    assert image_name("a/b:1") == "a/b:1"
    assert image_name(None) == ""


def test_ports_of_both_address_families_are_one() -> None:
    def both(host: int) -> list[Port | None]:
        return [Port(80, "tcp", host, "::"), Port(80, "tcp", host, "0.0.0.0"), None]

    assert fold_ports(both(8080)) == (Port(80, "tcp", 8080, "0.0.0.0"),)
    assert fold_ports([Port(80, "tcp", 1, "::1"), Port(80, "tcp", 1, "127.0.0.1")]) == (
        Port(80, "tcp", 1, "127.0.0.1"),
    )
    assert fold_ports([Port(80, "tcp", 1, "::")]) == (Port(80, "tcp", 1, "::"),)
    different = fold_ports([Port(80, "tcp", 1, "0.0.0.0"), Port(80, "tcp", 2, "::")])
    assert len(different) == 2
    many = [port for number in range(9000, 9100) for port in both(number)]
    assert [port.host for port in fold_ports(many)] == list(range(9000, 9100))
    assert fold_ports([Port(80), Port(80)]) == (Port(80),)


def test_health_words() -> None:
    assert parse_health("health: starting") is Health.STARTING
    assert parse_health("none") is Health.NONE
    assert parse_health({"x": 1}) is Health.NONE
    assert status_sentence(State.RUNNING, None, Health.STARTING) == "Up (health: starting)"
    assert status_sentence(State.RESTARTING, 1, Health.NONE) == "Restarting (1)"


def test_a_disabled_health_check_is_none() -> None:
    assert not has_healthcheck({"Config": {"Healthcheck": {"Test": ["NONE"]}}})
    assert not has_healthcheck({"Config": {"Healthcheck": None}})


JUNK = (
    None,
    7,
    -1,
    1e308,
    float("nan"),
    True,
    "",
    "x",
    "\x1b[31m",
    "\ud800",
    [],
    [None],
    {},
    {"a": []},
    [[[]]],
    "9" * 400,
)


def _broken(value: Any, chance: random.Random) -> Any:
    """Replace some parts of a value by junk, and leave some out."""
    if chance.random() < 0.15:
        return chance.choice(JUNK)
    if isinstance(value, dict):
        return {key: _broken(item, chance) for key, item in value.items() if chance.random() > 0.1}
    if isinstance(value, list):
        return [_broken(item, chance) for item in value]
    return value


def _object(value: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    return {key: _broken(item, chance) for key, item in value.items()}


@pytest.mark.parametrize("seed", range(20))
def test_no_broken_json_raises_or_lets_a_control_character_through(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(100):
        for found in (from_list(_object(LISTED, chance)), from_inspect(_object(INSPECTED, chance))):
            assert isinstance(found.state, State)
            assert isinstance(found.health, Health)
            assert "\\x1b" not in repr(found)
            hash(found)


def test_endless_texts_are_cut() -> None:
    found = from_list({"Id": "x", "Command": "y" * 1_000_000, "Labels": {"a": "z" * 1_000_000}})
    assert len(found.command) < 5000
    assert len(found.labels[0][1]) < 5000
