"""Changes: first the plan, then a question where it takes away, then progress and the result."""

from __future__ import annotations

import time
from typing import Any

import pytest

from devenv.core.model import Action, ConnectionState, Phase, Progress
from devenv.logs.buffer import LogBuffer
from tests.terminal.conftest import Opening
from tests.terminal.scripted import absent, connection, container, log, shop


def action(phase: Phase, **facts: Any) -> Action:
    known = {"id": 1, "verb": "restart", "targets": ("api",), "at": time.time()}
    return Action(phase=phase, **(known | facts))


@pytest.mark.parametrize(
    ("key", "verb", "targets"),
    [("r", "restart", ("api",)), ("S", "stop", ("api",)), ("u", "up", ("api",)), ("U", "up", ())],
)
async def test_keys_request_a_change(opened: Opening, key: str, verb: str, targets: tuple[str, ...]) -> None:
    async with opened() as terminal:
        await terminal.live(*shop())
        await terminal.press(key)
        await terminal.until(lambda: terminal.control.requested)
        assert [(plan.verb, plan.targets) for plan in terminal.control.requested] == [(verb, targets)]
        await terminal.sees(f"{verb} {', '.join(targets) or 'project'}")


async def test_only_keys_that_make_sense_are_offered_and_taken(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(absent("docs"), container("web"))
        await terminal.until(lambda: "u up" in terminal.main.footer.text)
        assert "restart" not in terminal.main.footer.text
        assert "stop" not in terminal.main.footer.text
        await terminal.press("r", "S", "s")
        assert terminal.control.plans == []
        await terminal.press("down")
        await terminal.until(lambda: "S stop" in terminal.main.footer.text)
        assert "s start" not in terminal.main.footer.text


async def test_down_names_what_it_takes_away_and_no_is_the_default(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(*shop())
        await terminal.press("D")
        await terminal.sees("Down: the whole project?", "Stops and removes 2 containers of the project shop.")
        await terminal.confirm("enter")  # the focus stands on no
        await terminal.until(lambda: not terminal.shows("Down: the whole"))
        assert terminal.control.requested == []
        await terminal.press("D")
        await terminal.sees("Down: the whole project?")
        await terminal.confirm("y")
        await terminal.until(lambda: terminal.control.requested)
        assert terminal.control.requested[0].verb == "down"


async def test_losses_are_named(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(*shop())
        terminal.control.losses = ("shop_data", "shop_[/foo]")
        terminal.main.changes.ask("down", volumes=True)
        await terminal.sees("This cannot be had back:", "✗ shop_data", "✗ shop_[/foo]")
        await terminal.confirm("escape")
        assert terminal.control.requested == []


async def test_a_refused_plan_says_why(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(*shop())
        terminal.control.refusal = ("devenv is in read-only mode", "It was set by --read-only.")
        await terminal.press("r")
        await terminal.sees("restart was refused", "devenv is in read-only mode", "→ It was set by --read-only.")
        assert terminal.control.requested == []


async def test_a_refused_request_says_why(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(*shop())
        terminal.control.busy = "up is still running"
        await terminal.press("r")
        await terminal.sees("up is still running", "→ Wait for it")


async def test_progress_then_done(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(*shop())
        terminal.control.emit(
            action(Phase.RUNNING),
            Progress("Container shop-db-1", "Started", "done", action=1),
            Progress("Container shop-api-1", "Restarting", percent=40, action=1),
        )
        await terminal.sees("restart api", "1/2  Container shop-api-1 Restarting 40%")
        terminal.control.emit(Progress("Container shop-api-1", "Started", "done", action=1))
        await terminal.sees("2/2  Container shop-api-1 Started")
        terminal.control.emit(action(Phase.DONE))
        await terminal.sees("✓ restart api: done in")
        await terminal.until(lambda: not terminal.main.action_bar.display)


async def test_what_comes_while_the_screen_is_taken_down_is_no_fault(opened: Opening) -> None:
    async with opened() as terminal:
        bar = terminal.main.action_bar
        await bar.remove()
        bar.tell([Action(1, "restart", ("web",), Phase.RUNNING, 0.0)], lambda _: {}, 1.0)
        banner = terminal.main.banner
        await banner.remove()
        banner.tell(connection(ConnectionState.STALE, message="the connection broke"))
        logs = terminal.main.log_pane
        await logs.remove()
        lines = LogBuffer()
        lines.append(log("docker/web-1", "served"))
        logs.show("web", lines, "no output yet", None)
        assert not any(one.is_attached for one in (bar, banner, logs))


async def test_a_build_is_a_line_a_service(opened: Opening) -> None:
    async with opened(size=(100, 40)) as terminal:
        await terminal.live(container("web"))
        terminal.control.emit(action(Phase.RUNNING, verb="build", targets=()))
        terminal.control.emit(
            Progress("Image shop-web", "Building", parent_id="web", action=1),
            Progress("Step [web build 1/3] FROM python", "Cached", "done", parent_id="web", action=1),
            Progress(
                "Step [web build 2/3] RUN pip install\n    --requirement lock", "Building", parent_id="web", action=1
            ),
            Progress("Step [api 1/2] FROM python", "Cached", "done", parent_id="api", action=1),
        )
        await terminal.sees("◐ web", "1 cached", "build 2/3 RUN pip install --requirement lock")
        await terminal.sees("◐ api", "1/2 FROM python")
        terminal.control.emit(
            Progress("Step [api 2/2] RUN make", "Built", "done", parent_id="api", action=1),
            Progress("Image shop-api", "Built", "done", parent_id="api", action=1),
            Progress(
                "Step [web build 2/3] RUN pip install\n    --requirement lock",
                "Failed",
                "error",
                parent_id="web",
                action=1,
            ),
        )
        await terminal.sees("✗ web", "failed build 2/3 RUN pip install", "✓ api")
        lines = terminal.lines()
        (web,) = (index for index, line in enumerate(lines) if "✗ web" in line)
        assert "✓ api" in lines[web + 1], "what is done comes last"
        await terminal.pilot.resize_terminal(60, 20)
        terminal.control.emit(
            *(
                Progress(f"Step [many{number} 1/1] RUN x", "Building", parent_id=f"many{number}", action=1)
                for number in range(9)
            )
        )
        await terminal.sees("… and 9 more")
        terminal.control.emit(action(Phase.DONE, verb="build", targets=()))
        await terminal.until(lambda: "✓ api" not in terminal.text())


async def test_a_failure_stays_until_it_is_dismissed(opened: Opening) -> None:
    async with opened(size=(80, 24)) as terminal:
        await terminal.live(*shop())
        terminal.control.emit(action(Phase.RUNNING))
        terminal.control.emit(
            action(Phase.FAILED, detail="port 8080 is taken\nby nginx (pid 812)", hint="Stop it.", exit_code=6)
        )
        await terminal.sees(
            "✗ restart api failed (exit code 6)", "port 8080 is taken", "by nginx (pid 812)", "→ Stop it."
        )
        await terminal.until(lambda: "x cancel/dismiss" in terminal.main.footer.text)
        await terminal.press("x")
        await terminal.until(lambda: not terminal.shows("port 8080 is taken"))


async def test_cancel(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(*shop())
        await terminal.press("r")
        await terminal.sees("x cancel")
        await terminal.press("x")
        await terminal.until(lambda: terminal.control.cancelled == [1])


async def test_quit_at_once(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(*shop())
        await terminal.press("q")
        await terminal.until(lambda: not terminal.app.is_running)
        assert terminal.app.return_value == 0


async def test_quit_while_a_change_runs_asks_cancels_and_waits(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(*shop())
        await terminal.press("r")
        await terminal.sees("restart api")
        await terminal.press("q")
        await terminal.sees("restart api is still running", "cancel it and quit")
        await terminal.confirm("n")
        await terminal.until(lambda: not terminal.shows("cancel it and quit"))
        assert terminal.control.cancelled == []
        await terminal.press("q")
        await terminal.sees("cancel it and quit")
        await terminal.confirm("y")
        await terminal.until(lambda: terminal.control.cancelled == [1])
        assert terminal.app.is_running
        terminal.control.emit(action(Phase.FAILED, detail="interrupted"))
        await terminal.until(lambda: not terminal.app.is_running)


async def test_the_palette_runs_commands(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(*shop())
        await terminal.press("ctrl+p")
        await terminal.sees("restart api")
        await terminal.press(*"build api")
        await terminal.until(lambda: terminal.shows("build api"))
        await terminal.press("enter")
        await terminal.until(lambda: terminal.control.requested)
        assert (terminal.control.requested[0].verb, terminal.control.requested[0].targets) == ("build", ("api",))
