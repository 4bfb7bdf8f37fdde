"""Draws the terminal as SVG, without its fonts of the network: python -m tests.terminal.picture [SCENE] FILE.

Without a scene it is the project of this folder, as it runs now (docs/tui.svg). `watch` and `build` (docs/watch.svg,
docs/build.svg) bring a copy of docsearch up under a name of its own, edit it, and remove it.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from devenv.backends.compose import ProjectScope
from devenv.backends.docker.backend import DockerBackend
from devenv.cli.context import Context
from devenv.cli.options import merge_options
from devenv.cli.parser import build_parser
from devenv.cli.watch import watch_of_terminal
from devenv.control.actions import ComposeControl
from devenv.control.guard import Guard
from devenv.tui.app import DevenvApp
from devenv.verify.environment import build_alone
from devenv.watch.background import BackgroundWatch
from devenv.watch.session import Session
from tests.engine.program import ROOT, remove_all
from tests.terminal.driving import Driver
from tests.terminal.scripted import ScriptedBackend, ScriptedControl

SIZE = (116, 32)
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
NAME = "docsearch-picture"
FILES = ("-f", "compose/compose.yaml", "-f", "compose/compose.sync.yaml")
Scene = Callable[[Driver], Coroutine[object, object, None]]


async def draw(scene: Scene, *options: str) -> str:
    """Return the screen as SVG, once the scene has it as it shall be."""
    arguments = build_parser().parse_args([*options, "tui"])
    merge_options(arguments)
    context = Context(arguments)
    scope = ProjectScope(context.options, context.begin_resolve())
    backend = DockerBackend(scope, context.environ)
    guard = Guard.of(context.config, "tui")
    control = ComposeControl(lambda: scope.options, lambda: scope.latest, guard, root=context.config.root)

    def open_session() -> AbstractContextManager[Session]:
        return watch_of_terminal(context, scope.options, guard)

    watch = BackgroundWatch(open_session)
    app = DevenvApp(backend, control, title=context.start.name, theme="dark", watch=lambda: watch)
    try:
        async with app.run_test(size=SIZE) as pilot:
            terminal = Driver(app, pilot, ScriptedBackend(), ScriptedControl())
            await terminal.sees("● live", "HEALTH CHECKS", " cpu ")
            await scene(terminal)
            picture = app.export_screenshot(title="devenv")
            app.feed.stop()
    finally:
        for source in (watch, control, backend):
            source.stop()
    # A font from the network would make the picture depend on it.
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    return picture.replace("Fira Code, monospace", FONT).replace("Fira Code", FONT)


async def as_it_runs(terminal: Driver) -> None:
    """Wait until everything on the screen was measured."""
    await terminal.until(lambda: len(terminal.main.log_pane.view.buffer.lines) > 3)
    await terminal.until(lambda: len(terminal.main.board.history(terminal.main.table.rows[0].key)) > 8, limit=60)


async def watching(terminal: Driver) -> None:
    """Begin to watch, and save a file."""
    await terminal.press("w")
    await terminal.sees("⟳ watching")
    edit("backend/docindexer/probes.py")
    await terminal.until(lambda: "watch: served" in terminal.text() and "⟳" in terminal.row("backend"), limit=60)
    await terminal.until(lambda: "✓ healthy" in terminal.row("backend"), limit=60)


async def building(terminal: Driver) -> None:
    """Bring up what has to be built, and wait until both builds are under way."""
    build_alone(Path("compose"), package_cache=False)
    await terminal.press("U")
    await terminal.until(lambda: terminal.text().count("RUN ") == 2, limit=120)
    await terminal.until(lambda: len(re.findall(r"◐ (backend|frontend)\s+\d{2} s", terminal.text())) == 2, limit=120)


def edit(file: str) -> None:
    path = Path("compose", file)
    path.write_text(path.read_text("utf-8").replace('"status": "ok"', '"status": "fine"'), "utf-8")


@contextmanager
def copy_of_docsearch() -> Iterator[None]:
    """Go to a copy that is up; afterwards nothing of it is left."""
    with tempfile.TemporaryDirectory(prefix="devenv-picture-") as folder:
        shutil.copytree(
            ROOT / "compose", Path(folder, "compose"), ignore=shutil.ignore_patterns("__pycache__", "secrets")
        )
        shutil.copy(ROOT / "devenv.toml", folder)
        os.environ |= {
            "COMPOSE_PROJECT_NAME": NAME,
            "IMAGE_TAG": "picture",
            "BACKEND_PORT": "8910",
            "FRONTEND_PORT": "3910",
        }
        os.environ |= {"XDG_STATE_HOME": f"{folder}/state", "PYTHONPATH": str(ROOT)}
        os.chdir(folder)
        try:
            subprocess.run([sys.executable, "-m", "devenv", *FILES, "up", "--wait"], check=True)
            yield
        finally:
            os.chdir(ROOT)
            subprocess.run(["docker", "compose", *FILES, "down", "--volumes"], cwd=folder, check=True)
            remove_all(
                ("docker", "images", "-q", "--filter", f"label=com.docker.compose.project={NAME}"),
                ("docker", "rmi", "-f"),
            )


def main() -> None:
    *scenes, file = sys.argv[1:]
    target = Path(file).absolute()
    if scenes:
        with copy_of_docsearch():
            picture = asyncio.run(draw({"watch": watching, "build": building}[scenes[0]], *FILES))
    else:
        picture = asyncio.run(draw(as_it_runs))
    target.write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
