"""The pane of a log: its title, which says what is shown and what is not, its filters, the log, and two prompts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from devenv.core.text import human_age
from devenv.logs.buffer import LogBuffer
from devenv.tui.logs.filters import SINCE
from devenv.tui.logs.view import LogView
from devenv.tui.safe_text import Part, safe
from devenv.tui.widgets.bars import Line
from devenv.tui.widgets.inputs import Prompt

if TYPE_CHECKING:
    from devenv.logs.histogram import Column
    from devenv.tui.logs.buffers import Source

BARS_BEGIN: Final = 14  # cells: the words, and the most that a bar stands for
BARS_END: Final = 10  # the times of the first and the last bar
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


class HistogramBars(Line):
    """Lines, and errors below them, over the time of what the log shows; a click goes to the moment."""

    DEFAULT_CSS = """
    HistogramBars { height: 2; }
    """

    def __init__(self, view: LogView) -> None:
        super().__init__()
        self._view = view
        self._columns: list[Column] = []
        self.display = False

    def tell(self) -> None:
        """Show the counts as they are now: it costs its width, however many lines there are."""
        histogram = self._view.histogram
        self.display = histogram is not None
        if histogram is None:
            return
        from devenv.tui.chart import bars  # with the first histogram, not before the first paint

        self._columns = columns = histogram.columns(max(1, self.size.width - BARS_BEGIN - BARS_END))
        if not columns:
            self.say((" no line with a time yet", "$quiet"))
            return
        parts: list[Part] = []
        for word, counts, tone, end in (
            (" lines ", [one.lines for one in columns], "$primary", columns[0]),
            ("\n errors", [one.errors for one in columns], "$error", columns[-1]),
        ):
            drawn = bars(counts, label=BARS_BEGIN - len(" errors ┤"))
            parts += [(word, "$quiet"), (f"{drawn:<{BARS_BEGIN - len(' errors') + len(columns)}}", tone)]
            parts.append((f" {datetime.fromtimestamp(end.at):%H:%M:%S}", "$quiet"))
        self.say(*parts)

    def on_resize(self) -> None:
        """Divide the time anew."""
        self.tell()

    def on_click(self, event: events.Click) -> None:
        """Go to the first line of what was clicked at."""
        if 0 <= event.x - BARS_BEGIN < len(self._columns):
            self._view.stand_since(self._columns[event.x - BARS_BEGIN].at)


class LogPane(Vertical):
    """Title, filters, log and, while somebody searches or filters, a prompt."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = Line(classes="pane-title")
        self.view = LogView(id="logs")
        self.chips = FilterChips(self.view)
        self.bars = HistogramBars(self.view)
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
        if self.bars.is_attached:
            self.bars.tell()
        keys_for = (view.following, view.counting, bool(view.search.text), len(view.filters), bool(view.buffer.lines))
        if keys_for != self._keys_for and self.is_attached:  # lines still come while the screen is taken down
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
        if view.search.text:
            where = f"line {view.search.current - buffer.first + 1:,}, " if view.search.current is not None else ""
            more = "… " if view.scanning else ""
            yield (f"/{safe(view.search.text)}: {where}{view.search.hits:,}{more} lines match  ", "$accent")
        yield from self._counts()
        if not view.wrapping:
            yield ("no wrap, ← → scroll  ", "$quiet")

    def _counts(self) -> Iterator[Part]:
        """Say what is not shown: filtered, dropped by each source, let go."""
        view, buffer = self.view, self.view.buffer
        if view.line_filter:
            since = f" of the last {human_age(SINCE[view.chosen.since_key])}" if 0 < view.chosen.since_key < 6 else ""
            since = " since its start" if view.chosen.since_key == 6 else since
            yield (f"{view.shown:,} of {len(buffer.lines):,}{since}  ", "$accent")
            if (read_from := view.chosen.read_from(buffer)) is not None:
                yield (f"read from {datetime.fromtimestamp(read_from):%H:%M:%S} on, nothing older  ", "$quiet")
        if dropped := sum(buffer.dropped.values()):
            by_source = ", ".join(
                f"{safe(buffer.names.get(key) or key)} {count:,}" for key, count in buffer.dropped.items()
            )
            yield (f"▲ {dropped:,} dropped{f' ({by_source})' if len(buffer.dropped) > 1 else ''}  ", "$warning")
        if buffer.let_go:
            yield (f"{buffer.let_go:,} older not kept  ", "$quiet")

    async def furnish(self) -> None:
        """Bring the prompts and the bars, hidden."""
        await self.mount(self.bars, before=self.view)
        await self.mount(self.prompt, self.filter)

    def stop_search(self) -> None:
        """End the search and forget its text."""
        self.prompt.value = ""
        self.prompt.display = False
        self.view.search_for("")

    @on(Input.Changed, "#search")
    def _search(self, event: Input.Changed) -> None:
        event.stop()
        self.view.search_for(event.value)

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
        from devenv.tui.logs.export import save

        done, said = save(self._whose, lines)
        severity = "information" if done else "error"
        self.app.call_from_thread(self.notify, said, severity=severity, markup=False, timeout=10)

    def _page(self) -> None:
        from devenv.tui.logs.export import page

        if wrong := page(self.app, self.view.lines()):
            self.notify(wrong, title="no pager", severity="error", markup=False)
