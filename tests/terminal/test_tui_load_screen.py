"""The screen of one load test, on a real Locust in a process: figures as they come, stop, leave, find again."""

from __future__ import annotations

import time

from textual.widgets import Input

from devenv.load.runner import known_runs
from devenv.tui.main_screen import MainScreen
from devenv.tui.runs.load import LoadScreen
from devenv.tui.runs.load_form import LoadFormScreen
from tests.load.playing import Played
from tests.terminal.conftest import Opening
from tests.terminal.driving import Driver
from tests.terminal.load_driving import ask, begin, on
from tests.terminal.scripted import log


def row(terminal: Driver, name: str) -> list[str]:
    found = next((line for line in terminal.lines() if line.strip().startswith(f"{name} ")), "")
    return found.partition("▏")[0].split()


async def test_figures_come_with_thresholds_containers_and_charts_on_one_axis(open_load: Opening) -> None:
    async with open_load() as terminal:
        await begin(terminal, "--threshold 'search:p95<100' --threshold 'add:p50<10'")
        await terminal.until(lambda: "✗ add:p50<10" in terminal.text())
        assert terminal.shows("✓ search:p95<100", "generator 12% of a core")
        assert row(terminal, "search")[2:5] == ["7", "31", "31"]
        assert int(row(terminal, "add")[-1].replace(",", "")) > 0, "failures are counted"
        assert row(terminal, "shop-web-1")[1:] == ["25%", "48", "MiB", "95", "MiB", "✓"]
        assert terminal.shows("CPU web % of a core  most 25  ┄ 50", "╵steady", "P95 ms", "FAILED /s")
        assert terminal.shows(" of 1:00"), "the shape's own length"
        starts = {line.partition("┤")[0][-7:] for line in terminal.lines() if "┤" in line}
        assert len({len(start) for start in starts}) == 1, "all charts begin in the same column"


async def test_nothing_is_drawn_while_nothing_is_written(open_load: Opening, load_project: Played) -> None:
    async with open_load() as terminal:
        screen = await begin(terminal)
        load_project.write("quiet")
        look, looks = screen.following.look, []

        def counted() -> None:
            looks.append(screen.drawn)
            look()

        screen.following.look = counted  # type: ignore[method-assign]  # it is counted, and done
        await terminal.until(lambda: len(looks) == 3)  # what was written before is shown by now
        updates = screen.title_line.updates, screen.numbers.updates, screen.drawn
        await terminal.until(lambda: len(looks) == 6)
        assert (screen.title_line.updates, screen.numbers.updates, screen.drawn) == updates


async def test_changes_of_the_phase_are_marked_between_the_lines_of_the_logs(
    open_load: Opening, load_project: Played
) -> None:
    async with open_load() as terminal:
        await terminal.select("web")
        terminal.backend.emit(log("docker/web-1", "before the load"))
        await terminal.sees("before the load")
        await begin(terminal)
        await terminal.press("escape", "escape")
        await on(terminal, MainScreen)
        await terminal.sees("── load test: steady, 20 users ──")
        terminal.backend.emit(log("docker/web-1", "under load"))
        load_project.write("phase", "harder")
        await terminal.sees("── load test: harder")
        lines = terminal.text()
        order = ["before the load", "load test: prepare", "load test: steady", "under load", "load test: harder"]
        assert sorted(order, key=lines.index) == order
        await terminal.select("api")
        now = time.time()
        terminal.backend.emit(log("docker/api-1", "long ago", at=now - 900), log("docker/api-1", "now", at=now + 60))
        await terminal.sees("now")
        lines = terminal.text()
        assert lines.index("long ago") < lines.index("load test: steady") < lines.index("load test: harder")
        assert lines.index("load test: harder") < lines.rindex("  now")


