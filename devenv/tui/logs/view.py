"""The log on the line API of Textual: only the lines that are on the screen are drawn."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from rich.segment import Segment
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from devenv.core.errors import PatternTooSlow
from devenv.core.model import LogLine
from devenv.core.text import counted
from devenv.logs.buffer import LogBuffer
from devenv.logs.fold import FOLDS, Folds
from devenv.tui.logs.buffers import RE_CREATED
from devenv.tui.logs.filters import LogFilters
from devenv.tui.logs.keys import KEYS
from devenv.tui.logs.rows import LogRows, LogStyles, Look, View, draw, prefix_width, select
from devenv.tui.logs.search import LogSearch, restart_before
from devenv.tui.safe_text import safe

if TYPE_CHECKING:
    from devenv.logs.filter import Filter, LineFilter
    from devenv.logs.histogram import Histogram

PAUSE: Final = 0.02  # seconds between two slices in which older lines are looked at: keys and drawing come between
TELL_EVERY: Final = 0.25  # seconds between two looks at how far that has come
TIMES: Final = ("", "clock", "age")
_SOURCES: Final = 6  # colours in which the names of sources stand


class Frame(NamedTuple):
    """What is the same for all lines that are drawn at once."""

    view: View
    styles: LogStyles
    top: int
    selection: Selection | None


class LogView(ScrollView, can_focus=True):
    """Shows one buffer; follows its end until somebody scrolls up."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log--time",
        "log--stderr",
        "log--marker",
        "log--bad",
        "log--warn",
        "log--match",
        "log--current",
        *(f"log--source{number}" for number in range(_SOURCES)),
    }
    BINDINGS: ClassVar[list[BindingType]] = KEYS

    following: var[bool] = var(True)
    """Whether the newest line stays in view."""
    wrapping: var[bool] = var(True)
    """Whether long lines are wrapped; else they are scrolled sideways."""
    times: var[str] = var("")
    """Whether each line shows when it was written: "clock", "age" or not at all."""
    readable: var[bool] = var(False)
    """Whether JSON and logfmt are written for people."""
    counting: var[bool] = var(False)
    """Whether lines and errors over time are counted, for the bars above the log."""

    class Changed(Message):
        """What the title of the pane tells has changed."""

    class Asked(Message):
        """Somebody wants to do `what` with the lines: "filter", "pager", "save"."""

        def __init__(self, what: str) -> None:
            super().__init__()
            self.what = what

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.buffer = LogBuffer()
        self.placeholder = ""
        self.started_at: float | None = None
        self.search = LogSearch()
        self.chosen = LogFilters()
        self._folds = Folds(self.buffer)
        self._rows = LogRows(self.buffer, Look(), self._folds)
        self._more: Timer | None = None
        self._told_at = 0.0
        self._ahead = 0  # rows that came at the front and are not told to the scroll bar yet
        self._anchor: tuple[int, int] | None = None  # a line to stand on once it was looked at, and the rows above it
        self._error_due = 0  # a step to an error that was not looked at yet
        self._paused_at = 0
        self._moving = False  # while we scroll, not the user
        self._styles: LogStyles | None = None
        self._frame: Frame | None = None  # while it is drawn
        self.drawn = 0  # lines drawn since the start: a budget of the tests

    @property
    def unseen(self) -> int:
        """How many lines came since following was paused."""
        return 0 if self.following else max(0, self.buffer.total - self._paused_at)

    @property
    def filters(self) -> tuple[Filter, ...]:
        """The filters that are kept."""
        return self.chosen.kept

    @property
    def line_filter(self) -> LineFilter | None:
        """What of the log is shown; None: everything."""
        return self.chosen.line_filter()

    @property
    def shown(self) -> int:
        """How many lines pass the filters, of those that were looked at so far."""
        return len(self._rows.scan.numbers)

    @property
    def scanning(self) -> bool:
        """Whether older lines are still being looked at."""
        return not (self._rows.scan.complete and self.search.complete)

    def lines(self) -> Iterator[str]:
        """Yield what is shown as lines of text, oldest first, all of it."""
        return self._rows.lines()

    def show(self, buffer: LogBuffer, placeholder: str, started_at: float | None = None) -> None:
        """Show another buffer from its end on; at once, and not a line of the one before."""
        if buffer is not self.buffer:
            self._folds = Folds(buffer, self._folds.kind)
        self.buffer = buffer
        self.placeholder = placeholder
        self.started_at = started_at
        self._moving = True
        self.following = True
        self._begin_search()
        self._rebuild()

    def show_again(self) -> None:
        """Show what the buffer has now, where its lines are others."""
        self.show(self.buffer, self.placeholder, self.started_at)

    def sync(self) -> None:
        """Take in what the buffer got."""
        if self._rows.renamed:
            self._rebuild()
            return
        current = self.search.current
        looked_at = self.buffer.line(current) if current is not None else None
        try:
            gone = self._rows.sync()
            self.search.sync()
        except PatternTooSlow as error:
            self._give_up(error)
            return
        if looked_at is not None and current is not None and self.buffer.line(current) is not looked_at:
            self.search.current = self.buffer.number_of(looked_at, current)  # earlier ones came before it
        self._tell_rows(gone)
        if self.following or gone or len(self._rows) <= self.scroll_offset.y + self.size.height:
            self.refresh()
        self.post_message(self.Changed())
        self._look_back_soon()

    def _rebuild(self) -> None:
        room = self.scrollable_content_region.width - prefix_width(self.times)
        look = Look(max(8, room) if self.wrapping else None, self.line_filter, self.readable)
        top = self._rows.row(self._top) if not self.following else None
        self._rows = LogRows(self.buffer, look, self._folds, self._new_histogram())
        self._ahead = 0
        self._anchor = (top[1].number, 0) if top is not None else None
        if self.following:
            self.scroll_to(x=0, animate=False, force=True)
        self._look_back(self.size.height)

    def _look_back(self, enough: int | None = None) -> None:
        """Look at older lines for a moment, and again soon where there are more: keys and drawing come between.

        The first time until the screen is full. What comes before that changes no line on the screen, so that only the
        scroll bar and the counts are drawn, a few times a second.
        """
        if self._more is not None:
            self._more.stop()
            self._more = None
        if self._rows.scan.lags:
            self.sync()
            return
        full = len(self._rows) >= self.size.height
        try:
            if not self._rows.scan.complete:
                self._ahead += self._rows.scan.look_back(enough=enough)
            else:
                self.search.look_back()
        except PatternTooSlow as error:
            self._give_up(error)
            return
        now = time.monotonic()
        if enough is not None or not full or not self.scanning or now > self._told_at + TELL_EVERY:
            self._told_at = now
            self._tell_rows()
            self.refresh()
            self.post_message(self.Changed())
        if self._anchor is not None and self._rows.scan.looked_at(self._anchor[0]):
            self._stand_on(*self._anchor)
        self._look_back_soon()
        if self._error_due:
            self.action_error(self._error_due)
        if self.search.step_again(self.buffer.total, scanning=self.scanning):
            self._show_current()

    def _look_back_soon(self) -> None:
        if self.scanning and self._more is None:
            self._more = self.set_timer(PAUSE, self._look_back)

    def _tell_rows(self, gone: int = 0) -> None:
        """Tell the scroll bar of all rows; what is on the screen stays where it is, or is the end."""
        y = max(0, self._top - gone)
        self._ahead = 0
        self._moving = True
        width = 0 if self.wrapping else self._rows.widest + prefix_width(self.times)
        self._take_size(Size(width, len(self._rows)))
        self.scroll_to(y=self.max_scroll_y if self.following else y, animate=False, force=True)
        self._moving = False

    def _take_size(self, size: Size) -> None:
        """Take another virtual size; where no scroll bar comes or goes by it, without laying the whole screen out anew.

        In Textual 8.2 setting `virtual_size` does that, and paints everything twice with each batch of lines. The
        vertical bar is always there.
        """
        before, room = self.virtual_size.width, self.outer_size.width
        if self.show_vertical_scrollbar and (size.width == before or min(size.width, before) > room):
            self.set_reactive(Widget.virtual_size, size)
            self.vertical_scrollbar.window_virtual_size = size.height
            if self.show_horizontal_scrollbar:
                self.horizontal_scrollbar.window_virtual_size = size.width
        else:
            self.virtual_size = size

    @property
    def _top(self) -> int:
        """The row that is uppermost on the screen."""
        return self.scroll_offset.y + self._ahead

    def _give_up(self, error: PatternTooSlow) -> None:
        """Take away what takes too long, and say so."""
        self.notify(error.message, severity="warning", markup=False)
        if self.search.caused(error):
            self.search_for("")
        else:
            self.chosen.drop_slow(error.message)
            self._rebuild()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Pause following when somebody scrolls up, resume at the end."""
        super().watch_scroll_y(old_value, new_value)
        if not self._moving:
            self._anchor = None
            self._set_following(new_value >= self.max_scroll_y)

    def _set_following(self, following: bool) -> None:
        if following != self.following:
            self._paused_at = self.buffer.total
            self.following = following
            self.post_message(self.Changed())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what would do something now."""
        match action:
            case "find":
                return bool(self.search.text)
            case "scroll_end":
                return not self.following
            case "drop_filter":
                return bool(self.filters)
            case "run_before":
                return self._restart_before() is not None
            case "error":
                return self.counting
            case "unfold":
                return bool(self._folds.kind) and self.line_filter is None
            case "clear":
                return bool(self.buffer.lines)
        return True

    def action_scroll_end(self) -> None:
        """Go to the newest line and follow again."""
        self._anchor = None
        self._set_following(True)
        self.sync()

    def action_wrap(self) -> None:
        """Wrap long lines, or scroll them sideways."""
        self.wrapping = not self.wrapping
        self._rebuild()

    def action_times(self) -> None:
        """Show when lines were written, how long ago that is, or neither."""
        self.times = TIMES[(TIMES.index(self.times) + 1) % len(TIMES)]
        self._rebuild()

    def action_readable(self) -> None:
        """Write JSON and logfmt for people, or as they are."""
        self.readable = not self.readable
        self._rebuild()

    def action_fold(self) -> None:
        """Fold repeated lines beside traces, then nothing, then traces alone."""
        self._folds.kind = FOLDS[(FOLDS.index(self._folds.kind) + 1) % len(FOLDS)]
        self._rebuild()

    def action_histogram(self) -> None:
        """Count lines and errors over time, or no more."""
        self.counting = not self.counting
        self._rebuild()

    def _new_histogram(self) -> Histogram | None:
        if not self.counting:
            return None
        from devenv.logs.histogram import Histogram  # when somebody asks for it

        return Histogram()

    @property
    def histogram(self) -> Histogram | None:
        """The lines that are shown, over time; None where they are not counted."""
        return self._rows.scan.histogram

    def stand_since(self, at: float) -> None:
        """Stand on the first line that is shown from that second on."""
        if self.histogram is not None:
            self._stand_on_place(self.histogram.since(at))

    def action_error(self, step: int) -> None:
        """Stand on the next (1) or the last (-1) error of another second."""
        scan, current = self._rows.scan, self.search.current
        if scan.histogram is not None:
            here = bisect_left(scan.numbers, current) if current is not None else len(scan.numbers)
            place = scan.histogram.error(here, step)
            self._error_due = step if place is None and self.scanning else 0
            self._stand_on_place(place)

    def _stand_on_place(self, place: int | None) -> None:
        if place is not None:
            self.search.current = self._rows.scan.numbers[place]
            self._stand_on(self.search.current, self.size.height // 2)

    def action_unfold(self) -> None:
        """Open the fold that the search stands on, else the newest one on the screen; or close it."""
        on_screen = (self._rows.row(self._top + y) for y in reversed(range(self.size.height)))
        numbers = [row[1].number for row in on_screen if row is not None]
        if self.search.current is not None:
            numbers.insert(0, self.search.current)
        for number in numbers:
            if self._rows.folded(number) or self._folds.opened_at(number):
                self._toggle_fold(number)
                return

    def _toggle_fold(self, number: int) -> None:
        self._folds.toggle(number, number + self._rows.folded(number))
        self._set_following(False)
        self._rebuild()
        self._stand_on(self._rows.scan.before(number), self.size.height // 3)

    # What is shown of it

    def action_ask_filter(self) -> None:
        """Ask for a filter."""
        self.post_message(self.Asked("filter"))

    def type_filter(self, text: str) -> str:
        """Filter by what is being typed; return what is wrong with it."""
        wrong = self.chosen.type(text)
        self._filter_changed()
        return wrong

    def keep_filter(self) -> None:
        """Add what was typed to the filters."""
        self.chosen.keep()
        self._filter_changed()

    def action_drop_filter(self, index: int = -1) -> None:
        """Take one filter away, the last one if none is named."""
        self.chosen.drop(index)
        self._filter_changed()

    def action_since(self, key: int) -> None:
        """Show what was written since: 0 everything, 1 to 5 the last minutes and hours, 6 its start."""
        self.chosen.choose_since(key, self.started_at)
        self._filter_changed()

    def _filter_changed(self) -> None:
        self._begin_search()
        self._rebuild()

    def action_clear(self) -> None:
        """Let all lines go that came so far."""
        self.buffer.clear()
        self._set_following(True)
        self._filter_changed()

    def action_mark(self) -> None:
        """Put a line between what came and what comes."""
        now = time.time()
        self.buffer.append(LogLine("mark", now, "devenv", f"mark {datetime.fromtimestamp(now):%H:%M:%S}"))
        self.sync()

    def action_save(self) -> None:
        """Save what is shown."""
        self.post_message(self.Asked("save"))

    def action_pager(self) -> None:
        """Open what is shown in a pager."""
        self.post_message(self.Asked("pager"))

    def action_copy(self) -> None:
        """Copy what the mouse selected, else the line that the search stands on, else the lines on the screen."""
        selected = self.screen.get_selected_text()
        line = self.buffer.line(self.search.current) if self.search.current is not None else None
        if not selected and line is None:
            rows = (self._rows.row(self._top + y) for y in range(self.size.height))
            selected = "\n".join({row[1].number: row[0].text for row in rows if row is not None}.values())
        text = selected or (line.text if line is not None else "")
        self.app.copy_to_clipboard(text)
        self.notify(f"{counted(text.count(chr(10)) + 1, 'line')} copied", markup=False)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the text that the mouse selected, for Textual."""
        return self._rows.selected(selection.start, selection.end, prefix_width(self.times)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Stand still while somebody selects."""
        if selection is not None:
            self._set_following(False)
        self.refresh()

    # Where it stands

    def _restart_before(self) -> int | None:
        """Return the number of the last restart above what is on the screen, or of the last one at all."""
        row = self._rows.row(self._top)
        return restart_before(
            self.buffer, row[1].number if row is not None and not self.following else self.buffer.total
        )

    def action_run_before(self) -> None:
        """Go to the last lines of the run, or of the container, that was there before."""
        number = self._restart_before()
        if number is not None:
            line = self.buffer.line(number)
            if line is not None and line.text == RE_CREATED:
                said = "Of a container that is gone, the engine has no lines: these are those that were read."
                self.notify(said, markup=False)
            self._stand_on(number, self.size.height - 1)

    def seek(self, at: float) -> bool:
        """Stand on the newest line that is not later than `at`; False where every line is later: then on the oldest."""
        number = self.search.current = self.buffer.at(at)
        self._stand_on(number, self.size.height // 2)
        return number is not None

    def _stand_on(self, number: int | None, below: int) -> None:
        """Show that line so many rows below the top; without one, the first."""
        self._set_following(False)
        self._tell_rows()
        self._moving = True
        waits = number is not None and not self._rows.scan.looked_at(number)
        self._anchor = (number, below) if number is not None and waits else None
        y = self._rows.scan.row_of(number) - below if number is not None else 0
        self.scroll_to(y=max(0, y), animate=False, force=True)
        self._moving = False
        self.refresh()
        self.post_message(self.Changed())

    def search_for(self, text: str) -> None:
        """Mark a text; an empty one ends the search."""
        self.search.type(text)
        self._begin_search()
        if text:
            self.action_find(-1)
        self._look_back_soon()
        self.refresh()
        self.post_message(self.Changed())

    def _begin_search(self) -> None:
        try:
            self.search.begin(self.buffer, self.line_filter)
        except PatternTooSlow as error:
            self._give_up(error)

    def action_find(self, step: int) -> None:
        """Go to the next (1) or the previous (-1) line with the search text."""
        if self.search.step(step, self.buffer.total, scanning=self.scanning):
            self._show_current()

    def _show_current(self) -> None:
        number = self.search.current
        if number is not None and self._rows.folds is not None:
            above = self._rows.scan.before(number)
            if above is not None and above < number <= above + self._rows.folded(above):  # it stands behind another
                self._folds.toggle(above, above + self._rows.folded(above))
                self._rebuild()
        if self.search.current is not None:
            self._stand_on(self.search.current, self.size.height // 2)
        self.refresh()
        self.post_message(self.Changed())

    def on_resize(self, event: events.Resize) -> None:
        """Wrap for the new width, keep the end in view."""
        if self.wrapping:
            self._rebuild()
        elif self.following:
            self.sync()

    def notify_style_update(self) -> None:
        """Forget the styles of the theme before."""
        super().notify_style_update()
        self._styles = None

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw lines of the screen, for all of which some things are the same that Textual 8.2 works out slowly."""
        self._frame = self._look_at_frame()
        try:
            return super().render_lines(crop)
        finally:
            self._frame = None

    def _look_at_frame(self) -> Frame:
        left, width = self.scroll_offset.x, self.scrollable_content_region.width
        view = View(left, width, self.times, self.search.needle, self.search.current, self._rows)
        return Frame(view, self._styles or self._load_styles(), self._top, self.text_selection)

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        self.drawn += 1
        view, styles, top, selection = self._frame or self._look_at_frame()
        width = view.width
        if not len(self._rows):
            text = self.placeholder
            if self.buffer.lines:
                text = "looking…" if self.scanning else "nothing matches; ⌫ takes a filter away, 0 shows all times"
            return Strip([Segment(f"  {safe(text)}" if y == 0 else "", styles.time)]).crop_extend(0, width, styles.base)
        row = self._rows.row(top + y)
        if row is None:
            return Strip.blank(width, styles.base)
        strip, number = draw(*row, view, styles), self._rows.scan.steady(top + y)
        if selection is not None and (span := selection.get_span(number)) is not None:
            strip = select(strip, *span, view.left, self.screen.get_component_rich_style("screen--selection"))
        return strip.apply_offsets(view.left, number)

    def _load_styles(self) -> LogStyles:
        names = ("time", "stderr", "marker", "bad", "warn", "match", "current")
        by_name = {name: self.get_component_rich_style(f"log--{name}") for name in names}
        sources = tuple(self.get_component_rich_style(f"log--source{number}") for number in range(_SOURCES))
        self._styles = LogStyles(base=self.rich_style, sources=sources, **by_name)
        return self._styles
