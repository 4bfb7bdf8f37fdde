"""Runs a project's smoke tests as a pytest of their own, here or in the background, and reads what it left.

What is known of a run while it goes on (`RunState`) is folded from what it tells, and knows no process and no screen.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from devenv.backends.kube.errors import Unreachable
from devenv.core.errors import EXIT_INTERRUPTED, EXIT_OK, DevenvError, Inconclusive, Refused, ToolMissing, UsageError
from devenv.core.signals import held
from devenv.core.stored import Moment, read_plain
from devenv.runs.criteria import Better, Measurement, Verdict
from devenv.runs.identity import StreamedRun

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
            return DevenvError(
                "a smoke test failed",
                "The command behind `evidence:` shows what services and probes said. On a busy machine "
                "--budget-scale 2 doubles the budgets in seconds.",
            )
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


class LiveRun(StreamedRun):
    """One pytest in the background. When this process is gone, however it ended, the run cancels itself.

    What it brought up is always taken down.
    """

    def __init__(self, folder: Path, root: Path, chosen: RunOptions, environ: Mapping[str, str]) -> None:
        self.chosen = chosen
        what = chosen.tests or (str(folder),)
        command = [sys.executable, "-m", "pytest", "--color=no", *these_tests(folder), *chosen.options, *what]
        super().__init__(command, root, environ, "the tests", ends_with_us=True)


Launch = Callable[[RunOptions], LiveRun]


# The stages of a test, as pytest runs them: bring up what it needs, test, clean up.
WAITING: Final = "waiting"
STAGES: Final = {"setup": "preparing", "call": "testing", "teardown": "cleaning up"}
_BAD: Final = (Verdict.FAILED, Verdict.ERROR)


@dataclass(frozen=True, slots=True)
class TestState:
    """One test: `stage` is what it does now, "" once it has ended; `at` when its verdict came."""

    __test__ = False  # for pytest: not a class of tests

    id: str
    behaviour: str
    stage: str = WAITING
    verdict: Verdict | None = None
    seconds: float = 0.0
    began: float = 0.0
    at: float = 0.0
    why: str = ""
    services: tuple[str, ...] = ()
    measurements: tuple[Measurement, ...] = ()

    @property
    def bad(self) -> bool:
        """Whether it failed or broke."""
        return self.verdict in _BAD

    @property
    def name(self) -> str:
        """Its name without its file, in words."""
        return self.id.rpartition("::")[2].removeprefix("test_").replace("_", " ")


@dataclass
class RunState:
    """One run. `step` is what its stacks do now; `cleaning` once nothing but the clean-up is left."""

    began: float
    running_stack: bool = False
    run: str = ""
    root: str = ""
    evidence: str = ""
    reports: str = ""
    step: str = ""
    cleaning: bool = False
    cancelled: bool = False
    exit_code: int | None = None
    ended: float = 0.0
    last_words: str = ""
    tests: dict[str, TestState] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether pytest has ended."""
        return self.exit_code is not None

    @property
    def current(self) -> TestState | None:
        """The test that runs."""
        return next((test for test in self.tests.values() if test.stage in STAGES), None)

    @property
    def failed(self) -> tuple[TestState, ...]:
        """The tests that failed or broke."""
        return tuple(test for test in self.tests.values() if test.bad)

    def count(self, verdict: Verdict) -> int:
        """Count the tests that ended so."""
        return sum(test.verdict is verdict for test in self.tests.values())

    def take(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Apply lines of the run."""
        for line in lines:
            phase = line["phase"]
            if phase == "collected":
                self._collected(line)
            elif phase == "begins":
                test = self._test(line["test"])
                self.tests[test.id] = replace(test, stage="setup", began=line["at"])
            elif phase in STAGES:
                self._stage_ended(line)
            elif phase == "mark":
                self._mark(line)
            elif phase == "finishing":
                self.cleaning = True

    def end(self, exit_code: int, at: float, last_words: str) -> None:
        """Note that pytest has ended; a test that it did not come to has no verdict."""
        self.exit_code, self.ended, self.last_words = exit_code, at, last_words
        self.step, self.cleaning = "", False
        for test in self.tests.values():
            if test.stage:
                self.tests[test.id] = replace(test, stage="")

    def _collected(self, line: Mapping[str, Any]) -> None:
        self.run, self.root = line["run"], line["root"]
        self.evidence, self.reports = line["evidence"], line["reports"]
        self.running_stack = not line["isolated"]
        for item in line["tests"]:
            self.tests.setdefault(item["test"], TestState(item["test"], item["behaviour"]))

    def _stage_ended(self, line: Mapping[str, Any]) -> None:
        test = self._test(line["test"])
        verdict = Verdict(line["verdict"])
        measured = tuple(Measurement.from_data(item) for item in line["measurements"])
        following = {"setup": "teardown" if verdict is not Verdict.PASSED else "call", "call": "teardown"}
        stage = following.get(line["phase"], "")
        # A setup that passed is no verdict about the test.
        of_test = verdict if line["phase"] != "setup" or verdict is not Verdict.PASSED else test.verdict
        self.tests[test.id] = replace(
            test,
            behaviour=line["behaviour"] or test.behaviour,
            stage=stage,
            verdict=of_test,
            seconds=line["seconds"],
            at=line["at"] if of_test is not test.verdict or not test.at else test.at,
            why=line["why"],
            services=tuple(line["services"]),
            measurements=(*test.measurements, *measured),
        )

    def _mark(self, line: Mapping[str, Any]) -> None:
        kind, text = line["kind"], line["text"]
        if kind == "cleanup":
            self.step = f"{line['stack']}: {text}"
        elif kind == "phase" and not text.startswith("setup of "):
            self.step = text
        elif kind == "test":
            self.step = ""

    def _test(self, name: str) -> TestState:
        return self.tests.get(name) or TestState(name, "")
