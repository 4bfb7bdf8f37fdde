"""Table, log and details of the main screen: which one has the focus, and which one has the room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.screen import Screen

from devenv.core.model import Happening, Resource, Sample
from devenv.core.state import Delta
from devenv.tui.logs.pane import LogPane
from devenv.tui.table.lines import Row
from devenv.tui.widgets.inputs import Prompt
from devenv.tui.widgets.resource_table import ResourceTable

if TYPE_CHECKING:
    from devenv.tui.detail_tabs import DetailTabs
    from devenv.tui.widgets.text_pane import DetailPane

ZOOMS = ("zoom-table", "zoom-logs", "zoom-detail")


class Panes:
    """Goes from one to another; the details come after the first frame."""

    def __init__(self, screen: Screen[None], table: ResourceTable, log: LogPane, filter: Prompt) -> None:
        self._screen = screen
        self._table = table
        self._log = log
        self._filter = filter
        self.detail: DetailPane | None = None
        self.tabs: DetailTabs | None = None

    @property
    def detail_visible(self) -> bool:
        """Whether the details are on screen."""
        return self.detail is not None and self.detail.display

    def tell_detail(self, delta: Delta | None = None, *, fresh: bool = False) -> None:
        """Show the details of the selected row, after a change only where it is about that."""
        row = self._table.selected
        if self.tabs is not None and self.detail_visible and row is not None and _concerns(delta, row):
            self.tabs.tell(row, fresh=fresh)

    def find(self) -> None:
        """Ask for a text: to filter the services by, or in the log to search for."""
        focused = self._screen.focused
        if focused is self._log.view:
            self._log.prompt.ask()
        elif self.detail is not None and self.detail.data_tree is not None and focused is self.detail.data_tree:
            self._screen.query_one("#detail-search", Prompt).ask()
        else:
            self._screen.remove_class("zoom-logs", "zoom-detail")
            self._filter.ask()

    def go_to_log(self) -> None:
        """Go to the log, at once: the next key may be typed already. `Widget.focus` would wait for its turn."""
        self._screen.remove_class("detail-open", "zoom-table", "zoom-detail")
        self._screen.set_focus(self._log.view)

    def go_to_detail(self) -> None:
        """Go to the details; where there is no room beside the log, they take its place."""
        if self.detail is not None:
            self._screen.add_class("detail-open")
            self._screen.remove_class("zoom-table", "zoom-logs")
            self._screen.set_focus(self.detail.content)

    def step_tab(self, by: int) -> None:
        """Open the next tab of the details, or the one before; where they are not on screen, open them."""
        if not self.detail_visible:
            self.go_to_detail()
        elif self.tabs is not None:
            self.tabs.step(by)

    def zoom(self) -> None:
        """Give the whole screen to the pane with the focus, or take it back."""
        screen = self._screen
        if any(screen.has_class(name) for name in ZOOMS):
            screen.remove_class(*ZOOMS)
        elif screen.focused is self._log.view:
            screen.add_class("zoom-logs")
        elif self.detail is not None and screen.focused is self.detail.content:
            screen.add_class("zoom-detail")
        else:
            screen.add_class("zoom-table")

    def back(self) -> None:
        """Take one step back: the search, then zoom and details; then to the table, its marks and its filter."""
        if self._screen.focused is self._log.view and self._log.view.search.text:
            self._log.stop_search()
            return
        self._screen.remove_class(*ZOOMS, "detail-open")
        if self._screen.focused is not self._table:
            self._screen.set_focus(self._table)
        elif self._table.marks:
            self._table.unmark()
        elif self._filter.value:
            self._filter.action_clear()


def _concerns(delta: Delta | None, row: Row) -> bool:
    """Whether a change is about that row; None is about every one."""
    if delta is None:
        return True
    if row.group is not None:
        return bool(delta.updated or delta.removed or delta.samples)
    groups: tuple[Sequence[Resource | Sample | Happening], ...] = (delta.updated, delta.samples, delta.happenings)
    return any(item.key == row.key for group in groups for item in group)
