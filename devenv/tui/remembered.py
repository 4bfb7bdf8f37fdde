"""What the terminal looked like when it was left, kept for each project: line, order, theme, open details."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from devenv.core.stored import Unreadable, make_private, read_json
from devenv.tui import theme as themes
from devenv.tui.first_paint import file_of
from devenv.tui.table.arrangement import Arrangement, Order
from devenv.tui.tabs import TABS

if TYPE_CHECKING:
    from textual.app import App

    from devenv.core.settings import TerminalSettings
    from devenv.tui.main_screen import MainScreen

_CHOICES: Final = {name: choice for choice, name in themes.NAMES.items()}


class Remembered(msgspec.Struct, frozen=True):
    """All of it; a file of another version is not read."""

    version: Literal[1] = 1
    row: tuple[str, ...] = ()  # its path
    orders: dict[str, Order | None] = {}  # by the kind that was shown
    arrangement: Arrangement = ""
    columns: tuple[str, ...] = ()  # where they were chosen
    theme: str = ""  # where the palette chose it
    tab: str = ""  # of the details
    detail: bool = False  # whether it was open where there is no room beside the log


def restore(screen: MainScreen, project: str, settings: TerminalSettings) -> None:
    """Show what the screen showed when it was left; a file that is not what it should be counts as none.

    A theme and columns that the settings name are shown instead.
    """
    try:
        kept = read_json(file_of(project), Remembered)
    except Unreadable:
        return
    if kept is None:
        return
    app, board = screen.app, screen.board
    if settings.theme == "auto" and kept.theme in themes.NAMES and app.theme != themes.NAMES[kept.theme]:
        app.theme = themes.NAMES[kept.theme]
    if kept.columns and not settings.columns:
        board.services.choose_columns(kept.columns)
    board.orders = dict(kept.orders)
    board.order = board.orders.get("")
    if kept.arrangement and board.order is None:
        board.services.arrange(kept.arrangement)
    if screen.panes.tabs is not None:
        screen.panes.tabs.tab = next((tab for tab in TABS if tab.name == kept.tab), screen.panes.tabs.tab)
    screen.set_class(kept.detail, "detail-open")
    if kept.row:
        screen.table.choose(kept.row)
    screen.refresh_rows()


def keep(screen: MainScreen, app: App[Any], project: str, *, theme_before: str, settings: TerminalSettings) -> None:
    """Keep what the screen shows; where that cannot be written, nothing is kept.

    `theme_before` is the theme that was chosen without the palette.
    """
    row, chosen = screen.table.selected, tuple(screen.board.services.chosen_columns)
    kept = Remembered(
        row=row.path if row is not None and screen.board.kind is None else (),
        orders={kind: order for kind, order in screen.board.orders.items() if order is not None},
        columns=chosen if chosen != settings.columns else (),
        arrangement=screen.board.services.arrangement,
        theme=_CHOICES.get(app.theme, "") if app.theme != theme_before else "",
        tab=screen.panes.tabs.tab.name if screen.panes.tabs is not None else "",
        detail=screen.has_class("detail-open"),
    )
    file = file_of(project)
    fresh = file.with_suffix(f".{os.getpid()}")
    try:
        make_private(file.parent)
        fresh.write_bytes(msgspec.json.encode(kept))
        fresh.replace(file)  # another terminal reads the old one or the new one, nothing between
    except OSError:
        return
