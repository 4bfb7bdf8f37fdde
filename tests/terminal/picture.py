"""Draws the terminal on the project of this folder, as it runs now: python -m tests.terminal.picture docs/tui.svg."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from devenv.backends.compose import ProjectScope
from devenv.backends.docker.backend import DockerBackend
from devenv.cli.context import Context
from devenv.cli.options import merge_options
from devenv.cli.parser import build_parser
from devenv.tui.app import DevenvApp
from tests.terminal.driving import Driver
from tests.terminal.scripted import ScriptedBackend, ScriptedControl

SIZE = (116, 32)
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


async def draw() -> str:
    """Return the screen as SVG, once everything on it was measured."""
    arguments = build_parser().parse_args(["tui"])
    merge_options(arguments)
    context = Context(arguments)
    backend = DockerBackend(ProjectScope(context.options, context.begin_resolve()), context.environ)
    app = DevenvApp(backend, ScriptedControl(), title=context.start.name, theme="dark")
    try:
        async with app.run_test(size=SIZE) as pilot:
            terminal = Driver(app, pilot, ScriptedBackend(), ScriptedControl())
            await terminal.sees("● live", "HEALTH CHECKS", " cpu ")
            await terminal.until(lambda: len(app.main.log_pane.view.buffer.lines) > 3)
            await terminal.until(lambda: len(app.main.board.history(app.main.table.rows[0].key)) > 8, limit=60)
            picture = app.export_screenshot(title="devenv")
            app.feed.stop()
    finally:
        backend.stop()
    # A font from the network would make the picture depend on it.
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    return picture.replace("Fira Code, monospace", FONT).replace("Fira Code", FONT)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(asyncio.run(draw()), encoding="utf-8")
