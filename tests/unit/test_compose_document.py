"""Compose's canonical document as our records."""

from __future__ import annotations

import json

import pytest

from devenv.backends.compose import ComposeOptions
from devenv.backends.compose.resolve import parse_project
from devenv.core.errors import ProjectError
from devenv.core.model import Dependency, Port, Project

OPTIONS = ComposeOptions(directory="/p", files=("/p/sub/compose.yaml",))


def parse(services: dict[str, object], **top: object) -> Project:
    return parse_project(json.dumps({"name": "p", "services": services, **top}).encode(), OPTIONS)


def test_a_service_with_everything() -> None:
    body = {
        "image": "img",
        "build": {"context": "."},
        "restart": "on-failure:3",
        "scale": 2,
        "healthcheck": {"test": ["CMD", "true"]},
        "depends_on": {"b": {"condition": "service_healthy", "required": True}, "c": {"required": False}},
        "ports": [
            {"target": 80, "published": "8080", "host_ip": "127.0.0.1", "protocol": "tcp"},
            {"target": 81, "published": "9000-9001", "protocol": "udp"},
        ],
    }
    service = parse({"a": body, "b": {}, "c": {}}).services[0]
    assert (service.name, service.image, service.builds, service.replicas) == ("a", "img", True, 2)
    assert (service.restart, service.has_healthcheck) == ("on-failure:3", True)
    assert service.depends_on == (
        Dependency("b", "service_healthy"),
        Dependency("c", "service_started", required=False),
    )
    assert service.ports == (Port(80, "tcp", 8080, "127.0.0.1"), Port(81, "udp", None, ""))


def test_a_service_of_a_provider_has_no_replicas() -> None:
    service = parse({"a": {"provider": {"type": "cloud"}, "scale": 2}}).services[0]
    assert (service.provider, service.replicas) == ("cloud", 0)


def test_whose_namespaces_a_service_lives_in() -> None:
    body = {"network_mode": "service:gw", "pid": "service:gw", "ipc": "service:other"}
    assert parse({"a": body}).services[0].shares == ("gw", "other")
    assert parse({"a": {"network_mode": "host", "ipc": "shareable"}}).services[0].shares == ()


def test_the_least_a_service_can_be() -> None:
    service = parse({"a": None}).services[0]
    assert (service.replicas, service.restart, service.has_healthcheck, service.builds) == (1, "no", False, False)


@pytest.mark.parametrize("check", [{"disable": True, "test": ["CMD", "x"]}, {"test": ["NONE"]}])
def test_a_disabled_health_check_is_none(check: dict[str, object]) -> None:
    assert not parse({"a": {"healthcheck": check}}).services[0].has_healthcheck


@pytest.mark.parametrize(
    ("policy", "restart"),
    [
        ({"condition": "none"}, "no"),
        ({"condition": "any"}, "always"),
        ({"condition": "on-failure", "max_attempts": 2}, "on-failure:2"),
        ({"condition": "on-failure"}, "on-failure"),
        ({"max_attempts": 2}, "always"),
    ],
)
def test_the_restart_policy_may_be_under_deploy(policy: dict[str, object], restart: str) -> None:
    assert parse({"a": {"deploy": {"replicas": 3, "restart_policy": policy}}}).services[0].restart == restart


def test_scale_zero_and_deploy_replicas() -> None:
    services = parse({"a": {"scale": 0}, "b": {"deploy": {"replicas": 3}}}).services
    assert [service.replicas for service in services] == [0, 3]


def test_external_volumes_are_nobodys_to_delete() -> None:
    project = parse({}, volumes={"data": {"name": "p_data"}, "ext": {"name": "other", "external": True}})
    assert project.volumes == ("p_data",)
    assert project.directory == "/p/sub"


def test_hostile_text_is_made_safe() -> None:
    assert parse({"a": {"image": "\x1b]52;c;x\x07img[/foo]"}}).services[0].image == "img[/foo]"


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"name": "p", "services": {"a": {"ports": [{}]}}}'])
def test_what_compose_would_never_say_is_an_error(text: bytes) -> None:
    with pytest.raises(ProjectError, match="does not understand"):
        parse_project(text, OPTIONS)
