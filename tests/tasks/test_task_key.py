"""What a task's key depends on, and what a task gets to see of the environment."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest
from task_workspace import Workspace

from devenv.builds.hashes import FileHashes

SEEDS = range(25)


@pytest.fixture
def lint(shop: Workspace) -> Workspace:
    shop.task("lint", "true")
    return shop


def grow(folder: Path, chance: random.Random) -> list[Path]:
    """Fill a folder with files at random; equal seeds give equal trees."""
    files = []
    for _ in range(chance.randint(3, 12)):
        below = folder.joinpath(*(chance.choice("abc") for _ in range(chance.randint(0, 3))))
        below.mkdir(parents=True, exist_ok=True)
        path = below / f"{chance.choice(('x', 'y y', 'é', '-z'))}{chance.randint(0, 9)}.txt"
        path.write_bytes(chance.randbytes(chance.randint(0, 40)))
        files.append(path)
    return sorted(set(files))


@pytest.mark.parametrize("seed", SEEDS)
def test_two_equal_repositories_have_one_key_and_any_edit_has_another(tmp_path: Path, seed: int) -> None:
    shops = []
    for name in ("here", "there"):
        chance = random.Random(seed)
        made = Workspace((tmp_path / name).resolve())
        folder = made.package("api")
        files = grow(folder, chance)
        made.task("lint", "true")
        shops.append(made)
    here, there = shops
    os.utime(files[0], (1, 1))  # a time is no content
    key = here.key("api#lint")
    assert there.key("api#lint") == key
    file = chance.choice(files)
    match chance.randrange(4):
        case 0:
            file.write_bytes(file.read_bytes() + b".")
        case 1:
            file.chmod(file.stat().st_mode ^ 0o100)
        case 2:
            file.rename(file.with_name("renamed"))
        case _:
            file.unlink()
            file.symlink_to("elsewhere")
    assert there.key("api#lint") != key
    assert here.key("api#lint") == key


def test_a_change_counts_for_those_that_are_made_from_it_and_no_others(lint: Workspace) -> None:
    before = {name: lint.key(f"{name}#lint") for name in lint.needs}
    lint.write("lib/new.py")
    assert {name for name in lint.needs if lint.key(f"{name}#lint") != before[name]} == {"lib", "web"}
    before = {name: lint.key(f"{name}#lint") for name in lint.needs}
    lint.write("web/new.py")
    assert {name for name in lint.needs if lint.key(f"{name}#lint") != before[name]} == {"web"}


def test_command_outputs_and_tasks_before_count(lint: Workspace) -> None:
    keys = [lint.key("api#lint")]
    lint.task("lint", "true ")
    keys.append(lint.key("api#lint"))
    lint.task("lint", "true ", outputs=["dist"])
    keys.append(lint.key("api#lint"))
    lint.task("lint", "true ", outputs=["dist"], depends_on=["gen"])
    lint.task("gen", "one")
    keys.append(lint.key("api#lint"))
    lint.task("gen", "two")
    keys.append(lint.key("api#lint"))
    assert len(set(keys)) == 5


def test_only_declared_inputs_count(shop: Workspace) -> None:
    shop.task("lint", "true", inputs=["src", "!src/gen", "//pyproject.toml"])
    shop.write("api/src/a.py")
    shop.write("pyproject.toml")
    key = shop.key("api#lint")
    for name in ("api/README.md", "api/src/gen/b.py", "other.toml"):
        shop.write(name, "new")
    assert shop.key("api#lint") == key
    shop.write("api/src/a.py", "new")
    changed = shop.key("api#lint")
    shop.write("pyproject.toml", "new")
    assert len({key, changed, shop.key("api#lint")}) == 3


def test_inputs_of_the_root_come_on_top_of_the_packages_folder(shop: Workspace) -> None:
    shop.task("lint", "true", inputs=["//pyproject.toml"])
    shop.write("pyproject.toml")
    keys = [shop.key("api#lint")]
    for name in ("api/new.py", "pyproject.toml"):
        shop.write(name, "new")
        keys.append(shop.key("api#lint"))
    shop.write("other.toml")
    assert len(set(keys)) == 3
    assert shop.key("api#lint") == keys[-1]


def test_inputs_that_only_leave_out_are_all_the_rest(shop: Workspace) -> None:
    shop.task("lint", "true", inputs=["!docs"])
    key = shop.key("api#lint")
    shop.write("api/docs/a.md")
    assert shop.key("api#lint") == key
    shop.write("api/new.py")
    assert shop.key("api#lint") != key


def test_what_tasks_make_and_tools_leave_behind_does_not_count(shop: Workspace) -> None:
    shop.task("lint", "true")
    shop.task("build", "true", outputs=["dist"])
    key = shop.key("api#lint")
    for name in ("dist/a", "__pycache__/a.pyc", ".mypy_cache/x", "node_modules/y/z"):
        shop.write(f"api/{name}")
    assert shop.key("api#lint") == key


def test_what_git_ignores_counts_only_where_it_is_named(shop: Workspace) -> None:
    subprocess.run(("git", "init", "-q", shop.root), check=True)
    shop.write(".gitignore", "*.local\nbig/\n")
    shop.task("lint", "true")
    shop.task("test", "true", inputs=["main.py", "env.local"])
    keys = shop.key("api#lint"), shop.key("api#test")
    shop.write("api/big/data")
    shop.write("api/env.local")
    assert shop.key("api#lint") == keys[0]
    assert shop.key("api#test") != keys[1]


def test_declared_variables_count_set_or_not(shop: Workspace) -> None:
    shop.task("lint", "true", env=["LEVEL", "VITE_*"], pass_env=["TOKEN"])
    keys = []
    for change in ({}, {"LEVEL": ""}, {"LEVEL": "1"}, {"VITE_A": "1"}, {"TOKEN": "x", "OTHER": "y"}):
        shop.environ |= change
        keys.append(shop.key("api#lint"))
    assert len(set(keys)) == 4
    assert keys[3] == keys[4]


def test_nothing_undeclared_leaks_in(shop: Workspace) -> None:
    shop.task("show", "env", env=["LEVEL"], pass_env=["TOKEN"], cache=False)
    shop.environ |= {"LEVEL": "1", "TOKEN": "x", "SECRET": "y", "PYTHONPATH": "/z", "LC_ALL": "C"}
    shop.run("api#show")
    seen = dict(text.split("=", 1) for _, text in shop.heard.lines)
    assert (seen["LEVEL"], seen["TOKEN"], seen["LC_ALL"], seen["DEVENV_PACKAGE"]) == ("1", "x", "C", "api")
    assert not {"SECRET", "PYTHONPATH"} & seen.keys()


def test_a_file_that_cannot_be_read_means_no_stored_result(shop: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.task("lint", "true")
    shop.write("api/locked")
    read = FileHashes.of

    def refuse(hashes: FileHashes, path: str, about: os.stat_result) -> str:
        if path == "locked":  # root may read every file, and tests run as root too
            raise PermissionError(13, "Permission denied", path)
        return read(hashes, path, about)

    monkeypatch.setattr(FileHashes, "of", refuse)
    for _ in range(2):
        assert shop.run("api#lint") == {"api#lint": "passed"}
        assert shop.heard.results[0].why == "locked cannot be read"


def test_the_touched_file_is_found_as_the_key_finds_it(shop: Workspace) -> None:
    shop.task("lint", "true", inputs=["src", "//pyproject.toml"])
    tasks = shop.graph().select(["lint"])
    maker = shop.maker()

    def touched(name: str) -> set[str]:
        path = shop.root / name
        return {task_id for task_id, task in tasks.items() if maker.touched(task, [path]) is not None}

    assert touched("api/README.md") == set()
    assert touched("api/src/gone.py") == {"api#lint"}
    assert touched("lib/any.py") == {"web#lint"}
    assert touched("pyproject.toml") == set(tasks)
    assert touched("devenv.toml") == set(tasks)
