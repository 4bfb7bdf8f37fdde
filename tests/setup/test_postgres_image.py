"""Which PostgreSQL image Compose gets, and its password."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from _programs import Programs
from test_base_image import Engine, bookworm, engine, env_file

from devenv.core.errors import DevenvError, ToolMissing
from scripts.machine import postgres_recipe
from scripts.machine.postgres_image import COMMENT, DEFAULT_IMAGE, choose_image, ensure_password
from scripts.machine.postgres_recipe import REPOSITORY, is_ours, tag_for

__all__ = ["bookworm", "engine", "env_file"]  # fixtures: pytest finds them here


def test_an_image_is_made_only_when_the_pull_failed_and_says_so(
    engine: Engine, env_file: Path, bookworm: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.set(pull="echo 'no such host' >&2; exit 1")
    image = choose_image(env_file)
    assert image.startswith(f"{REPOSITORY}:bookworm-")
    assert env_file.read_text() == f"# {COMMENT}\nPOSTGRES_IMAGE={image}\n"
    told = capsys.readouterr()
    assert "cannot be pulled: no such host" in told.err
    assert told.out == ""
    (made,) = bookworm.calls("mmdebstrap")
    assert "--include=postgresql," in made
    (built,) = bookworm.calls("docker build")
    assert f"--tag {image} " in built


def test_the_second_run_takes_the_made_image(engine: Engine, env_file: Path, bookworm: Programs) -> None:
    first = choose_image(env_file)
    assert choose_image(env_file) == first
    assert len(bookworm.calls("docker pull")) == len(bookworm.calls("mmdebstrap")) == 1


def test_the_default_image_is_used_when_it_can_be_had(engine: Engine, env_file: Path, bookworm: Programs) -> None:
    engine.set(pull="exit 0")
    assert choose_image(env_file) == DEFAULT_IMAGE
    assert bookworm.calls("mmdebstrap") == []
    assert not env_file.exists()


def test_a_users_image_is_never_replaced(engine: Engine, env_file: Path, bookworm: Programs) -> None:
    env_file.parent.mkdir()
    env_file.write_text("POSTGRES_IMAGE=registry.test/mine:1\n")
    with pytest.raises(DevenvError, match=r"registry\.test/mine:1 is not there"):
        choose_image(env_file)
    engine.add("registry.test/mine:1")
    assert choose_image(env_file) == "registry.test/mine:1"
    assert bookworm.calls("mmdebstrap") == []


def test_an_image_that_does_not_run_is_not_kept(engine: Engine, env_file: Path, bookworm: Programs) -> None:
    engine.set(run="echo 'initdb: not found' >&2; exit 127")
    with pytest.raises(DevenvError, match="does not run\ninitdb: not found"):
        choose_image(env_file)
    assert any(call.startswith(f"docker image rm {REPOSITORY}") for call in bookworm.calls("docker image rm"))
    assert not env_file.exists()


def test_elsewhere_the_user_is_told_to_name_an_image(
    engine: Engine, env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.machine.apt.os_release", lambda: {"ID": "fedora"})
    with pytest.raises(ToolMissing) as raised:
        choose_image(env_file)
    assert "set POSTGRES_IMAGE in compose/.env" in raised.value.hint


def test_the_tag_is_another_when_the_image_would_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tag = tag_for("bookworm")
    assert is_ours(tag)
    assert tag_for("trixie") != tag == tag_for("bookworm")
    changed = tmp_path / "entrypoint"
    changed.write_text(postgres_recipe.ENTRYPOINT.read_text() + "# changed\n")
    monkeypatch.setattr(postgres_recipe, "ENTRYPOINT", changed)
    assert tag_for("bookworm") != tag


def test_the_password_is_made_once_and_hidden_by_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "secrets" / "database-password"
    ensure_password(file)
    first = file.read_text()
    assert len(first.strip()) == 48
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o444, "users inside containers read it through a mount"
    ensure_password(file)
    assert file.read_text() == first
