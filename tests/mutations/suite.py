"""Runs the smoke tests on a mutated copy of docsearch, and tells which of them turned red."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mutation import Mutation

ROOT = Path(__file__).parents[2]
OVER_BUDGET = re.compile(r"[\w.]+: [\d.]+ s, budget [\d.]+ s ")  # as a criterion says it (devenv/runs/criteria.py)
LIMIT = 1500.0  # seconds of one run, the longest being those in which many tests wait for what never comes


@dataclass(frozen=True)
class SuiteRun:
    """What one run told; tests are named FILE::TEST. `output` is for people.

    `slow` are the red ones that only took longer than their budget: on a machine that others keep busy, any may.
    """

    tests: frozenset[str]
    red: frozenset[str]
    output: str
    slow: frozenset[str] = frozenset()


def mutated(folder: Path, mutations: Iterable[Mutation]) -> Path:
    """Make a copy of what is verified, with these faults in it."""
    copy = folder / "project"
    ignored = shutil.ignore_patterns("__pycache__", ".mypy_cache", ".ruff_cache")
    shutil.copytree(ROOT / "compose", copy / "compose", ignore=ignored)
    shutil.copy2(ROOT / "devenv.toml", copy)
    for mutation in mutations:
        mutation.apply(copy)
    return copy


def run_suite(folder: Path, mutations: Iterable[Mutation], files: Iterable[str] = ()) -> SuiteRun:
    """Run the smoke tests (of some files) in a process of their own, which owns what it puts on the engine."""
    project, reports = mutated(folder, mutations), folder / "reports"
    # Its history is its own: values of a broken stack are no measurements of this machine. The path is short, as the
    # sockets of a second engine are below it.
    with tempfile.TemporaryDirectory(prefix="devenv-") as state:
        return _run(folder, project, reports, files, os.environ | {"XDG_STATE_HOME": state})


def _run(folder: Path, project: Path, reports: Path, files: Iterable[str], environ: Mapping[str, str]) -> SuiteRun:
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}"),
        *(f"--devenv-project={project}", f"--devenv-report-dir={reports}", f"--junit-xml={folder / 'junit.xml'}"),
        *([f"smoketests/{name}" for name in sorted(files)] or ["smoketests"]),
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout[-4000:]
    tests, red, slow = set(), set(), set()
    for case in ElementTree.parse(folder / "junit.xml").iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}.py::{case.get('name')}"
        tests.add(name)
        told = [found.get("message", "") for kind in ("failure", "error") for found in case.iter(kind)]
        if told:
            red.add(name)
        if told and all(OVER_BUDGET.match(message) for message in told):
            slow.add(name)
    return SuiteRun(frozenset(tests), frozenset(red), done.stdout, frozenset(slow))
