"""The list of the load tests, the form for a new one, and that both stand whatever is in them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from textual.widgets import Input

from devenv.tui.main_screen import MainScreen
from devenv.tui.runs.load import LoadRunsScreen, LoadScreen
from devenv.tui.runs.load_form import LoadFormScreen, seconds_of
from tests.load.playing import Played
from tests.terminal.conftest import Opening
from tests.terminal.load_driving import ask, begin, on
from tests.terminal.scripted import container


async def test_earlier_runs_are_listed_and_opened(open_load: Opening, load_project: Played) -> None:
    async with open_load() as terminal:
        await begin(terminal)
        await terminal.sees(", 0:02")  # a shorter chart has no room for the name of its phase
        await terminal.press("x")
        await terminal.sees("load test passed")
        await terminal.press("m")  # makes report.json too, as the load tests do at their end
        await terminal.sees("| search |")
    async with open_load() as terminal:
        await terminal.press("L")
        await on(terminal, LoadRunsScreen)
        await terminal.sees("passed       steady  compose shop", "20")
        await terminal.press("enter")
        await on(terminal, LoadScreen)
        await terminal.sees("load test passed steady on compose shop web", "REQUESTS", "╵steady")
        await terminal.press("escape")
        await on(terminal, LoadRunsScreen)


async def test_read_only_refuses_it_as_any_change(open_load: Opening, load_project: Played) -> None:
    load_project.read_only = True
    async with open_load() as terminal:
        await ask(terminal)
        await terminal.press("enter")
        await terminal.sees("load test was refused", "devenv is in read-only mode", "read_only in devenv.toml")
        assert not load_project.runs()
        assert type(terminal.app.screen) is LoadRunsScreen


@pytest.mark.parametrize(
    ("field", "text", "told"),
    [
        ("#load-users", "none", "users: a whole number from 1 to"),
        ("#load-users", "0", "users: a whole number from 1 to"),
        ("#load-length", "soon", "duration: for example 90s"),
        ("#load-more", "--threshold 'rps", "further options: No closing quotation"),
    ],
)
async def test_the_form_says_what_is_wrong(open_load: Opening, field: str, text: str, told: str) -> None:
    async with open_load() as terminal:
        await ask(terminal)
        terminal.app.screen.query_one(field, Input).value = text
        await terminal.press("enter")
        await terminal.sees(told)
        assert type(terminal.app.screen) is LoadFormScreen


async def test_the_form_is_filled_by_keys_alone(open_load: Opening) -> None:
    async with open_load() as terminal:
        await ask(terminal)
        await terminal.press("right")
        await terminal.sees("‹ ramp ›  from one user to all", "2:00 min")
        await terminal.press("left", "left")
        await terminal.sees("‹ hpa ›")
        await terminal.press("enter")
        await terminal.sees("Compose has no autoscaler")
        await terminal.press("right", "down", "7", "down", "5", "s")
        screen = terminal.app.screen
        assert isinstance(screen, LoadFormScreen)
        assert (screen.shape.value, screen.users.value, screen.length.value) == ("steady", "7", "5s")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("2m", 120), ("1h30m", 5400), ("", None), ("0", None), ("m", None)]
)
def test_a_duration_is_read_as_locust_reads_it(text: str, seconds: int | None) -> None:
    assert seconds_of(text) == seconds


async def test_outside_text_in_a_recording_is_harmless(
    open_load: Opening, load_project: Played, tmp_path: Path
) -> None:
    folder = tmp_path / "state" / "devenv" / "runs" / "hostile" / "load"
    folder.mkdir(parents=True)
    target = {"kind": "compose", "url": "", "project": "[/foo]", "service": "\x1b[2Jweb", "limits": {}}
    run = {"schema": 1, "began": time.time(), "folder": str(tmp_path), "target": target, "options": {"shape": "[red]"}}
    (folder / "run.json").write_text(json.dumps(run))
    key = {"t": 1.0, "at": 1e9, "key": "k", "name": "[/bar]\x1b]0;x\x07", "service": "\x1b[2Jweb"}
    watched = [
        {**key, "type": "resource", "kind": "container", "state": "[b]", "health": "[/i]", "restarts": 1},
        {**key, "type": "event", "of": time.time() + 1, "action": "[/u]", "text": "line\nbreak [/]"},
        {**key, "type": "missing", "what": "[/what]", "why": "\x1b[31mred"},
        {**key, "type": "tick"},
    ]
    names = {"[/name]": {"n": 1, "failed": 0, "seconds": 1.0, "times": {"7": 1}}}
    load = [{"t": 1.0, "at": 1e9, "type": "phase", "name": "[/phase]"}]
    load += [{"t": 2.0, "at": 1e9, "type": "load", "users": 1, "names": names, "phase": "[/phase]"}]
    for name, lines in (("target.jsonl", watched), ("load.jsonl", load)):
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    async with open_load() as terminal:
        await terminal.press("L")
        await terminal.sees("compose [/foo]")
        await terminal.press("enter")
        await terminal.sees("[/name]", "[/bar]", "[/what] cannot be read: red", "╵[/phase]", "[/u]")
        assert "\x1b" not in terminal.text()


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (160, 50)])
async def test_it_fits_every_terminal(open_load: Opening, size: tuple[int, int]) -> None:
    async with open_load(size) as terminal:
        await terminal.press("L")
        await on(terminal, LoadRunsScreen)
        await terminal.press("n")
        await on(terminal, LoadFormScreen)
        await terminal.sees("‹ steady ›")
        await terminal.press("enter")
        await on(terminal, LoadScreen)
        await terminal.sees("/s  ", "p95" if size[0] > 40 else "p5")
        assert all(len(found) <= size[0] for found in terminal.lines())


async def test_without_load_tests_there_is_no_key(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(container("web"))
        await terminal.press("L")
        await terminal.settle()
        assert type(terminal.app.screen) is MainScreen
        assert "L load" not in terminal.main.footer.text


def test_the_program_starts_without_any_of_it() -> None:
    late = "('devenv.load', 'devenv.tui.runs', 'locust')"
    program = f"import sys, devenv.tui.app, devenv.cli.tui; print([m for m in sys.modules if m.startswith({late})])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip().replace("'devenv.core.load_settings'", "") == "[]"
