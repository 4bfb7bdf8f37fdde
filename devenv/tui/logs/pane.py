"""The log on the line API, where only the lines on screen are drawn, and its pane with title and search."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import ClassVar, Final

from rich.segment import Segment
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Input

from devenv.tui.logs.buffers import LogBuffer, Source
from devenv.tui.logs.rows import LogRows, LogStyles, View, draw, prefix_width
from devenv.tui.safe_text import Part, safe
from devenv.tui.widgets.bars import Line
from devenv.tui.widgets.inputs import Prompt


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
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "find(1)", "next", id="logs.next"),
        Binding("N", "find(-1)", "previous", key_display="N", id="logs.previous"),
        Binding("G,end", "scroll_end", "follow", key_display="G", id="logs.follow"),
        Binding("w", "wrap", "wrap", id="logs.wrap"),
        Binding("t", "times", "times", id="logs.times"),
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
    times: var[bool] = var(False)
    """Whether each line shows when it was written."""

    class Changed(Message):
        """What the title of the pane tells has changed."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.buffer = LogBuffer()
        self.placeholder = ""
        self.search_text = ""
        self._rows = LogRows(self.buffer)
        self._needle: re.Pattern[str] | None = None
        self.current: int | None = None
        self._paused_at = 0
        self._moving = False  # while we scroll, not the user
        self._styles: LogStyles | None = None
        self.drawn = 0  # lines drawn since the start: a budget of the tests

    @property
    def unseen(self) -> int:
        """How many lines came since following was paused."""
        return 0 if self.following else max(0, self.buffer.total - self._paused_at)

    def show(self, buffer: LogBuffer, placeholder: str) -> None:
        """Show another buffer from its end on; at once, and not a line of the one before."""
        self.buffer = buffer
        self.placeholder = placeholder
        self.current = None
        self._moving = True
        self.following = True
        self._rebuild()

    def sync(self) -> None:
        """Take in what the buffer got."""
        gone = self._rows.sync()
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
        self._rows = LogRows(self.buffer, max(8, room) if self.wrapping else None)
        self._moving = True
        self._measure()
        if self.following:
            self.scroll_to(x=0, y=self.max_scroll_y, animate=False, force=True)
        self._moving = False
        self.refresh()
        self.post_message(self.Changed())

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
        if action == "find":
            return bool(self.search_text)
        if action == "scroll_end":
            return not self.following
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
        """Show or hide the times."""
        self.times = not self.times
        self._rebuild()

    def seek(self, at: float) -> bool:
        """Stand on the newest line that is not later than `at`; False where every line is later: then on the oldest."""
        number = self.buffer.at(at)
        self._set_following(False)
        self.current = number
        self._moving = True
        y = self._rows.y_of(number) - self.size.height // 2 if number is not None else 0
        self.scroll_to(y=max(0, y), animate=False, force=True)
        self._moving = False
        self.refresh()
        self.post_message(self.Changed())
        return number is not None

    def search(self, text: str) -> None:
        """Mark a text; an empty one ends the search."""
        self.search_text = text
        self._needle = re.compile(re.escape(text), re.IGNORECASE) if text else None
        self.current = None
        if text:
            self.action_find(-1)
        self.refresh()
        self.post_message(self.Changed())

    def action_find(self, step: int) -> None:
        """Go to the next (1) or the previous (-1) line with the search text."""
        start = self.buffer.total - 1 if self.current is None else self.current + step
        number = self.buffer.find(self.search_text, start, step)
        self.current = number
        if number is not None:
            self._set_following(False)
            self._moving = True
            self.scroll_to(y=max(0, self._rows.y_of(number) - self.size.height // 2), animate=False, force=True)
            self._moving = False
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
            text = f"  {safe(self.placeholder)}" if y == 0 else ""
            return Strip([Segment(text, styles.time)]).crop_extend(0, width, styles.base)
        row = self._rows.row(self.scroll_offset.y + y)
        if row is None:
            return Strip.blank(width, styles.base)
        view = View(self.scroll_offset.x, width, self.times, self._needle, self.current)
        return draw(*row, view, styles)

    def _load_styles(self) -> LogStyles:
        names = ("time", "stderr", "marker", "bad", "warn", "match", "current")
        by_name = {name: self.get_component_rich_style(f"log--{name}") for name in names}
        self._styles = LogStyles(base=self.rich_style, **by_name)
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


class LogPane(Vertical):
    """Title, log and, while somebody searches, a prompt."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = Line(classes="pane-title")
        self.view = LogView(id="logs")
        self.prompt = Prompt("search in the log, newest first", self.view, id="search")
        self._whose = ""
        self._keys_for = (True, False)

    def compose(self) -> ComposeResult:
        """Put the title above the log."""
        yield self.title
        yield self.view

    def on_mount(self) -> None:
        """Show the title before anything is selected."""
        self._tell()

    def show(self, name: str, buffer: LogBuffer, placeholder: str) -> None:
        """Show the log of another resource."""
        self._whose = name
        self.view.show(buffer, placeholder)
        self._tell()

    @on(LogView.Changed)
    def _tell(self) -> None:
        self.title.say(*self._parts())
        keys_for = (self.view.following, bool(self.view.search_text))
        if keys_for != self._keys_for:
            self._keys_for = keys_for
            self.screen.refresh_bindings()

    def _parts(self) -> Iterator[Part]:
        view, buffer = self.view, self.view.buffer
        yield (" LOGS ", "bold")
        yield (f"{safe(self._whose)}  ", "bold $primary")
        if not view.following:
            yield ("‖ paused", "$warning")
            yield (f", {view.unseen:,} new (G follows)  " if view.unseen else " (G follows)  ", "$warning")
        elif buffer.lines:
            yield ("↓ following  ", "$quiet")
        if buffer.dropped:
            yield (f"▲ {buffer.dropped:,} dropped  ", "$warning")
        if buffer.first:
            yield (f"{buffer.first:,} older not kept  ", "$quiet")
        if view.search_text:
            where = f"line {view.current - buffer.first + 1:,}, " if view.current is not None else ""
            count = buffer.count(view.search_text)
            yield (f"/{safe(view.search_text)}: {where}{count:,} lines match  ", "$accent")
        if not view.wrapping:
            yield ("no wrap, ← → scroll  ", "$quiet")

    async def furnish(self) -> None:
        """Bring the prompt, hidden."""
        await self.mount(self.prompt)

    def stop_search(self) -> None:
        """End the search and forget its text."""
        self.prompt.value = ""
        self.prompt.display = False
        self.view.search("")

    @on(Input.Changed, "#search")
    def _search(self, event: Input.Changed) -> None:
        event.stop()
        self.view.search(event.value)
