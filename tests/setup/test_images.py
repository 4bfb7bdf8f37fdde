"""Which image Compose gets: the user's, the default one, or one made here; and how long a pull is waited for."""

from __future__ import annotations

import stat
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from _machine import BOOKWORM, TESTING, Apt, Programs

from devenv.core.errors import DevenvError, ToolMissing
from scripts.machine import postgres_image
from scripts.machine.base_image import BASE_IMAGE
from scripts.machine.images import Image, choose_image, pull
from scripts.machine.postgres_image import POSTGRES_IMAGE, ensure_password


class Engine:
    """A docker CLI whose engine has the images that it is told to have."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self.images = programs.folder / ".images"
        self.images.mkdir()
        self.set()

    def set(self, *, pull: str = "exit 1", run: str = "exit 0") -> None:
        self._programs.add(
            "docker",
            f"""case "$1 $2" in
"image inspect") eval "name=\\${{$#}}"; test -e "{self.images}/${{name##*/}}" && echo sha256:before ;;
"pull "*) {pull} ;;
"version "*) echo amd64 ;;
"import "*) /bin/cat >/dev/null; echo sha256:abc ;;
"tag "*) : >"{self.images}/${{3##*/}}" ;;
"run "*) {run} ;;
esac""",
        )

    def add(self, name: str) -> None:
        (self.images / name.rpartition("/")[2]).touch()

    def remove(self, name: str) -> None:
        (self.images / name.rpartition("/")[2]).unlink()


@dataclass(frozen=True)
class Case:
    """One of the two images, on a Debian machine with a pinned testing, certificates and mmdebstrap."""

    image: Image
    engine: Engine
    machine: Programs
    env_file: Path

    def choose(self, *, rebuild: bool = False) -> str:
        return choose_image(self.image, self.env_file, rebuild=rebuild)


@pytest.fixture(params=[BASE_IMAGE, POSTGRES_IMAGE], ids=["python", "postgres"])
def case(
    request: pytest.FixtureRequest, debian: Apt, programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Case:
    debian.knows(*BOOKWORM, TESTING)
    bundle = tmp_path / "bundle.crt"
    bundle.write_text("certificates", encoding="ascii")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setattr("scripts.machine.base_image.pip_command", lambda: ["pip"])
    programs.add("pip", "echo \"global.index-url='https://index.test/simple'\"")
    programs.add("mmdebstrap", f'eval "sources=\\${{$#}}"; /bin/cp "$sources" "{tmp_path}/used"; echo tar')
    return Case(request.param, Engine(programs), programs, tmp_path / ".env")


def test_the_users_image_is_used_and_nothing_is_pulled_when_it_is_there(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    for mine in ("mine:1", f"{case.image.repository}:bookworm-of-mine"):
        case.engine.add(mine)
        monkeypatch.setenv(case.image.variable, mine)
        assert case.choose() == mine
    assert case.machine.calls("docker pull") == []
    assert not case.env_file.exists()


def test_the_users_image_is_pulled_when_it_is_not_there(case: Case) -> None:
    case.engine.set(pull="exit 0")
    case.env_file.write_text(f"{case.image.variable}=registry.test/mine:1\n")
    assert case.choose() == "registry.test/mine:1"
    assert case.machine.calls("docker pull") == ["docker pull registry.test/mine:1"]


def test_a_users_image_that_cannot_be_had_is_an_error_and_is_never_replaced(case: Case) -> None:
    case.engine.set(pull="echo manifest unknown >&2; exit 1")
    case.env_file.write_text(f"{case.image.variable}=registry.test/mine:1\n")
    with pytest.raises(DevenvError, match=r"registry\.test/mine:1 .*manifest unknown") as raised:
        case.choose()
    assert "remove it from" in raised.value.hint
    assert case.env_file.read_text() == f"{case.image.variable}=registry.test/mine:1\n"
    assert case.machine.calls("mmdebstrap") == []


@pytest.mark.parametrize("there", [True, False])
def test_the_default_image_is_used_when_it_is_there_or_can_be_pulled(case: Case, there: bool) -> None:
    if there:
        case.engine.add(case.image.default)
    else:
        case.engine.set(pull="exit 0")
    assert case.choose() == case.image.default
    assert case.machine.calls("docker pull") == ([] if there else [f"docker pull {case.image.default}"])
    assert case.machine.calls("mmdebstrap") == []
    assert not case.env_file.exists()


def test_an_image_is_made_only_when_the_pull_failed_and_says_so(
    case: Case, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    case.engine.set(pull="echo 'lookup registry.test: no such host' >&2; exit 1")
    made_image = case.choose()
    assert made_image.startswith(f"{case.image.repository}:bookworm-")
    assert case.env_file.read_text() == f"# {case.image.comment}\n{case.image.variable}={made_image}\n"
    told = capsys.readouterr()
    assert "cannot be pulled: lookup registry.test: no such host" in told.err
    assert told.out == ""
    (made,) = case.machine.calls("mmdebstrap")
    assert f"--include={case.image.recipe().packages[0]}," in made
    assert " bookworm - " in made
    used = (tmp_path / "used").read_text()
    assert used.count("Signed-By: /usr/share/keyrings/debian.gpg\n") == 3
    assert "testing" not in used
    (imported,) = case.machine.calls("docker import")
    assert all(f"--change {change}" in imported for change in case.image.recipe().changes)


def test_the_second_run_takes_the_made_image_without_a_pull_or_a_build(case: Case) -> None:
    first = case.choose()
    before = len(case.machine.calls())
    assert case.choose() == first
    assert {call.split()[0] for call in case.machine.calls()[before:]} <= {"docker", "pip"}
    assert len(case.machine.calls("docker pull")) == len(case.machine.calls("mmdebstrap")) == 1


def test_a_made_image_that_vanished_is_made_again(case: Case) -> None:
    first = case.choose()
    case.engine.remove(first)
    assert case.choose() == first
    assert len(case.machine.calls("mmdebstrap")) == 2


def test_other_contents_make_another_image(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = case.choose()
    assert first != case.image.tag("trixie")
    (tmp_path / "bundle.crt").write_text("other certificates", encoding="ascii")
    changed = tmp_path / "entrypoint"
    changed.write_text(postgres_image.ENTRYPOINT.read_text() + "# changed\n")
    monkeypatch.setattr(postgres_image, "ENTRYPOINT", changed)
    second = case.choose()
    assert second != first
    assert case.env_file.read_text() == f"# {case.image.comment}\n{case.image.variable}={second}\n"


def test_rebuild_makes_it_again_though_it_is_there_and_removes_the_old_one(case: Case) -> None:
    first = case.choose()
    assert case.choose(rebuild=True) == first
    assert len(case.machine.calls("mmdebstrap")) == 2
    assert case.machine.calls("docker image rm") == ["docker image rm sha256:before"]


def test_when_the_default_can_be_pulled_again_our_line_goes(case: Case) -> None:
    case.env_file.write_text("PORT=3000\n")
    case.engine.remove(case.choose())
    case.engine.set(pull="exit 0")
    assert case.choose() == case.image.default
    assert case.env_file.read_text() == "PORT=3000\n"


@pytest.mark.parametrize("runs", [False, True])
def test_a_build_that_fails_or_does_not_run_leaves_no_image_and_no_line(case: Case, runs: bool) -> None:
    if runs:
        case.engine.set(run="echo 'it has Python 3.9.2' >&2; exit 1")
    else:
        case.machine.add("mmdebstrap", "echo 'E: no such suite' >&2; echo part; exit 3")
    with pytest.raises(DevenvError, match=r"does not run\n  it has Python 3\.9\.2" if runs else "E: no such suite"):
        case.choose()
    assert case.machine.calls("docker image rm") == ["docker image rm sha256:abc"]
    assert case.machine.calls("docker tag") == []
    assert not case.env_file.exists()


def test_an_engine_of_another_architecture_is_told_before_anything_is_made(case: Case) -> None:
    case.machine.add("dpkg", "echo arm64")
    with pytest.raises(ToolMissing, match="the engine is amd64, this machine is arm64"):
        case.choose()
    assert case.machine.calls("mmdebstrap") == []


def test_elsewhere_the_user_is_told_to_name_an_image(case: Case, fedora: None) -> None:
    with pytest.raises(ToolMissing) as raised:
        case.choose()
    assert f"set {case.image.variable} in compose/.env" in raised.value.hint


def test_the_password_is_made_once_and_hidden_by_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "secrets" / "database-password"
    ensure_password(file)
    first = file.read_text()
    assert len(first.strip()) == 48
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o444, "users inside containers read it through a mount"
    ensure_password(file)
    assert file.read_text() == first


def test_a_pull_that_ends_well_has_no_reason_to_fail(programs: Programs) -> None:
    programs.add("docker", "echo Status: Downloaded newer image")
    assert pull("python:3.12-slim") == ""
    assert programs.calls() == ["docker pull python:3.12-slim"]


def test_a_refused_pull_says_dockers_last_line(programs: Programs) -> None:
    programs.add("docker", "echo Pulling; echo 'Error: lookup registry.test: no such host' >&2; exit 1")
    assert pull("python:3.12-slim") == "Error: lookup registry.test: no such host"


def test_a_silent_registry_is_given_up_and_nothing_keeps_running(programs: Programs, tmp_path: Path) -> None:
    programs.add("docker", f"echo $$ >{tmp_path}/pid; echo Pulling; trap '' HUP TERM; /bin/sleep 60")
    started = time.monotonic()
    assert pull("python:3.12-slim", stall_seconds=0.3) == "no progress within 0.3 s"
    assert time.monotonic() - started < 40
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_a_slow_pull_that_reports_progress_is_waited_for(programs: Programs) -> None:
    # Ten steps of 0.1 s are longer than the bound on silence.
    programs.add("docker", "for step in 1 2 3 4 5 6 7 8 9 10; do echo $step; /bin/sleep 0.1; done")
    assert pull("python:3.12-slim", stall_seconds=0.7) == ""
