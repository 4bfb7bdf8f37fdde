"""`devenv tui` as its user sees it: the real program, a real engine, a real pseudo-terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engine.program import ROOT, program
from tests.terminal.real_terminal import RealTerminal

pytestmark = [pytest.mark.engine, pytest.mark.terminal]


def row(terminal: RealTerminal, service: str) -> str:
    return next((line for line in terminal.text().splitlines() if line[2:].startswith(f"{service} ")), "")


def main_pid(project: str, service: str) -> int:
    name = f"{project}-{service}-1"
    done = subprocess.run(
        ["docker", "inspect", "-f", "{{.State.Pid}}", name], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_up_crash_and_down(tmp_path: Path, base_image: str) -> None:
    with program("troubled", tmp_path, base_image) as made:
        environ = {**made.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "devenv", "tui"]
        with RealTerminal(command, made.folder, size=(120, 40), environ=environ) as terminal:
            terminal.until(lambda: "● live" in terminal.text() and "○ absent" in row(terminal, "fine"))
            terminal.send("/fine\r")
            terminal.until(lambda: "LOGS fine" in terminal.text() and not row(terminal, "forever"))
            terminal.send("u")
            terminal.until(lambda: "● running" in row(terminal, "fine"), limit=60)
            terminal.until(lambda: "✓ up fine: done in" in terminal.text(), limit=60)
            began = time.monotonic()
            os.kill(main_pid(made.name, "fine"), signal.SIGKILL)
            terminal.until(lambda: "✗ exited 137 (SIGKILL)" in row(terminal, "fine"))
            assert time.monotonic() - began < 5
            terminal.send("D")
            terminal.until(lambda: "Down: the whole project?" in terminal.text())
            assert made.name in terminal.text()
            terminal.send("y")
            terminal.until(lambda: "○ absent" in row(terminal, "fine"), limit=60)
            terminal.until(lambda: "✓ down project: done in" in terminal.text(), limit=60)
            terminal.send("q")
            terminal.until(lambda: terminal.ended)
            assert terminal.exit_code == 0
        verbs = [(record.get("verb"), record.get("result")) for record in made.audit() if record.get("result")]
        assert verbs == [("up", "done"), ("down", "done")]


def test_a_named_project_is_shown_and_controlled_without_its_file(tmp_path: Path, base_image: str) -> None:
    with program("troubled", tmp_path, base_image) as made:
        assert made.run("up", "fine").returncode == 0
        (tmp_path / "nowhere").mkdir()
        environ = {key: value for key, value in made.environ.items() if key != "COMPOSE_PROJECT_NAME"}
        command = [sys.executable, "-m", "devenv", "-p", made.name]
        with RealTerminal(command, tmp_path / "nowhere", size=(120, 40), environ=environ) as terminal:
            terminal.until(lambda: "● live" in terminal.text() and "● running" in row(terminal, "fine"))
            terminal.until(lambda: "No Compose file found" in terminal.text())
            terminal.send("S")
            terminal.until(lambda: "✓ stop fine: done in" in terminal.text(), limit=60)
            terminal.send("u")
            terminal.until(lambda: "It needs the project's files" in terminal.text())
            terminal.send("s")
            terminal.until(lambda: "✓ start fine: done in" in terminal.text(), limit=60)
            terminal.until(lambda: "● running" in row(terminal, "fine"))
            terminal.send("q")
            terminal.until(lambda: terminal.ended)
            assert terminal.exit_code == 0
