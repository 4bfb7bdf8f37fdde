"""The override that isolates a copy: what it changes, what it refuses, and that Compose itself merges it so."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from devenv.core.errors import ProjectError
from devenv.verify.environment import Identity, Tagged, isolate, to_yaml

IDENTITY = Identity("copy1", {"devenv.run": "r1"})
COMPOSE = """
name: shop
services:
  web:
    build: {context: ., tags: ["shop:latest"]}
    image: shop-web:dev
    container_name: shop
    ports: ["127.0.0.1:8000:80", "9000:90/udp"]
    volumes: ["data:/data", "./www:/www", "outer:/outer"]
    networks: [inner, outer]
  worker:
    image: shop-web:dev
    labels: {mine: $$x}
  other:
    image: elsewhere:1
volumes: {data: {name: fixed}, outer: {external: true}}
networks: {inner: {ipam: {config: [{subnet: 10.99.0.0/24}]}}, outer: {external: true, name: shared}}
"""


def config(folder: Path, *files: str) -> dict[str, Any]:
    options = [part for file in files for part in ("-f", file)]
    command = ["docker", "compose", *options, "-p", "copy1", "config", "--format", "json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_compose_merges_it_into_a_project_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    before = config(tmp_path, "compose.yaml")
    (tmp_path / "o.yaml").write_text(isolate(before, before, tmp_path, IDENTITY))
    found = config(tmp_path, "compose.yaml", "o.yaml")
    web, worker, other = (found["services"][name] for name in ("web", "worker", "other"))
    assert [port.get("published") for port in web["ports"]] == [None, None]
    assert [(port["target"], port["protocol"], port.get("host_ip")) for port in web["ports"]] == [
        (80, "tcp", "127.0.0.1"),
        (90, "udp", None),
    ]
    assert "container_name" not in web
    assert web["image"] == "devenv-verify/copy1:web" == worker["image"]
    assert "tags" not in web["build"]
    assert web["build"]["labels"] == {"devenv.run": "r1"}
    assert other["image"] == "elsewhere:1"
    assert worker["labels"] == {"devenv.run": "r1", "mine": "$$x"}
    assert {key: body["name"] for key, body in found["volumes"].items()} == {
        "data": "copy1_data",
        "outer": "copy1_outer",
    }
    assert {key: (body["name"], body.get("external")) for key, body in found["networks"].items()} == {
        "default": ("copy1_default", None),
        "inner": ("copy1_inner", None),
        "outer": ("copy1_outer", None),
    }
    assert "config" not in found["networks"]["inner"]["ipam"]


@pytest.mark.parametrize(
    ("service", "told"),
    [
        ({"network_mode": "host"}, "network_mode: host"),
        ({"network_mode": "container:abc"}, "network_mode: container:abc"),
        ({"external_links": ["db"]}, "external_links"),
        ({"networks": {"default": {"ipv4_address": "10.1.1.1"}}}, "fixed address"),
        ({"volumes": [{"type": "bind", "source": "/etc", "target": "/x"}]}, "may write to /etc"),
    ],
)
def test_what_cannot_run_twice_is_refused_with_the_reason(tmp_path: Path, service: dict[str, Any], told: str) -> None:
    document = {"name": "shop", "services": {"web": service}}
    with pytest.raises(ProjectError, match=told):
        isolate(document, document, tmp_path, IDENTITY)


def test_a_volume_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    document = {"name": "shop", "services": {}, "volumes": {"v": {"driver_opts": {"device": "/srv"}}}}
    with pytest.raises(ProjectError, match="volume v is the device or folder /srv"):
        isolate(document, document, tmp_path, IDENTITY)


def test_read_only_mounts_from_outside_stay_where_they_are(tmp_path: Path) -> None:
    mount = {"type": "bind", "source": "/etc/hostname", "target": "/x", "read_only": True}
    document = {"name": "shop", "services": {"web": {"volumes": [mount]}}}
    assert '"source": "/etc/hostname"' in isolate(document, document, tmp_path, IDENTITY)


def test_yaml_has_tags_and_doubles_dollars() -> None:
    assert to_yaml({"a": Tagged("reset"), "b": ["$x", 1, False]}) == '{"a": !reset null, "b": ["$$x", 1, false]}'
