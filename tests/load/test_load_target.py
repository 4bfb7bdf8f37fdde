"""Where load may be sent: what is refused is refused before a byte is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.core.errors import Refused
from devenv.core.settings import load_config
from devenv.load.target import find_target
from fakes.api_server import ApiServer


def folder_with(tmp_path: Path, settings: str) -> Path:
    (tmp_path / "devenv.toml").write_text(settings, "utf-8")
    return tmp_path


def test_a_context_that_is_not_allowed_gets_no_load(tmp_path: Path) -> None:
    with ApiServer() as api:
        kubeconfig = api.kubeconfig(tmp_path / "kubeconfig", context="production")
        environ = {"KUBECONFIG": str(kubeconfig), "HOME": str(tmp_path), "PATH": "/usr/bin"}
        folder = folder_with(tmp_path, '[load]\nservice = "frontend"\n')
        for host in ("", "http://127.0.0.1:1"):
            with pytest.raises(Refused, match="production is not one that load tests may write into") as told:
                find_target("kubernetes", host, "", folder, load_config(folder, environ), environ)
            assert 'allow = ["production"]' in told.value.hint
        assert not api.requests


@pytest.mark.parametrize(("target", "host"), [("compose", ""), ("kubernetes", ""), ("", "http://127.0.0.1:1")])
def test_nothing_gets_load_in_read_only_mode(tmp_path: Path, target: str, host: str) -> None:
    folder = folder_with(tmp_path, "read_only = true\n")
    with pytest.raises(Refused, match="read-only mode"):
        find_target(target, host, "", folder, load_config(folder, {}), {"HOME": str(tmp_path), "PATH": "/usr/bin"})
