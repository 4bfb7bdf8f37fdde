"""Who imports whom: no circle of modules, in functions and for typing alone neither; and nobody imports tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import grimp
import pytest


def circles(graph: grimp.ImportGraph) -> set[str]:
    """Return the modules that are in a circle, or between two of them."""
    imports = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    importers = {module: set(graph.find_modules_that_directly_import(module)) for module in graph.modules}
    left = set(graph.modules)
    while ends := {module for module in left if not imports[module] & left or not importers[module] & left}:
        left -= ends
    return left


def graph_of(package: str) -> grimp.ImportGraph:
    """Return all imports of a package, those for typing alone included."""
    return grimp.build_graph(package, cache_dir=None, exclude_type_checking_imports=False)


def test_no_two_modules_import_each_other() -> None:
    graph = graph_of("devenv")
    assert "devenv.tui.app" in graph.modules
    assert circles(graph) == set()


@pytest.mark.parametrize(
    "second",
    [
        ("from {name}.first import thing",),
        ("def later() -> None:", "    from {name} import first"),
        ("from typing import TYPE_CHECKING", "if TYPE_CHECKING:", "    from {name}.first import thing"),
    ],
    ids=("plain", "deferred", "typing"),
)
def test_a_circle_is_seen(
    second: Iterable[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    name = f"circle_{request.node.callspec.id}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "first.py").write_text(f"from {name} import second, alone\n")
    (folder / "second.py").write_text("\n".join(second).format(name=name))
    (folder / "alone.py").write_text("import json\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert circles(graph_of(name)) == {f"{name}.first", f"{name}.second"}


def test_benchmarks_and_fakes_import_no_tests() -> None:
    graph = grimp.build_graph("benchmarks", "fakes", include_external_packages=True, cache_dir=None)
    assert "fakes.api_server" in graph.find_modules_directly_imported_by("benchmarks.kube_server")
    assert {module for module in graph.modules if module.partition(".")[0] == "tests"} == set()
