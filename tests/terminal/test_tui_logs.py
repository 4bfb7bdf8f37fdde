"""The log pane: follows the selection and the end, is bounded, tells what it does not show."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from textual._compositor import Compositor

from devenv.core.model import Gone, LogLine, LogsDropped, Seen
from devenv.logs.buffer import LINES_KEPT
from devenv.tui.logs.pane import BARS_BEGIN
from devenv.tui.logs.view import TELL_EVERY
from tests.terminal.conftest import Opening
from tests.terminal.driving import Driver
from tests.terminal.scripted import container, log
from tests.unit.full_disk import full_disk


async def with_lines(terminal: Driver, count: int = 100) -> None:
    await terminal.live(container("api"), container("web"))
    await terminal.until(lambda: terminal.backend.logs)
    terminal.backend.emit(*(log("docker/api-1", f"line {number}") for number in range(count)))
    await terminal.sees(f"line {count - 1}")


async def test_the_end_is_followed_until_somebody_scrolls_up(opened: Opening) -> None:
    async with opened(size=(80, 24)) as terminal:
        await with_lines(terminal)
        assert not terminal.shows("line 1\n")
        await terminal.press("l", "up", "up")
        await terminal.sees("‖ paused")
        terminal.backend.emit(*(log("docker/api-1", f"new {number}") for number in range(7)))
        await terminal.sees("paused, 7 new")
        assert not terminal.shows("new 6")
        await terminal.press("G")
        await terminal.sees("new 6", "↓ following")
        await terminal.press("g")
        await terminal.sees("line 0", "‖ paused")
        await terminal.press("end")
        await terminal.sees("new 6", "↓ following")


async def test_a_paused_view_stands_still_while_old_lines_are_let_go(opened: Opening) -> None:
    async with opened(size=(80, 24)) as terminal:
        await with_lines(terminal, LINES_KEPT)
        await terminal.press("l", "pageup", "pageup")
        await terminal.sees("‖ paused")
        top = next(line for line in terminal.lines() if line.startswith("  line "))
        terminal.backend.emit(*(log("docker/api-1", f"new {number}") for number in range(300)))
        await terminal.sees("300 new", "300 older not kept")
        assert next(line for line in terminal.lines() if line.startswith("  line ")) == top
        assert len(terminal.main.log_pane.view.buffer.lines) == LINES_KEPT


async def test_dropped_lines_are_counted(opened: Opening) -> None:
    async with opened(size=(80, 24)) as terminal:
        await with_lines(terminal)
        terminal.backend.emit(LogsDropped("docker/api-1", 1200), LogsDropped("docker/api-1", 34))
        await terminal.sees("▲ 1,234 dropped")


async def test_another_selection_shows_no_line_of_the_one_before(opened: Opening) -> None:
    async with opened() as terminal:
        await with_lines(terminal)
        assert terminal.backend.logs == {"docker/api-1"}
        await terminal.press("down")
        await terminal.until(lambda: terminal.main.log_pane.title.text.startswith(" LOGS web"))
        assert not terminal.shows("line 9")
        await terminal.until(lambda: "docker/web-1" in terminal.backend.logs)
        terminal.backend.emit(log("docker/api-1", "late line of api"), log("docker/web-1", "line of web"))
        await terminal.sees("line of web")
        assert not terminal.shows("late line of api")
        await terminal.press("up")  # it was followed all the time: nothing is missing
        await terminal.sees("line 99", "late line of api")


async def test_a_selection_that_passes_by_opens_no_stream(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(*(container(f"s{number:02}") for number in range(12)))
        await terminal.until(lambda: terminal.backend.logs == {"docker/s00-1"})
        for _ in range(11):
            terminal.main.table.action_move(1)
        await terminal.until(lambda: "docker/s11-1" in terminal.backend.logs)
        followed = {key for what, keys in terminal.backend.asked if what == "logs" for key in keys}  # type: ignore[attr-defined]
        assert len(followed) <= 4
        assert len(terminal.backend.logs) <= 3


async def test_the_lines_of_a_re_created_container_stay_with_a_marker(opened: Opening) -> None:
    async with opened() as terminal:
        await with_lines(terminal, 5)
        terminal.backend.emit(
            Gone("docker", "docker/api-1"), Seen("docker", container("api", key="docker/new", container_id="new"))
        )
        await terminal.sees("container was re-created", "line 4")
        await terminal.until(lambda: "docker/new" in terminal.backend.logs)
        terminal.backend.emit(log("docker/new", "hello again"))
        await terminal.sees("line 4", "hello again")
        await terminal.press("l", "p")
        await terminal.sees("Of a container that is gone")


async def test_stderr_markers_and_cut_lines_are_told_apart(opened: Opening) -> None:
    async with opened() as terminal:
        await with_lines(terminal, 1)
        terminal.backend.emit(
            log("docker/api-1", "to stderr", "stderr"),
            log("docker/api-1", "connection lost, lines may be missing", "devenv"),
            log("docker/api-1", "x" * 10, cut=10_000_000),
            log("docker/api-1", "y" * 20_000),
            log("docker/api-1", "the end"),
        )
        await terminal.sees("the end", "y… [12 KiB more, cut]")
        assert len(terminal.main.log_pane.view._rows) > 100
        await terminal.press("l", "w")
        await terminal.sees("no wrap", "xxxxxxxxxx… [9.5 MiB more, cut]")
        assert not terminal.shows("yyy… [")
        lines = terminal.lines()
        assert any(line.startswith("▎ to stderr") for line in lines)
        assert any(line.startswith("── connection lost, lines may be missing ───") for line in lines)
        assert len(terminal.main.log_pane.view._rows) == 6


async def test_times(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(container("api"))
        await terminal.until(lambda: terminal.backend.logs)
        terminal.backend.emit(log("docker/api-1", "stamped", at=1_700_000_000.25))
        await terminal.sees("stamped")
        await terminal.press("l", "t")
        await terminal.until(lambda: any(":20.250 stamped" in line for line in terminal.lines()))
        await terminal.press("t")
        await terminal.until(lambda: not terminal.shows(":20.250"))


async def test_long_lines_scroll_sideways(opened: Opening) -> None:
    async with opened(size=(80, 24)) as terminal:
        await terminal.live(container("api"))
        await terminal.until(lambda: terminal.backend.logs)
        terminal.backend.emit(log("docker/api-1", "start " + "." * 75 + " finish"))
        await terminal.sees("start")
        await terminal.press("l", "w", *["right"] * 20)
        await terminal.sees("finish")
        assert not terminal.shows("start ..")


async def test_search(opened: Opening) -> None:
    async with opened(size=(100, 30)) as terminal:
        await terminal.live(container("api"))
        await terminal.until(lambda: terminal.backend.logs)
        lines = [f"line {number}" + (" NEEDLE" if number % 50 == 0 else "") for number in range(200)]
        terminal.backend.emit(*(log("docker/api-1", text) for text in lines))
        await terminal.sees("line 199")
        await terminal.press("l", "slash", *"needle")
        await terminal.sees("/needle: line 151, 4 lines match", "line 150 NEEDLE")
        await terminal.press("enter", "N")
        await terminal.sees("line 101, 4 lines match", "line 100 NEEDLE")
        await terminal.press("n", "n")
        await terminal.sees("line 1, 4 lines match")
        await terminal.press("escape")
        await terminal.until(lambda: not terminal.shows("lines match"))


async def test_a_flood_is_drained_seldom_and_a_first_line_at_once(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(container("api"))
        await terminal.until(lambda: terminal.backend.logs)
        before = terminal.app.feed.drains
        loop_time = terminal.app.feed._last
        for number in range(3000):
            terminal.backend.emit(log("docker/api-1", f"flood {number}"))
            if number % 100 == 0:
                await terminal.pilot.pause(0)
        await terminal.sees("flood 2999")
        took = terminal.app.feed._last - loop_time
        assert terminal.app.feed.drains - before <= took * 15 + 2
        assert len(terminal.main.log_pane.view.buffer.lines) == 3000


async def test_wrapped_lines_lose_no_character_when_the_scroll_bar_appears(opened: Opening) -> None:
    async with opened(size=(100, 30)) as terminal:
        await terminal.live(container("api"))
        await terminal.until(lambda: terminal.backend.logs)
        words = " ".join(f"word{number}" for number in range(40))
        terminal.backend.emit(log("docker/api-1", words))
        await terminal.settle()
        terminal.backend.emit(*(log("docker/api-1", words) for _ in range(20)), log("docker/api-1", "the end"))
        await terminal.sees("the end")
        view = terminal.main.log_pane.view
        await terminal.until(lambda: view.show_vertical_scrollbar)
        rows = [view.render_line(y).text for y in range(view.size.height)]
        assert words in "".join(row[2:] for row in rows)


async def test_keys_typed_fast_act_as_if_typed_slowly(opened: Opening) -> None:
    async with opened(size=(100, 30)) as terminal:
        await with_lines(terminal, 200)
        await terminal.type("l", "/", *"line 15", "enter", "N")
        await terminal.sees("/line 15: line 159, 11 lines match")
        assert terminal.main.filter.value == ""
        await terminal.type("escape", "f", *"line 1", "enter", "f", *"!9", "enter", "escape", "/", *"ap", "enter")
        await terminal.sees(" line 1 ×   !9 ×")
        await terminal.until(lambda: terminal.main.filter.value == "ap")
        await terminal.type("?", "escape", "l", "backspace", "backspace")
        await terminal.until(lambda: not terminal.main.log_pane.view.filters)


async def test_filters_are_chips_that_can_be_taken_away(opened: Opening) -> None:
    async with opened(size=(100, 30)) as terminal:
        await terminal.live(container("api"))
        await terminal.until(lambda: terminal.backend.logs)
        terminal.backend.emit(
            log("docker/api-1", '{"level": "error", "msg": "timeout of db", "ms": 12}'),
            log("docker/api-1", "level=info msg=started"),
            log("docker/api-1", "WARN disk is full"),
            log("docker/api-1", "a line without a level"),
        )
        await terminal.sees("a line without")
        await terminal.press("l", "f", *"level>=warn")
        await terminal.sees("2 of 4", "timeout of db", "disk is full")
        assert not terminal.shows("started")
        await terminal.press("enter", "f", *"level=error msg~time", "enter")
        await terminal.sees(" level>=warn ×   level=error msg~time ×", "1 of 4")
        assert not terminal.shows("disk is full")
        terminal.backend.emit(log("docker/api-1", "INFO new"), log("docker/api-1", "level=error msg=timeout n=2"))
        await terminal.sees("n=2", "2 of 6")
        assert not terminal.shows("INFO new")
        await terminal.pilot.click(terminal.main.log_pane.chips, offset=(4, 0))
        await terminal.until(lambda: not terminal.shows("level>=warn"))
        await terminal.press("backspace")
        await terminal.sees("started", "disk is full", "INFO new")
        await terminal.press("f", *"nothing like it", "enter")
        await terminal.sees("nothing matches; ⌫ takes a filter away")
        await terminal.press("backspace", "f", *"level>=loud")
        await terminal.sees("'loud' is not a level")


async def test_a_pattern_that_backtracks_for_ever_is_stopped_and_told(opened: Opening) -> None:
    async with opened(size=(100, 30)) as terminal:
        await terminal.live(container("api"))
        await terminal.until(lambda: terminal.backend.logs)
        terminal.backend.emit(log("docker/api-1", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac"))
        await terminal.sees("aaac")
        for key in ("f", "/"):
            await terminal.press("l", key, *"(a|aa)+$", "enter")
            await terminal.sees("takes too long on one line", "aaac")
            assert not terminal.main.log_pane.view.filters


async def test_since_and_the_three_kinds_of_times(opened: Opening) -> None:
    async with opened(size=(100, 30)) as terminal:
        await terminal.live(container("api"))
        await terminal.until(lambda: terminal.backend.logs)
        now = time.time()
        ages = {"hours": 7200, "minutes": 600, "seconds": 5}
        terminal.backend.emit(*(log("docker/api-1", f"of {name}", at=now - age) for name, age in ages.items()))
        await terminal.sees("of hours")
        await terminal.press("l", "3")
        await terminal.sees("2 of 3 of the last 15m", "of minutes")
        assert not terminal.shows("read from")
        await terminal.press("5")
        read_from = datetime.fromtimestamp(now - 7200)
        await terminal.sees("3 of 3 of the last 4h", f"read from {read_from:%H:%M:%S} on, nothing older")
        await terminal.press("3")
        assert not terminal.shows("of hours")
        await terminal.press("1")
        await terminal.sees("1 of 3 of the last 1m")
        await terminal.press("0", "t", "t")
        await terminal.sees("2h of hours", "10m of minutes")


async def test_all_services_in_one_log_by_time_with_their_names(opened: Opening) -> None:
    async with opened(size=(100, 30)) as terminal:
        await with_lines(terminal, 1)
        await terminal.press("M")
        await terminal.until(lambda: terminal.backend.logs >= {"docker/api-1", "docker/web-1"})
        terminal.backend.emit(log("docker/web-1", "third", at=2e9 + 3), log("docker/api-1", "first", at=2e9 + 1))
        await terminal.sees("api │ first", "web │ third")
        terminal.backend.emit(log("docker/api-1", "second, and late", at=2e9 + 2))
        await terminal.sees("second, and late")
        shown = [line.strip() for line in terminal.lines() if " │ " in line]
        assert shown[-3:] == ["api │ first", "api │ second, and late", "web │ third"]
        await terminal.press("M")
        await terminal.until(lambda: not terminal.shows("third"))
        await terminal.sees("LOGS api", "first")
        await terminal.press("escape", "space", "M")
        await terminal.sees("LOGS of the marked lines", "api │ first")
        assert not terminal.shows("web │")


async def test_lines_for_people_marks_clearing_copying_and_saving(
    opened: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with opened(size=(100, 30)) as terminal:
        await terminal.live(container("api"))
        await terminal.until(lambda: terminal.backend.logs)
        terminal.backend.emit(log("docker/api-1", '{"level":"warn","msg":"slow","ms":12}', at=1.5))
        terminal.backend.emit(log("docker/api-1", "container exited with code 3", "devenv"))
        terminal.backend.emit(*(log("docker/api-1", f"plain {number}") for number in range(60)))
        await terminal.sees("plain 59")
        await terminal.press("l", "p")
        await terminal.sees("container exited with code 3", '{"level":"warn"', "‖ paused")
        await terminal.press("J")
        await terminal.sees("WARN  slow  ms=12")
        await terminal.press("G", "m")
        await terminal.sees("── mark ")
        await terminal.press("f", *"slow", "enter", "c", "ctrl+s")
        await terminal.sees("3 lines copied")
        await terminal.until(lambda: list((tmp_path / "devenv" / "logs").glob("api-*.log")))
        assert terminal.app.clipboard.splitlines()[0] == '{"level":"warn","msg":"slow","ms":12}'
        (file,) = (tmp_path / "devenv" / "logs").glob("api-*.log")
        await terminal.until(lambda: file.read_text().count("\n") == 3)
        assert file.read_text().splitlines()[0] == '1970-01-01T00:00:01.500+00:00 {"level":"warn","msg":"slow","ms":12}'
        await terminal.press("x")
        await terminal.until(lambda: not terminal.main.log_pane.view.buffer.lines)
        terminal.backend.emit(log("docker/api-1", "slow again"))
        await terminal.sees("slow again")
        assert not terminal.shows("not kept")


async def test_a_log_that_a_full_disk_does_not_take_is_told_and_no_part_of_it_stays(
    opened: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with opened(size=(100, 30)) as terminal:
        await terminal.live(container("api"))
        await terminal.until(lambda: terminal.backend.logs)
        terminal.backend.emit(*(log("docker/api-1", f"plain {number}") for number in range(3_000)))
        await terminal.sees("plain 2999")
        with full_disk(1_000):
            await terminal.press("l", "ctrl+s")
            await terminal.sees("not saved: File too large")
        assert list((tmp_path / "devenv" / "logs").iterdir()) == []
        await terminal.press("ctrl+s")
        await terminal.sees("3,000 lines are in")


async def test_a_batch_of_lines_lays_nothing_out_and_a_filter_paints_little_while_older_lines_are_looked_at(
    opened: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(size=(100, 30)) as terminal:
        await with_lines(terminal, LINES_KEPT)
        await terminal.settle()
        view = terminal.main.log_pane.view
        layouts = 0
        reflow = Compositor.reflow

        def counted(*arguments: Any) -> Any:
            nonlocal layouts
            layouts += 1
            return reflow(*arguments)

        monkeypatch.setattr(Compositor, "reflow", counted)
        for number in range(10):
            terminal.backend.emit(*(log("docker/api-1", f"batch {number}") for _ in range(2)), log("x", ""))
            await terminal.sees(f"batch {number}")
        assert layouts == 0
        await terminal.press("l", "f")
        await terminal.settle()
        drawn, began = view.drawn, time.monotonic()
        await terminal.type("1")
        await terminal.until(lambda: view.line_filter is not None and not view.scanning)
        await terminal.settle()
        assert view.shown == sum("1" in line.text for line in view.buffer.lines)
        # One paint a slice would make thousands of rows more; how far it has come is told four times a second.
        assert view.drawn - drawn < view.size.height * (12 + 3 * (time.monotonic() - began) / TELL_EVERY)


async def test_a_stack_trace_is_one_line_until_it_is_opened_and_all_of_it_is_found_and_saved(opened: Opening) -> None:
    trace = ["Traceback (most recent call last):", '  File "/app.py", line 3, in get', "    boom()", "ValueError: no"]
    async with opened(size=(100, 30)) as terminal:
        await terminal.live(container("api"))
        await terminal.until(lambda: terminal.backend.logs)
        emitted = ("started", *trace, "retry", "retry", "retry", "served")
        terminal.backend.emit(*(log("docker/api-1", text) for text in emitted))
        await terminal.sees("Traceback (most recent call last): +3 lines: ValueError: no", "served")
        assert not terminal.shows("boom()")
        await terminal.press("l", "enter")
        await terminal.sees("boom()", "‖ paused")
        await terminal.press("enter")
        await terminal.until(lambda: not terminal.shows("boom()"))
        await terminal.press("F")
        await terminal.sees("retry ×3")
        assert [text.split(" ", 1)[-1] for text in terminal.main.log_pane.view.lines()] == list(emitted)
        await terminal.press("slash", *"boom", "enter")
        await terminal.sees("1 lines match", "    boom()")
        await terminal.press("escape", "l", "F")
        await terminal.until(lambda: terminal.text().count("retry") == 3)


async def test_what_the_mouse_selects_is_copied_to_the_clipboard_of_the_desktop_too(
    opened: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "wl-copy"
    program.write_text(f"#!/bin/sh\ncat > {tmp_path}/copied.part && mv {tmp_path}/copied.part {tmp_path}/copied\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    async with opened(size=(100, 30)) as terminal:
        await terminal.live(container("api"))
        await terminal.until(lambda: terminal.backend.logs)
        terminal.backend.emit(log("docker/api-1", "first line"), log("docker/api-1", "second line"))
        await terminal.sees("second line")
        view = terminal.main.log_pane.view
        await terminal.pilot.mouse_down(view, offset=(8, 0))
        await terminal.pilot.hover(view, offset=(7, 1))
        await terminal.pilot.mouse_up(view, offset=(7, 1))
        await terminal.sees("‖ paused")
        await terminal.press("l", "c")
        await terminal.sees("2 lines copied")
        await terminal.until((tmp_path / "copied").exists)
        assert terminal.app.clipboard == (tmp_path / "copied").read_text() == "line\nsecond"


async def test_bars_of_lines_and_errors_follow_filters_and_lead_to_their_moments(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(container("api"))
        await terminal.sees(" LOGS api")
        view, bars, now = terminal.main.log_pane.view, terminal.main.log_pane.bars, int(time.time()) - 100.0

        def lines(begin: int, end: int) -> list[LogLine]:
            texts = {20: "level=error msg=broken", 60: "level=error msg=again"}
            return [
                LogLine("docker/api-1", now + at, "stdout", f"{texts.get(at, 'level=info msg=served')} at={at}")
                for at in range(begin, end)
            ]

        terminal.backend.emit(*lines(0, 80))
        await terminal.until(lambda: view.buffer.total == 80)
        assert not bars.display
        await terminal.type("l", "H")
        await terminal.until(lambda: bars.display and bars.text.split("\n")[-1].count("█") == 2)
        counts = [line[7:].split("┤")[0].strip() for line in bars.text.splitlines()]
        assert int(counts[0]) >= 2
        assert counts[1] == "1"
        await terminal.press("e")
        await terminal.sees("▶ level=error msg=again at=60")
        await terminal.press("e")
        await terminal.sees("▶ level=error msg=broken at=20")
        await terminal.press("E")
        await terminal.sees("▶ level=error msg=again at=60")
        await terminal.pilot.click(bars, offset=(BARS_BEGIN, 0))
        await terminal.sees("▶ level=info msg=served at=0")
        await terminal.press("G")
        await terminal.type("f", *"broken", "enter")
        await terminal.until(lambda: view.shown == 1 and not view.scanning and bars.text.startswith(" lines     1 ┤█"))
        await terminal.press("backspace")
        await terminal.until(lambda: view.shown == 80)
        await terminal.press("H")
        await terminal.until(lambda: not bars.display)
        assert view.histogram is None
