"""The lines of a run's results: behaviours, their tests, what each measured. Knows no widget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from devenv.core.text import human_duration
from devenv.runs.criteria import WORST_FIRST, Measurement, Verdict
from devenv.tui.shown import shown, shown_lines
from devenv.tui.table.cells import Cell, Tone
from devenv.verify.run_state import STAGES, WAITING, RunState, TestState

SIGNS: Final[Mapping[Verdict, tuple[str, Tone]]] = {
    Verdict.PASSED: ("✓", "good"),
    Verdict.FAILED: ("✗", "bad"),
    Verdict.INCONCLUSIVE: ("?", "warn"),
    Verdict.ERROR: ("✗", "alarm"),
}
HEAD: Final = ("BEHAVIOUR, TEST, CRITERION", "VERDICT", "VALUE", "BUDGET", "MARGIN", "TIME")
WORDS_SHOWN: Final = 12  # lines of pytest's output where there is no result
_EMPTY: Final = Cell("")
_QUIET: Final[Tone] = "quiet"


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One line: `cells` as HEAD names them; `test` is the test that it is about, "" for a behaviour."""

    key: str
    test: str
    cells: tuple[Cell, ...]


def result_rows(state: RunState) -> list[ResultRow]:
    """Return all lines, behaviours in the order in which their first test runs."""
    groups: dict[str, list[TestState]] = {}
    for test in state.tests.values():
        groups.setdefault(test.behaviour or "tests", []).append(test)
    return [row for name, tests in groups.items() for row in _group(name, tests, over=state.over)]


def _took(state: RunState, now: float) -> str:
    seconds = max(0, int((state.ended or now) - state.began))
    return human_duration(seconds) if seconds >= 120 else f"{seconds} s"


def _group(name: str, tests: list[TestState], *, over: bool) -> Iterator[ResultRow]:
    done = sum(test.verdict is not None and not test.stage for test in tests)
    worst = next((verdict for verdict in WORST_FIRST if any(test.verdict is verdict for test in tests)), None)
    tone: Tone = SIGNS[worst][1] if worst is not None and (done == len(tests) or worst in WORST_FIRST[:2]) else "plain"
    cells = (Cell(shown(name)), Cell(f"{done} of {len(tests)}", tone), *[_EMPTY] * 4)
    yield ResultRow(f"behaviour {name}", "", cells)
    for test in tests:
        yield _test_row(test, over=over)
        for number, item in enumerate(test.measurements):
            yield _measurement_row(test, number, item)


def _test_row(test: TestState, *, over: bool) -> ResultRow:
    seconds = Cell(f"{test.seconds:.1f} s" if test.seconds else "", "quiet")
    sign, word, tone = "◌", "not run" if over else WAITING, _QUIET
    if test.stage in STAGES:
        sign, word, tone = "◐", STAGES[test.stage], "warn"
        if test.verdict is not None and test.verdict is not Verdict.PASSED:
            word, tone = f"{test.verdict}, {word}", SIGNS[test.verdict][1]
    elif test.verdict is not None:
        (sign, tone), word = SIGNS[test.verdict], test.verdict.value
    name = Cell(f"  {sign} {shown(test.name)}", tone if test.verdict is not Verdict.PASSED else "plain")
    return ResultRow(test.id, test.id, (name, Cell(word, tone), _EMPTY, _EMPTY, _EMPTY, seconds))


def _measurement_row(test: TestState, number: int, item: Measurement) -> ResultRow:
    criterion, unit = item.criterion, item.criterion.unit
    value = f"{_number(item.value)} {unit}" if item.value is not None else "–"
    budget = f"{criterion.budget:g} {unit}" if criterion.budget is not None else "none"
    margin = f"{item.margin:+.0%}" if item.margin is not None else ""
    tone = SIGNS[item.verdict][1]
    words = (value, budget, margin)
    cells = (
        Cell(f"      {shown(criterion.name)}", "quiet"),
        Cell(item.verdict.value, tone),
        *(Cell(shown(word), tone if item.verdict is not Verdict.PASSED else "plain") for word in words),
        _EMPTY,
    )
    return ResultRow(f"{test.id} criterion {number}", test.id, cells)


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def summary_parts(state: RunState, now: float) -> list[tuple[str, str]]:
    """Return how the run stands, in words: for the screen's title and the line on the main screen."""
    counts = [(state.count(verdict), verdict) for verdict in Verdict]
    done = sum(test.verdict is not None and not test.stage for test in state.tests.values())
    took = _took(state, now)
    where = "on the running stack" if state.running_stack else "on an isolated copy"
    parts: list[tuple[str, str]] = []
    if not state.over:
        parts.append(("◐ verify ", "bold $accent"))
        parts.append((f"{done}/{len(state.tests)} {where}, {took}" if state.tests else f"begins {where}, {took}", ""))
    else:
        bad, fine = any(test.bad for test in state.tests.values()), state.exit_code == 0
        word = "cancelled" if state.cancelled else "failed" if bad else "passed" if fine else "ended early"
        style = "$error" if bad else "$success" if fine and not state.cancelled else "$warning"
        parts.append((f"verify {word} ", f"bold {style}"))
        parts.append((f"{where}, {took}", ""))
    styles = {Verdict.PASSED: "$success", Verdict.INCONCLUSIVE: "$warning"}
    parts += [(f"  {count} {verdict}", styles.get(verdict, "$error")) for count, verdict in counts if count]
    return parts


def step_parts(state: RunState) -> list[tuple[str, str]]:
    """Return what the run does now; while it is cancelled, how its clean-up goes."""
    if state.over:
        return []
    current = state.current
    what = f"{current.name}: {STAGES[current.stage]}" if current is not None else ""
    if state.cleaning and not state.step:
        what = "writing the reports"
    text = ", ".join(filter(None, (what, state.step)))
    if state.cancelled:
        return [("cancelled, cleaning up: ", "$warning"), (shown(text or "waiting for pytest"), "")]
    return [(shown(text or "collecting the tests"), "")]


def detail_parts(test: TestState | None, state: RunState) -> list[tuple[str, str]]:
    """Return all about one test: what it measured with its stages, and why it failed; or why nothing ran."""
    if test is None:
        if state.over and (state.exit_code not in (0, 1) or not state.tests):
            return [("pytest ended early:\n", "bold $warning"), *_lines(_end_of(state.last_words))]
        return []
    parts = [(f"{shown(test.id)}\n", "bold")]
    if test.services:
        parts.append((f"services: {shown(', '.join(test.services))}\n", "$quiet"))
    for item in test.measurements:
        parts.append((f"{shown(str(item))}\n", "$foreground"))
        if item.criterion.source:
            parts.append((f"  means: {shown(item.criterion.source)}\n", "$quiet"))
        if item.stages:
            stages = " · ".join(f"{shown(name)} {seconds:.2f}" for name, seconds in item.stages.items())
            parts.append((f"  stages: {stages}\n", "$quiet"))
    if test.why:
        told = [line.removeprefix("E").strip() for line in test.why.splitlines() if line.startswith("E  ")]
        parts += [("\n", ""), *((f"{shown(line)}\n", "$error") for line in told), ("\n", ""), *_lines(test.why)]
    return parts


def _end_of(text: str) -> str:
    return "\n".join(text.splitlines()[-WORDS_SHOWN:])


def _lines(text: str) -> Iterable[tuple[str, str]]:
    for line in shown_lines(text):
        told = line.startswith(("E  ", "expected:", "seen:"))
        yield (f"{line}\n", "$error" if told else "$foreground")
