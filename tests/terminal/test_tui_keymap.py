"""Keys that devenv.toml chooses: they work, are shown where the others are, and mistakes are told by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.binding import Binding

from devenv.cli import main
from devenv.tui.action_table import BY_NAME
from devenv.tui.keymap import panes, problems
from tests.terminal.conftest import Opening
from tests.terminal.scripted import container

CHOSEN = {"restart": "f5", "stop": "r", "find": "#", "pull": "i,ctrl+o", "sort": "alt+left"}


async def test_chosen_keys_do_what_the_others_did_before(opened: Opening) -> None:
    async with opened(keys=CHOSEN, size=(200, 60)) as terminal:
        await terminal.live(container("web"))
        await terminal.sees("f5 restart", "r stop", "# find", "l logs")
        await terminal.press("r", "S", "f5", "i", "ctrl+o")
        await terminal.until(lambda: len(terminal.control.plans) == 4)
        assert [plan.verb for plan in terminal.control.plans] == ["stop", "restart", "pull", "pull"]
        await terminal.press("slash", "number_sign", *"web")
        await terminal.until(lambda: terminal.main.board.filter_text == "web")
        await terminal.press("escape", "question_mark")
        await terminal.sees("─ keys ─", "f5              restart", "r               stop", "i ctrl+o        pull")


@pytest.mark.parametrize(
    ("line", "told", "hint"),
    [
        ('restrat = "f5"', "unknown key keys.restrat", "Did you mean 'restart'?"),
        ('restart = "l"', "keys.restart: l is the key of logs", "Free letters: i"),
        ('restart = "slash"', "keys.restart: slash is the key of find", "Give one of them another key"),
        ('restart = "j"', "keys.restart: j is the key of table.down", ""),
        ('"logs.wrpa" = "W"', "unknown key keys.logs.wrpa", "Did you mean 'logs.wrap'?"),
        ('"logs.wrap" = "J"', "keys.logs.wrap: J is the key of logs.readable", "Free letters: "),
        ('"logs.wrap" = "?"', "keys.logs.wrap: ? is the key of help", ""),
        ('"table.down" = "r"', "keys.table.down: r is the key of restart", ""),
        ('"verify.all" = "x"', "keys.verify.all: x is the key of verify.cancel", ""),
        ('"confirm.yes" = "x"', "unknown key keys.confirm.yes", ""),
        ('restart = "ctrl+p"', "keys.restart: ctrl+p is the key of the palette", ""),
        ('restart = "f5,S"', "keys.restart: S is the key of stop", ""),
        ('restart = "control-r"', "keys.restart: 'control-r' is no key", "For example: r, R, /, f5"),
        ('restart = ""', "keys.restart must be a string that is not empty", ""),
        ("restart = 5", "keys.restart must be a string that is not empty, not 5", ""),
    ],
)
@pytest.mark.parametrize("command", ["config", "keys"])
def test_mistakes_are_told_by_file_and_line(
    command: str,
    line: str,
    told: str,
    hint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "devenv.toml").write_text(f'# the keys\n[keys]\nup = "f2"\n{line}\n')
    monkeypatch.chdir(tmp_path)
    assert main([command]) == 2
    said = capsys.readouterr().err
    assert f"devenv.toml:4: {told}" in said
    assert hint in said


async def test_keys_of_a_pane_are_chosen_as_the_others_are(opened: Opening) -> None:
    async with opened(keys={"logs.wrap": "W", "table.down": "ctrl+n", "detail.last": "e"}, size=(200, 100)) as terminal:
        await terminal.live(container("api"), container("web"))
        await terminal.press("ctrl+n")
        await terminal.until(lambda: terminal.main.table.selected and terminal.main.table.selected.service == "web")
        await terminal.press("l")
        await terminal.sees("W wrap")
        await terminal.press("w", "W")
        await terminal.until(lambda: not terminal.main.log_pane.view.wrapping)
        await terminal.press("question_mark")
        await terminal.sees("─ keys ─", "W               wrap")


def test_every_key_of_a_pane_has_a_name_of_its_own() -> None:
    known = list(panes())
    bindings = [binding for pane in known for owner in pane.owners for binding in owner.__dict__["BINDINGS"]]
    assert all(isinstance(binding, Binding) and binding.id for binding in bindings)
    described = {(binding.id, binding.action) for binding in bindings}
    assert len({name for name, _ in described}) == len(described)
    assert BY_NAME.keys().isdisjoint(name for name, _ in described)


def test_two_may_change_their_keys_and_what_is_given_up_is_free() -> None:
    assert list(problems({"restart": "s", "shell": "r"})) == []
    assert list(problems({"restart": "f5", "stop": "r"})) == []
    assert [name for name, _, _ in problems({"restart": "f5", "stop": "f5"})] == ["restart", "stop"]


def test_the_page_of_keys_has_those_that_were_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "devenv.toml").write_text('[keys]\nrestart = "ctrl+t"\npull = "i"\n')
    monkeypatch.chdir(tmp_path)
    assert main(["keys"]) == 0
    page = capsys.readouterr().out
    assert "| `^t` | restart: the selected service |" in page
    assert "| `i` | pull a service: its image |" in page
    assert "| `r` | restart" not in page
