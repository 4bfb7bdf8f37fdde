"""What is loaded and done before the first paint where there is only a Compose project: the user waits for it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from devenv.tui.theme import DARK

ROOT = Path(__file__).parents[2]
# Counted; whoever needs one more says so here. What comes later is imported in `furnish` or where it is used.
# The logs, masking, the verbs of Compose, the audit log, the counters, own commands, typed reading and the
# first picture are in it.
OWN_MODULES = 81
LATE = (
    *("devenv.cli.parser", "devenv.cli.kube", "devenv.core.toml"),
    *("devenv.core.verify_settings", "devenv.core.manifest_settings", "devenv.core.load_settings"),
    *("devenv.control.job", "devenv.control.stream", "devenv.control.failures"),
    *("devenv.tui.kube", "devenv.tui.verdicts"),
    *("devenv.tui.runs", "devenv.tui.dialogs", "devenv.tui.widgets.text_pane"),
    *("devenv.backends.kube", "devenv.control.kube"),
    *("devenv.verify.", "devenv.load.", "devenv.manifests", "devenv.secrets"),
    *("argparse", "tomllib", "sqlite3", "yaml", "kubernetes", "docker"),
)
PROGRAM = """
import dataclasses, json, sys
from devenv.cli import main
from textual.app import App
from textual.css.stylesheet import Stylesheet

parsed_again = 0
reparse, run = Stylesheet.reparse, App.run

def count(sheet):
    global parsed_again
    parsed_again += 1
    reparse(sheet)

async def begin(app):
    own = [name for name in sys.modules if name.startswith("devenv")]
    late = [name for name in sys.modules if name.startswith(tuple(sys.argv[1:]))]
    colors = [app.screen.styles.background.hex.lower(), app.current_theme.background]
    kinds = {kind for name in own for kind in vars(sys.modules[name]).values() if isinstance(kind, type)}
    kinds = {kind for kind in kinds if kind.__module__.startswith("devenv") and dataclasses.is_dataclass(kind)}
    slow = sorted(kind.__name__ for kind in kinds)
    told = {"own": len(own), "late": late, "slow": slow, "parsed_again": parsed_again, "colors": colors}
    app.exit(0)
    print(json.dumps(told), file=sys.__stderr__)

def run_unseen(app):
    app._begin = begin.__get__(app)
    run(app, headless=True, size=(120, 40))

Stylesheet.reparse, App.run = count, run_unseen
main([])
"""


@pytest.fixture(scope="module")
def at_first_paint(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What `devenv`, typed without a word, has loaded when it paints."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "compose.yaml").write_text("name: shop\nservices: {web: {image: localhost/none}}\n")
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    terminal, inside = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *LATE],
            stdin=inside,
            stdout=inside,
            stderr=subprocess.PIPE,
            text=True,
            check=True,
            cwd=folder,
            env=environ,
            timeout=60,
        )
    finally:
        os.close(terminal)
        os.close(inside)
    found: dict[str, object] = json.loads(done.stderr)
    return found


def test_no_more_modules_before_the_first_paint_than_it_needs(at_first_paint: dict[str, object]) -> None:
    assert at_first_paint["late"] == []
    own = at_first_paint["own"]
    assert isinstance(own, int)
    assert 0 < own <= OWN_MODULES


def test_what_is_made_before_the_first_paint_is_made_of_structs(at_first_paint: dict[str, object]) -> None:
    # measured: a frozen dataclass with slots takes 1.4 ms to define, a struct 0.04 ms
    assert at_first_paint["slow"] == []


def test_the_style_sheets_are_parsed_once_and_with_our_theme(at_first_paint: dict[str, object]) -> None:
    assert at_first_paint["parsed_again"] == 0
    assert at_first_paint["colors"] == [DARK.background, DARK.background]
