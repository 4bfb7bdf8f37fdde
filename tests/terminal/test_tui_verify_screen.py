"""The screen of the smoke tests, on a real pytest in a process: results as they come, cancel, again, to the log."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from devenv.core.model import Happening
from devenv.tui.main_screen import MainScreen
from devenv.tui.runs.verify import EvidenceScreen, VerifyScreen
from devenv.verify.runner import LiveRun, RunOptions
from tests.nested import WITHOUT_PLUGINS
from tests.terminal.conftest import Opening
from tests.terminal.driving import Driver
from tests.terminal.scripted import container, log

TESTS = """
import subprocess
import sys
import time
from pathlib import Path
import pytest
from devenv.core.model import LogLine, Snapshot
from devenv.runs.evidence import EvidenceFile, Header, Mark
from tests.terminal.scripted import container

pytestmark = pytest.mark.behaviour("what it promises")

def wait_for(name):
    end = time.monotonic() + 60
    while not Path(name).exists():
        assert time.monotonic() < end, f"{name} was never written"
        time.sleep(0.02)

@pytest.fixture(scope="session")
def settings():
    from devenv.core.verify_settings import VerifySettings
    return VerifySettings()

@pytest.fixture
def slow_end():
    yield
    Path("cleaning").touch()
    wait_for("cleaned")

def test_first(measure):
    measure("search", 0.25, stages={"dns": 0.05, "answer": 0.2})

def test_gate(slow_end):
    wait_for("go")

def test_second(verify_session):
    at = time.time()
    file = EvidenceFile(verify_session.evidence / "shop-copy.jsonl")
    api = container("api", project="shop-copy")
    file.write([
        Header(1, verify_session.run.id, "shop-copy", ("api",), at),
        Snapshot("docker", (api,)),
        *(LogLine(api.key, at - 9 + number, "stdout", f"before {number}") for number in range(9)),
        Mark(at, "failure", f"smoketests/test_it.py::test_second: it broke"),
        *(LogLine(api.key, at + 1 + number, "stdout", f"after {number}") for number in range(80)),
    ])
    assert Path("mended").exists(), "it broke"
