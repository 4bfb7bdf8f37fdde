"""The log on the line API, where only the lines on screen are drawn, and its pane with title and search."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from textual import events, on
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.timer import Timer
from textual.widgets import Input

from devenv.core.errors import PatternTooSlow
from devenv.core.model import LogLine
from devenv.core.text import human_age
from devenv.logs.buffer import LogBuffer
from devenv.logs.scan import Scan
from devenv.tui.logs.buffers import Source
from devenv.tui.logs.rows import LogRows, LogStyles, Look, View, draw, prefix_width
from devenv.tui.safe_text import Part, safe
from devenv.tui.widgets.bars import Line
from devenv.tui.widgets.inputs import Prompt

if TYPE_CHECKING:
    from devenv.logs.filter import Filter, LineFilter, Pattern

SINCE: Final = (0, 60, 300, 900, 3600, 14400)  # seconds, by the keys 0 to 5; 6: since the start
TIMES: Final = ("", "clock", "age")
_SOURCES: Final = 6  # colours in which the names of sources stand


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
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "f", "ask_filter", "filter", id="logs.filter", tooltip="regex, !not, level>=warn, field=value, field~regex"
        ),
        Binding("backspace", "drop_filter", "less filter", key_display="⌫", id="logs.unfilter"),
        Binding("n", "find(1)", "next", id="logs.next"),
        Binding("N", "find(-1)", "previous", key_display="N", id="logs.before"),
        Binding("G,end", "scroll_end", "follow", key_display="G", id="logs.follow"),
        Binding("w", "wrap", "wrap", id="logs.wrap"),
        Binding("t", "times", "times", id="logs.times", tooltip="clock, age, off"),
        Binding("J", "readable", "readable", key_display="J", id="logs.readable", tooltip="JSON and logfmt for people"),
        *(
            Binding(f"{key}", f"since({key})", label, show=False, id=f"logs.since{key}")
            for key, label in enumerate(("all", "1m", "5m", "15m", "1h", "4h", "start"))
        ),
        Binding("p", "run_before", "run before", id="logs.previous", tooltip="to the last lines before a restart"),
        Binding("m", "mark", "mark", show=False, id="logs.mark", tooltip="a line that says when"),
        Binding("c", "copy", "copy", show=False, id="logs.copy", tooltip="the line found, else what is on the screen"),
        Binding("x", "clear", "clear", show=False, id="logs.clear"),
        Binding("o", "pager", "pager", show=False, id="logs.pager", tooltip="what is filtered, in $PAGER"),
        Binding("ctrl+s", "save", "save", show=False, key_display="^s", id="logs.save", tooltip="what is filtered"),
        Binding("g,home", "scroll_home", "oldest", show=False, id="logs.oldest"),
        Binding("j", "scroll_down", "down", show=False, id="logs.down"),
        Binding("k", "scroll_up", "up", show=False, id="logs.up"),
        Binding("space", "page_down", "page down", show=False, id="logs.page"),
        Binding("b", "page_up", "page up", show=False, id="logs.back"),
    ]

    following: var[bool] = var(True)
    """Whether the newest line stays in view."""
    wrapping: var[bool] = var(True)
    """Whether long lines are wrapped; else they are scrolled sideways."""
    times: var[str] = var("")
    """Whether each line shows when it was written: "clock", "age" or not at all."""
    readable: var[bool] = var(False)
    """Whether JSON and logfmt are written for people."""

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
        self.filters: tuple[Filter, ...] = ()
        self.since_key = 0
        self.search_text = ""
        self._typed: Filter | None = None  # the filter that is being typed
        self._since: float | None = None
        self._rows = LogRows(self.buffer, Look())
        self._needle: Pattern | None = None
        self._hits: Scan | None = None
        self._waits_for_hit: int | None = None  # the direction of a search that has not come to a line yet
        self._more: Timer | None = None
        self.current: int | None = None
        self._paused_at = 0
        self._moving = False  # while we scroll, not the user
        self._styles: LogStyles | None = None
        self.drawn = 0  # lines drawn since the start: a budget of the tests

    @property
    def unseen(self) -> int:
        """How many lines came since following was paused."""
        return 0 if self.following else max(0, self.buffer.total - self._paused_at)

    @property
    def line_filter(self) -> LineFilter | None:
        """What of the log is shown; None: everything."""
        filters = (*self.filters, *((self._typed,) if self._typed else ()))
        if not filters and self._since is None:
            return None
        from devenv.logs.filter import LineFilter  # with the first filter, not before the first paint

        return LineFilter(filters, self._since)

    @property
    def shown(self) -> int:
        """How many lines pass the filters, of those that were looked at so far."""
        return len(self._rows.scan.numbers)

    @property
    def hits(self) -> int:
        """How many of them the search finds."""
        return len(self._hits.numbers) if self._hits is not None else 0

    @property
    def scanning(self) -> bool:
        """Whether older lines are still being looked at."""
        return not self._rows.scan.complete or (self._hits is not None and not self._hits.complete)

    def lines(self) -> Iterator[str]:
        """Yield what is shown as lines of text, oldest first, all of it."""
        while not self._rows.scan.complete:
            self._rows.scan.look_back(1.0)
        for number in self._rows.scan.numbers:
            line = self.buffer.line(number)
            if line is not None:
                at = datetime.fromtimestamp(line.at, UTC).isoformat(timespec="milliseconds") + " " if line.at else ""
                text = f"-- {line.text} --" if line.stream == "devenv" else line.text
                yield f"{at}{self._rows.source(line)}{text}"

    def show(self, buffer: LogBuffer, placeholder: str, started_at: float | None = None) -> None:
        """Show another buffer from its end on; at once, and not a line of the one before."""
        self.buffer = buffer
        self.placeholder = placeholder
        self.started_at = started_at
        self.current = None
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
        looked_at = self.buffer.line(self.current) if self.current is not None else None
        try:
            gone = self._rows.sync()
            if self._hits is not None:
                self._hits.sync()
        except PatternTooSlow as error:
            self._give_up(error)
            return
        if looked_at is not None and self.current is not None and self.buffer.line(self.current) is not looked_at:
            self.current = self.buffer.number_of(looked_at, self.current)  # earlier ones came before it
        self._moving = True
        self._measure()
        if self.following:
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
            self.refresh()
        else:
            if gone:
                self.scroll_to(y=max(0, self.scroll_offset.y - gone), animate=False, force=True)
            if gone or len(self._rows) <= self.scroll_offset.y + self.size.height:
                self.refresh()
        self._moving = False
        self.post_message(self.Changed())

    def _rebuild(self) -> None:
        room = self.scrollable_content_region.width - prefix_width(self.times)
        look = Look(max(8, room) if self.wrapping else None, self.line_filter, self.readable)
        top = self._rows.row(self.scroll_offset.y) if not self.following else None
        self._rows = LogRows(self.buffer, look)
        self._look_back()
        self._moving = True
        if self.following:
            self.scroll_to(x=0, y=self.max_scroll_y, animate=False, force=True)
        elif top is not None:
            self.scroll_to(y=self._rows.scan.row_of(top[1].number), animate=False, force=True)
        self._moving = False
        self.refresh()

    def _look_back(self) -> None:
        """Look at older lines for a moment, and again soon where there are more: keys and drawing come between."""
        if self._more is not None:
            self._more.stop()
            self._more = None
        added = 0
        try:
            if not self._rows.scan.complete:
                added = self._rows.scan.look_back()
            elif self._hits is not None and not self._hits.complete:
                self._hits.look_back()
        except PatternTooSlow as error:
            self._give_up(error)
            return
        self._moving = True
        self._measure()
        if added:
            self.scroll_to(
                y=self.max_scroll_y if self.following else self.scroll_offset.y + added, animate=False, force=True
            )
        self._moving = False
        if self.scanning:
            self._more = self.set_timer(0.001, self._look_back)
        if self._waits_for_hit is not None and (self.hits or not self.scanning):
            self._go_to_hit(self._waits_for_hit)
        self.refresh()
        self.post_message(self.Changed())

    def _give_up(self, error: PatternTooSlow) -> None:
        """Take away what takes too long, and say so."""
        self.notify(error.message, severity="warning", markup=False)
        if self._hits is not None and self._needle is not None and f"“{self._needle.text}”" in error.message:
            self.search("")
        else:
            self._typed = None
            self.filters = tuple(one for one in self.filters if f"“{one.text.lstrip('!')}”" not in error.message)
            self._rebuild()

    def _measure(self) -> None:
        width = 0 if self.wrapping else self._rows.widest + prefix_width(self.times)
        self.virtual_size = Size(width, len(self._rows))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Pause following when somebody scrolls up, resume at the end."""
        super().watch_scroll_y(old_value, new_value)
        if not self._moving:
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
                return bool(self.search_text)
            case "scroll_end":
                return not self.following
            case "drop_filter":
                return bool(self.filters)
            case "run_before":
                return self._mark_before() is not None
            case "clear":
                return bool(self.buffer.lines)
        return True

    def action_scroll_end(self) -> None:
        """Go to the newest line and follow again."""
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

    # What is shown of it

    def action_ask_filter(self) -> None:
        """Ask for a filter."""
        self.post_message(self.Asked("filter"))

    def type_filter(self, text: str) -> str:
        """Filter by what is being typed; return what is wrong with it."""
        from devenv.logs.filter import parse_filter

        wrong = ""
        try:
            self._typed = parse_filter(text) if text.strip() else None
        except ValueError as error:
            wrong, self._typed = str(error), None
        self._filter_changed()
        return wrong

    def keep_filter(self) -> None:
        """Add what was typed to the filters."""
        if self._typed is not None and self._typed.text not in {one.text for one in self.filters}:
            self.filters = (*self.filters, self._typed)
        self._typed = None
        self._filter_changed()

    def action_drop_filter(self, index: int = -1) -> None:
        """Take one filter away, the last one if none is named."""
        kept = list(self.filters)
        del kept[index]
        self.filters = tuple(kept)
        self._filter_changed()

    def action_since(self, key: int) -> None:
        """Show what was written since: 0 everything, 1 to 5 the last minutes and hours, 6 its start."""
        self.since_key = key
        self._since = self.started_at if key == 6 else time.time() - SINCE[key] if key else None
        if key == 6 and self.started_at is None:
            self.since_key = 0
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
        """Copy the line that the search stands on, else the lines on the screen."""
        if self.current is not None and (line := self.buffer.line(self.current)) is not None:
            texts = [line.text]
        else:
            rows = (self._rows.row(self.scroll_offset.y + y) for y in range(self.size.height))
            texts = [line.text for line in {row[1].number: row[0] for row in rows if row is not None}.values()]
        self.app.copy_to_clipboard("\n".join(texts))
        self.notify(f"{len(texts)} line{'s' * (len(texts) != 1)} copied", markup=False)

    # Where it stands

    def _mark_before(self) -> int | None:
        """Return the number of the last restart above what is on the screen, or of the last one at all."""
        row = self._rows.row(self.scroll_offset.y)
        above = row[1].number if row is not None and not self.following else self.buffer.total
        found = None
        for number, line in enumerate(self.buffer.lines, self.buffer.first):
            if number >= above:
                break
            if line.stream == "devenv" and line.text.startswith(
                ("container exited", "container was re-created", "container ")
            ):
                found = number
        return found

    def action_run_before(self) -> None:
        """Go to the last lines of the run, or of the container, that was there before."""
        number = self._mark_before()
        if number is not None:
            self._stand_on(number, self.size.height - 1)

    def seek(self, at: float) -> bool:
        """Stand on the newest line that is not later than `at`; False where every line is later: then on the oldest."""
        number = self.buffer.at(at)
        self.current = number
        self._stand_on(number, self.size.height // 2)
        return number is not None

    def _stand_on(self, number: int | None, below: int) -> None:
        """Show that line so many rows below the top; without one, the first."""
        self._set_following(False)
        self._moving = True
        y = self._rows.scan.row_of(number) - below if number is not None else 0
        self.scroll_to(y=max(0, y), animate=False, force=True)
        self._moving = False
        self.refresh()
        self.post_message(self.Changed())

    def search(self, text: str) -> None:
        """Mark a text; an empty one ends the search."""
        from devenv.logs.filter import Pattern

        self.search_text = text
        try:
            self._needle = Pattern(text) if text else None
        except ValueError:  # an expression that is not typed to its end is a text until then
            self._needle = Pattern(text, plain=True)
        self._begin_search()
        if text:
            self.action_find(-1)
        self._look_back()

    def _begin_search(self) -> None:
        self.current, self._hits, self._waits_for_hit = None, None, None
        needle, only = self._needle, self.line_filter
        if needle is not None:
            self._hits = Scan(
                self.buffer, lambda line: (only is None or only.passes(line)) and needle.found_in(line.text)
            )
            try:
                self._hits.look_back()
            except PatternTooSlow as error:
                self._give_up(error)

    def action_find(self, step: int) -> None:
        """Go to the next (1) or the previous (-1) line with the search text."""
        if self._hits is not None and not self.hits and self.scanning:
            self._waits_for_hit = step
        else:
            self._go_to_hit(step)

    def _go_to_hit(self, step: int) -> None:
        self._waits_for_hit = None
        start = self.buffer.total if self.current is None else self.current
        self.current = self._hits.next_to(start, step) if self._hits is not None else None
        if self.current is not None:
            self._stand_on(self.current, self.size.height // 2)
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

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        self.drawn += 1
        styles = self._styles or self._load_styles()
        width = self.scrollable_content_region.width
        if not len(self._rows):
            text = self.placeholder
            if self.buffer.lines:
                text = "looking…" if self.scanning else "nothing matches; ⌫ takes a filter away, 0 shows all times"
            return Strip([Segment(f"  {safe(text)}" if y == 0 else "", styles.time)]).crop_extend(0, width, styles.base)
        row = self._rows.row(self.scroll_offset.y + y)
        if row is None:
            return Strip.blank(width, styles.base)
        own = not self.readable
        view = View(self.scroll_offset.x, width, self.times, self._needle, self.current, self._rows.source, own)
        return draw(*row, view, styles)

    def _load_styles(self) -> LogStyles:
        names = ("time", "stderr", "marker", "bad", "warn", "match", "current")
        by_name = {name: self.get_component_rich_style(f"log--{name}") for name in names}
        sources = tuple(self.get_component_rich_style(f"log--source{number}") for number in range(_SOURCES))
        self._styles = LogStyles(base=self.rich_style, sources=sources, **by_name)
        return self._styles


PATIENCE: Final = 10.0  # seconds in which lines may still come that are older than the moment


class LogJump:
    """Puts the view on the newest line before `at`, again with each batch of lines until one is later."""

    def __init__(self, view: LogView, source: Source, at: float) -> None:
        self.source = source
        self._view = view
        self._at = at
        self._until = time.monotonic() + PATIENCE
        self._warned = False

    def look(self) -> bool:
        """Go there; False once there is nothing left to do."""
        lines = self._view.buffer.lines
        if lines and not self._view.seek(self._at):
            if not self._warned:
                self._warned = True
                text = "The log of that moment is not there any more; this is the oldest line that was read."
                self._view.notify(text, severity="warning", markup=False)
            return False
        last = lines[-1].at if lines else None
        return time.monotonic() < self._until and (last is None or last <= self._at)


class FilterPrompt(Prompt):
    """Asks for one filter; Enter keeps it beside the others."""

    def __init__(self, view: LogView, *, id: str | None = None) -> None:
        super().__init__("regex, !not, level>=warn, field=value, field~regex", view, id=id)
        self._view = view

    def action_keep(self) -> None:
        """Keep what was typed as one more filter."""
        self._view.type_filter(self.value)
        self._view.keep_filter()
        self.action_clear()


class FilterChips(Line):
    """The filters that hold; a click takes one away."""

    def __init__(self, view: LogView) -> None:
        super().__init__(classes="filter-chips")
        self._view = view
        self.display = False

    def tell(self) -> None:
        """Show them."""
        self.display = bool(self._view.filters)
        parts: list[Part] = [(" ", "")]
        for one in self._view.filters:
            parts += [(f" {safe(one.text)} × ", "$background on $accent"), (" ", "")]
        self.say(*parts)

    def on_click(self, event: events.Click) -> None:
        """Take away what was clicked at."""
        end = 1
        for index, one in enumerate(self._view.filters):
            end += cell_len(f" {safe(one.text)} × ") + 1
            if event.x < end:
                self._view.action_drop_filter(index)
                return


class LogPane(Vertical):
    """Title, filters, log and, while somebody searches or filters, a prompt."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = Line(classes="pane-title")
        self.view = LogView(id="logs")
        self.chips = FilterChips(self.view)
        self.prompt = Prompt("search in the log, newest first", self.view, id="search")
        self.filter = FilterPrompt(self.view, id="log-filter")
        self._whose = ""
        self._wrong = ""  # with the filter that is typed
        self._keys_for: object = None

    def compose(self) -> ComposeResult:
        """Put the title above the log."""
        yield self.title
        yield self.chips
        yield self.view

    def on_mount(self) -> None:
        """Show the title before anything is selected."""
        self._tell()

    def show(self, name: str, buffer: LogBuffer, placeholder: str, started_at: float | None = None) -> None:
        """Show the log of another resource."""
        self._whose = name
        self.view.show(buffer, placeholder, started_at)
        self._tell()

    @on(LogView.Changed)
    def _tell(self) -> None:
        view = self.view
        self.title.say(*self._parts())
        self.chips.tell()
        keys_for = (view.following, bool(view.search_text), len(view.filters), bool(view.buffer.lines))
        if keys_for != self._keys_for:
            self._keys_for = keys_for
            self.screen.refresh_bindings()

    def _parts(self) -> Iterator[Part]:
        view, buffer = self.view, self.view.buffer
        yield (" LOGS ", "bold")
        yield (f"{safe(self._whose)}  ", "bold $primary")
        if self._wrong:
            yield (f"{safe(self._wrong)}  ", "$error")
        if not view.following:
            yield ("‖ paused", "$warning")
            yield (f", {view.unseen:,} new (G follows)  " if view.unseen else " (G follows)  ", "$warning")
        elif buffer.lines:
            yield ("↓ following  ", "$quiet")
        if view.search_text:
            where = f"line {view.current - buffer.first + 1:,}, " if view.current is not None else ""
            more = "… " if view.scanning else ""
            yield (f"/{safe(view.search_text)}: {where}{view.hits:,}{more} lines match  ", "$accent")
        yield from self._counts()
        if not view.wrapping:
            yield ("no wrap, ← → scroll  ", "$quiet")

    def _counts(self) -> Iterator[Part]:
        """Say what is not shown: filtered, dropped by each source, let go."""
        view, buffer = self.view, self.view.buffer
        if view.line_filter:
            since = f" of the last {human_age(SINCE[view.since_key])}" if 0 < view.since_key < 6 else ""
            since = " since its start" if view.since_key == 6 else since
            yield (f"{view.shown:,} of {len(buffer.lines):,}{since}  ", "$accent")
        if dropped := sum(buffer.dropped.values()):
            by_source = ", ".join(
                f"{safe(buffer.names.get(key) or key)} {count:,}" for key, count in buffer.dropped.items()
            )
            yield (f"▲ {dropped:,} dropped{f' ({by_source})' if len(buffer.dropped) > 1 else ''}  ", "$warning")
        if buffer.let_go:
            yield (f"{buffer.let_go:,} older not kept  ", "$quiet")

    async def furnish(self) -> None:
        """Bring the prompts, hidden."""
        await self.mount(self.prompt, self.filter)

    def stop_search(self) -> None:
        """End the search and forget its text."""
        self.prompt.value = ""
        self.prompt.display = False
        self.view.search("")

    @on(Input.Changed, "#search")
    def _search(self, event: Input.Changed) -> None:
        event.stop()
        self.view.search(event.value)

    @on(Input.Changed, "#log-filter")
    def _filter(self, event: Input.Changed) -> None:
        event.stop()
        self._wrong = self.view.type_filter(event.value)
        self._tell()

    @on(LogView.Asked)
    def _asked(self, event: LogView.Asked) -> None:
        event.stop()
        match event.what:
            case "filter" if self.filter.is_attached:
                self.filter.ask()
            case "save":
                self.run_worker(partial(self._save, list(self.view.lines())), thread=True, group="save-log")
            case "pager":
                self._page()

    def _save(self, lines: list[str]) -> None:
        from platformdirs import user_state_path  # with the first log that is saved

        name = re.sub(r"[^\w.-]+", "-", self._whose).strip("-") or "log"
        file = user_state_path("devenv", appauthor=False) / "logs" / f"{name}-{datetime.now():%Y%m%d-%H%M%S}.log"
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file.write_text("".join(f"{line}\n" for line in lines), "utf-8", "backslashreplace")
            said, severity = f"{len(lines):,} lines are in {file}", "information"
        except OSError as error:
            with suppress(OSError):
                file.unlink(missing_ok=True)  # a part would pass for the whole
            said, severity = f"not saved: {error.strerror}: {file}", "error"
        self.app.call_from_thread(self.notify, said, severity=severity, markup=False, timeout=10)

    def _page(self) -> None:
        """Show the lines in the pager, which takes the terminal until it is left."""
        command = shlex.split(os.environ.get("PAGER") or "less -R")
        text = "".join(f"{line}\n" for line in self.view.lines())
        try:
            with self.app.suspend():
                subprocess.run(command, input=text, text=True, errors="backslashreplace", check=False)
        except (OSError, SuspendNotSupported) as error:
            self.notify(f"{command[0]}: {error}", title="no pager", severity="error", markup=False)
        self.app.refresh()
