"""The PostgreSQL programs for the tests: found, installed on Debian as root, or named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from _policies import BOOKWORM
from _programs import Programs

from devenv.core.errors import ToolMissing
from scripts.machine import postgres_server
from scripts.machine.postgres_server import ensure_server


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(postgres_server, "PACKAGED", tmp_path / "postgresql")
    monkeypatch.setattr(postgres_server, "NO_CLUSTER", tmp_path / "common" / "devenv.conf")
    return tmp_path


def test_one_that_is_there_is_left_alone(programs: Programs, bare: Path) -> None:
    folder = bare / "postgresql" / "15" / "bin"
    folder.mkdir(parents=True)
    (folder / "postgres").touch()
    ensure_server()
    assert programs.calls() == []


def test_it_is_installed_without_a_database_of_its_own(
    programs: Programs, debian: Callable[[str], None], bare: Path
) -> None:
    debian(BOOKWORM)
    settings = postgres_server.NO_CLUSTER
    programs.add("apt-get", f'while read -r line; do echo "apt-get: $line" >>"{bare}/seen"; done <"{settings}"')
    ensure_server()
    (install,) = programs.calls("apt-get")
    assert install.endswith("install -y --no-install-recommends postgresql")
    assert (bare / "seen").read_text() == "apt-get: create_main_cluster = false\n"
    assert not settings.exists(), "what is installed later is none of ours"


def test_elsewhere_it_says_what_to_install(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.machine.apt.os_release", lambda: {"ID": "fedora"})
    with pytest.raises(ToolMissing, match="PostgreSQL was not found") as raised:
        ensure_server()
    assert "postgresql" in raised.value.hint
