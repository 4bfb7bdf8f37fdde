"""One run of a load test on the side that steers it: prepares the target, records, judges, cleans up.

Knows nothing of Locust: the plugin calls `prepare`, then `tick` once a second with the counters, then `end`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from devenv.core.errors import DevenvError
from devenv.load.figures import Figures, Finding, Threshold, breached, evaluate, total
from devenv.load.outcome import Facts, generator_reasons
from devenv.load.recording import BASE, LOAD, SCHEMA
from devenv.load.target import Target
from devenv.runs.identity import Run, begin_run
from devenv.runs.lines import Lines, write_text

RESTARTS = 3  # of a recorder that ended by itself; the recording has a gap, the load goes on
ERRORS_EVERY = 10.0  # seconds between two lines about why requests failed
ERRORS_KEPT = 20
Counters = Mapping[str, Figures]  # of each name since the run began
Errors = Iterable[tuple[int, str, str]]  # why requests failed: count, name, reason


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run shall do. `options` are kept in the recording."""

    target: Target
    thresholds: Sequence[Threshold]
    warm_up: float
    abort: bool = False
    folder: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


class Data(Protocol):
    """What a load test puts into its target before the load, and takes out of it again however the run ended."""

    def fill(self) -> Mapping[str, Any]:
        """Put it there; returns plain values for the users of all processes. Raises DevenvError."""
        ...

    def remove(self) -> None:
        """Remove it, also where `fill` did not come to its end; raises DevenvError."""
        ...