"""


class Runs:
    """Starts real runs, and ends what a test left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[LiveRun] = []
        environ = dict(os.environ) | {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTEST_ADDOPTS": WITHOUT_PLUGINS}
        self._launch = lambda chosen: LiveRun(folder / "smoketests", folder, chosen, environ)

    def __call__(self, chosen: RunOptions) -> LiveRun:
        self.made.append(self._launch(chosen))
        return self.made[-1]

    def touch(self, name: str) -> None:
        (self.folder / name).touch()


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("CI", raising=False)
    (tmp_path / "smoketests").mkdir()
    (tmp_path / "smoketests" / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return Runs(tmp_path)


def line(terminal: Driver, text: str) -> str:
    return next((found for found in terminal.lines() if text in found), "")


def is_open(terminal: Driver, screen: type[MainScreen | VerifyScreen]) -> Callable[[], bool]:
    return lambda: type(terminal.app.screen) is screen


async def begin(terminal: Driver, key: str = "a") -> None:
    await terminal.live(container("api"), container("web"))
    await terminal.press("v")
    await terminal.sees("Nothing was verified here yet")
    await terminal.press(key)
    await terminal.until(lambda: "testing" in line(terminal, "gate"))


async def test_results_come_by_behaviour_and_stage_with_value_budget_and_margin(opened: Opening, runs: Runs) -> None:
    async with opened(verify=runs) as terminal:
        await begin(terminal)
        assert "what it promises" in line(terminal, " of 3")
        assert "passed" in line(terminal, "✓ first")
        assert line(terminal, "      search").split() == ["search", "passed", "0.25", "s", "1", "s", "+75%"]
        assert "waiting" in line(terminal, "◌ second")
        assert terminal.shows("verify 1/3 on an isolated copy")
        await terminal.press("g", "j")
        await terminal.sees("stages: dns 0.05 · answer 0.20", "means: a search is answered")
        runs.touch("go")
        await terminal.until(lambda: "cleaning up" in line(terminal, "gate"))
        runs.touch("cleaned")
        await terminal.sees("verify failed", "2 passed", "1 failed")
        assert "failed" in line(terminal, "✗ second")
        await terminal.press("G")
        await terminal.sees("AssertionError: it broke")


async def test_nothing_is_drawn_while_nothing_changes(opened: Opening, runs: Runs) -> None:
    async with opened(verify=runs) as terminal:
        await begin(terminal)
        screen = terminal.app.screen
        assert isinstance(screen, VerifyScreen)
        await terminal.settle(screen.results)
        drawn, told = screen.results.lines_drawn, screen.title_line.updates
        await terminal.until(lambda: screen.title_line.updates > told)  # the seconds go on
        assert screen.results.lines_drawn == drawn
        runs.touch("go")
        runs.touch("cleaned")
        await terminal.sees("verify failed")


async def test_cancel_shows_the_clean_up_and_more_of_it_does_no_harm(opened: Opening, runs: Runs) -> None:
    async with opened(verify=runs) as terminal:
        await begin(terminal)
        assert "x cancel" in terminal.text()
        await terminal.press("x")
        await terminal.sees("cancelled, cleaning up")
        await terminal.until(lambda: (runs.folder / "cleaning").exists())
        await terminal.press("x", "x", "a", "f")
        assert not runs.made[0].cancel(), "it gets one signal"
        assert runs.made[0].exit_code is None
        assert len(runs.made) == 1, "no other run begins before that one has ended"
        runs.touch("cleaned")
        await terminal.sees("verify cancelled")
        assert runs.made[0].exit_code == 2
        assert "not run" in line(terminal, "second")


async def test_what_failed_is_run_again_alone(opened: Opening, runs: Runs) -> None:
    async with opened(verify=runs) as terminal:
        runs.touch("cleaned")
        await begin(terminal)
        runs.touch("go")
        await terminal.sees("verify failed", "f failed again")
        runs.touch("mended")
        await terminal.press("f")
        await terminal.sees("verify passed", "1 passed")
        assert [test.rpartition("::")[2] for test in runs.made[1].chosen.tests] == ["test_second"]
        assert not line(terminal, "first")


async def test_a_failure_leads_to_the_evidence_at_its_moment_and_back(opened: Opening, runs: Runs) -> None:
    async with opened(verify=runs) as terminal:
        runs.touch("cleaned")
        await begin(terminal)
        runs.touch("go")
        await terminal.sees("verify failed")
        await terminal.press("G", "enter")
        await terminal.until(lambda: type(terminal.app.screen) is EvidenceScreen)
        await terminal.sees("shop-copy", "evidence", "✗ FAILED", "before 8", "after 0", "‖ paused")
        screen = terminal.app.screen
        assert isinstance(screen, EvidenceScreen)
        await terminal.press("q")
        await terminal.until(is_open(terminal, VerifyScreen))
        assert not terminal.backend.asked or terminal.app.main.is_attached


async def test_a_run_on_what_is_up_leads_to_the_live_log_at_its_moment(opened: Opening, runs: Runs) -> None:
    async with opened(verify=runs) as terminal:
        runs.touch("cleaned")
        await begin(terminal, "u")
        assert terminal.shows("on the running stack")
        runs.touch("go")
        await terminal.sees("verify failed")
        now = time.time()
        await terminal.press("G", "enter")
        await terminal.until(is_open(terminal, MainScreen))
        lines = [log("docker/api-1", f"early {number}", at=now - 90 + number) for number in range(80)]
        lines += [log("docker/api-1", f"late {number}", at=now + 60 + number) for number in range(80)]
        terminal.backend.emit(*lines)
        await terminal.sees("▶ early 79", "late 0", "‖ paused")


async def test_a_moment_that_is_older_than_the_log_is_told(opened: Opening, runs: Runs) -> None:
    async with opened(verify=runs) as terminal:
        runs.touch("cleaned")
        await begin(terminal, "u")
        runs.touch("go")
        await terminal.sees("verify failed")
        await terminal.press("G", "enter")
        await terminal.until(is_open(terminal, MainScreen))
        now = time.time()
        terminal.backend.emit(*(log("docker/api-1", f"late {number}", at=now + 60 + number) for number in range(80)))
        await terminal.sees("is not there any more", "late 0")


async def test_the_run_goes_on_while_the_main_screen_shows_how_it_stands(opened: Opening, runs: Runs) -> None:
    async with opened(verify=runs) as terminal:
        await begin(terminal)
        await terminal.press("escape")
        await terminal.until(is_open(terminal, MainScreen))
        await terminal.sees("verify 1/3 on an isolated copy", "gate: testing", "v shows it")
        terminal.backend.emit(Happening("docker/api-1", time.time(), "die", "died"))
        runs.touch("go")
        runs.touch("cleaned")
        await terminal.sees("verify failed")
        await terminal.press("v")
        await terminal.until(is_open(terminal, VerifyScreen))
        await terminal.press("escape")
        await terminal.until(lambda: is_open(terminal, MainScreen)() and not terminal.shows("verify failed"))


async def test_leaving_the_program_asks_cancels_and_waits_for_the_clean_up(opened: Opening, runs: Runs) -> None:
    async with opened(verify=runs) as terminal:
        await begin(terminal)
        await terminal.press("q")
        await terminal.sees("The smoke tests are still running")
        await terminal.press("n")
        await terminal.until(is_open(terminal, VerifyScreen))
        assert not runs.made[0].cancelled
        await terminal.press("q")
        await terminal.sees("The smoke tests are still running")
        await terminal.confirm("y")
        await terminal.until(lambda: (runs.folder / "cleaning").exists())
        assert terminal.app.return_value is None, "it waits"
        runs.touch("cleaned")
        await terminal.until(lambda: terminal.app.return_value == 0)


async def test_a_folder_without_tests_is_told(opened: Opening, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def launch(chosen: RunOptions) -> LiveRun:
        return LiveRun(tmp_path / "smoketests", tmp_path, chosen, os.environ)

    async with opened(size=(120, 60), verify=launch) as terminal:
        await terminal.live(container("api"))
        await terminal.press("v", "a")
        await terminal.sees("verify ended early", "pytest ended early", "file or directory not found")


async def test_without_anything_to_run_there_is_no_key(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(container("api"))
        await terminal.press("v")
        await terminal.settle()
        assert type(terminal.app.screen) is MainScreen
        assert "v verify" not in terminal.main.footer.text


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (160, 50)])
async def test_it_fits_every_terminal(opened: Opening, runs: Runs, size: tuple[int, int]) -> None:
    async with opened(size=size, verify=runs) as terminal:
        runs.touch("cleaned")
        runs.touch("go")
        terminal.backend.live(container("api"))
        await terminal.sees("● live")
        await terminal.press("v", "a")
        await terminal.sees("verify failed", "✓ first", "passed")
        await terminal.press("G")
        await terminal.sees("✗ second", "failed")
        assert all(len(found) <= size[0] for found in terminal.lines())


def test_the_program_starts_without_any_of_it() -> None:
    late = "('devenv.verify.', 'sqlite3', 'devenv.tui.verdicts', 'devenv.tui.runs')"
    program = f"import sys, devenv.tui.app, devenv.cli.tui; print([m for m in sys.modules if m.startswith({late})])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
