"""What is loaded before the first paint where there is only a Compose project: each module more is seen by the user."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Counted; whoever needs one more says so here. What comes later is imported in `furnish` or where it is used.
OWN_MODULES = 57
LATE = (
    *("devenv.tui.kube", "devenv.tui.palette", "devenv.tui.commands", "devenv.tui.verifying", "devenv.tui.verdicts"),
    *("devenv.tui.screens.view", "devenv.tui.widgets.result_list", "devenv.tui.widgets.long_table"),
    *("devenv.backends.kube", "devenv.backends.joined", "devenv.control.kube", "devenv.control.joined"),
    *(
        "devenv.verify.",
        "devenv.load.",
        "devenv.manifests",
        "devenv.secrets",
        "sqlite3",
        "yaml",
        "kubernetes",
        "docker",
    ),
)
PROGRAM = """
import sys
import devenv.commands.tui
from devenv.tui.app import DevenvApp
from tests.terminal.scripted import ScriptedBackend, ScriptedControl

async def begin(app):
    own = [name for name in sys.modules if name.startswith("devenv")]
    late = [name for name in sys.modules if name.startswith(tuple(sys.argv[1:]))]
    app.exit(0)
    print(len(own), late, file=sys.__stderr__)

DevenvApp._begin = begin
DevenvApp(ScriptedBackend(), ScriptedControl(), title="shop", theme="dark").run(headless=True, size=(120, 40))
"""


def test_no_more_modules_before_the_first_paint_than_it_needs() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *LATE], capture_output=True, text=True, check=True, cwd=ROOT)
    own, _, late = done.stderr.strip().partition(" ")
    assert late == "[]"
    assert 0 < int(own) <= OWN_MODULES
