from __future__ import annotations

from collections.abc import Callable

import pytest
from _policies import BOOKWORM
from _programs import Programs

from devenv.core.errors import EngineForbidden, EngineUnreachable, ToolMissing
from scripts.machine import apt
from scripts.machine.engine import ensure_engine

BUILDX = '"buildx version") echo github.com/docker/buildx 0.29.1+ds1 0.29.1+ds1-4 ;;'
COMPOSE = '"compose version") echo Docker Compose version v5.6.1 ;;'


def add_docker(programs: Programs, *, server: str, plugins: str = BUILDX + COMPOSE, context: str = "default") -> None:
    """Put a docker CLI on PATH; `server` is what `docker version` does."""
    programs.add(
        "docker",
        f'case "$1 $2" in "version "*) {server} ;; "context show") echo {context} ;; {plugins} *) exit 1 ;; esac',
    )


@pytest.fixture
def not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)


def test_an_engine_that_answers_is_left_alone(programs: Programs) -> None:
    add_docker(programs, server="echo 28.5.2")
    ensure_engine()
    assert {call.split()[1] for call in programs.calls("docker")} == {"version", "buildx", "compose"}
    assert programs.calls() == programs.calls("docker")


def test_an_engine_behind_docker_host_is_as_good(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://builder.test")
    add_docker(programs, server='test "$DOCKER_HOST" = ssh://builder.test && echo 27.0.1')
    ensure_engine()
    assert programs.calls("docker version")


def test_an_engine_that_is_too_old_is_named_and_not_replaced(programs: Programs, debian: Callable[[str], None]) -> None:
    debian(BOOKWORM)
    add_docker(programs, server="echo 20.10.24+dfsg1")
    with pytest.raises(ToolMissing, match=r"20\.10\.24\+dfsg1 answers; 25 or newer"):
        ensure_engine()
    assert programs.calls("apt-get") == []


def test_a_socket_without_permission_is_not_a_missing_engine(programs: Programs, debian: Callable[[str], None]) -> None:
    debian(BOOKWORM)
    add_docker(
        programs, server="echo 'permission denied while trying to connect to the docker API at unix:///x' >&2; exit 1"
    )
    with pytest.raises(EngineForbidden) as raised:
        ensure_engine()
    assert "usermod -aG docker" in raised.value.hint
    assert programs.calls("apt-get") == []


@pytest.mark.parametrize(
    ("variable", "value", "context", "named"),
    [
        ("DOCKER_HOST", "tcp://builder.test:2376", "default", "DOCKER_HOST=tcp://builder.test:2376"),
        ("DOCKER_CONTEXT", "colima", "default", "DOCKER_CONTEXT=colima"),
        ("UNRELATED", "", "desktop-linux", "the docker context 'desktop-linux'"),
    ],
)
def test_another_engine_that_is_down_is_named_and_none_is_installed_in_its_place(
    programs: Programs,
    debian: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    context: str,
    named: str,
) -> None:
    debian(BOOKWORM)
    monkeypatch.setenv(variable, value)
    add_docker(programs, server="echo 'Cannot connect to the Docker daemon' >&2; exit 1", context=context)
    with pytest.raises(EngineUnreachable) as raised:
        ensure_engine()
    assert named in raised.value.message
    assert "Cannot connect" in raised.value.message
    assert programs.calls("apt-get") == []


@pytest.mark.parametrize(
    ("system", "os_release", "advice"),
    [
        ("Darwin", {}, "macOS: "),
        ("Linux", {"ID": "ubuntu", "ID_LIKE": "debian"}, "Ubuntu: "),
        ("Linux", {"ID": "debian"}, "sudo make run"),
        ("Linux", {"ID": "fedora"}, "dnf install"),
        ("Linux", {"ID": "manjaro", "ID_LIKE": "arch"}, "pacman -S"),
        ("Linux", {"ID": "plan9"}, "Docker Engine 25 or newer"),
    ],
)
def test_where_nothing_may_be_installed_the_user_is_told_what_to_install(
    programs: Programs,
    not_root: None,
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    os_release: dict[str, str],
    advice: str,
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr(apt, "os_release", lambda: os_release)
    programs.add("apt-get")
    with pytest.raises(ToolMissing) as raised:
        ensure_engine()
    assert advice in raised.value.hint
    assert programs.calls() == []


def test_windows_with_wsl_has_advice_of_its_own(
    programs: Programs, not_root: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.release", lambda: "5.15.153.1-microsoft-standard-WSL2")
    with pytest.raises(ToolMissing) as raised:
        ensure_engine()
    assert "WSL integration" in raised.value.hint


def test_a_missing_buildx_is_told_where_it_may_not_be_installed(programs: Programs, not_root: None) -> None:
    add_docker(programs, server="echo 28.5.2", plugins=COMPOSE)
    with pytest.raises(ToolMissing, match="no buildx plugin"):
        ensure_engine()
