"""Collects the verdicts of a session of smoke tests and writes its reports; with pytest-xdist, in the controller."""

from __future__ import annotations

import json
import os
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Generator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from devenv.core.errors import DevenvError
from devenv.core.stored import Unreadable
from devenv.runs.criteria import Measurement, TestResult, Verdict
from devenv.runs.history import History
from devenv.runs.identity import commit_of, this_machine
from devenv.runs.lines import tell
from devenv.runs.publish import publish
from devenv.runs.report import HEAD, Report, rows, table
from devenv.verify import leftovers
from devenv.verify.compose_driver import Source
from devenv.verify.leftovers import Named, forget_old_runs
from devenv.verify.service_verdicts import ServiceVerdicts, Subject, Verified
from devenv.verify.session import CARRIER, COMPOSE, INCONCLUSIVE, KUBERNETES, Session

PATIENCE: Final = 5.0  # seconds at the end of a run for an engine that does not say what is left on it
_NOTHING: Final = {
    "asserted": False,
    "behaviour": "",
    "measurements": [],
    "services": (),
    "runtime": "",
    "verified": {},
}


class Leftovers:
    """What earlier runs left that have ended, looked for while the tests run."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._leftovers: list[Named] = []
        self._thread = threading.Thread(target=self._look, name="verify-leftovers", daemon=True)
        self._thread.start()

    def in_words(self) -> str:
        """Say what there is; "" for nothing, and where it could not be looked at, which is of no interest now."""
        self._thread.join(PATIENCE)
        return leftovers.in_words(self._leftovers)

    def _look(self) -> None:
        target = self._session.config.option.devenv_target
        with suppress(DevenvError, ValueError):  # what is cut short while another run cleans up too
            if target != KUBERNETES:
                self._leftovers += leftovers.of_dead_runs()
        with suppress(DevenvError):
            if target != COMPOSE:
                from devenv.verify.kube import leftovers as on_clusters

                self._leftovers += on_clusters.of_dead_runs(self._session.settings().kubernetes)[0]


class Collector:
    """The plugin that brings the results together."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._config = session.config
        self._began = time.time()
        self.measurements: list[Measurement] = []
        self.results: dict[str, TestResult] = {}
        self._runtimes: dict[str, str] = {}  # by test
        self._verified: dict[str, Verified] = {}  # by runtime
        self._history = History(lenient=True)
        self._leftovers = Leftovers(session)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Tell whoever follows the run where it is and what it will do; the workers of pytest-xdist know that alone."""
        ours = [item.nodeid for item in session.items if self._session.owns(item)]
        tests = [{"test": test, "behaviour": self._session.behaviour(test)} for test in ours]
        tell(
            {
                "phase": "collected",
                "at": time.time(),
                "run": self._session.run.id,
                "root": str(self._config.rootpath),
                "evidence": str(self._session.evidence),
                "reports": str(self._session.report_folder),
                "isolated": not self._config.option.devenv_running,
                "tests": tests,
            }
        )

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Tell whoever follows the run that a test begins."""
        tell({"test": nodeid, "phase": "begins", "at": time.time()})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect verdicts, where the reports of all workers come together."""
        carried = getattr(report, CARRIER, _NOTHING)
        if carried is None:
            return  # none of ours
        self._runtimes[report.nodeid] = carried["runtime"] or self._runtimes.get(report.nodeid, "")
        for runtime, data in carried["verified"].items():
            verified = Verified.from_data(data)
            known = self._verified.get(runtime, Verified())
            self._verified[runtime] = Verified(verified.place, {**known.subjects, **verified.subjects})
        self.measurements += [Measurement.from_data(data) for data in carried["measurements"]]
        before = self.results.get(report.nodeid)
        verdict, why = _verdict_of(report, asserted=carried["asserted"])
        if before is not None and (verdict is Verdict.PASSED or before.verdict in (Verdict.FAILED, Verdict.ERROR)):
            verdict, why = before.verdict, before.why
        seconds = report.duration + (before.seconds if before is not None else 0.0)
        behaviour = carried["behaviour"]
        services = tuple(carried["services"]) or (before.services if before is not None else ())
        self.results[report.nodeid] = TestResult(report.nodeid, behaviour, verdict, seconds, why, services)
        line = {"test": report.nodeid, "behaviour": behaviour, "phase": report.when, "verdict": verdict.value}
        measured = carried["measurements"]
        line |= {"seconds": seconds, "why": why, "at": time.time(), "measurements": measured, "services": services}
        tell(line)

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Write the reports, and let --strict count what could not be measured."""
        if self._config.getini("strict") and session.exitstatus == 0 and self._inconclusive():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self._tell_junit()
        tell({"phase": "finishing", "at": time.time()})
        try:
            return (yield)
        finally:
            if self._config.option.xmlpath:
                join_cases(Path(self._config.option.xmlpath))
            if self.results:
                interrupted = session.exitstatus == pytest.ExitCode.INTERRUPTED
                report = self.report(interrupted=interrupted)
                publish(report, self._session.report_folder, os.environ, self._history)
                with suppress(Unreadable):  # reported already: it is the history's file
                    self._keep_verdicts(report, whole=not interrupted and self._runs_all(session))
                forget_old_runs()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the criteria below pytest's own results."""
        report = self.report(interrupted=False)
        terminalreporter.section("devenv: criteria")
        history, machine = self._history, report.machine.id

        def change(name: str) -> float | None:
            return history.trend(name, report.project, machine).against(report.run)

        body = rows(report, change)
        for line in table(HEAD, body) if body else ["nothing was measured"]:
            terminalreporter.write_line(line)
        if history.problem:
            terminalreporter.write_line(f"{history.problem}; nothing was compared or kept")
        terminalreporter.write_line(f"reports: {self._session.report_folder}")
        if self._session.evidence.is_dir():
            terminalreporter.write_line(f"evidence: devenv evidence {self._session.evidence}")
        left = self._leftovers.in_words()
        if left:
            terminalreporter.write_line(f"left by earlier runs: {left}; devenv doctor --clean removes it")

    def report(self, *, interrupted: bool) -> Report:
        """Return all that is known of the run."""
        source = self._source()
        folder = source.root if source is not None else self._config.invocation_params.dir
        return Report(
            run=self._session.run.id,
            began=self._began,
            seconds=time.time() - self._began,
            project=source.project.name if source is not None else folder.name,
            target=self._config.option.devenv_target,
            isolated=not self._config.option.devenv_running,
            machine=this_machine(),
            commit=commit_of(folder),
            measurements=tuple(self.measurements),
            tests=tuple(self.results.values()),
            interrupted=interrupted,
            budget_scale=self._session.scale,
            evidence=str(self._session.evidence),
        )

    def _keep_verdicts(self, report: Report, *, whole: bool) -> None:
        """Keep what was said about services, apart for each runtime."""
        for runtime in (COMPOSE, KUBERNETES):
            tests = tuple(test for test in report.tests if self._runtimes.get(test.id) == runtime)
            verified = self._verified.get(runtime, Verified())
            place = report.project if runtime == COMPOSE else verified.place
            if tests and place:
                about = replace(report, project=place, tests=tests)
                subjects = verified.subjects if runtime == KUBERNETES else self._all_subjects(verified)
                ServiceVerdicts().add(about, subjects, whole=whole)

    def _all_subjects(self, verified: Verified) -> dict[str, Subject]:
        """Return what was verified; a service that was never seen running is one that nothing is known of."""
        source = self._source()
        names = [service.name for service in source.project.services] if source is not None else []
        return {name: Subject() for name in names} | dict(verified.subjects)

    def _runs_all(self, session: pytest.Session) -> bool:
        """Whether no test was left out by a choice on the command line, or because the run was cut short."""
        option = self._config.option
        chosen = bool(option.keyword or option.markexpr) or any("::" in str(item) for item in self._config.args)
        return not chosen and not session.shouldstop and not session.shouldfail

    def _source(self) -> Source | None:
        """Return the project, also where only the workers have used it; None where there is none."""
        try:
            return self._session.environments().source
        except DevenvError:
            return None

    def _tell_junit(self) -> None:
        """Give the criteria to pytest's JUnit report as properties of the suite: its schema has none at test cases."""
        for plugin in self._config.pluginmanager.get_plugins():
            add = getattr(plugin, "add_global_property", None)
            if add is None:
                continue
            for item in self.measurements:
                add(f"criterion.{item.criterion.name}", json.dumps(item.to_data(), sort_keys=True))

    def _inconclusive(self) -> bool:
        verdicts = {item.verdict for item in self.measurements} | {test.verdict for test in self.results.values()}
        return Verdict.INCONCLUSIVE in verdicts


