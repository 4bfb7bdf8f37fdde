"""What is known of a run while it goes on, folded from what it tells. Knows no process and no screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from devenv.runs.criteria import Measurement, Verdict

# The stages of a test, as pytest runs them: bring up what it needs, test, clean up.
WAITING: Final = "waiting"
STAGES: Final = {"setup": "preparing", "call": "testing", "teardown": "cleaning up"}
_BAD: Final = (Verdict.FAILED, Verdict.ERROR)


@dataclass(frozen=True, slots=True)
class TestState:
    """One test: `stage` is what it does now, "" once it has ended; `at` when its verdict was told."""

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
        """Apply what the run told."""
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
