"""The panes of the main screen: where they are, which is open, zoomed or focused. Knows nothing of what they show."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, Static

from devenv.tui.widgets.action_bar import ActionBar
from devenv.tui.widgets.banner import Banner
from devenv.tui.widgets.footer import FooterBar
from devenv.tui.widgets.header import HeaderBar
from devenv.tui.widgets.log_pane import LogPane
from devenv.tui.widgets.prompt import Prompt
from devenv.tui.widgets.resource_table import ResourceTable

if TYPE_CHECKING:
    from devenv.tui.widgets.detail_pane import DetailPane

ZOOMS = ("zoom-table", "zoom-logs", "zoom-detail")


class Panes(Screen[None]):
    """Lays out table, log and details for every size of terminal."""

    AUTO_FOCUS = "ResourceTable"
    TABLE: ClassVar[type[ResourceTable]] = ResourceTable
    BINDINGS: ClassVar[list[BindingType]] = [
        # With priority, so that the keys that follow at once are typed into the prompt and are not taken as commands.
        Binding(
            "slash",
            "find",
            "find",
            key_display="/",
            tooltip="filters the services, searches in the log",
            priority=True,
            id="find",
        ),
        Binding("l", "logs", "logs", id="logs"),
        Binding("z", "zoom", "zoom", tooltip="the pane with the focus takes the screen, or gives it back", id="zoom"),
        Binding("escape", "back", "back", tooltip="search, zoom, detail, filter, table", show=False, id="back"),
    ]

    class Rearranged(Message):
        """The details came on screen or went from it."""

    class Filtered(Message):
        """The text of the filter has changed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self) -> None:
        super().__init__()
        # Side by side from 110 columns: the log keeps more than 60 then, a usual log line.
        self.HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (40, "-narrow"), (110, "-wide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-flat"), (10, "-low"), (30, "-high")]
        self.header = HeaderBar()
        self.banner = Banner()
        self.table = self.TABLE(id="table")
        self.log_pane = LogPane()
        self.detail: DetailPane | None = None
        self.action_bar = ActionBar()
        self.footer = FooterBar()
        self.filter = Prompt("part of a name, a state, an image or a port", self.table, id="filter")

    def compose(self) -> ComposeResult:
        """Only what the first frame shows; the rest comes after it."""
        yield self.header
        yield self.banner
        yield self.table
        with Horizontal(id="lower"):
            yield self.log_pane
        yield self.action_bar
        yield self.footer
        yield Static("devenv needs at least 40 columns and 10 rows", id="too-small", markup=False)

    async def furnish(self) -> None:
        """Bring what the first frame could do without."""
        from devenv.tui.widgets.detail_pane import DetailPane

        self.detail = DetailPane()
        await self.query_one("#lower").mount(self.detail)
        await self.mount(self.filter, after=self.table)
        await self.log_pane.furnish()

    @property
    def detail_visible(self) -> bool:
        """Whether the details are on screen."""
        return self.detail is not None and self.detail.display

    def on_detail_pane_appeared(self) -> None:
        """Tell it as a message of ours: the module of the details is loaded late."""
        self.post_message(self.Rearranged())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Do not offer to go where one is."""
        if action == "find":
            return self.filter.is_attached and not isinstance(self.focused, Input)
        return not (action == "logs" and self.focused is self.log_pane.view)

    def action_find(self) -> None:
        """Ask for a text: to filter the services by, or in the log to search for."""
        if self.focused is self.log_pane.view:
            self.log_pane.prompt.ask()
        else:
            self.remove_class("zoom-logs", "zoom-detail")
            self.filter.ask()

    def action_logs(self) -> None:
        """Go to the log."""
        self.remove_class("detail-open", "zoom-table", "zoom-detail")
        self.log_pane.view.focus()

    @on(ResourceTable.Opened)
    def action_detail(self) -> None:
        """Go to the details; where there is no room beside the log, they take its place."""
        if self.detail is not None:
            self.add_class("detail-open")
            self.remove_class("zoom-table", "zoom-logs")
            self.detail.scroll.focus()

    def action_zoom(self) -> None:
        """Give the whole screen to the pane with the focus, or take it back."""
        if any(self.has_class(name) for name in ZOOMS):
            self.remove_class(*ZOOMS)
        elif self.focused is self.log_pane.view:
            self.add_class("zoom-logs")
        elif self.detail is not None and self.focused is self.detail.scroll:
            self.add_class("zoom-detail")
        else:
            self.add_class("zoom-table")

    def action_back(self) -> None:
        """Take one step back: the search, then zoom and details, then the filter; at last to the table."""
        if self.focused is self.log_pane.view and self.log_pane.view.search_text:
            self.log_pane.stop_search()
            return
        self.remove_class(*ZOOMS, "detail-open")
        if self.focused is not self.table:
            self.table.focus()
        elif self.filter.value:
            self.filter.action_clear()

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        self.post_message(self.Filtered(event.value))
