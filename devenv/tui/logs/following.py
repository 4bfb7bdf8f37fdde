"""Which logs are followed: that of the selected line, those selected last, and the merged one of several lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from textual.timer import Timer

from devenv.core.model import LogLine, LogsDropped, State
from devenv.core.state import Delta
from devenv.logs.buffer import LogBuffer
from devenv.tui.logs.buffers import LogShelf, Source
from devenv.tui.logs.pane import LogJump, LogPane
from devenv.tui.table.board import Board
from devenv.tui.table.lines import GroupKey, Row
from devenv.tui.widgets.resource_table import ResourceTable

SETTLED = 0.08  # seconds: a selection that only passes by does not open a log stream
MERGED = GroupKey("*", "*")  # the source that stands for all lines of the table
MERGED_PATH = ("*",)
MERGED_MOST = 60  # lines of the table; each log is a connection and a thread


class LogFollowing:
    """Keeps the log pane on the line that the table selects, and the backend on what that line is made of."""

    def __init__(
        self,
        pane: LogPane,
        table: ResourceTable,
        board: Board,
        subscribe: Callable[[Iterable[str]], None],
        empty_text: Callable[[Row | None], str],
    ) -> None:
        """`subscribe` tells the backend whose logs to follow; `empty_text` is what an empty log of a row says."""
        self.shelf = LogShelf(board.services.workload_of)
        self._pane = pane
        self._table = table
        self._board = board
        self._store = board.store
        self._subscribe = subscribe
        self._empty_text = empty_text
        self._settle: Timer | None = None
        self._jump: LogJump | None = None
        self._merged = False  # whether the log is that of all lines of the table

    def take(self, lines: Sequence[LogLine | LogsDropped]) -> None:
        """Put lines away, and draw them where they are on screen."""
        on_screen = self._pane.view.buffer
        if lines and any(buffer is on_screen for buffer in self.shelf.take(*lines)):
            self._pane.view.sync()
            if self._jump is not None:
                self._look(self._jump)

    def tell(self, delta: Delta) -> None:
        """Follow anew where something that is followed came or changed, or a service may be made of something else."""
        if any(isinstance(source, GroupKey) for source in self.shelf.kept):
            concerned = bool(delta.updated or delta.removed)
        else:
            concerned = any(resource.key in self.shelf.keys for resource in delta.updated)
        if concerned:
            self._follow()

    def select(self, row: Row | None) -> None:
        """Show the log of another row, and follow it once the selection stays there."""
        if row is None:
            self._pane.show("", LogBuffer(), "")
            return
        first = not self.shelf.kept
        if not self._merged:
            self._show(row)
        if self._settle is not None:
            self._settle.stop()
        if first:
            self._follow()
        else:
            self._settle = self._table.set_timer(SETTLED, self._settled)

    def _settled(self) -> None:
        if self._table.passes_by:
            self._settle = self._table.set_timer(SETTLED, self._settled)
        else:
            self._follow()

    def merge(self) -> bool:
        """Show the logs of the marked lines, else of all lines, as one; or that of the selected one again.

        Returns whether there is a line at all.
        """
        row = self._table.selected
        if row is None:
            return False
        self._merged = not self._merged
        if self._merged:
            buffer = self.shelf.select(MERGED_PATH, MERGED, time.time())
            self.shelf.feed(MERGED, self._all_sources())
            self.shelf.let_go(MERGED)  # it may have been that of other lines before
            title = "of the marked lines" if self._table.marks else "all that the table shows"
            self._pane.show(title, buffer, "no output yet")
        else:
            self._show(row)
        self._follow()
        return True

    def show_output(self, key: str, title: str, now: float) -> None:
        """Show what comes under that key, which is no resource's, from now on."""
        buffer = self.shelf.select((key,), key, now)
        buffer.clear()
        self._pane.show(title, buffer, "no output yet")

    def jump(self, source: Source, at: float) -> None:
        """Put the log of that source on a moment, as soon as its lines are there."""
        self._look(LogJump(self._pane.view, source, at))

    def _look(self, jump: LogJump) -> None:
        row = self._table.selected
        waits = row is not None and row.source == jump.source and jump.look()
        self._jump = jump if waits else None

    def _show(self, row: Row) -> None:
        buffer = self.shelf.select(row.path, row.source, time.time())
        resource = self._store.resource(row.key)
        started_at = resource.started_at if resource is not None else None
        self._pane.show(row.title, buffer, self._empty_text(row), started_at)

    def _follow(self) -> None:
        """Follow what exists, after the logs of services have learnt what these are made of now."""
        for source in self.shelf.kept:
            group = self._board.services.groups.get(source) if isinstance(source, GroupKey) else None
            sources = group.sources() if group is not None else self._all_sources() if source == MERGED else None
            if sources is not None and self.shelf.feed(source, sources) is self._pane.view.buffer:
                self._pane.view.show_again()
        self._subscribe(key for key in self.shelf.keys if self._was_created(key))

    def _was_created(self, key: str) -> bool:
        resource = self._store.resource(key)
        return resource is not None and resource.state not in (State.ABSENT, State.PROVIDED)

    def _all_sources(self) -> dict[str, str]:
        """Return the sources of the marked lines, else of all that the table shows, each with its name."""
        sources: dict[str, str] = {}
        marks = self._table.marks
        for row in islice((row for row in self._table.rows if not marks or row.path in marks), MERGED_MOST):
            group = self._board.services.groups.get(row.group) if row.group is not None else None
            if group is not None:
                sources |= {key: f"{row.title} {runtime}" for key, runtime in group.sources().items()}
            elif row.key and not row.absent:
                sources.setdefault(row.key, row.title)
        return sources