async def test_x_stops_it_and_shows_the_end_with_its_reports(open_load: Opening, load_project: Played) -> None:
    async with open_load() as terminal:
        screen = await begin(terminal)
        load_project.write("hold")
        await terminal.press("x")
        await terminal.sees("load test stops: collections are removed, reports written; x again kills it")
        load_project.write("cleaned")
        await terminal.sees("load test passed", "all requests were served, all thresholds hold", "m read the report")
        assert not (screen.following.live.folder / "report.md").exists(), "the played test makes none"
        await terminal.press("m")
        await terminal.sees("report.md", "| search |")
        await terminal.press("escape")
        await on(terminal, LoadScreen)
        await terminal.press("o")
        await terminal.sees("browser", "opened", "copied")  # a long path breaks the sentence anywhere
        await terminal.press("c")
        await terminal.sees("what Locust printed", "Starting Locust")


async def test_x_once_more_kills_it(open_load: Opening, load_project: Played) -> None:
    async with open_load() as terminal:
        await begin(terminal)
        load_project.write("hold")
        await terminal.press("x")
        await terminal.sees("x again kills it")
        await terminal.press("x")
        await terminal.sees("load test killed", "it did not come to its end", "LOCUST SAYS")
        await terminal.press("m")
        await terminal.sees("| search |", "the run did not come to its end")


async def test_a_run_that_dies_at_its_start_shows_its_last_words(open_load: Opening) -> None:
    async with open_load() as terminal:
        await ask(terminal, "--no-such-option")
        await terminal.press("enter")
        await terminal.sees("load test could not run", "exit code 2", "unrecognized arguments: --no-such-option")
        await terminal.press("n")
        await on(terminal, LoadFormScreen)
        assert terminal.app.screen.query_one("#load-more", Input).value == "--no-such-option", "to be mended"


async def test_locust_killed_from_outside_is_told(open_load: Opening, load_project: Played) -> None:
    async with open_load() as terminal:
        await begin(terminal)
        load_project.runs()[0].kill()
        await terminal.sees("load test killed", "LOCUST SAYS")
        await terminal.until(lambda: "x stop" not in terminal.text())


async def test_leaving_asks_and_staying_changes_nothing(open_load: Opening, load_project: Played) -> None:
    async with open_load() as terminal:
        await begin(terminal)
        await terminal.press("q")
        await terminal.sees("The load test is still running", "let it go on (d)")
        await terminal.press("enter")
        await on(terminal, LoadScreen)
        assert terminal.app.return_value is None
        assert not load_project.runs()[0].is_over


async def test_leaving_can_stop_it_and_waits_for_its_end(open_load: Opening, load_project: Played) -> None:
    async with open_load() as terminal:
        await begin(terminal)
        load_project.write("hold")
        await terminal.press("q")
        await terminal.sees("stop it and quit (s)")
        await terminal.press("s")
        await terminal.sees("load test stops")
        assert terminal.app.return_value is None, "it waits"
        load_project.write("cleaned")
        await terminal.until(lambda: terminal.app.return_value == 0)
        assert [run.verdict for run in known_runs(load_project.folder)] == ["passed"]


async def test_a_run_that_goes_on_is_found_by_the_next_terminal(open_load: Opening, load_project: Played) -> None:
    async with open_load() as terminal:
        await begin(terminal)
        await terminal.press("q")
        await terminal.sees("let it go on (d)")
        await terminal.press("d")
        await terminal.until(lambda: terminal.app.return_value == 0)
    run = load_project.runs()[0]
    assert not run.is_over
    async with open_load() as terminal:
        await terminal.sees("L ◐ load test steady on compose shop web")
        await terminal.press("L")
        await on(terminal, LoadScreen)
        await terminal.sees("REQUESTS /s", "CONTAINERS")
        await terminal.press("x")
        await terminal.sees("load test passed")
    assert run.is_over


async def test_the_main_screen_says_how_it_stands_until_that_was_looked_at(open_load: Opening) -> None:
    async with open_load() as terminal:
        await begin(terminal)
        await terminal.press("x", "escape", "escape")
        await on(terminal, MainScreen)
        await terminal.sees("L load test passed")
        await terminal.press("L")
        await terminal.sees("REQUESTS")
        await terminal.press("escape")
        await on(terminal, MainScreen)
        await terminal.until(lambda: not terminal.shows("L load test passed"))
