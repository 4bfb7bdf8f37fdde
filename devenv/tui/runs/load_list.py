"""The earlier load tests on the line API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.geometry import Size
from textual.strip import Strip

from devenv.tui.safe_text import fit, safe
from devenv.tui.widgets.line_table import LineTable, component_classes, keys

if TYPE_CHECKING:
    from devenv.load.runner import KnownRun

_COLUMNS: Final = (("BEGAN", 16), ("VERDICT", 12), ("SHAPE", 7), ("TARGET", 22), ("USERS", 6), ("/s", 7), ("P95 ms", 7))
_RIGHT: Final = ("USERS", "/s", "P95 ms")
_TONES: Final = {"passed": "good", "failed": "bad", "error": "bad"} | dict.fromkeys(
    ("inconclusive", "interrupted", "goes on"), "warn"
)


class LoadList(LineTable["KnownRun"]):
    """Shows runs, newest first."""

    STYLES = "loads"
    COMPONENT_CLASSES: ClassVar[set[str]] = component_classes("loads")
    BINDINGS: ClassVar[list[BindingType]] = keys("loads", "open it")

    def show(self, runs: Sequence[KnownRun], placeholder: str) -> None:
        """Show these runs."""
        self.rows = tuple(runs)
        self.placeholder = placeholder
        self._cursor = max(0, min(self._cursor, len(self.rows) - 1))
        self.virtual_size = Size(0, len(self.rows) + 1)
        self.refresh()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to open what is there."""
        return action != "open" or bool(self.rows)

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen: the head, a run, or nothing."""
        self.lines_drawn += 1
        width = self.scrollable_content_region.width
        plain = self.style_of("plain")
        if y == 0:
            head = self.style_of("head")
            text = " ".join(fit(name, cells, right=name in _RIGHT) for name, cells in _COLUMNS)
            return Strip([Segment(f"  {text}", head)]).crop_extend(0, width, head)
        index = y - 1 + self.scroll_offset.y
        if index >= len(self.rows):
            text = f"  {safe(self.placeholder)}" if y == 1 and not self.rows else ""
            return Strip([Segment(text, self.style_of("quiet"))]).crop_extend(0, width, plain)
        is_cursor = index == self._cursor
        cursor = self.style_of("cursor")
        base = Style.combine([plain, Style(bgcolor=cursor.bgcolor, bold=True)]) if is_cursor else plain
        segments = [Segment("▌ " if is_cursor else "  ", cursor if is_cursor else plain)]
        for (name, cells), (text, tone) in zip(_COLUMNS, _cells(self.rows[index]), strict=True):
            style = self.style_of(tone) + Style(bgcolor=base.bgcolor) if is_cursor else self.style_of(tone)
            segments.append(
                Segment(fit(safe(text), cells, right=name in _RIGHT), cursor if cursor.reverse and is_cursor else style)
            )
            segments.append(Segment(" ", base))
        return Strip(segments).crop_extend(0, width, base)


def _cells(run: KnownRun) -> list[tuple[str, str]]:
    verdict = "goes on" if run.goes_on else run.verdict or "ended early"
    rate, p95 = ("–" if value is None else f"{value:.0f}" for value in (run.rps, run.p95))
    return [
        (f"{datetime.fromtimestamp(run.began):%Y-%m-%d %H:%M}", "plain"),
        (verdict, _TONES.get(verdict, "quiet")),
        (run.shape, "plain"),
        (f"{run.kind} {run.project}".strip(), "plain"),
        (str(run.users or "–"), "plain"),
        (rate, "plain"),
        (p95, "plain"),
    ]
