"""What the whole screen looks like, as text. UPDATE_SNAPSHOTS=1 in the environment of pytest renews the files."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from devenv.core.model import Action, ConnectionState, Happening, Phase, Sample
from tests.terminal.conftest import Opening
from tests.terminal.scripted import connection, log, shop

SNAPSHOTS = Path(__file__).parent / "snapshots"
NOON = 1_767_960_000.0  # 2026-01-09 12:00:00 UTC


@pytest.fixture(autouse=True)
def fixed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(time, "time", lambda: NOON)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize("scene", ["overview", "failure", "help", "down"])
async def test_screen(opened: Opening, scene: str, size: tuple[int, int]) -> None:
    async with opened(size=size) as terminal:
        await terminal.live(*shop())
        await terminal.until(lambda: terminal.backend.logs)
        terminal.backend.emit(
            Sample("docker/api-1", NOON, 0.034, 88 * 1024**2, 256 * 1024**2),
            Happening("docker/api-1", NOON - 20, "die", "exited with code 137 (SIGKILL)", (("exitCode", "137"),)),
            Happening("docker/api-1", NOON - 19, "start", "started"),
            *(log("docker/api-1", f"GET /search?q={number} 200") for number in range(8)),
            log("docker/api-1", "ERROR: [/foo] upstream refused the connection", "stderr"),
            log("docker/api-1", "the container was restarted", "devenv"),
        )
        await terminal.sees("the container was restarted", "88 MiB")
        if scene == "failure":
            terminal.backend.emit(
                connection(ConnectionState.RETRYING, retry_in=8.0, message="no answer", hint="Is the engine running?")
            )
            failed = Action(1, "up", (), Phase.FAILED, NOON, "port 8080 is in use by nginx (pid 812)", "Stop it.", 6)
            terminal.control.emit(failed)
            await terminal.sees("→ Is the engine running?", "→ Stop it.", "x cancel/dismiss")
        elif scene == "help":
            await terminal.press("question_mark")
            await terminal.sees("─ keys ─")
        elif scene == "down":
            terminal.control.losses = ("shop_data",)
            terminal.main.changes.ask("down", volumes=True)
            await terminal.sees("✗ shop_data", "no (Esc)", "● live")  # the main screen shows behind the question
        await terminal.pilot.pause()
        compare(f"{scene}-{size[0]}x{size[1]}", terminal.text() + "\n")


def compare(name: str, screen: str) -> None:
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(screen, encoding="utf-8")
    assert screen == path.read_text(encoding="utf-8"), f"{path.name} differs; UPDATE_SNAPSHOTS=1 renews it"
