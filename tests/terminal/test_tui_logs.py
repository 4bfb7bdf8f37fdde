"""The log pane: follows the selection and the end, is bounded, tells what it does not show."""

from __future__ import annotations

from devenv.core.model import Gone, LogsDropped, Seen
from devenv.tui.logs.buffers import LINES_KEPT
from tests.terminal.conftest import Opening
from tests.terminal.driving import Driver
from tests.terminal.scripted import container, log


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
        assert view.show_vertical_scrollbar
        rows = [view.render_line(y).text for y in range(view.size.height)]
        assert words in "".join(row[2:] for row in rows)
