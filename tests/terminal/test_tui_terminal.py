"""The program in a real pseudo-terminal: what it writes, and when it writes nothing."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path

import pytest

from tests.terminal.real_terminal import RealTerminal

ROOT = Path(__file__).parents[2]
PLAY = (sys.executable, "-m", "tests.terminal.play")

pytestmark = pytest.mark.terminal


def test_nothing_is_written_in_an_idle_second() -> None:
    with RealTerminal([*PLAY, "idle"], ROOT) as terminal:
        terminal.until(lambda: "service-4" in terminal.text() and "DETAIL" not in terminal.text())
        terminal.read_quiet(0.5)
        assert terminal.read(2.5) == 0


def test_resizing_quickly_ends_in_peace() -> None:
    with RealTerminal([*PLAY, "idle"], ROOT) as terminal:
        terminal.until(lambda: "service-4" in terminal.text())
        for number in range(30):
            terminal.resize((60 + number * 3, 12 + number))
            terminal.read(0.01)
        for size in ((80, 24), (130, 40), (80, 24)):
            terminal.resize(size)
        terminal.until(lambda: len(terminal.text().splitlines()) == 24 and "? help" in terminal.text().splitlines()[-1])
        assert any(terminal.read(1.5) == 0 for _ in range(4)), "it goes on drawing"


def test_too_small_and_back_ten_times_a_second_leaves_nothing_behind() -> None:
    with RealTerminal([*PLAY, "busy"], ROOT, size=(120, 40)) as terminal:
        terminal.until(lambda: "worker-3" in terminal.text() and "DETAIL api" in terminal.text())
        for _ in range(10):
            terminal.resize((20, 5))
            terminal.read(0.1)
            terminal.resize((120, 40))
            terminal.read(0.1)
        terminal.resize((20, 5))
        terminal.until(lambda: "devenv needs" in terminal.text())
        terminal.resize((120, 40))
        terminal.until(lambda: "worker-3" in terminal.text() and "DETAIL api" in terminal.text())
        assert "devenv needs" not in terminal.text()
        terminal.send("q")
        terminal.until(lambda: terminal.ended)
        assert terminal.exit_code == 0


def test_what_a_terminal_answers_late_is_no_key() -> None:
    """Over a line of 300 ms the answers to questions about the terminal come while somebody types."""
    with RealTerminal([*PLAY, "idle"], ROOT) as terminal:
        terminal.until(lambda: "service-4" in terminal.text() and "/ find" in terminal.text())
        terminal.read(0.3)
        terminal.send("\x1b[?2026;2$y/\x1b[?2048;0$yservice-3\r")
        terminal.until(lambda: "service-3" in terminal.text() and "service-2" not in terminal.text())
        terminal.send("\x1b")
        terminal.until(lambda: "service-2" in terminal.text())
        assert not terminal.ended


@pytest.mark.parametrize("told", [{"NO_COLOR": "1"}, {"TERM": "vt100", "COLORTERM": ""}])
def test_without_colours_the_state_is_told_by_words_and_by_weight(told: dict[str, str]) -> None:
    with RealTerminal([*PLAY, "busy"], ROOT, size=(120, 40), told=told) as terminal:
        terminal.until(lambda: "worker-3" in terminal.text() and "DETAIL api" in terminal.text())
        assert "● running" in terminal.text()
        assert "✗ exited" in terminal.text()
        if "NO_COLOR" in told:
            colours = re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)[;m]", terminal.output)
            assert [colour for colour in colours if len(set(colour)) > 1] == [], "shades of grey alone"
        terminal.send("q")
        terminal.until(lambda: terminal.ended)
        assert terminal.exit_code == 0


def test_a_terminal_that_tells_no_size_is_taken_for_80_by_24() -> None:
    with RealTerminal([*PLAY, "idle"], ROOT, size=(80, 24)) as terminal:
        terminal.resize((0, 0))
        terminal.until(lambda: "service-4" in terminal.text())
        terminal.read_quiet(0.5)
        assert terminal.read(1.5) == 0


def test_leaving_puts_the_terminal_back(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    began = time.time()
    environ = {**os.environ, "DEVENV_BENCH_MARKS": str(marks)}
    with RealTerminal([*PLAY, "idle"], ROOT, environ=environ) as terminal:
        terminal.until(lambda: "service-4" in terminal.text())
        terminal.until(lambda: marks.exists() and "populated" in marks.read_text())
        terminal.send("q")
        terminal.until(lambda: terminal.ended)
        assert terminal.exit_code == 0
        assert b"\x1b[?1049l" in terminal.output  # the other screen is left
        assert b"\x1b[?1000l" in terminal.output  # the mouse is given back
        assert b"\x1b[?25h" in terminal.output  # the cursor is shown
    found = [json.loads(line) for line in marks.read_text().splitlines()]
    assert [mark["mark"] for mark in found[:2]] == ["first_paint", "populated"]
    assert "resource:docker/service-1-1:running" in [mark["mark"] for mark in found]
    assert began < found[0]["t"] < found[1]["t"] < time.time()


def test_keys_and_mouse() -> None:
    with RealTerminal([*PLAY, "busy"], ROOT, size=(120, 40)) as terminal:
        terminal.until(lambda: "worker-3" in terminal.text() and "DETAIL api" in terminal.text())
        terminal.send("\x1b[<0;10;5M\x1b[<0;10;5m")  # a click (SGR) on the third row of the table
        terminal.until(lambda: "DETAIL db" in terminal.text())
        terminal.send("\x1b[B")
        terminal.until(lambda: "DETAIL docs" in terminal.text())
        terminal.send("/work")
        terminal.until(lambda: "migrate" not in terminal.text() and "worker-3" in terminal.text())
        terminal.send("\x1b")
        terminal.until(lambda: "migrate" in terminal.text())
        terminal.send("\x03")
        terminal.until(lambda: terminal.ended)
        assert terminal.exit_code == 0


def test_what_is_typed_in_one_go_after_a_slash_is_no_command() -> None:
    with RealTerminal([*PLAY, "idle"], ROOT) as terminal:
        terminal.until(lambda: "service-4" in terminal.text() and "/ find" in terminal.text())
        terminal.send("/SrD3-q\r")  # a burst, as a slow line delivers it: restart, down, quit are in it
        terminal.until(lambda: "nothing matches “SrD3-q”" in terminal.text())
        terminal.send("/" + "\x7f" * 6 + "service-3\rj")
        terminal.until(lambda: "service-3" in terminal.text() and "service-2" not in terminal.text())
        assert not terminal.ended
        assert "restart service" not in terminal.text()


FAULTY = """
import sys
from devenv.cli import main
from devenv.tui.main_screen import MainScreen

