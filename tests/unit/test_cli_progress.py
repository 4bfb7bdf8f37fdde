"""Progress for people: live lines on a terminal (read back from a real emulator), plain ones without."""

from __future__ import annotations

import io
import signal
import threading
import time

import pyte
import pytest

from devenv.cli import progress as progress_module
from devenv.cli.progress import Display, pump
from devenv.control.job import Report
from devenv.control.stream import Remark
from devenv.core.errors import Interrupted, ServiceFailed
from devenv.core.model import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(text: str, columns: int = 80, lines: int = 24) -> list[str]:
    emulator = pyte.Screen(columns, lines)
    pyte.Stream(emulator).feed(text.replace("\n", "\r\n"))
    return [line.rstrip() for line in emulator.display if line.strip()]


@pytest.fixture(autouse=True)
def size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "10")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(progress_module, "FRAME", 0.0)


def test_plain_lines_tell_each_step_once_and_its_end() -> None:
    stream = io.StringIO()
    display = Display(stream)
    display.show(Progress("Container p-web-1", "Creating"))
    for _ in range(3):
        display.show(Progress("Container p-web-1", "Created", "done"))
        display.tick()
    display.show(Progress("Container p-web-1", "Starting"))
    display.show(Progress("Container p-web-1", "Started", "done"))
    display.show(Progress("Step [2/2] RUN x", "Building", parent_id="web"))
    display.show(Progress("Step [2/2] RUN x", "Built", "done", parent_id="web"))
    display.show(Progress("Service web", "Waiting", details="not created yet"))
    display.show(Progress("Service web", "Failed", "error", details="is unhealthy"))
    display.show(Remark("careful"))
    display.show(Remark("careful"))
    display.close()
    lines = [line.partition("  ")[0] for line in stream.getvalue().splitlines()]
    assert lines == [
        "Container p-web-1 Created",
        "Container p-web-1 Started",
        "Step [web] [2/2] RUN x Building",
        "Service web Failed: is unhealthy",
        "warning: careful",
    ]


def test_without_a_terminal_a_long_wait_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "LONG", 0.05)
    stream = io.StringIO()
    display = Display(stream)
    display.show(Progress("Service web", "Waiting", details="its health check has not succeeded yet"))
    display.tick()
    assert stream.getvalue() == ""
    deadline = time.monotonic() + 5
    while not stream.getvalue() and time.monotonic() < deadline:
        display.tick()
    for _ in range(3):
        display.tick()
    assert stream.getvalue() == "Service web Waiting: its health check has not succeeded yet\n"


def test_live_lines_are_drawn_over_each_other() -> None:
    stream = Terminal()
    display = Display(stream)
    display.show(Progress("Container p-web-1", "Starting"))
    display.tick()
    display.show(Progress("Container p-db-1", "Starting"))
    display.tick()
    display.show(Progress("Container p-web-1", "Started", "done"))
    display.show(Remark("careful"))
    display.show(Progress("Container p-db-1", "Failed", "error", details="[/foo] boom"))
    display.close()
    lines = screen(stream.getvalue())
    assert len(lines) == 3
    assert lines[0] == "warning: careful"
    assert lines[1].startswith(" ✔ Container p-web-1  Started")
    assert lines[2].startswith(" ✘ Container p-db-1  Failed: [/foo] boom")
    assert lines[1].endswith(" s")


def test_more_steps_than_lines_show_what_is_under_way_and_count_the_rest() -> None:
    stream = Terminal()
    display = Display(stream)
    for number in range(20):
        display.show(Progress(f"Container p-{number}", "Started", "done"))
    display.show(Progress("Container p-last", "Starting"))
    for _ in range(5):
        display.tick()
    lines = screen(stream.getvalue(), lines=10)
    assert len(lines) == 8
    assert "p-last" in lines[0]
    assert lines[-1].strip() == "… and 14 more"


def test_lines_never_wrap() -> None:
    stream = Terminal()
    display = Display(stream)
    display.show(Progress("Step [2/2] RUN " + "x" * 500, "Building", details="y" * 500))
    display.close()
    assert len(screen(stream.getvalue())) == 1


def test_no_color_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for no_color, variable in ((True, ""), (None, "1")):
        monkeypatch.setenv("NO_COLOR", variable)
        stream = Terminal()
        display = Display(stream, no_color=no_color)
        display.show(Progress("Container p", "Started", "done"))
        display.close()
        assert "\x1b[3" not in stream.getvalue()


def test_the_pump_returns_and_raises_what_the_action_does(capsys: pytest.CaptureFixture[str]) -> None:
    def good(report: Report) -> int:
        report(Progress("Container p", "Started", "done"))
        return 7

    def bad(report: Report) -> int:
        raise ServiceFailed("web: boom")

    assert pump("up", good, lambda: None) == 7
    with pytest.raises(ServiceFailed, match="boom"):
        pump("up", bad, lambda: None)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Container p Started" in captured.err


def test_ctrl_c_interrupts_the_action_and_waits_for_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    wanted_over = threading.Event()
    began = threading.Event()

    def action(report: Report) -> None:
        began.set()
        assert wanted_over.wait(10)
        report(Progress("Container p", "Stopped", "done"))
        raise Interrupted("up was interrupted")

    def press() -> None:
        assert began.wait(10)
        signal.raise_signal(signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(Interrupted):
        pump("up", action, wanted_over.set)
    presser.join()
    told = capsys.readouterr().err
    assert told.index("stopping up") < told.index("Container p Stopped")


def test_what_compose_repeats_at_its_end_is_not_told_with_the_step() -> None:
    stream = io.StringIO()
    display = Display(stream)
    display.show(Progress("service:web:1", "Error response from daemon: Conflict. 85629391288b", "error"))
    display.show(Progress("Network p_default", "Error", "error", details="Error response from daemon: no"))
    display.show(Progress("network:default", "failed to create network p_default: no", "error"))
    assert [line.split("  ")[0] for line in stream.getvalue().splitlines()] == [
        "Service web Failed",
        "Network p_default Failed",
    ]
