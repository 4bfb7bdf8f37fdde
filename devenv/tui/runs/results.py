"""The results of smoke tests: behaviours, their tests, what each measured; and their list on the line API.

A change draws the lines that changed, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.geometry import Size
from textual.strip import Strip

from devenv.core.text import human_duration
from devenv.runs.criteria import WORST_FIRST, Measurement, Verdict
from devenv.tui.safe_text import fit, safe, safe_lines
from devenv.tui.table.cells import Cell, Tone
from devenv.tui.widgets.line_table import LineTable, component_classes, keys
from devenv.verify.runner import STAGES, WAITING, RunState, TestState

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
    cells = (Cell(safe(name)), Cell(f"{done} of {len(tests)}", tone), *[_EMPTY] * 4)
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
    name = Cell(f"  {sign} {safe(test.name)}", tone if test.verdict is not Verdict.PASSED else "plain")
    return ResultRow(test.id, test.id, (name, Cell(word, tone), _EMPTY, _EMPTY, _EMPTY, seconds))


def _measurement_row(test: TestState, number: int, item: Measurement) -> ResultRow:
    criterion, unit = item.criterion, item.criterion.unit
    value = f"{_number(item.value)} {unit}" if item.value is not None else "–"
    budget = f"{criterion.budget:g} {unit}" if criterion.budget is not None else "none"
    margin = f"{item.margin:+.0%}" if item.margin is not None else ""
    tone = SIGNS[item.verdict][1]
    words = (value, budget, margin)
    cells = (
        Cell(f"      {safe(criterion.name)}", "quiet"),
        Cell(item.verdict.value, tone),
        *(Cell(safe(word), tone if item.verdict is not Verdict.PASSED else "plain") for word in words),
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
        return [("cancelled, cleaning up: ", "$warning"), (safe(text or "waiting for pytest"), "")]
    return [(safe(text or "collecting the tests"), "")]


def detail_parts(test: TestState | None, state: RunState) -> list[tuple[str, str]]:
    """Return all about one test: what it measured with its stages, and why it failed; or why nothing ran."""
    if test is None:
        if state.over and (state.exit_code not in (0, 1) or not state.tests):
            return [("pytest ended early:\n", "bold $warning"), *_lines(_end_of(state.last_words))]
        return []
    parts = [(f"{safe(test.id)}\n", "bold")]
    if test.services:
        parts.append((f"services: {safe(', '.join(test.services))}\n", "$quiet"))
    for item in test.measurements:
        parts.append((f"{safe(str(item))}\n", "$foreground"))
        if item.criterion.source:
            parts.append((f"  means: {safe(item.criterion.source)}\n", "$quiet"))
        if item.stages:
            stages = " · ".join(f"{safe(name)} {seconds:.2f}" for name, seconds in item.stages.items())
            parts.append((f"  stages: {stages}\n", "$quiet"))
    if test.why:
        errors = [line.removeprefix("E").strip() for line in test.why.splitlines() if line.startswith("E  ")]
        parts += [("\n", ""), *((f"{safe(line)}\n", "$error") for line in errors), ("\n", ""), *_lines(test.why)]
    return parts


def _end_of(text: str) -> str:
    return "\n".join(text.splitlines()[-WORDS_SHOWN:])


def _lines(text: str) -> Iterable[tuple[str, str]]:
    for line in safe_lines(text):
        is_error = line.startswith(("E  ", "expected:", "seen:"))
        yield (f"{line}\n", "$error" if is_error else "$foreground")


_WIDTHS: Final = (0, 22, 10, 9, 7, 9)  # cells of each column; the first takes the rest
_LEAST_NAME: Final = 22
_NARROW: Final = 60
_GIVES_WAY: Final = (5, 4, 3, 2)  # which column goes first in a narrow terminal


class ResultList(LineTable[ResultRow]):
    """Shows rows; the cursor stays on the same row, and follows the run until somebody moves it."""

    STYLES = "results"
    LEAD = 1  # the heading of the group
    COMPONENT_CLASSES: ClassVar[set[str]] = component_classes("results")
    BINDINGS: ClassVar[list[BindingType]] = keys("results", "log of the failure")

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: tuple[ResultRow, ...] = ()
        self.touched = False  # by the user: it does not follow the run any more

    def show(self, rows: Sequence[ResultRow], placeholder: str = "", current: str = "") -> None:
        """Show these rows; the cursor goes to the row of the test `current` unless the user has moved it."""
        before, self.rows = self.rows, tuple(rows)
        old = before[self._cursor].key if before else ""
        key = current if current and not self.touched else old
        keys = [row.key for row in self.rows]
        if [row.key for row in before] == keys:
            for index, (was, row) in enumerate(zip(before, self.rows, strict=True)):
                if was != row:
                    self._refresh_row(index)
        else:
            self.virtual_size = Size(0, len(self.rows) + 1)
            self.refresh()
        if placeholder != self.placeholder:
            self.placeholder = placeholder
            self.refresh()
        index = keys.index(key) if key in keys else min(self._cursor, max(0, len(keys) - 1))
        self._stand(index)

    def select(self, index: int) -> None:
        """Put the cursor on that row, for the user."""
        self.touched = True
        self._stand(max(0, min(index, len(self.rows) - 1)))

    def _stand(self, index: int) -> None:
        if index == self._cursor:
            return
        self.call_after_refresh(self._reveal)  # the rows may be new, and with them how far it can be scrolled
        for row in (self._cursor, index):
            self._refresh_row(row)
        self._cursor = index
        self._tell_moved()

    def on_resize(self) -> None:
        """Keep the cursor in view."""
        self._reveal()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer the log of what has failed."""
        return action != "open" or bool(self.selected and self.selected.test)

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen: the head, a row, or nothing."""
        self.lines_drawn += 1
        width = self.scrollable_content_region.width
        columns = _columns(width)
        if y == 0:
            head = self.style_of("head")
            parts = [fit(HEAD[at], cells, right=at > 1) for at, cells in columns]
            return Strip([Segment(f"  {' '.join(parts)}", head)]).crop_extend(0, width, head)
        index = y - 1 + self.scroll_offset.y
        plain = self.style_of("plain")
        if index >= len(self.rows):
            text = f"  {self.placeholder}" if y == 1 and not self.rows else ""
            return Strip([Segment(text, self.style_of("quiet"))]).crop_extend(0, width, plain)
        cursor = self.style_of("cursor") if index == self._cursor else None
        base = plain if cursor is None else plain + Style(bgcolor=cursor.bgcolor, bold=True)
        segments = [Segment("▌ " if cursor is not None else "  ", cursor or plain)]
        for at, cells in columns:
            cell = self.rows[index].cells[at]
            style = self.style_of(cell.tone)
            if not self.rows[index].test:
                style += Style(bold=True)
            if cursor is not None:
                style = cursor if cursor.reverse else style + Style(bgcolor=cursor.bgcolor, bold=True)
            segments.append(Segment(fit(cell.text, cells, right=at > 1), style))
            segments.append(Segment(" ", cursor if cursor is not None and cursor.reverse else base))
        return Strip(segments).crop_extend(0, width, base)


def _columns(width: int) -> list[tuple[int, int]]:
    """Return which columns fit, and how many cells each takes."""
    widths = list(_WIDTHS)
    if width < _NARROW:
        widths[1] = len("inconclusive")
    kept = list(range(len(HEAD)))
    for at in (*_GIVES_WAY, 1):
        if _LEAST_NAME + sum(widths[item] + 1 for item in kept[1:]) + 2 <= width:
            break
        kept.remove(at)
    widths[0] = max(1, width - 2 - sum(widths[item] + 1 for item in kept[1:]) - 1)
    return [(at, widths[at]) for at in kept]
