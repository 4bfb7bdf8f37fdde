"""What the user is told to do when no engine answers."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from devenv.backends.docker.client import connect, hint_for
from devenv.backends.docker.endpoint import Endpoint, resolve_endpoint
from devenv.core.errors import EngineUnreachable, UsageError


def listen(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def test_another_engine_that_is_there_is_named(tmp_path: Path) -> None:
    nobody = Endpoint("unix:///nowhere/docker.sock")
    environ = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    assert "Start it" in hint_for(nobody, environ)
    listen(tmp_path / ".colima" / "default" / "docker.sock")
    assert "Colima" in hint_for(nobody, environ)
    listen(tmp_path / "run" / "docker.sock")
    hint = hint_for(nobody, environ)
    assert "Rootless" in hint
    assert f"DOCKER_HOST=unix://{tmp_path}/run/docker.sock" in hint
    assert "Rootless" not in hint_for(Endpoint(f"unix://{tmp_path}/run/docker.sock"), environ)


def test_what_chose_the_engine_is_named() -> None:
    assert "DOCKER_HOST" in hint_for(Endpoint("tcp://x:1", source="DOCKER_HOST"), {})
    hint = hint_for(Endpoint("tcp://x:1", context="colima", source="/home/me/.docker/config.json"), {})
    assert "colima" in hint
    assert "/home/me/.docker/config.json" in hint


def test_nobody_listens_on_a_port() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EngineUnreachable, match="nobody listens"):
        connect(resolve_endpoint({"DOCKER_HOST": f"tcp://127.0.0.1:{port}"}))


@pytest.mark.parametrize("host", ["tcp://127.0.0.1:1?x=1", "tcp://me:secret@127.0.0.1:1"])
def test_an_address_that_the_sdk_refuses(host: str) -> None:
    with pytest.raises(UsageError, match="cannot be used") as caught:
        connect(resolve_endpoint({"DOCKER_HOST": host}))
    assert "secret" not in caught.value.message
