"""What the terminal looked like is there again the next time; a file that is not what it should be counts as none."""

from __future__ import annotations

import os

import pytest

from devenv.core.settings import TerminalSettings
from devenv.tui.first_paint import file_of
from devenv.tui.theme import COLORBLIND, LIGHT, choose
from tests.terminal.conftest import Opening
from tests.terminal.scripted import container, shop

PROJECT = "/home/somebody/shop"


async def test_line_order_theme_and_details_are_as_they_were(opened: Opening) -> None:
    async with opened(project=PROJECT, theme="auto", size=(90, 30)) as terminal:
        await terminal.live(*shop())
        await terminal.press("O", "j", "j", "right_square_bracket", "right_square_bracket")
        await terminal.sees("STATE▲", "DETAIL", "Figures")
        assert terminal.main.selected is not None
        service, rows = terminal.main.selected.service, [row.title for row in terminal.main.table.rows]
        terminal.main.handlers["colorblind"]()
        terminal.app.remember()
    async with opened(project=PROJECT, theme="auto", size=(90, 30)) as terminal:
        await terminal.live(*shop())
        await terminal.sees("STATE▲", "DETAIL", "Figures")
        await terminal.until(lambda: terminal.main.selected and terminal.main.selected.service == service)
        assert [row.title for row in terminal.main.table.rows] == rows
        assert terminal.main.panes.tabs is not None
        assert (terminal.main.panes.tabs.tab.name, terminal.app.theme) == ("figures", COLORBLIND.name)
        assert file_of(PROJECT).parent.stat().st_mode & 0o077 == 0, "of this user alone"
    async with opened(project="/home/somebody/else/shop") as terminal:
        await terminal.live(*shop())
        assert terminal.main.board.order is None, "another project"
    async with opened(project=PROJECT, theme="auto", settings=TerminalSettings(theme="light")) as terminal:
        assert terminal.app.theme == LIGHT.name, "devenv.toml says which"


async def test_columns_are_chosen_in_a_dialog_and_are_there_again(opened: Opening) -> None:
    async with opened(project=PROJECT) as terminal:
        await terminal.live(*shop())
        await terminal.press("colon", *"columns", "enter")
        await terminal.sees("Which columns?", "memory")
        await terminal.press("down", "down", "space")  # restarts
        await terminal.until(lambda: not terminal.shows("RESTARTS"))
        await terminal.press("down", "space", "escape")  # cpu
        await terminal.until(lambda: not terminal.shows("CPU"))
        await terminal.sees("STATE", "HEALTH", "MEMORY", "PORTS", "AGE")
        terminal.app.remember()
    async with opened(project=PROJECT) as terminal:
        await terminal.live(*shop())
        await terminal.until(lambda: not terminal.shows("RESTARTS") and not terminal.shows("CPU"))
        await terminal.press("colon", *"columns", "enter", "down", "down", "space", "down", "space", "escape")
        await terminal.sees("RESTARTS", "CPU")
        assert terminal.main.board.services.chosen_columns == (), "all of them are no choice: new ones are shown, too"
    async with opened(project=PROJECT, settings=TerminalSettings(columns=("state",))) as terminal:
        await terminal.live(*shop())
        await terminal.until(lambda: not terminal.shows("MEMORY"))


async def test_a_line_that_comes_later_gets_the_cursor(opened: Opening) -> None:
    async with opened(project=PROJECT) as terminal:
        await terminal.live(container("api"), container("web"))
        await terminal.press("j")
        await terminal.until(lambda: terminal.main.selected and terminal.main.selected.service == "web")
        terminal.app.remember()
    async with opened(project=PROJECT) as terminal:
        await terminal.live(container("api"))
        await terminal.live(container("api"), container("web"))
        await terminal.until(lambda: terminal.main.selected and terminal.main.selected.service == "web")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"version": 2, "row": ["web"]}',
        b'{"orders": {"": ["cpu"]}}',
        b'{"row": 5}',
        b"\xff\xfe",
        b'{"orders": {"": ["no column", true]}, "theme": "purple", "tab": "none", "row": ["a", "b", "c"]}',
        None,
    ],
)
async def test_a_file_that_is_corrupt_or_newer_counts_as_none(opened: Opening, content: bytes | None) -> None:
    file = file_of(PROJECT)
    file.parent.mkdir(parents=True)
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    async with opened(project=PROJECT, theme="auto") as terminal:
        await terminal.live(container("api"), container("web"))
        assert [row.title for row in terminal.main.table.rows] == ["api", "web"]
        assert terminal.app.theme == choose("auto", os.environ)
        await terminal.press("j", "O")
        terminal.app.remember()  # what cannot be written is left out
        assert terminal.app.is_running


def test_a_project_has_a_file_of_its_own() -> None:
    names = {file_of(name).name for name in ("/a/shop", "/b/shop", "/a/shop/", "/a/../../etc/passwd")}
    assert len(names) == 4
    assert all(file_of(name).parent.name == "terminal" for name in ("/a/..", "/", "/a/\n\x1b[2J"))
