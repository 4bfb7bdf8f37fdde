"""A machine for the setup scripts that is no real one."""

from __future__ import annotations

from pathlib import Path

import pytest
from _machine import BOOKWORM, Apt, Programs

from scripts.machine import system


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """An empty PATH to put programs on, and no choice of engine or image in the environment."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "PYTHON_IMAGE", "POSTGRES_IMAGE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    return Programs(folder)


@pytest.fixture
def apt(programs: Programs, tmp_path: Path) -> Apt:
    """apt with Debian 12's lists, an old docker.io, and nothing to install."""
    apt = Apt(tmp_path)
    apt.knows(*BOOKWORM)
    programs.apt_get(apt.targets)
    programs.add(
        "apt-cache",
        f'if [ "$#" = 1 ]; then /bin/cat "{apt.policy}"; else echo "  Candidate: 20.10.24+dfsg1-1"; fi',
    )
    programs.add("apt-config")
    programs.add("dpkg", "echo amd64")
    return apt


@pytest.fixture
def debian(apt: Apt, monkeypatch: pytest.MonkeyPatch) -> Apt:
    """Turn this into a Debian machine run by root."""
    monkeypatch.setattr(system, "os_release", lambda: {"ID": "debian"})
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return apt


@pytest.fixture
def fedora(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn this into a machine where nothing may be installed."""
    monkeypatch.setattr(system, "os_release", lambda: {"ID": "fedora"})
