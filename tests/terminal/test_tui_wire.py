"""The terminal on the real Docker backend, whose engine is a fake at the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from devenv.backends.docker.backend import DockerBackend
from devenv.core.errors import ProjectError
from devenv.core.model import Project, Service
from devenv.tui.app import DevenvApp
from fakes.docker_engine import FakeEngine
from tests.terminal.driving import Driver
from tests.terminal.scripted import ScriptedBackend, ScriptedControl


class Scope:
    """Resolves the project, or fails as an invalid file does."""

    error: ProjectError | None = None
    project = Project("fake", "/", (), (Service("db"), Service("web")))
    has_changed = False

    def __call__(self) -> Project:
        if self.error is not None:
            raise self.error
        return self.project

    def change(self, **facts: object) -> None:
        self.project, self.has_changed = replace(self.project, **facts), True

    def changed(self) -> bool:
        changed, self.has_changed = self.has_changed, False
        return changed


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as made:
        yield made


@asynccontextmanager
async def opened(engine: FakeEngine, scope: Scope) -> AsyncIterator[Driver]:
    backend, control = DockerBackend(scope, engine.environ, changed=scope.changed), ScriptedControl()
    app = DevenvApp(backend, control, title="fake", theme="dark")
    try:
        async with app.run_test(size=(120, 40), notifications=True) as pilot:
            yield Driver(app, pilot, ScriptedBackend(), control)
            app.feed.stop()
    finally:
        backend.stop()


async def test_from_the_wire_to_the_screen(engine: FakeEngine) -> None:
    web = engine.add("fake-web-1", service="web", health="healthy")
    async with opened(engine, Scope()) as terminal:
        await terminal.until(lambda: "● running" in terminal.row("web") and "○ absent" in terminal.row("db"))
        await terminal.select("web")
        await terminal.until(lambda: engine.log_readers(web))
        engine.say(web, b"\x1b[31mred\x1b[0m [/foo] \x1b]52;c;aGFja2Vk\x07 \xff\n")
        engine.say(web, b"to stderr\n", 2)
        await terminal.sees("red [/foo]  �", "▎ to stderr")
        engine.die(web, 137)
        await terminal.until(lambda: "✗ exited 137 (SIGKILL)" in terminal.row("web"))
        await terminal.sees("exited with code 137 (SIGKILL)")  # in the events of the detail pane
        engine.begin(web)
        await terminal.until(lambda: "▲ running after 137 (SIGKILL)" in terminal.row("web"))


async def test_an_engine_that_goes_away_leaves_the_data_and_comes_back(engine: FakeEngine) -> None:
    engine.add("fake-web-1", service="web")
    async with opened(engine, Scope()) as terminal:
        await terminal.until(lambda: "● running" in terminal.row("web"))
        await terminal.sees("● live")
        engine.stop()
        await terminal.until(lambda: "● live" not in terminal.lines()[0] and terminal.main.banner.display)
        assert "● running" in terminal.row("web")
        engine.start()
        await terminal.until(lambda: "● live" in terminal.lines()[0] and not terminal.main.banner.display)


async def test_an_invalid_project_is_told_and_heals(engine: FakeEngine) -> None:
    engine.add("fake-web-1", service="web")
    scope = Scope()
    scope.error = ProjectError("compose.yaml: services.web.[/foo] is not allowed", "Mend compose.yaml.")
    async with opened(engine, scope) as terminal:
        await terminal.sees("✗ failed", "services.web.[/foo] is not allowed", "→ Mend compose.yaml.")
        scope.error = None
        await terminal.until(lambda: "● running" in terminal.row("web"), limit=40)
        await terminal.until(lambda: not terminal.shows("Mend compose.yaml."))


async def test_files_that_change_and_go_are_followed_and_told_in_one_banner(engine: FakeEngine) -> None:
    engine.add("fake-web-1", service="web")
    engine.add("fake-db-1", service="db")
    scope = Scope()
    async with opened(engine, scope) as terminal:
        await terminal.until(lambda: "● running" in terminal.row("db"))
        scope.change(problem="The Compose file /[/foo]/compose.yaml is gone", hint="It is read again.", by_labels=True)
        await terminal.sees("▲ The Compose file /[/foo]/compose.yaml is gone", "→ It is read again.", "● live")
        assert "● running" in terminal.row("db")
        scope.change(problem="", hint="", by_labels=False, services=(Service("web"), Service("other")))
        await terminal.until(lambda: "○ absent" in terminal.row("other") and "● running" in terminal.row("db (orphan)"))
        await terminal.until(lambda: not terminal.main.banner.display)
        assert len(terminal.app._notifications) == 0, "nobody has to put it away"
