"""The table: what it says, that a change touches only what changed, and that the cursor stays where it was put."""

from __future__ import annotations

import time
from functools import partial

import pytest
from msgspec.structs import replace

from devenv.core.model import Beyond, Gone, Happening, Health, Sample, Seen, State
from devenv.core.settings import TerminalSettings
from devenv.tui.table.lines import Row
from tests.terminal.conftest import Opening
from tests.terminal.scripted import absent, connection, container, shop


async def test_every_state_is_a_glyph_and_a_word(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(*shop())
        await terminal.sees("● running", "‖ paused", "■ exited 0", "○ absent", "✓ healthy", "✗ unhealthy", "◌ starting")
        await terminal.until(lambda: "✗ exited 137 (SIGKILL)" in terminal.row("db"))
        assert "↻ restarting (3)" in terminal.row("cache")
        assert "8080→80" in terminal.row("web")
        assert terminal.row("web").count("8080") == 1  # IPv4 and IPv6 of one port
        await terminal.sees("5 running · 1 unhealthy · 2 crashed · 1 absent")


async def test_services_by_name_and_replicas_by_number(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(*reversed(shop()))
        titles = [row.title for row in terminal.main.table.rows]
        assert titles == ["api", "cache", "db", "docs", "mail", "migrate", "web", "worker-1", "worker-2", "worker-3"]


async def test_a_crash_that_the_policy_healed_stays_visible(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(container("api"))
        died = Happening("docker/api-1", time.time(), "die", "exited with code 137", (("exitCode", "137"),))
        terminal.backend.emit(died)
        await terminal.sees("▲ running after 137 (SIGKILL)")
        terminal.backend.emit(Happening("docker/api-1", time.time(), "oom", "out of memory"))
        await terminal.sees("▲ running after OOM kill")


@pytest.mark.parametrize("asked", ["r", "S"])
async def test_a_stop_that_ends_by_sigkill_is_no_crash_and_ends_the_crash_before_it(
    opened: Opening, asked: str
) -> None:
    """What does not heed SIGTERM is killed by the engine when its time is over: 137, as after a crash."""
    async with opened() as terminal:
        now, ended = time.time(), (("exitCode", "137"),)
        await terminal.live(container("api"))
        terminal.backend.emit(Happening("docker/api-1", now - 20, "die", "exited with code 137", ended))
        await terminal.sees("▲ running after 137 (SIGKILL)")
        terminal.backend.emit(
            Happening("docker/api-1", now - 11, "kill", "killed", (("signal", "15"),)),
            Happening("docker/api-1", now - 1, "kill", "killed", (("signal", "9"),)),
            Happening("docker/api-1", now - 1, "die", "exited with code 137", ended),
        )
        if asked == "r":
            terminal.backend.emit(Happening("docker/api-1", now, "start", "started"))
            await terminal.sees("● running")
            return
        terminal.backend.emit(
            Seen("docker", container("api", state=State.EXITED, exit_code=137, finished_at=now - 1)),
            Seen("docker", container("web", state=State.EXITED, exit_code=137, finished_at=now - 1)),  # by itself
        )
        await terminal.sees("■ exited 137 (SIGKILL)", "0 running · 1 crashed")


async def test_a_stop_on_purpose_is_no_crash(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(container("api"))
        now = time.time()
        terminal.backend.emit(
            Happening("docker/api-1", now - 1, "kill", "killed", (("signal", "15"),)),
            Happening("docker/api-1", now, "die", "exited with code 143", (("exitCode", "143"),)),
            Seen("docker", container("api", state=State.EXITED, exit_code=143, finished_at=now)),
        )
        await terminal.sees("■ exited 143 (SIGTERM)")


async def test_only_the_cells_that_changed_are_drawn(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(*shop())
        table = terminal.main.table
        await terminal.settle()
        before = table.cells_updated
        built = terminal.main.board.lines.rows_built
        terminal.backend.emit(Seen("docker", replace(shop()[0], health=Health.UNHEALTHY, started_at=time.time() - 200)))
        await terminal.until(lambda: "✗ unhealthy" in terminal.row("web"))
        assert table.cells_updated - before in (1, 2)  # health, and the age where its text turned meanwhile
        assert terminal.main.board.lines.rows_built - built <= 1 + len(table.rows)  # the row, and at most one tick


async def test_equal_records_draw_nothing(opened: Opening) -> None:
    async with opened() as terminal:
        resources = tuple(replace(resource, started_at=None, finished_at=None, created_at=None) for resource in shop())
        await terminal.live(*resources)
        await terminal.sees("✓ healthy")
        table = terminal.main.table
        await terminal.settle()
        before = (table.cells_updated, table.lines_drawn, terminal.main.footer.updates)
        for drains in range(terminal.app.feed.drains, terminal.app.feed.drains + 3):
            terminal.backend.emit(*(Seen("docker", resource) for resource in resources))
            await terminal.until(partial(lambda drains: terminal.app.feed.drains > drains, drains))
        await terminal.pilot.pause()
        assert (table.cells_updated, table.lines_drawn, terminal.main.footer.updates) == before


async def test_a_key_paints_its_rows_and_what_follows_them_comes_later_and_once(
    opened: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devenv.tui.widgets.line_table.PASSING", 60.0)  # however busy the machine is
    async with opened() as terminal:
        await terminal.live(*(container(f"s{number}", started_at=None, created_at=None) for number in range(9)))
        await terminal.settle()
        main, table = terminal.main, terminal.main.table
        followed: list[tuple[str, int]] = []
        layouts: list[object] = []
        select = main.following.select

        def counted(row: Row | None) -> None:
            followed.append((row.title if row else "", table.lines_drawn))
            select(row)

        main.following.select = counted  # type: ignore[method-assign]  # it is counted, and done
        main.screen_layout_refresh_signal.subscribe(main, layouts.append, immediate=True)
        drawn = table.lines_drawn
        await terminal.press("j")
        await terminal.until(lambda: followed)
        assert followed == [("s1", drawn + 2)]  # the row before and the one that was chosen
        await terminal.sees(" LOGS s1", " DETAIL s1")
        assert not layouts  # the texts are as high as those before
        drawn = table.lines_drawn
        await terminal.type(*"jjjjjj")
        await terminal.until(lambda: table.cursor == 7)
        await terminal.settle()
        assert len(followed) == 1  # it only passes by
        assert table.lines_drawn - drawn <= 12
        await terminal.press("l")
        assert [row for row, _ in followed] == ["s1", "s7"]
        await terminal.sees(" LOGS s7", " DETAIL s7")


async def test_what_is_typed_behind_a_move_is_for_the_row_that_it_chose(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(*(container(f"s{number}") for number in range(6)))
        title = terminal.main.log_pane.title
        await terminal.type(*"jjjl")
        await terminal.until(lambda: terminal.main.focused is terminal.main.log_pane.view)
        assert title.text.startswith(" LOGS s3")
        await terminal.press("escape")
        await terminal.type(*"jj", "enter")
        await terminal.until(lambda: terminal.main.focused is not terminal.main.table)
        assert terminal.main.panes.detail is not None
        assert terminal.main.panes.detail.title.text.startswith(" DETAIL s5")


async def test_the_cursor_survives_updates_and_re_creation(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(container("api"), container("db"), container("web"))
        await terminal.select("db")
        terminal.backend.emit(
            Seen("docker", container("auth")), Seen("docker", container("api", health=Health.HEALTHY))
        )
        await terminal.until(lambda: len(terminal.main.table.rows) == 4)
        assert terminal.main.selected is not None
        assert terminal.main.selected.service == "db"
        terminal.backend.emit(Gone("docker", "docker/db-1"))
        await terminal.until(lambda: len(terminal.main.table.rows) == 3)
        terminal.backend.emit(Seen("docker", container("db", key="docker/new", container_id="new")))
        await terminal.until(lambda: terminal.main.selected is not None and terminal.main.selected.key == "docker/new")
        await terminal.until(lambda: terminal.main.log_pane.title.text.startswith(" LOGS db"))


async def test_two_containers_of_one_place_are_two_rows(opened: Opening) -> None:
    async with opened() as terminal:
        old = container("web", state=State.EXITED, exit_code=143, name="abc_shop-web-1", key="docker/old")
        await terminal.live(old, container("web"))
        assert "● running" in terminal.row("web")
        await terminal.sees("web (abc_shop-web-1)")


async def test_one_off_containers_have_their_own_name(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(container("web"), container("web", name="shop-web-run-1", key="docker/run", one_off=True))
        assert [row.title for row in terminal.main.table.rows] == ["web", "shop-web-run-1 (one-off)"]
        await terminal.sees("1 running")


async def test_use_is_shown_and_only_what_is_visible_is_sampled(opened: Opening) -> None:
    async with opened(size=(80, 24)) as terminal:
        many = [container(f"s{number:02}") for number in range(40)]
        await terminal.live(*many)
        await terminal.until(lambda: 0 < len(terminal.backend.stats) < 15)
        assert "docker/s00-1" in terminal.backend.stats
        terminal.backend.emit(Sample("docker/s00-1", time.time(), 0.423, 55_000_000, 60_000_000))
        await terminal.until(lambda: "42%" in terminal.row("s00") and "52 MiB" in terminal.row("s00"))
        await terminal.press("end")
        await terminal.until(lambda: "docker/s39-1" in terminal.backend.stats)
        assert "docker/s00-1" not in terminal.backend.stats
        assert terminal.main.selected is not None
        assert terminal.main.selected.service == "s39"


async def test_filter(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(*shop())
        await terminal.press("slash", *"work")
        await terminal.until(
            lambda: [row.title for row in terminal.main.table.rows] == ["worker-1", "worker-2", "worker-3"]
        )
        await terminal.press("enter")
        await terminal.until(lambda: terminal.app.focused is terminal.main.table)
        assert len(terminal.main.table.rows) == 3
        terminal.backend.emit(Seen("docker", container("worker", 4)))
        await terminal.until(lambda: len(terminal.main.table.rows) == 4)
        await terminal.press("escape")
        await terminal.until(lambda: len(terminal.main.table.rows) == 11)
        await terminal.press("slash", *"zzz")
        await terminal.sees("nothing matches “zzz”")


async def test_a_filter_that_is_no_expression_is_told_and_the_lines_stay(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(*shop())
        await terminal.press("slash", *"^work", "(")
        await terminal.sees("'^work(' is not a regular expression", "the table stays as it was")
        assert len(terminal.main.table.rows) == 3
        await terminal.press("backspace")
        await terminal.until(lambda: not terminal.shows("no regular expression"))
        await terminal.press("escape")
        await terminal.until(lambda: len(terminal.main.table.rows) == 10)


async def test_the_head_says_what_the_lines_are_sorted_by(opened: Opening) -> None:
    async with opened(settings=TerminalSettings(columns=("cpu", "state"))) as terminal:
        await terminal.live(container("api"), container("db", state=State.EXITED, exit_code=0), container("web"))
        for name, cpu in (("api", 0.1), ("web", 0.7)):
            terminal.backend.emit(Sample(container(name).key, time.time(), cpu, 1, None))
        await terminal.sees("SERVICE", "CPU", "STATE", "70")
        assert not terminal.shows("MEMORY")

        def titles() -> list[str]:
            return [row.title for row in terminal.main.table.rows]

        await terminal.press("j", "O")
        await terminal.sees("CPU▼")
        assert titles() == ["web", "api", "db"]
        assert terminal.main.selected is not None
        assert terminal.main.selected.service == "db", "the cursor stays on its line"
        await terminal.press("I")
        await terminal.sees("CPU▲")
        assert titles() == ["api", "web", "db"]
        await terminal.press("O")
        await terminal.sees("STATE▲")
        await terminal.press("O")
        await terminal.until(lambda: not terminal.shows("▲"))
        assert titles() == ["api", "db", "web"]
        await terminal.pilot.click("ResourceTable", offset=(4, 0))
        await terminal.sees("SERVIC▼")
        assert titles() == ["web", "db", "api"]


async def test_a_click_selects_and_the_wheel_scrolls(opened: Opening) -> None:
    async with opened(size=(80, 24)) as terminal:
        await terminal.live(*(container(f"s{number:02}") for number in range(30)))
        await terminal.pilot.click("ResourceTable", offset=(5, 3))
        await terminal.until(lambda: terminal.main.selected is not None and terminal.main.selected.service == "s02")
        terminal.main.table.scroll_relative(y=5, animate=False)
        await terminal.until(lambda: not terminal.shows("s02 "))


@pytest.mark.parametrize(
    ("width", "missing"), [(120, ()), (80, ()), (70, ("PORTS",)), (60, ("PORTS", "AGE")), (45, ("PORTS", "AGE", "RST"))]
)
async def test_columns_give_way_by_rank(opened: Opening, width: int, missing: tuple[str, ...]) -> None:
    async with opened(size=(width, 24)) as terminal:
        await terminal.live(*shop())
        head = terminal.lines()[1]
        for title in ("SERVICE", "STATE", "PORTS", "AGE"):
            assert (title in head) == (title not in missing), head
        assert "✗ exited 137 (SIGKILL)" in terminal.row("db")


async def test_an_absent_service_is_not_watched(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(absent("docs"))
        await terminal.sees("nothing was created yet, so there is no log")
        assert terminal.backend.stats == frozenset()
        assert terminal.backend.logs == frozenset()
        terminal.backend.live(container("docs"))
        await terminal.until(lambda: terminal.backend.logs == {"docker/docs-1"})
        assert terminal.backend.detail == "docker/docs-1"
        terminal.backend.emit(connection())


async def test_what_belongs_to_no_active_service_comes_last_and_says_why(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(
            container("debug", beyond=Beyond.INACTIVE),
            container("jobs", 1, beyond=Beyond.INACTIVE),
            container("jobs", 2, beyond=Beyond.INACTIVE),
            container("old", beyond=Beyond.ORPHAN),
            container("web"),
            container("zoo", name="shop-zoo-run-1", key="docker/run", one_off=True),
        )
        titles = [row.title for row in terminal.main.table.rows]
        beyond = ["debug (inactive profile)", "jobs-1 (inactive profile)", "jobs-2 (inactive profile)", "old (orphan)"]
        assert titles == ["web", "shop-zoo-run-1 (one-off)", *beyond]


async def test_what_should_be_known_of_a_live_project_is_told(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(container("web"))
        terminal.backend.emit(connection(message="project shop was started from /clone", hint="use -p NAME"))
        await terminal.sees("▲ project shop was started from /clone", "→ use -p NAME")
        terminal.backend.emit(connection())
        await terminal.until(lambda: not terminal.main.banner.display)


async def test_the_table_is_looked_at_each_second_only_where_it_counts_seconds(opened: Opening) -> None:
    async with opened() as terminal:
        hour_ago = container("api", started_at=time.time() - 3600, created_at=time.time() - 3600)
        await terminal.live(hour_ago)
        assert not terminal.main.table.counts_seconds
        built = terminal.main.board.lines.rows_built
        terminal.main.tick(rows=False)
        assert terminal.main.board.lines.rows_built == built
        terminal.backend.emit(Seen("docker", replace(hour_ago, started_at=time.time() - 5)))
        await terminal.until(lambda: terminal.main.table.counts_seconds)
        terminal.main.tick()
        assert terminal.main.board.lines.rows_built > built