def broken(self, changes):
    raise ValueError("[/foo] nobody foresaw this, password=hunter2")

MainScreen.take = broken
sys.exit(main([]))
"""


@pytest.mark.parametrize("keys", ["l/needle", "\x1b[Bl/needle", "jkl/needle"])
def test_keys_typed_ahead_act_as_if_typed_slowly(keys: str) -> None:
    """`l` goes to the log, so that a slash typed with it searches there and filters no service."""
    with RealTerminal([*PLAY, "idle"], ROOT) as terminal:
        terminal.until(lambda: "service-4" in terminal.text() and "/ find" in terminal.text())
        terminal.send(keys)
        terminal.until(lambda: "needle" in terminal.text())
        terminal.read_quiet(0.5)
        assert "service-4" in terminal.text(), terminal.text()
        assert "nothing matches" not in terminal.text(), terminal.text()


def test_a_fault_in_the_terminal_is_a_sentence_after_it_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {web: {image: nothing}}")
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(tmp_path / "state")}
    with RealTerminal([sys.executable, "-c", FAULTY], tmp_path, environ=environ) as terminal:
        terminal.until(lambda: terminal.ended)
        terminal.read_quiet()
        assert terminal.exit_code == 70
        assert "fault in devenv: ValueError: [/foo] nobody foresaw this" in terminal.text()
        assert "Traceback" not in terminal.text()
        assert b"\x1b[?1049l" in terminal.output  # the other screen is left
    report = (tmp_path / "state" / "devenv" / "last-fault.txt").read_text()
    assert "nobody foresaw this" in report
    assert "hunter2" not in report + terminal.text()
