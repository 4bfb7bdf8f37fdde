"""Commands of the user's own in the terminal: offered where they fit, and asked about before they run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devenv.control.audit import AuditLog
from devenv.control.commands import CommandControl
from devenv.control.guard import Guard
from devenv.core.command_settings import CommandSettings
from devenv.core.model import State
from devenv.tui.dialogs import ConfirmScreen
from tests.terminal.conftest import Opening
from tests.terminal.scripted import container
from tests.terminal.test_tui_confirm import hasty

COMMANDS = {
    "greet": CommandSettings(
        command=("echo", "hello {container} of {name}"), key="Q", inputs=("name",), help="says it"
    ),
    "wipe": CommandSettings(command=("touch", "wiped"), key="W", confirm=True, output="silent", on="service"),
}


def made(folder: Path) -> CommandControl:
    return CommandControl(Guard(AuditLog(folder / "audit.jsonl"), source="tui"), os.environ, str(folder))


async def test_it_asks_for_its_inputs_and_the_log_shows_what_it_writes(opened: Opening, tmp_path: Path) -> None:
    async with opened(commands=COMMANDS, command_control=lambda: made(tmp_path), size=(220, 60)) as terminal:
        await terminal.live(container("api", state=State.ABSENT, container_id=""), container("web"))
        await terminal.until(lambda: terminal.main.selected)
        assert not terminal.shows("Q greet")
        await terminal.press("Q")  # nothing: there is no container
        await terminal.press("j")
        await terminal.sees("Q greet", "W wipe")
        await terminal.press("Q")
        await terminal.sees("greet web: name?")
        await terminal.press(*"me", "enter")
        await terminal.sees("LOGS of greet web", "hello shop-web-1 of me", "greet web: done")
        await terminal.press("question_mark")
        await terminal.sees("Your own commands", "greet: says it")
        await terminal.press("escape", "colon", *"gre", "tab", "enter")
        await terminal.sees("greet web: name?")
        await terminal.press("escape")
        assert [entry.what for entry in AuditLog(tmp_path / "audit.jsonl").entries()] == ["greet web"]


async def test_it_acts_on_all_marked_lines_that_it_fits(opened: Opening, tmp_path: Path) -> None:
    async with opened(commands=COMMANDS, command_control=lambda: made(tmp_path), size=(220, 60)) as terminal:
        absent = container("db", state=State.ABSENT, container_id="")
        await terminal.live(container("api"), absent, container("web"))
        await terminal.until(lambda: terminal.main.selected)
        await terminal.press("space", "space", "space")
        await terminal.until(lambda: len(terminal.main.marked) == 3)
        await terminal.press("Q")
        await terminal.sees("greet api, web: name?")
        await terminal.press(*"me", "enter")
        await terminal.sees("LOGS of greet api, web", "hello shop-api-1 of me", "hello shop-web-1 of me")
        await terminal.until(lambda: not terminal.main.marked)
        log = AuditLog(tmp_path / "audit.jsonl")
        await terminal.until(lambda: {entry.what for entry in log.entries()} == {"greet api", "greet web"})
        await terminal.press("g", "space", "j", "space", "W")
        await terminal.sees("Wipe: api, web?", "Runs: touch wiped")
        await terminal.confirm("y")
        await terminal.until((tmp_path / "wiped").exists)
        await terminal.until(lambda: sum(entry.what.startswith("wipe") for entry in log.entries()) == 2)


async def test_no_key_pressed_at_once_confirms_one(
    opened: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ConfirmScreen, "READ", 60.0)
    async with opened(commands=COMMANDS, command_control=lambda: made(tmp_path)) as terminal:
        await terminal.live(container("web"))
        await terminal.until(lambda: terminal.main.dispatcher.own)
        action = terminal.main.dispatcher.own["commands.wipe"]
        for keys in hasty(action):
            await terminal.press("W", *keys)
            await terminal.until(lambda: isinstance(terminal.app.screen, ConfirmScreen))
            await terminal.press("escape")
            await terminal.until(lambda: terminal.app.screen is terminal.main)
        assert AuditLog(tmp_path / "audit.jsonl").entries() == []
        monkeypatch.setattr(ConfirmScreen, "READ", 0.5)
        await terminal.press("W")
        await terminal.sees("Wipe: web?", "Runs: touch wiped")
        await terminal.confirm("y")
        await terminal.until((tmp_path / "wiped").exists)
