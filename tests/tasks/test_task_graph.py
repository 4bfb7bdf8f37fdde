"""Which tasks there are, in which order they run, and what is told of tables that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
from task_workspace import Workspace

from devenv.builds.definition import read_definitions
from devenv.builds.key import KeyReader
from devenv.builds.store import Store
from devenv.core.errors import UsageError
from devenv.tasks.graph import ROOT, find_packages


def test_a_table_without_a_package_is_for_every_one_but_the_root(shop: Workspace) -> None:
    shop.task("lint", "true")
    assert set(shop.graph().select(["lint"])) == {"api#lint", "lib#lint", "web#lint"}


def test_a_table_of_one_package_stands_in_for_the_general_one(shop: Workspace) -> None:
    shop.task("lint", "general")
    shop.task("web#lint", "own")
    shop.task("//#lint", "root")
    commands = {task_id: task.settings.command for task_id, task in shop.graph().select(["lint"]).items()}
    assert commands == {"//#lint": "root", "api#lint": "general", "lib#lint": "general", "web#lint": "own"}


def test_packages_limits_a_table(shop: Workspace) -> None:
    shop.task("lint", "true", packages=["api"])
    assert set(shop.graph().select(["lint"])) == {"api#lint"}


def test_what_is_needed_comes_along_and_first(shop: Workspace) -> None:
    shop.task("lint", "true")
    shop.task("gen", "true", packages=["api"])
    shop.task("build", "true", depends_on=["lint", "^build", "api#gen"])
    tasks = shop.graph().select(["web#build"])
    assert set(tasks) == {"web#build", "web#lint", "lib#build", "lib#lint", "api#gen"}
    assert list(tasks)[-1] == "web#build"
    assert tasks["web#build"].needs == ("api#gen", "lib#build", "web#lint")


def test_a_package_without_the_task_passes_on_to_those_below_it(shop: Workspace) -> None:
    shop.package("page", "web")
    shop.task("build", "true", packages=["page", "lib"], depends_on=["^build"])
    assert shop.graph().select(["page#build"])["page#build"].needs == ("lib#build",)


def test_a_circle_names_its_tasks(shop: Workspace) -> None:
    shop.task("a", "true", depends_on=["b"])
    shop.task("b", "true", depends_on=["c"])
    shop.task("c", "true", depends_on=["a"])
    with pytest.raises(UsageError, match="wait for each other") as caught:
        shop.graph().select(["api#a"])
    assert all(f"api#{name}" in caught.value.message for name in "abc")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("asked", "hint"),
    [("lnt", "Did you mean lint?"), ("web#lnt", "Did you mean web#lint"), ("wbe#lint", "Did you mean web?")],
)
def test_what_is_not_there_is_told_with_what_is_near(shop: Workspace, asked: str, hint: str) -> None:
    shop.task("lint", "true")
    with pytest.raises(UsageError) as caught:
        shop.graph().select([asked])
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize("need", ["lnt", "^lnt", "web#lnt", "wbe#lint"])
def test_a_dependency_that_is_not_there_names_the_task_that_has_it(shop: Workspace, need: str) -> None:
    shop.task("lint", "true")
    shop.task("test", "true", depends_on=[need])
    with pytest.raises(UsageError, match=r"depends_on of \w+#test: there is no (task|package)"):
        shop.graph().select(["test"])


@pytest.mark.parametrize("table", [{"wbe#lint": {}}, {"lint": {"packages": ["wbe"]}}])
def test_a_table_of_a_package_that_is_not_there_is_an_error(
    shop: Workspace, table: dict[str, dict[str, object]]
) -> None:
    for name, settings in table.items():
        shop.task(name, "true", **settings)
    with pytest.raises(UsageError, match="there is no package 'wbe'") as caught:
        shop.graph()
    assert caught.value.hint == "Did you mean web?"


def test_nothing_waits_for_what_does_not_end(shop: Workspace) -> None:
    shop.task("serve", "sleep 9", persistent=True)
    shop.task("test", "true", depends_on=["serve"])
    with pytest.raises(UsageError, match="persistent"):
        shop.graph().select(["api#test"])


def test_packages_are_the_folders_that_images_are_made_from(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    for name in ("base", "app", "lib"):
        (root / name).mkdir()
        (root / name / "Dockerfile").write_text("FROM shop-base\n" if name == "app" else "FROM scratch\n")
    services = {
        "base": {"build": {"context": str(root / "base")}},
        "web": {"build": {"context": str(root / "app"), "additional_contexts": {"shared": str(root / "lib")}}},
        "worker": {"build": {"context": str(root / "app")}},
        "far": {"build": {"context": "https://example.com/far.git"}},
        "database": {"image": "postgres"},
    }
    definitions = read_definitions({"name": "shop", "services": services}, {})
    graph = KeyReader(definitions, {}, Store(root)).graph({})
    packages = find_packages(root, definitions, graph)
    assert set(packages) == {"base", "web", "shared", ROOT}
    assert packages["web"].needs == ("base", "shared")
    assert packages["web"].also == ("worker",)
    assert packages["shared"].folder == root / "lib"