def _verdict_of(report: pytest.TestReport, *, asserted: bool) -> tuple[Verdict, str]:
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        return Verdict.INCONCLUSIVE, reason.removeprefix("Skipped: ").removeprefix(INCONCLUSIVE)
    if report.failed:
        return (Verdict.FAILED if asserted else Verdict.ERROR), str(report.longrepr)
    return Verdict.PASSED, ""


_BAD: Final = ("failure", "error")


def join_cases(path: Path) -> None:
    """Join test cases of one name in the report; nothing is written where there are none.

    The first one's verdict stays, what the others say is added to it. Raises DevenvError where it cannot be read.
    """
    if not path.is_file():
        return
    try:
        tree = ET.parse(path)
        changed = [_join(suite) for suite in tree.iter("testsuite")]
        if any(changed):
            tree.write(path, encoding="utf-8", xml_declaration=True)
    except (OSError, ET.ParseError) as error:
        raise DevenvError(f"{path} cannot be completed: {error}", "Is another run writing it?") from error


def _join(suite: ET.Element) -> bool:
    first: dict[tuple[str | None, str | None], ET.Element] = {}
    changed = False
    for case in list(suite.iter("testcase")):
        key = (case.get("classname"), case.get("name"))
        if key not in first:
            first[key] = case
            continue
        _add(first[key], case)
        suite.remove(case)
        changed = True
    if changed:
        cases = suite.findall("testcase")
        suite.set("tests", str(len(cases)))
        for tag, counter in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            suite.set(counter, str(sum(case.find(tag) is not None for case in cases)))
    return changed


def _add(case: ET.Element, other: ET.Element) -> None:
    verdict = next((part for tag in _BAD if (part := case.find(tag)) is not None), None)
    for part in list(other):
        if part.tag in _BAD and verdict is not None:
            verdict.text = f"{verdict.text or ''}\n\n{part.get('message', '')}\n{part.text or ''}"
        elif part.tag in _BAD:
            verdict = part
            case.insert(0, part)
        elif case.find(part.tag) is None:
            case.append(part)
    case.set("time", f"{float(case.get('time') or 0) + float(other.get('time') or 0):.3f}")