class Session:
    """A run from `prepare` to `end`; `data` makes what is loaded for it."""

    def __init__(self, plan: Plan, data: Callable[[Target, Run], Data] | None = None) -> None:
        self.plan = plan
        self.run: Run = begin_run()
        self.folder = Path(plan.folder).absolute() if plan.folder else self.run.folder / "load"
        self._loaded = data(plan.target, self.run) if data is not None else None
        self.interrupted = ""  # the signal, or what else ended it before its time
        self.aborted: list[Finding] = []
        self.inconclusive: list[str] = []  # why the run is inconclusive
        self._base = time.monotonic()
        self._lines: Lines | None = None
        self._recorder: subprocess.Popen[str] | None = None
        self._began: float | None = None  # of the load
        self._last: Counters = {}
        self._warm: Counters | None = None  # the counters when the warm-up ended
        self._now: Counters = {}
        self._busiest: list[float] = []
        self._errors_at = 0.0
        self._restarts = 0
        self._kept = {"arrivals": 0, "late": 0, "dropped": 0}

    def prepare(self) -> Mapping[str, Any]:
        """Start the recorder and load the data; returns what users get of it. Raises DevenvError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name in (LOAD, "target.jsonl"):
                (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise DevenvError(f"{self.folder} cannot be used: {error.strerror}", "Choose another --record.") from error
        write_text(self.folder / BASE, json.dumps(self._data(), indent=2) + "\n")
        self._lines = Lines(self.folder / LOAD, self._base)
        self._start_recorder()
        self._lines.write("phase", name="prepare")
        return self._loaded.fill() if self._loaded is not None else {}

    def begin(self) -> None:
        """The load begins now."""
        self._began = time.monotonic()
        # Without a warm-up the first second counts too.
        self._last, self._warm, self._now = {}, None if self.plan.warm_up else {}, {}

    def tick(self, counters: Counters, users: int, phase: str, generator: Mapping[str, Any]) -> list[Finding]:
        """Write a line about the last second; returns the breached thresholds when the run shall end for them."""
        if self._lines is None or self._began is None:
            return []
        self._look_after_recorder()
        cpu = [float(value) for value in generator["cpu"]]
        self._busiest.append(max(cpu, default=0.0))
        for key in self._kept:
            self._kept[key] += int(generator[key])
        fresh = _since(counters, self._last)
        self._lines.write(
            "load",
            phase=phase,
            users=users,
            names={name: item.to_data() for name, item in fresh.items() if item.requests},
            generator=dict(generator),
        )
        self._last = self._now = dict(counters)
        if time.monotonic() - self._began >= self.plan.warm_up and self._warm is None:
            self._warm = dict(counters)
            return []
        if self._warm is None or not self.plan.abort:
            return []
        growing = [item for item in self.plan.thresholds if not item.waits_for_the_end]
        self.aborted = breached(evaluate(growing, self.figures()))
        return self.aborted

    def tell_errors(self, errors: Errors, *, now: bool = False) -> None:
        """Write the most frequent reasons of failed requests; not every second, but where it is the last time."""
        if now or time.monotonic() - self._errors_at >= ERRORS_EVERY:
            self._errors_at = time.monotonic()
            most = sorted(errors, key=lambda error: -error[0])[:ERRORS_KEPT]
            if most:
                self.note("errors", most=[(count, name, reason[:300]) for count, name, reason in most])

    def figures(self) -> dict[str, Figures]:
        """Return the figures that thresholds are judged by: without the warm-up, where the run was longer."""
        figures = _since(self._now, self._warm or {})
        return figures | {"total": total(figures.values())}

    def note(self, kind: str, /, **values: Any) -> None:
        """Write a line of another kind: a change of the phase, a lost worker."""
        if self._lines is not None:
            self._lines.write(kind, **values)

    def judge(self, failures: int, exceptions: int, error_code: int) -> Facts:
        """Return what decides the outcome."""
        reasons = generator_reasons(self._busiest, self._kept["arrivals"], self._kept["late"], self._kept["dropped"])
        reasons += self.inconclusive
        findings = evaluate(self.plan.thresholds, self.figures())
        if self.interrupted:
            reasons.insert(0, f"ended by {self.interrupted}")
        else:
            reasons += [f"{item.threshold}: no such request was made" for item in findings if item.holds is None]
        return Facts(findings, failures, exceptions, reasons, error_code, interrupted=bool(self.interrupted))

    def end(self, tell: Callable[[str], None]) -> None:
        """Remove the run's data and stop the recorder; whatever fails is reported, and the rest is still done."""
        self.note("phase", name="clean up")
        try:
            if self._loaded is not None:
                self._loaded.remove()
            self.note("cleaned")
        except DevenvError as error:
            self.note("uncleaned", why=error.message)
            tell(f"what was loaded could not be removed: {error.message} {error.hint}")
        if self._recorder is not None and self._recorder.stdin is not None and self._recorder.stdout is not None:
            try:
                self._recorder.stdin.close()
                self._recorder.wait(10)
            except (OSError, subprocess.TimeoutExpired) as error:
                self._recorder.kill()
                tell(f"the recorder did not end by itself: {error}")
            self._recorder.stdout.close()
        if self._lines is not None:
            self._lines.write("end")
            self._lines.close()
            self._lines = None

    def _look_after_recorder(self) -> None:
        if self._recorder is not None and self._recorder.poll() is not None and self._restarts < RESTARTS:
            self._restarts += 1
            self.note("recorder", ended=self._recorder.returncode)
            try:
                self._start_recorder()
            except DevenvError as error:
                self.note("recorder", why=error.message)

    def _start_recorder(self) -> None:
        command = [sys.executable, "-m", "devenv.load.recorder", str(self.folder)]
        self._recorder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._recorder.stdout is not None
        line = self._recorder.stdout.readline()
        answer = json.loads(line) if line.startswith("{") else {"error": "the recorder ended at once", "hint": ""}
        if "error" in answer:
            raise DevenvError(f"the recorder: {answer['error']}", answer["hint"])

    def _data(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "schema": SCHEMA,
            "run": self.run.id,
            "base": self._base,
            "began": time.time(),
            "folder": str(Path.cwd()),
            "target": plan.target.to_data(),
            "thresholds": [str(item) for item in plan.thresholds],
            "warm_up": plan.warm_up,
            "options": dict(plan.options),
        }


def _since(now: Counters, before: Counters) -> dict[str, Figures]:
    """Return what came after `before`; a name that is new had no request until then, and as much time."""
    passed = max((item.seconds for item in before.values()), default=0.0)
    return {name: item.since(before.get(name, Figures(seconds=passed))) for name, item in now.items()}
