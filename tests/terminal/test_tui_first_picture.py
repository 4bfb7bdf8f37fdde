"""The picture before Textual: the cells of its first frame; the terminal is given back where it ends before that."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pyte
import pytest

from fakes.docker_engine import FakeEngine
from tests.terminal.real_terminal import RealTerminal

ROOT = Path(__file__).parents[2]
# Ends where Textual would be imported: what is on the screen then is the picture alone.
HELD = """
import os, signal, sys
from importlib.abc import MetaPathFinder

class Hold(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "textual":
            for number in sys.argv[1:]:
                os.kill(os.getpid(), int(number))

sys.meta_path.insert(0, Hold())
from devenv.cli import main
sys.exit(main([]))
"""

pytestmark = pytest.mark.terminal


def test_what_is_known_is_shown_before_textual_is_imported(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    services = ", ".join(f"s{n}: {{image: localhost/none}}" for n in range(6))
    (folder / "compose.yaml").write_text(f"name: shop\nservices: {{{services}}}\n")
    with FakeEngine() as engine:
        for n in range(4):
            engine.add(f"shop-s{n}-1", service=f"s{n}", project="shop")
        environ = {**os.environ, **engine.environ, "PYTHONPATH": str(ROOT), "KUBECONFIG": "/none"}

        def ended(number: int, **told: str) -> RealTerminal:
            command = [sys.executable, "-c", HELD, str(int(number))]
            with RealTerminal(command, folder, environ=environ, told=told) as terminal:
                before = terminal.modes()
                terminal.until(lambda: terminal.ended)
                terminal.read_quiet()
                assert terminal.modes() == before
            return terminal

        assert b"1049" not in ended(signal.SIGTERM).output, "nothing is known yet"
        with RealTerminal([sys.executable, "-m", "devenv"], folder, environ=environ) as terminal:
            terminal.until(
                lambda: "● live" in terminal.text() and "? help" in terminal.text() and "s5" in terminal.text()
            )
            frame = terminal.text().splitlines()
            terminal.send("q")
            terminal.until(lambda: terminal.ended)

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            output = ended(number).output
            assert output.count(b"\x1b[?1049h") == output.count(b"\x1b[?1049l") == 1
        picture = pyte.Screen(100, 30)
        pyte.ByteStream(picture).feed(output.partition(b"\x1b[?1049h")[2].partition(b"\x1b[?1049l")[0])
        rows = [line.rstrip() for line in picture.display]
        assert "services as declared last time" in rows[0]
        assert rows[1] == frame[1]
        assert [row[2:20] for row in rows[2:8]] == [row[2:20] for row in frame[2:8]]
        ignoring = f"import signal\nfor number in (3, 20): signal.signal(number, signal.SIG_IGN)\n{HELD}"
        quit_and_stop = (str(int(signal.SIGQUIT)), str(int(signal.SIGTSTP)))
        with RealTerminal([sys.executable, "-c", ignoring, *quit_and_stop], folder, environ=environ) as terminal:
            terminal.until(lambda: "● live" in terminal.text())
            assert b"\x1b[?1049l" not in terminal.output, "what was ignored at the start stays so"
            terminal.send("q")
            terminal.until(lambda: terminal.ended)
            assert b"services as declared last time" in terminal.output
        for told in ({"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": "vt100", "COLORTERM": ""}):
            assert b"1049" not in ended(signal.SIGTERM, **told).output
        next((tmp_path / "state").rglob("*.first.json")).write_bytes(b"{")
        assert b"1049" not in ended(signal.SIGTERM).output
