"""200 objects within a second: held by what can be counted; benchmarks/bench_manifests.py measures the time."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from devenv.manifests import rendering, schemas, yamlread
from devenv.manifests.check import Outside, check
from devenv.manifests.rules import network, objects, resources
from devenv.manifests.schemas import choose_versions
from devenv.manifests.targets import Target
from fakes.kustomize_folder import PARTS, write_many

APPLICATIONS = 40


class Calls:
    """Counts calls of functions, which still do their work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count: Counter[str] = Counter()
        self._monkeypatch = monkeypatch

    def watch(self, owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            self.count[name] += 1
            return original(*arguments, **options)

        self._monkeypatch.setattr(owner, name, counted)


def run(folder: Path, applications: int) -> None:
    folder.mkdir()
    objects = write_many(folder, applications)
    report = check([Target("many", folder)], choose_versions(()), Outside(folder))
    assert report.findings == ()
    assert report.targets[0].objects == objects


def test_one_rendering_and_one_compilation_a_kind_whatever_the_number_of_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schemas.definitions.cache_clear()
    calls = Calls(monkeypatch)
    calls.watch(subprocess, "run")
    calls.watch(jsonschema_rs, "validator_for")
    calls.watch(schemas.json, "loads")
    run(tmp_path / "many", APPLICATIONS)
    minors, kinds = len(choose_versions(())), len({*PARTS, "Namespace", "PriorityClass"})
    assert calls.count == {"run": 1, "validator_for": minors * kinds, "loads": minors}


def test_twice_the_objects_cost_twice_the_comparisons_not_four_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    for applications in (APPLICATIONS, 2 * APPLICATIONS):
        with monkeypatch.context() as patched:
            calls = Calls(patched)
            for module in (rendering, network, objects, resources):
                calls.watch(module, "labels_match")
            calls.watch(rendering, "same_namespace")
            calls.watch(yamlread, "duplicate_keys")
            run(tmp_path / str(applications), applications)
            counts.append(calls.count)
    for name, small in counts[0].items():
        assert counts[1][name] <= 2.3 * small, name


def test_the_command_line_loads_none_of_it_before_it_is_asked() -> None:
    heavy = ("yaml", "jsonschema_rs", "jsonschema", "kubernetes_validate", "devenv.manifests", "devenv.secrets")
    program = (
        "import sys; from devenv.cli.parser import build_parser; build_parser(); "
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_a_check_loads_no_validator_that_it_does_not_use() -> None:
    unused = ("jsonschema", "kubernetes_validate", "textual", "docker")
    program = (
        "import sys, devenv.cli.checks; from devenv.manifests.schemas import choose_versions;"
        f"choose_versions(()); print([name for name in {unused!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
