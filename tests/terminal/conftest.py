"""A terminal on a scripted project for each test."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from devenv.tui.app import DevenvApp
from devenv.tui.theme import ThemeChoice
from tests.load.playing import Played, played
from tests.terminal.driving import Driver
from tests.terminal.scripted import ScriptedBackend, ScriptedControl, container

Opening = Callable[..., AbstractAsyncContextManager[Driver]]


@asynccontextmanager
async def _opened(
    size: tuple[int, int] = (120, 40), theme: ThemeChoice = "dark", **options: Any
) -> AsyncIterator[Driver]:
    backend, control = ScriptedBackend(), ScriptedControl()
    app = DevenvApp(backend, control, title="shop", theme=theme, **options)
    async with app.run_test(size=size, notifications=True) as pilot:
        driver = Driver(app, pilot, backend, control)
        await driver.until(lambda: app.main.panes.detail is not None and app.main.panes.detail.is_attached)
        yield driver


@pytest.fixture(scope="session")
def base_image() -> str:
    """The name of a Python base image that needs no registry: scripts/base-image makes one where none can be pulled."""
    given = os.environ.get("DEVENV_TEST_IMAGE")
    if given:
        return given
    script = Path(__file__).parents[2] / "scripts" / "base-image"
    return subprocess.run([script], stdout=subprocess.PIPE, text=True, check=True).stdout.strip().splitlines()[-1]


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the verdicts of whoever runs the tests out of what they see."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def opened() -> Opening:
    return _opened


@pytest.fixture
def load_project(state_home: None, tmp_path: Path) -> Iterator[Played]:
    with played(tmp_path) as made:
        yield made


@pytest.fixture
def open_load(opened: Opening, load_project: Played) -> Opening:
    """Opens the terminal with the played load tests, and two services."""

    @asynccontextmanager
    async def open_it(size: tuple[int, int] = (140, 40)) -> AsyncIterator[Driver]:
        async with opened(size=size, load=load_project) as terminal:
            await terminal.live(container("web"), container("api"))
            yield terminal

    return open_it
