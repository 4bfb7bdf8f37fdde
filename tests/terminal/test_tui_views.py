"""Connection, details, help and sizes."""

from __future__ import annotations

import gc
import time

import pytest
from textual.binding import Binding
from textual.events import Key

from devenv.core.model import ConnectionState, Happening
from devenv.tui.action_table import ACTIONS
from devenv.tui.app import DevenvApp
from devenv.tui.logs.view import LogView
from devenv.tui.main_screen import MainScreen
from devenv.tui.widgets.resource_table import ResourceTable
from devenv.tui.widgets.text_pane import DetailScroll
from tests.terminal.conftest import Opening
from tests.terminal.driving import Driver
from tests.terminal.scripted import ScriptedBackend, ScriptedControl, connection, container, shop


async def test_the_state_of_the_connection_is_told_in_words(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.sees("◌ connecting…", "shop")
        await terminal.live(*shop())
        await terminal.sees("● live", "docker 28.5.2", "unix:///var/run/docker.sock")
        hour = time.time() - 7200
        terminal.backend.emit(connection(ConnectionState.STALE, message="the connection broke", last_live=hour))
        await terminal.sees("◍ stale, data of 2h ago", "▲ the connection broke")
        terminal.backend.emit(connection(ConnectionState.RETRYING, retry_in=8.4, message="no answer"))
        await terminal.sees("↻ retrying in 8 s", "▲ no answer")
        await terminal.sees("↻ retrying in 7 s")
        assert terminal.row("web")
        terminal.backend.emit(
            connection(ConnectionState.FAILED, message="compose.yaml is invalid:\nline 3 [/foo]", hint="Mend it.")
        )
        await terminal.sees("✗ failed", "✗ compose.yaml is invalid:", "line 3 [/foo]", "→ Mend it.")
        terminal.backend.emit(connection())
        await terminal.sees("● live")
        await terminal.until(lambda: not terminal.shows("Mend it."))


async def test_details(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(*shop())
        terminal.backend.emit(Happening("docker/api-1", time.time(), "restart", "restarted by [/foo]"))
        await terminal.sees(
            "DETAIL api",
            "127.0.0.1:8000→8000",
            "--password=••••",
            "✗ failed (1)",
            "curl: (7) Failed to connect to localhost port",
            "✓ passed  0.06 s",
            "restarted by [/foo]",
        )
        assert not terminal.shows("hunter2")
        assert terminal.backend.detail == "docker/api-1"
        await terminal.select("db")
        await terminal.sees("DETAIL db", "137 (SIGKILL)")
        await terminal.until(lambda: terminal.backend.detail == "docker/db-1")


async def test_on_a_narrow_terminal_the_details_take_the_place_of_the_log(opened: Opening) -> None:
    async with opened(size=(80, 24)) as terminal:
        await terminal.live(*shop())
        await terminal.sees("LOGS api")
        assert terminal.backend.detail is None
        await terminal.press("enter")
        await terminal.sees("DETAIL api", "uvicorn app:app")
        assert not terminal.shows("LOGS")
        await terminal.until(lambda: terminal.backend.detail == "docker/api-1")
        await terminal.press("escape")
        await terminal.sees("LOGS api")
        await terminal.until(lambda: terminal.backend.detail is None)
        assert terminal.app.focused is terminal.main.table


async def test_zoom(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(*shop())
        await terminal.press("l", "z")
        await terminal.until(lambda: not terminal.shows("SERVICE"))
        assert terminal.shows("LOGS api")
        await terminal.press("z")
        await terminal.sees("SERVICE", "DETAIL api")
        await terminal.press("escape", "z")
        await terminal.until(lambda: not terminal.shows("LOGS"))


async def test_help_lists_every_key_that_does_something(opened: Opening) -> None:
    async with opened(size=(120, 100)) as terminal:
        await terminal.live(*shop())
        await terminal.press("question_mark")
        await terminal.sees("Project", "Services", "Logs", "restart", "up all: the whole project", "palette")
        bindings = [action.binding() for action in ACTIONS if action.key and action.name in terminal.main.handlers]
        for binding in (*bindings, *ResourceTable.BINDINGS, *LogView.BINDINGS, *DetailScroll.BINDINGS):
            assert isinstance(binding, Binding)
            assert terminal.shows(binding.description), binding
        await terminal.press("escape")
        await terminal.until(lambda: not terminal.shows("palette"))


async def test_keys_typed_before_the_screen_is_whole_are_heard_when_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    app = DevenvApp(ScriptedBackend(), ScriptedControl(), title="shop", theme="dark")
    furnish = MainScreen.furnish

    async def typed_at_the_last_moment(screen: MainScreen) -> None:
        for character in "/web":
            await app.on_event(Key("slash" if character == "/" else character, character))
        await furnish(screen)

    monkeypatch.setattr(MainScreen, "furnish", typed_at_the_last_moment)
    async with app.run_test(size=(120, 40)) as pilot:
        await Driver(app, pilot, ScriptedBackend(), ScriptedControl()).until(lambda: app.main.filter.value == "web")


async def test_tab_goes_round_the_panes(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(*shop())
        places = []
        for _ in range(4):
            places.append(terminal.app.focused.id if terminal.app.focused else None)
            await terminal.press("tab")
        assert places == ["table", "logs", "detail-scroll", "table"]


async def test_a_click_on_a_key_presses_it(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(*shop())
        await terminal.until(lambda: "? help" in terminal.main.footer.text)
        column = terminal.main.footer.text.index("? help")
        await terminal.pilot.click("FooterBar", offset=(column + 2, 0))
        await terminal.sees("─ keys ─")


@pytest.mark.parametrize("size", [(39, 24), (80, 9), (1, 1), (20, 5)])
async def test_too_small_says_so_and_comes_back(opened: Opening, size: tuple[int, int]) -> None:
    async with opened(size=(80, 24)) as terminal:
        await terminal.live(*shop())
        await terminal.pilot.resize_terminal(*size)
        await terminal.until(lambda: not terminal.shows("SERVICE"))
        if size[0] > 20:
            await terminal.sees("devenv needs at least 40 columns")
        await terminal.pilot.resize_terminal(120, 40)
        await terminal.sees("SERVICE", "DETAIL api", "✗ exited 137 (SIGKILL)")


async def test_the_details_come_and_go_with_the_width(opened: Opening) -> None:
    async with opened(size=(120, 40)) as terminal:
        await terminal.live(*shop())
        await terminal.until(lambda: terminal.backend.detail == "docker/api-1")
        await terminal.pilot.resize_terminal(80, 24)
        await terminal.until(lambda: terminal.backend.detail is None)
        await terminal.pilot.resize_terminal(130, 24)
        await terminal.sees("DETAIL api")
        await terminal.until(lambda: terminal.backend.detail == "docker/api-1")


@pytest.mark.parametrize("theme", ["dark", "light", "ansi", "colorblind"])
async def test_every_theme_opens_every_screen(opened: Opening, theme: str) -> None:
    async with opened(theme=theme) as terminal:
        await terminal.live(*shop())
        await terminal.press("D")
        await terminal.sees("Down: the whole project?")
        await terminal.press("escape", "question_mark")
        await terminal.sees("─ keys ─")
        await terminal.press("escape", "ctrl+p")
        await terminal.sees("restart api")


async def test_an_empty_project(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live()
        await terminal.sees("nothing is declared or running here", "● live")
        await terminal.press("r", "S", "enter", "down", "end")
        assert terminal.control.plans == []
        await terminal.live(container("web"))


async def test_the_collector_that_rests_until_the_first_paint_works_again_afterwards(opened: Opening) -> None:
    gc.disable()
    try:
        async with opened() as terminal:
            await terminal.until(gc.isenabled)
    finally:
        gc.unfreeze()
        gc.enable()
