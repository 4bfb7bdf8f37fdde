"""Outside text stays text: in every field of every record, on every screen, down to the bytes for the terminal."""

from __future__ import annotations

import re
import sys
import unicodedata
from pathlib import Path

import pytest
from rich.cells import cell_len

from devenv.control.protocol import Plan
from devenv.core.model import LogLine
from tests.terminal.conftest import Opening
from tests.terminal.hostile import TEXTS, changes, hostile
from tests.terminal.real_terminal import RealTerminal

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_every_field_is_shown_as_text(opened: Opening, kind: str, size: tuple[int, int]) -> None:
    text = TEXTS[kind]
    async with opened(size=size) as terminal:
        terminal.backend.emit(*changes(text))
        await terminal.until(lambda: terminal.main.banner.display and terminal.main.action_bar.display)
        await terminal.until(lambda: terminal.backend.logs)
        key = next(iter(terminal.backend.logs))
        terminal.backend.emit(*(LogLine(key, 1.0, stream, text) for stream in ("stdout", "stderr", "devenv")))
        await terminal.until(lambda: any(line.startswith(f"▎ {text[:2]}") for line in terminal.lines()))
        for keys in (("enter",), ("escape", "l", "w", "t"), ("escape", "down"), ("D",)):
            terminal.control.sentences = (text, text)
            terminal.control.losses = (text,)
            await terminal.press(*keys)
            await terminal.pilot.pause()
            check_harmless(terminal.lines(), size[0])
        await terminal.sees(f"  {text[:2]}")
        await terminal.press("n", "ctrl+p")
        await terminal.sees(f"restart {text[:2]}")
        check_harmless(terminal.lines(), size[0])
        await terminal.press("escape")
        terminal.control.refusal = (text, text)
        terminal.main.changes.ask("up", (text,))
        await terminal.sees("up was refused", f"→ {text[:2]}")
        check_harmless(terminal.lines(), size[0])
        if kind == "markup":
            assert terminal.shows("mk[/foo] [@click=app.quit]go")


def check_harmless(lines: list[str], width: int) -> None:
    for line in lines:
        assert cell_len(line) <= width
        for character in line:
            assert unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp"), ascii(line)


def test_the_plan_has_no_text_that_this_test_forgets() -> None:
    plan = hostile(Plan, "x")
    assert plan.sentences == ("x", "x")
    assert plan.reason == "x"


@pytest.mark.terminal
def test_no_sequence_of_theirs_reaches_a_real_terminal() -> None:
    with RealTerminal([sys.executable, "-m", "tests.terminal.play", "hostile"], ROOT, size=(100, 50)) as terminal:
        terminal.until(lambda: "mk[/foo]" in terminal.text())
        for keys in ("\r", "\t", "\t", "l", "w", "t", "\t", "j", "j", "?"):
            terminal.send(keys)
        terminal.until(lambda: "─ keys ─" in terminal.text())
        terminal.send("?")
        terminal.until(lambda: "─ keys ─" not in terminal.text())
        terminal.send("D")
        terminal.until(lambda: "Down: the whole project?" in terminal.text())
        terminal.send("n")
        terminal.until(lambda: "Down: the whole project?" not in terminal.text())
        terminal.send("q")
        terminal.until(lambda: "still running" in terminal.text() or terminal.ended)
        output = terminal.output
    assert b"hacked" not in output
    assert b"aGFja2Vk" not in output
    # Textual's own operating system commands are questions, and 22: the shape of the mouse pointer.
    assert re.findall(rb"\x1b\](?!\d+;\?|22;)[^\x07\x1b]*", output) == []
    assert b"\x1b[2J\x1b[999D" not in output
    assert b"\x1b[31;1m" not in output
    decoded = output.decode("utf-8")
    assert not re.search("[\x80-\x9f\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff]", decoded)
