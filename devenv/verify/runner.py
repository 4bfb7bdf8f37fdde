"""Runs a project's smoke tests as a pytest of their own, and reads what it left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from devenv.backends.kube.errors import Unreachable
from devenv.core.errors import EXIT_INTERRUPTED, EXIT_OK, DevenvError, Inconclusive, Refused, ToolMissing, UsageError
from devenv.core.signals import held
from devenv.core.stored import Moment, read_plain
from devenv.runs.criteria import Better, Measurement, Verdict
from devenv.verify.live import these_tests

PATIENCE = 120.0  # seconds for pytest to take its stacks down after an interrupt
_INTERRUPTED, _INTERNAL, _USAGE, _NO_TESTS = 2, 3, 4, 5  # pytest.ExitCode
_BEFORE = {kind.exit_code: kind for kind in (Refused, Unreachable, ToolMissing)}  # of the plugin, before any test


class _Measured(msgspec.Struct):
    name: str
    unit: str
    budget: float | None
    source: str
    better: Better
    verdict: Verdict
    value: float | None
    margin: float | None
    stages: dict[str, float]
    why: str
    at: Moment
    test: str


class _ReportFile(msgspec.Struct):
    project: str
    verdict: Verdict
    measurements: list[_Measured]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How pytest ended, and its report.json; the report is None where there was none to write."""

    exit_code: int
    report: Mapping[str, Any] | None

    @property
    def measurements(self) -> list[Measurement]:
        """What was measured."""
        found = []
        for item in self.report["measurements"] if self.report is not None else ():
            criterion = {name: item[name] for name in ("name", "unit", "budget", "source", "better")}
            rest = {name: item[name] for name in ("verdict", "value", "margin", "stages", "why", "at", "test")}
            found.append(Measurement.from_data({"criterion": criterion, **rest}))
        return found

    @property
    def verdict(self) -> Verdict:
        """The worst of all; inconclusive without a report."""
        return Verdict(self.report["verdict"]) if self.report is not None else Verdict.INCONCLUSIVE

    def error(self) -> DevenvError | None:
        """Return the error that the program ends with, if any: its exit code is devenv's, not pytest's."""
        if self.exit_code == _USAGE:
            return UsageError("pytest did not accept the command line or the project", "It said why above.")
        if self.exit_code in _BEFORE and self.report is None:
            return _BEFORE[self.exit_code]("the tests were not begun", "It is said above why.")
        if self.exit_code == _NO_TESTS:
            return Inconclusive("there was no test to run", "Is -k too narrow?")
        if self.exit_code == _INTERNAL:
            return DevenvError("pytest itself failed", "It said why above.")
        if self.exit_code != EXIT_OK and self.verdict is Verdict.INCONCLUSIVE:
            return Inconclusive("something could not be measured, and --strict counts that")
        if self.exit_code != EXIT_OK:
            return DevenvError("not everything works as it should", "The reports say what, and with which evidence.")
        return None


def tests_folder(root: Path, name: str) -> Path:
    """Return the folder with the smoke tests; raises UsageError where there is none."""
    folder = root / name
    if not folder.is_dir():
        raise UsageError(f"There are no smoke tests in {folder}", "Name their folder in devenv.toml: [verify] tests.")
    return folder


def run_tests(
    folder: Path, root: Path, options: Sequence[str], report_folder: Path, environ: Mapping[str, str] = os.environ
) -> Outcome:
    """Run pytest in the project's root with its output on ours, to its end; an interrupt is passed on and waited for.

    Raises KeyboardInterrupt after an interrupt, when pytest has taken everything down.
    """
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(folder),
        *these_tests(folder),
        "--devenv-report-dir",
        str(report_folder),
        *options,
    ]
    # A group of its own: ctrl-c reaches devenv alone, which passes it on once. Twice would cut the clean-up short.
    with held() as release:
        process = subprocess.Popen(command, cwd=root, env=dict(environ), stdin=subprocess.DEVNULL, process_group=0)
        try:
            release()
            code = process.wait()
        except BaseException:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            raise
    return Outcome(code if code != _INTERRUPTED else EXIT_INTERRUPTED, read_report(report_folder / "report.json"))


def read_report(path: Path) -> Mapping[str, Any] | None:
    """Read a report.json; None where there is none. Raises Unreadable."""
    return read_plain(path, _ReportFile)
