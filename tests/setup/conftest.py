"""A machine for the setup scripts that is no real one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from _programs import Programs

from scripts.machine import apt


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """An empty PATH to put programs on, and no choice of engine or image in the environment."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "PYTHON_IMAGE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    return Programs(folder)


@pytest.fixture
def debian(programs: Programs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Turn this into a Debian machine run by root whose apt knows the releases of a policy text."""

    def become(policy: str) -> None:
        monkeypatch.setattr(apt, "os_release", lambda: {"ID": "debian"})
        monkeypatch.setattr(apt, "APT_FOLDER", tmp_path / "apt")
        monkeypatch.setattr("os.geteuid", lambda: 0)
        text = tmp_path / "policy"
        text.write_text(policy, encoding="utf-8")
        programs.add("apt-get")
        programs.add(
            "apt-cache",
            f'if [ "$#" = 1 ]; then while IFS= read -r line; do printf "%s\\n" "$line"; done <"{text}"; '
            'else printf "  Candidate: 20.10.24+dfsg1-1\\n"; fi',
        )
        programs.add("apt-config")
        programs.add("dpkg", "echo amd64")

    return become
