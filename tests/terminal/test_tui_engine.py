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
from tests.watch.watching import watching, write_project

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
            assert time.monotonic() - began < 20
            terminal.send("D")
            terminal.until(lambda: "Down: the whole project?" in terminal.text())
            assert made.name in terminal.text()
            terminal.until(lambda: "down (y)" in terminal.text())
            assert "1 container" in terminal.text()
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
            terminal.send("t")
            terminal.until(lambda: "✓ start fine: done in" in terminal.text(), limit=60)
            terminal.until(lambda: "● running" in row(terminal, "fine"))
            terminal.send("q")
            terminal.until(lambda: terminal.ended)
            assert terminal.exit_code == 0


def test_the_project_is_followed_while_its_files_change_go_and_come(tmp_path: Path, base_image: str) -> None:
    sleeping = 'image: "${DEVENV_TEST_IMAGE:?}", init: true, stop_grace_period: 1s, command: [sleep, "1000"]'
    folder, moved = tmp_path / "here", tmp_path / "moved"
    folder.mkdir()
    file, away = folder / "compose.yaml", folder / "away"
    file.write_text(f"services:\n  web: {{{sleeping}}}\n  db: {{{sleeping}}}\n")
    with program(str(folder), tmp_path / "state", base_image) as made:
        assert made.run("up").returncode == 0
        command = [sys.executable, "-m", "devenv"]
        environ = {key: value for key, value in made.environ.items() if key != "COMPOSE_PROJECT_NAME"}
        file.write_text(f"name: {made.name}\n{file.read_text()}")
        with RealTerminal(command, folder, size=(200, 40), environ=environ) as terminal:
            terminal.until(lambda: "● live" in terminal.text() and "● running" in row(terminal, "db"))
            file.rename(away)
            terminal.until(lambda: f"The Compose file {file} is gone" in terminal.text())
            terminal.until(lambda: "● running" in row(terminal, "db"))
            away.rename(file)
            file.write_text(file.read_text().replace("  db:", "  other:"))
            terminal.until(lambda: "○ absent" in row(terminal, "other") and "● running" in row(terminal, "db (orphan)"))
            terminal.until(lambda: "is gone" not in terminal.text())
            terminal.send("/other\r")
            terminal.until(lambda: "LOGS other" in terminal.text())
            terminal.send("u")
            terminal.until(lambda: "✓ up other: done in" in terminal.text(), limit=60)
            terminal.until(lambda: "● running" in row(terminal, "other"), limit=60)
            file.write_text(f"{file.read_text()}  [")
            terminal.until(lambda: "Correct the YAML" in terminal.text())
            terminal.send("r")
            terminal.until(lambda: "✓ restart other: done in" in terminal.text(), limit=60)
            folder.rename(moved)
            terminal.until(lambda: f"▲ The folder {folder} is gone" in terminal.text())
            terminal.send("r")
            terminal.until(lambda: "✗ restart other failed" in terminal.text())
            terminal.until(lambda: terminal.text().count(f"The folder {folder} is gone") == 2)  # under a toast at first
            assert "docker could not be started" not in terminal.text()
            terminal.send("q")
            terminal.until(lambda: terminal.ended)
            assert terminal.exit_code == 0


def test_w_brings_what_is_saved_into_the_container_and_ends_with_the_terminal(tmp_path: Path, base_image: str) -> None:
    folder = tmp_path / "watched"
    write_project(folder)
    with program(str(folder), tmp_path / "state", base_image, CASE_IMAGE=base_image) as made:
        assert made.run("up", "web").returncode == 0
        environ = {**made.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "devenv", "tui"]
        with RealTerminal(command, made.folder, size=(140, 40), environ=environ) as terminal:
            terminal.until(lambda: "● live" in terminal.text() and "● running" in row(terminal, "web"))
            terminal.send("/running\r")  # of one alone
            terminal.until(lambda: "LOGS web" in terminal.text() and not row(terminal, "twin"))
            terminal.send("w")
            terminal.until(lambda: "⟳ watching" in terminal.text())
            page = folder / "app" / "src" / "page.py"
            page.write_text('TEXT = "second"\n')
            terminal.until(lambda: "watch: synced 1 file" in terminal.text())
            terminal.until(lambda: "⟳ " in row(terminal, "web"))
            terminal.until(lambda: "watch: served: saved -> noticed" in terminal.text())
            second = made.run("watch")
            assert (second.returncode, "is being watched already by process" in second.stderr) == (10, True)
            terminal.send("w")
            terminal.until(lambda: "watching" not in terminal.text().splitlines()[0])
            terminal.send("w")
            terminal.until(lambda: "⟳ watching" in terminal.text())
            terminal.send("q")
            terminal.until(lambda: terminal.ended)
            assert terminal.exit_code == 0
        with watching(made, "web") as watch:
            assert watch.end() == 130
