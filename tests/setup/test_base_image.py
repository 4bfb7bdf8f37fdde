from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from _policies import BOOKWORM, PINNED_TESTING, SOURCES_DEB822
from _programs import Programs

from devenv.core.errors import DevenvError, ToolMissing
from scripts.machine.base_image import COMMENT, DEFAULT_IMAGE, choose_image
from scripts.machine.base_recipe import REPOSITORY


class Engine:
    """A docker CLI whose engine has the images that it is told to have."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self.images = programs.folder / ".images"
        self.images.mkdir()
        self.set()

    def set(self, *, pull: str = "exit 1", run: str = "echo '3.11.2 (main)'") -> None:
        self._programs.add(
            "docker",
            f"""case "$1 $2" in
"image inspect") eval "name=\\${{$#}}"; test -e "{self.images}/${{name##*/}}" && echo 93000000 ;;
"image rm") echo gone ;;
"pull "*) {pull} ;;
"version "*) echo amd64 ;;
"import "*) while read -r line; do :; done; echo sha256:abc ;;
"tag "*) : >"{self.images}/${{3##*/}}" ;;
"build "*) : >"{self.images}/${{4##*/}}" ;;
"run "*) {run} ;;
esac""",
        )

    def add(self, name: str) -> None:
        (self.images / name.rpartition("/")[2]).touch()


@pytest.fixture
def engine(programs: Programs) -> Engine:
    return Engine(programs)


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / "compose" / ".env"


@pytest.fixture
def bookworm(
    debian: Callable[[str], None], programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Programs:
    """A Debian machine with a pinned testing, certificates and mmdebstrap."""
    debian(BOOKWORM + PINNED_TESTING)
    parts = tmp_path / "apt" / "sources.list.d"
    parts.mkdir(parents=True)
    (parts / "debian.sources").write_text(SOURCES_DEB822, encoding="utf-8")
    bundle = tmp_path / "bundle.crt"
    bundle.write_text("certificates", encoding="ascii")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setattr("scripts.machine.base_build.pip_command", lambda: ["pip"])
    programs.add("pip", "echo \"global.index-url='https://index.test/simple'\"")
    programs.add("mmdebstrap", "echo tar")
    return programs


def test_the_users_image_is_used_and_nothing_is_pulled_when_it_is_there(
    engine: Engine, env_file: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.add("mine:1")
    monkeypatch.setenv("PYTHON_IMAGE", "mine:1")
    assert choose_image(env_file) == "mine:1"
    assert programs.calls("docker pull") == []
    assert not env_file.exists()


def test_the_users_image_is_pulled_when_it_is_not_there(engine: Engine, env_file: Path, programs: Programs) -> None:
    engine.set(pull="exit 0")
    env_file.parent.mkdir()
    env_file.write_text("PYTHON_IMAGE=registry.test/mine:1\n")
    assert choose_image(env_file) == "registry.test/mine:1"
    assert programs.calls("docker pull") == ["docker pull registry.test/mine:1"]


def test_a_users_image_that_cannot_be_had_is_an_error_and_is_never_replaced(
    engine: Engine, env_file: Path, bookworm: Programs
) -> None:
    engine.set(pull="echo manifest unknown >&2; exit 1")
    env_file.parent.mkdir()
    env_file.write_text("PYTHON_IMAGE=registry.test/mine:1\n")
    with pytest.raises(DevenvError, match=r"registry\.test/mine:1 .*manifest unknown") as raised:
        choose_image(env_file)
    assert "remove it from" in raised.value.hint
    assert env_file.read_text() == "PYTHON_IMAGE=registry.test/mine:1\n"
    assert bookworm.calls("mmdebstrap") == []


def test_the_default_image_is_used_when_the_engine_has_it(engine: Engine, env_file: Path, programs: Programs) -> None:
    engine.add(DEFAULT_IMAGE)
    assert choose_image(env_file) == DEFAULT_IMAGE
    assert programs.calls("docker pull") == []
    assert not env_file.exists()


def test_the_default_image_is_pulled_when_it_can_be(engine: Engine, env_file: Path, bookworm: Programs) -> None:
    engine.set(pull="exit 0")
    assert choose_image(env_file) == DEFAULT_IMAGE
    assert bookworm.calls("mmdebstrap") == []
    assert not env_file.exists()


def test_an_image_is_made_only_when_the_pull_failed_and_says_so(
    engine: Engine, env_file: Path, bookworm: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.set(pull="echo 'lookup registry.test: no such host' >&2; exit 1")
    image = choose_image(env_file)
    assert image.startswith(f"{REPOSITORY}:bookworm-")
    assert env_file.read_text() == f"# {COMMENT}\nPYTHON_IMAGE={image}\n"
    told = capsys.readouterr()
    assert "cannot be pulled: lookup registry.test: no such host" in told.err
    assert told.out == ""
    (made,) = bookworm.calls("mmdebstrap")
    assert " bookworm - " in made
    assert "testing" not in made


def test_the_second_run_takes_the_made_image_without_a_pull_or_a_build(
    engine: Engine, env_file: Path, bookworm: Programs
) -> None:
    first = choose_image(env_file)
    before = len(bookworm.calls())
    assert choose_image(env_file) == first
    assert {call.split()[0] for call in bookworm.calls()[before:]} == {"docker", "pip"}
    assert len(bookworm.calls("docker pull")) == len(bookworm.calls("mmdebstrap")) == 1


def test_a_made_image_that_vanished_is_made_again(engine: Engine, env_file: Path, bookworm: Programs) -> None:
    first = choose_image(env_file)
    (engine.images / first.rpartition("/")[2]).unlink()
    assert choose_image(env_file) == first
    assert len(bookworm.calls("mmdebstrap")) == 2


def test_other_certificates_make_another_image(
    engine: Engine, env_file: Path, bookworm: Programs, tmp_path: Path
) -> None:
    first = choose_image(env_file)
    (tmp_path / "bundle.crt").write_text("other certificates", encoding="ascii")
    second = choose_image(env_file)
    assert second != first
    assert f"PYTHON_IMAGE={second}\n" in env_file.read_text()


def test_rebuild_makes_it_again_though_it_is_there(engine: Engine, env_file: Path, bookworm: Programs) -> None:
    first = choose_image(env_file)
    assert choose_image(env_file, rebuild=True) == first
    assert len(bookworm.calls("mmdebstrap")) == 2


def test_when_the_default_can_be_pulled_again_our_line_goes(engine: Engine, env_file: Path, bookworm: Programs) -> None:
    env_file.parent.mkdir()
    env_file.write_text("PORT=3000\n")
    first = choose_image(env_file)
    (engine.images / first.rpartition("/")[2]).unlink()
    engine.set(pull="exit 0")
    assert choose_image(env_file) == DEFAULT_IMAGE
    assert env_file.read_text() == "PORT=3000\n"


def test_a_build_that_fails_leaves_no_image_and_no_line(engine: Engine, env_file: Path, bookworm: Programs) -> None:
    bookworm.add("mmdebstrap", "echo 'E: no such suite' >&2; echo part; exit 3")
    with pytest.raises(DevenvError, match="E: no such suite"):
        choose_image(env_file)
    assert bookworm.calls("docker image rm") == ["docker image rm sha256:abc"]
    assert bookworm.calls("docker tag") == []
    assert not env_file.exists()


def test_a_debian_with_an_old_python_is_refused(engine: Engine, env_file: Path, bookworm: Programs) -> None:
    engine.set(run="echo '3.9.2 (default)'")
    with pytest.raises(DevenvError, match=r"Python 3\.9\.2; 3\.11 or newer"):
        choose_image(env_file)
    assert not env_file.exists()


def test_elsewhere_the_user_is_told_to_name_an_image(
    engine: Engine, env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.machine.apt.os_release", lambda: {"ID": "fedora"})
    with pytest.raises(ToolMissing) as raised:
        choose_image(env_file)
    assert "set PYTHON_IMAGE in compose/.env" in raised.value.hint
