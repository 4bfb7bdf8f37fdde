"""Which files a project depends on, and when one of them counts as changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devenv.backends.compose import ComposeOptions
from devenv.backends.compose.resolve import ProjectFiles, files_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop" / "deep").mkdir(parents=True)
    (tmp_path / "shop" / "compose.yaml").write_text("services: {}\n")
    return tmp_path / "shop"


def found_in(folder: Path, start: str = ".") -> ComposeOptions:
    """What finding the project gives where Compose searches by itself."""
    return ComposeOptions(os.path.normpath(folder / start), default_files=(str(folder / "compose.yaml"),))


def watched(folder: Path, options: ComposeOptions | None = None) -> ProjectFiles:
    files = ProjectFiles()
    files.watch(options or found_in(folder))
    return files


def changes(files: ProjectFiles, looks: int = 6) -> int:
    return [files.changed() for _ in range(looks)].count(True)


def test_what_may_appear_where_compose_searches_is_looked_at(folder: Path) -> None:
    paths = files_of(found_in(folder, "deep"))
    for name in ("compose.yaml", "compose.yml", "compose.override.yml", ".env", "devenv.toml"):
        assert folder / name in paths
        assert folder / "deep" / name in paths, "a nearer one would win"
        assert folder.parent / name not in paths, "a farther one would not"


def test_named_files_are_looked_at_with_the_env_files_and_no_others_are_searched(folder: Path) -> None:
    options = ComposeOptions("/start", ("/shop/a.yaml", "/other/b.yaml"), env_files=("/shop/dev.vars",))
    expected = {"/shop/a.yaml", "/other/b.yaml", "/shop/dev.vars", "/shop/.env", "/start/devenv.toml", "/devenv.toml"}
    assert {str(path) for path in files_of(options)} == expected
    moved = ComposeOptions("/start", ("/shop/a.yaml",), project_directory="/base")
    assert Path("/base/.env") in files_of(moved)


def test_included_extended_and_env_files_are_looked_at_through_all_steps(folder: Path) -> None:
    (folder / "compose.yaml").write_text(
        "include:\n  - sub/more.yaml\n  - path: [ 'x.yml', \"../up.yaml\" ]\n"
        "services: {a: {extends: {file: base.yaml, service: a}, env_file: [web.env, .env.local, missing/b.env],"
        " image: 'registry/img:1.env-none', volumes: ['./app.log:/var/app.log']}}\n"
    )
    (folder / "sub").mkdir()
    (folder / "sub" / "more.yaml").write_text("include: [deeper.yaml]")
    (folder / ".env").write_text("COMPOSE_FILE=compose.yaml:second.yaml")
    paths = set(files_of(found_in(folder)))
    mentioned = ("sub/more.yaml", "sub/deeper.yaml", "x.yml", "base.yaml", "web.env", ".env.local", "missing/b.env")
    assert {folder / name for name in (*mentioned, "second.yaml")} | {folder.parent / "up.yaml"} <= paths
    assert folder / "app.log" not in paths


def test_a_file_that_mentions_itself_or_thousands_is_no_trap(folder: Path) -> None:
    (folder / "compose.yaml").write_text("compose.yaml " + " ".join(f"{number}.yaml" for number in range(5000)))
    assert len(files_of(found_in(folder))) == 200


def test_while_nothing_changes_nothing_is_told_and_no_file_is_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = watched(folder)
    opened: list[Path] = []
    monkeypatch.setattr(Path, "open", lambda path, *_, **__: opened.append(path))
    assert changes(files, 100) == 0
    assert opened == []


@pytest.mark.parametrize("name", ["compose.yaml", "compose.override.yaml", ".env", "devenv.toml"])
def test_a_file_that_changes_comes_or_goes_is_told_once(folder: Path, name: str) -> None:
    (folder / name).write_text("one")
    files = watched(folder)
    (folder / name).write_text("two")
    assert changes(files) == 1
    (folder / "new").write_text("three")
    (folder / "new").replace(folder / name)  # as editors save
    assert changes(files) == 1
    (folder / name).rename(folder / "away")
    assert changes(files) == 1
    (folder / "away").rename(folder / name)
    assert changes(files) == 1


def test_a_folder_that_is_moved_away_and_back_is_told(folder: Path) -> None:
    files = watched(folder)
    folder.rename(folder.parent / "moved")
    assert changes(files) == 1
    (folder.parent / "moved").rename(folder)
    (folder / "compose.yaml").touch()
    assert changes(files) == 1


def test_what_still_changes_is_not_told_before_it_holds_still(folder: Path) -> None:
    files = watched(folder)
    for number in range(5):
        (folder / "compose.yaml").write_text("x" * number)
        assert not files.changed()
    assert changes(files) == 1
