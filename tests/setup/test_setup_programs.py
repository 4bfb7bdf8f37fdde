"""Programs that only tests need: found, installed on Debian as root, or named."""

from __future__ import annotations

from pathlib import Path

import pytest
from _machine import Apt, Programs

from devenv.core.errors import ToolMissing
from scripts.machine import programs as machine_programs
from scripts.machine import system
from scripts.machine.programs import ensure_browser, ensure_postgres


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(machine_programs, "PACKAGED", tmp_path / "postgresql")
    monkeypatch.setattr(machine_programs, "NO_CLUSTER", tmp_path / "common" / "devenv.conf")
    return tmp_path


def test_a_postgresql_that_is_there_is_left_alone(programs: Programs, bare: Path) -> None:
    folder = bare / "postgresql" / "15" / "bin"
    folder.mkdir(parents=True)
    (folder / "postgres").touch()
    ensure_postgres()
    assert programs.calls() == []


def test_postgresql_is_installed_without_a_database_of_its_own(programs: Programs, debian: Apt, bare: Path) -> None:
    settings = machine_programs.NO_CLUSTER
    programs.apt_get(debian.targets, f'/bin/cp "{settings}" "{bare}/seen"')
    ensure_postgres()
    (install,) = programs.calls("apt-get")
    assert install.endswith("install -y --no-install-recommends postgresql")
    assert (bare / "seen").read_text() == "create_main_cluster = false\n"
    assert not settings.exists(), "what is installed later is none of ours"


def test_a_chromium_with_its_driver_is_left_alone(programs: Programs) -> None:
    programs.add("google-chrome")
    programs.add("chromedriver")
    ensure_browser()
    assert programs.calls() == []


def test_chromium_is_installed_with_its_driver(programs: Programs, debian: Apt) -> None:
    programs.add("chromium")
    ensure_browser()
    (install,) = programs.calls("apt-get")
    assert install.endswith("install -y --no-install-recommends chromium chromium-driver")


def test_elsewhere_they_say_what_to_install(programs: Programs, fedora: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ToolMissing, match="PostgreSQL was not found") as raised:
        ensure_postgres()
    assert raised.value.hint == "Fedora: `sudo dnf install postgresql-server`"
    with pytest.raises(ToolMissing, match="Chromium was not found") as raised:
        ensure_browser()
    assert raised.value.hint == "Fedora: `sudo dnf install chromium chromedriver`"
    monkeypatch.setattr(system, "os_release", lambda: {"ID": "plan9"})
    with pytest.raises(ToolMissing) as raised:
        ensure_browser()
    assert len(raised.value.hint.splitlines()) == 5, "every platform's"
