"""Signals to the terminal: whatever ends or stops it, the terminal is given back as it was."""

from __future__ import annotations

import os
import pty
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import pytest
from textual.drivers._writer_thread import WriterThread

from devenv.tui.app import Output
from tests.terminal.real_terminal import RealTerminal

ROOT = Path(__file__).parents[2]
# The program's own beginning and end, which have the handlers, around scripted records.
PROGRAM = """
import sys
from devenv.cli import main, tui
from tests.terminal import play

tui.run = lambda arguments: play.main("idle", "dark")
sys.exit(main([]))
"""
GIVEN_BACK = (b"\x1b[?1049l", b"\x1b[?1000l", b"\x1b[?25h", b"\x1b[?2004l")  # screen, mouse, cursor, pasting

pytestmark = pytest.mark.terminal


@contextmanager
def opened() -> Iterator[RealTerminal]:
    with RealTerminal([sys.executable, "-c", PROGRAM], ROOT) as terminal:
        before = terminal.modes()
        terminal.until(lambda: "service-4" in terminal.text() and "/ find" in terminal.text())
        assert terminal.modes() != before
        yield terminal
        assert terminal.modes() == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_it_ends_at_a_signal_and_gives_the_terminal_back(number: signal.Signals) -> None:
    with opened() as terminal:
        os.kill(terminal.pid, number)
        terminal.until(lambda: terminal.ended)
        terminal.read_quiet()
        assert terminal.exit_code == 130
        assert [sequence for sequence in GIVEN_BACK if sequence not in terminal.output] == []
        assert "Traceback" not in terminal.text()


def test_it_ends_where_a_second_signal_cut_the_end_of_its_input_short() -> None:
    """The thread that reads keys would go on, and on a terminal that is gone take all of a core for ever."""
    cut = "from textual.drivers.linux_driver import LinuxDriver\nLinuxDriver.disable_input = lambda self: None\n"
    with RealTerminal([sys.executable, "-c", cut + PROGRAM], ROOT) as terminal:
        terminal.until(lambda: "service-4" in terminal.text() and "/ find" in terminal.text())
        os.kill(terminal.pid, signal.SIGHUP)
        terminal.until(lambda: terminal.ended)
        assert terminal.exit_code == 130


def test_what_is_written_to_a_terminal_that_is_gone_is_waited_for_by_nobody() -> None:
    """The thread that writes would end at the first error, and its full queue would be put to for ever."""
    ours, inside = pty.openpty()
    os.close(ours)
    with os.fdopen(inside, "w") as gone:
        with pytest.raises(OSError, match="Input/output error"):
            os.write(inside, b"x")
        writer = WriterThread(cast("IO[str]", Output(gone)))
        writer.start()
        lines = ["x" * 9999] * 200
        handing_over = threading.Thread(target=lambda: deque(map(writer.write, lines)), daemon=True)
        handing_over.start()
        handing_over.join(20)
        assert not handing_over.is_alive()
        assert writer.is_alive()
        writer.stop()
        assert writer.fileno() == inside


def test_a_signal_that_python_lost_before_it_opened_ends_it() -> None:
    """An exception within a callback of Python's import system is told on stderr, and the import goes on."""
    lose = """
import os, signal, weakref

def lose():
    class Thing: pass
    thing = Thing()
    seen = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
    del thing
"""
    program = lose + PROGRAM.replace("arguments: play", "arguments: lose() or play")
    with RealTerminal([sys.executable, "-c", program], ROOT) as terminal:
        terminal.until(lambda: terminal.ended)
        assert terminal.exit_code == 130


def test_ctrl_c_from_outside_twice_is_one_end() -> None:
    with opened() as terminal:
        os.kill(terminal.pid, signal.SIGINT)
        os.kill(terminal.pid, signal.SIGINT)
        terminal.until(lambda: terminal.ended)
        terminal.read_quiet()
        assert terminal.exit_code == 130
        assert [sequence for sequence in GIVEN_BACK if sequence not in terminal.output] == []
        assert "Traceback" not in terminal.text()


@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGSTOP])
def test_it_stops_goes_on_and_gives_the_terminal_back_at_its_end(number: signal.Signals) -> None:
    """SIGSTOP cannot be heard: what comes back must not take the terminal as it left it for the user's."""
    with opened() as terminal:
        inside = terminal.modes()
        os.kill(terminal.pid, number)
        terminal.until(lambda: terminal.stopped)
        terminal.read_quiet()
        if number == signal.SIGTSTP:
            assert b"\x1b[?1049l" in terminal.output
            assert terminal.modes() != inside
        terminal.resize((90, 25))
        os.kill(terminal.pid, signal.SIGCONT)
        terminal.until(lambda: terminal.modes() == inside and len(terminal.text().splitlines()) == 25)
        terminal.until(lambda: "? help" in terminal.text().splitlines()[-1])
        terminal.send("/service-3\r")
        terminal.until(lambda: "service-3" in terminal.text() and "service-2" not in terminal.text())
        terminal.send("\x1b")
        terminal.until(lambda: "service-2" in terminal.text())
        terminal.send("q")
        terminal.until(lambda: terminal.ended)
        terminal.read_quiet()
        assert terminal.exit_code == 0
