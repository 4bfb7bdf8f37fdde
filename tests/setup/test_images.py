"""Which image Compose gets: the user's, the default one, or one made here; and how long a pull is waited for."""

from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest
from _apt import BOOKWORM, TESTING, Apt
from _programs import Programs

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


@pytest.fixture(params=[BASE_IMAGE, POSTGRES_IMAGE], ids=["python", "postgres"])
def image(request: pytest.FixtureRequest) -> Image:
    chosen: Image = request.param
    return chosen


@pytest.fixture
def engine(programs: Programs) -> Engine:
    return Engine(programs)


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    (tmp_path / "compose").mkdir()
    return tmp_path / "compose" / ".env"


@pytest.fixture
def bookworm(debian: Apt, programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """A Debian machine with a pinned testing, certificates and mmdebstrap."""
    debian.knows(*BOOKWORM, TESTING)
    bundle = tmp_path / "bundle.crt"
    bundle.write_text("certificates", encoding="ascii")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setattr("scripts.machine.base_image.pip_command", lambda: ["pip"])
    programs.add("pip", "echo \"global.index-url='https://index.test/simple'\"")
    programs.add("mmdebstrap", f'eval "sources=\\${{$#}}"; /bin/cp "$sources" "{tmp_path}/used"; echo tar')
    return programs


def test_the_users_image_is_used_and_nothing_is_pulled_when_it_is_there(
    image: Image, engine: Engine, env_file: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for mine in ("mine:1", f"{image.repository}:bookworm-of-mine"):
        engine.add(mine)
        monkeypatch.setenv(image.variable, mine)
        assert choose_image(image, env_file) == mine
    assert programs.calls("docker pull") == []
    assert not env_file.exists()


def test_the_users_image_is_pulled_when_it_is_not_there(
    image: Image, engine: Engine, env_file: Path, programs: Programs
) -> None:
    engine.set(pull="exit 0")
    env_file.write_text(f"{image.variable}=registry.test/mine:1\n")
    assert choose_image(image, env_file) == "registry.test/mine:1"
    assert programs.calls("docker pull") == ["docker pull registry.test/mine:1"]


def test_a_users_image_that_cannot_be_had_is_an_error_and_is_never_replaced(
    image: Image, engine: Engine, env_file: Path, bookworm: Programs
) -> None:
    engine.set(pull="echo manifest unknown >&2; exit 1")
    env_file.write_text(f"{image.variable}=registry.test/mine:1\n")
    with pytest.raises(DevenvError, match=r"registry\.test/mine:1 .*manifest unknown") as raised:
        choose_image(image, env_file)
    assert "remove it from" in raised.value.hint
    assert env_file.read_text() == f"{image.variable}=registry.test/mine:1\n"
    assert bookworm.calls("mmdebstrap") == []


def test_the_default_image_is_used_when_the_engine_has_it(
    image: Image, engine: Engine, env_file: Path, programs: Programs
) -> None:
    engine.add(image.default)
    assert choose_image(image, env_file) == image.default
    assert programs.calls("docker pull") == []
    assert not env_file.exists()


def test_the_default_image_is_pulled_when_it_can_be(
    image: Image, engine: Engine, env_file: Path, bookworm: Programs
) -> None:
    engine.set(pull="exit 0")
    assert choose_image(image, env_file) == image.default
    assert bookworm.calls("mmdebstrap") == []
    assert not env_file.exists()


def test_an_image_is_made_only_when_the_pull_failed_and_says_so(
    image: Image, engine: Engine, env_file: Path, bookworm: Programs, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    engine.set(pull="echo 'lookup registry.test: no such host' >&2; exit 1")
    made_image = choose_image(image, env_file)
    assert made_image.startswith(f"{image.repository}:bookworm-")
    assert env_file.read_text() == f"# {image.comment}\n{image.variable}={made_image}\n"
    told = capsys.readouterr()
    assert "cannot be pulled: lookup registry.test: no such host" in told.err
    assert told.out == ""
    (made,) = bookworm.calls("mmdebstrap")
    assert f"--include={image.recipe().packages[0]}," in made
    assert " bookworm - " in made
    used = (tmp_path / "used").read_text()
    assert used.count("Signed-By: /usr/share/keyrings/debian.gpg\n") == 3
    assert "testing" not in used
    (imported,) = bookworm.calls("docker import")
    assert all(f"--change {change}" in imported for change in image.recipe().changes)


def test_the_second_run_takes_the_made_image_without_a_pull_or_a_build(
    image: Image, engine: Engine, env_file: Path, bookworm: Programs
) -> None:
    first = choose_image(image, env_file)
    before = len(bookworm.calls())
    assert choose_image(image, env_file) == first
    assert {call.split()[0] for call in bookworm.calls()[before:]} <= {"docker", "pip"}
    assert len(bookworm.calls("docker pull")) == len(bookworm.calls("mmdebstrap")) == 1


def test_a_made_image_that_vanished_is_made_again(
    image: Image, engine: Engine, env_file: Path, bookworm: Programs
) -> None:
    first = choose_image(image, env_file)
    engine.remove(first)
    assert choose_image(image, env_file) == first
    assert len(bookworm.calls("mmdebstrap")) == 2


def test_other_certificates_make_another_image(
    engine: Engine, env_file: Path, bookworm: Programs, tmp_path: Path
) -> None:
    first = choose_image(BASE_IMAGE, env_file)
    (tmp_path / "bundle.crt").write_text("other certificates", encoding="ascii")
    second = choose_image(BASE_IMAGE, env_file)
    assert second != first
    assert f"PYTHON_IMAGE={second}\n" in env_file.read_text()


def test_another_entrypoint_makes_another_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tag = POSTGRES_IMAGE.tag("bookworm")
    assert POSTGRES_IMAGE.is_ours(tag)
    assert POSTGRES_IMAGE.tag("trixie") != tag == POSTGRES_IMAGE.tag("bookworm")
    changed = tmp_path / "entrypoint"
    changed.write_text(postgres_image.ENTRYPOINT.read_text() + "# changed\n")
    monkeypatch.setattr(postgres_image, "ENTRYPOINT", changed)
    assert POSTGRES_IMAGE.tag("bookworm") != tag


def test_rebuild_makes_it_again_though_it_is_there_and_removes_the_old_one(
    image: Image, engine: Engine, env_file: Path, bookworm: Programs
) -> None:
    first = choose_image(image, env_file)
    assert choose_image(image, env_file, rebuild=True) == first
    assert len(bookworm.calls("mmdebstrap")) == 2
    assert bookworm.calls("docker image rm") == ["docker image rm sha256:before"]


def test_when_the_default_can_be_pulled_again_our_line_goes(
    image: Image, engine: Engine, env_file: Path, bookworm: Programs
) -> None:
    env_file.write_text("PORT=3000\n")
    engine.remove(choose_image(image, env_file))
    engine.set(pull="exit 0")
    assert choose_image(image, env_file) == image.default
    assert env_file.read_text() == "PORT=3000\n"


def test_a_build_that_fails_leaves_no_image_and_no_line(
    image: Image, engine: Engine, env_file: Path, bookworm: Programs
) -> None:
    bookworm.add("mmdebstrap", "echo 'E: no such suite' >&2; echo part; exit 3")
    with pytest.raises(DevenvError, match="E: no such suite"):
        choose_image(image, env_file)
    assert bookworm.calls("docker image rm") == ["docker image rm sha256:abc"]
    assert bookworm.calls("docker tag") == []
    assert not env_file.exists()


def test_an_image_that_does_not_run_is_not_kept(
    image: Image, engine: Engine, env_file: Path, bookworm: Programs
) -> None:
    engine.set(run="echo 'it has Python 3.9.2; 3.11 or newer is needed' >&2; exit 1")
    with pytest.raises(DevenvError, match=r"does not run\n  it has Python 3\.9\.2; 3\.11 or newer"):
        choose_image(image, env_file)
    assert bookworm.calls("docker image rm") == ["docker image rm sha256:abc"]
    assert bookworm.calls("docker tag") == []
    assert not env_file.exists()


def test_an_engine_of_another_architecture_is_told_before_anything_is_made(
    image: Image, engine: Engine, env_file: Path, bookworm: Programs
) -> None:
    bookworm.add("dpkg", "echo arm64")
    with pytest.raises(ToolMissing, match="the engine is amd64, this machine is arm64"):
        choose_image(image, env_file)
    assert bookworm.calls("mmdebstrap") == []


def test_elsewhere_the_user_is_told_to_name_an_image(
    image: Image, engine: Engine, env_file: Path, fedora: None
) -> None:
    with pytest.raises(ToolMissing) as raised:
        choose_image(image, env_file)
    assert f"set {image.variable} in compose/.env" in raised.value.hint


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
    assert time.monotonic() - started < 10
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_a_slow_pull_that_reports_progress_is_waited_for(programs: Programs) -> None:
    # Ten steps of 0.1 s are longer than the bound on silence.
    programs.add("docker", "for step in 1 2 3 4 5 6 7 8 9 10; do echo $step; /bin/sleep 0.1; done")
    assert pull("python:3.12-slim", stall_seconds=0.7) == ""
