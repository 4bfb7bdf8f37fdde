"""Runs a project's smoke tests as a pytest of their own, here or in the background, and reads what it left."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from devenv.backends.kube.errors import Unreachable
from devenv.core.errors import EXIT_INTERRUPTED, EXIT_OK, DevenvError, Inconclusive, Refused, ToolMissing, UsageError
from devenv.core.signals import held
from devenv.core.stored import Moment, read_plain
from devenv.runs.criteria import Better, Measurement, Verdict
from devenv.runs.lines import LIFELINE, STREAM, Tail
from devenv.runs.process import BackgroundRun, start_process

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
        measured = []
        for item in self.report["measurements"] if self.report is not None else ():
            criterion = {name: item[name] for name in ("name", "unit", "budget", "source", "better")}
            rest = {name: item[name] for name in ("verdict", "value", "margin", "stages", "why", "at", "test")}
            measured.append(Measurement.from_data({"criterion": criterion, **rest}))
        return measured

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


RUNNING = "--devenv-running"


def these_tests(folder: Path) -> list[str]:
    """Return the options of pytest that say that the smoke tests are in this folder, whatever its name."""
    return ["-o", f"devenv_smoketests={shlex.quote(str(folder.absolute()))}"]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What shall be run: pytest's options, and node ids of tests (none: all of them)."""

    options: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()

    @property
    def running(self) -> bool:
        """Whether what is up is tested instead of an isolated copy."""
        return RUNNING in self.options


class _Told(msgspec.Struct):
    phase: str


class LiveRun(BackgroundRun):
    """One pytest in the background. When this process is gone, however it ended, the run cancels itself.

    What it brought up is always taken down.
    """

    def __init__(self, folder: Path, root: Path, chosen: RunOptions, environ: Mapping[str, str]) -> None:
        self.chosen = chosen
        self.cancelled = False
        self._place = Path(tempfile.mkdtemp(prefix="devenv-verify-"))
        self._stream = self._place / "stream.jsonl"
        self._told = Tail(self._stream, _Told)
        output = self._place / "output.txt"
        what = chosen.tests or (str(folder),)
        command = [sys.executable, "-m", "pytest", "--color=no", *these_tests(folder), *chosen.options, *what]
        theirs, self._lifeline = os.pipe()
        surroundings = dict(environ) | {STREAM: str(self._stream), LIFELINE: str(theirs)}
        try:
            process = start_process(command, root, surroundings, output, (theirs,))
        except OSError as error:
            os.close(self._lifeline)
            shutil.rmtree(self._place, ignore_errors=True)
            raise DevenvError(f"the tests cannot be started: {error}") from error
        finally:
            os.close(theirs)
        super().__init__(output, process)

    def cancel(self) -> bool:
        """Interrupt it, once: it takes its stacks down, and a second signal would cut that short. False: too late."""
        if self.cancelled or self._process is None or self.is_over:
            return False
        self.cancelled = True
        self._process.send_signal(signal.SIGTERM)
        return True

    def drain(self) -> list[dict[str, Any]]:
        """Return what the run told since the last call; a line that is not whole yet waits."""
        return list(self._told.read())

    def close(self) -> None:
        """Forget the files of a run that has ended; one that goes on keeps them, it writes to them."""
        if self.is_over and self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
            shutil.rmtree(self._place, ignore_errors=True)


Launch = Callable[[RunOptions], LiveRun]


def launcher(folder: Path, root: Path, environ: Mapping[str, str] = os.environ) -> Launch:
    """Return the function that starts runs of the smoke tests in `folder`, for the project in `root`."""
    return lambda chosen: LiveRun(folder, root, chosen, environ)
