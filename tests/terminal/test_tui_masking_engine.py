"""A planted secret is on no screen, in no file, report or evidence, and in nothing that a command prints."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from devenv.tui.tabs import TABS
from tests.engine.program import ROOT, Program, program
from tests.terminal.real_terminal import RealTerminal

pytestmark = [pytest.mark.engine, pytest.mark.terminal]

SECRET = "pl4nted+secret/value"
FORMS = (SECRET, quote(SECRET, safe=""), base64.b64encode(SECRET.encode()).decode().rstrip("="))
PROJECT = f"""
services:
  web:
    image: ${{DEVENV_TEST_IMAGE:?}}
    init: true
    stop_grace_period: 0s
    environment:
      API_TOKEN: {SECRET}
      DATABASE_URL: postgres://shop:{quote(SECRET, safe="")}@db/shop
    command: ["sh", "-c", "while :; do echo '{" and ".join(FORMS)}'; sleep 1; done"]
    healthcheck: {{test: ["CMD-SHELL", "echo it said '{SECRET}'; exit 1"], interval: 500ms, retries: 1}}
"""
SMOKE_TEST = """
def test_what_it_prints(engine):
    \"\"\"It fails, and pytest tells what it compared.\"\"\"
    assert engine.logs("web") == "nothing"
"""


def assert_hidden(where: str, text: str) -> None:
    for form in FORMS:
        assert form not in text, f"{where} has {form}"


def assert_files_hide_it(folder: Path) -> int:
    files = [file for file in folder.rglob("*") if file.is_file()]
    for file in files:
        assert_hidden(str(file), file.read_text("utf-8", "replace"))
    return len(files)


def test_a_planted_secret_is_shown_nowhere(tmp_path: Path, base_image: str) -> None:
    folder, state = tmp_path / "shop", tmp_path / "state"
    (folder / "smoketests").mkdir(parents=True)
    (folder / "compose.yaml").write_text(PROJECT)
    (folder / "smoketests" / "test_it.py").write_text(SMOKE_TEST)
    with program(str(folder), state, base_image) as made:
        made.compose("up", "-d")
        by_commands(made)
        done = made.run("verify", "--running", "--report-dir", str(tmp_path / "reports"))
        assert done.returncode != 0, "its test fails"
        assert "test_what_it_prints" in done.stdout
        assert "••••" in done.stdout, "what failed is told, masked"
        assert_hidden("devenv verify", done.stdout + done.stderr)
        assert assert_files_hide_it(tmp_path / "reports") >= 3
        assert assert_files_hide_it(state) >= 1
        [evidence] = state.rglob("evidence/*.jsonl")
        text = made.run("evidence", str(evidence), "--text")
        assert_hidden("devenv evidence", text.stdout + text.stderr)
        in_the_terminal(made)
        assert_files_hide_it(state)


def by_commands(made: Program) -> None:
    for command in (("logs",), ("logs", "--timestamps", "web"), ("status",), ("status", "--json"), ("up", "--wait")):
        done = made.run(*command, DEVENV_WAIT_TIMEOUT="3")
        assert_hidden(f"devenv {' '.join(command)}", done.stdout + done.stderr)
        if command[0] == "logs":
            assert "•••• and •••• and ••••" in done.stdout
    assert json.loads(made.run("status", "--json").stdout)["services"][0]["why"] == (
        "its health check failed with 1: it said ••••"
    )


def in_the_terminal(made: Program) -> None:
    environ = {**made.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "devenv", "tui"]
    with RealTerminal(command, made.folder, size=(150, 45), environ=environ) as terminal:
        terminal.until(lambda: "● live" in terminal.text() and "•••• and ••••" in terminal.text())
        for tab in TABS[1:]:
            terminal.send("]")
            terminal.until(lambda tab=tab: f"{tab.title}  " in terminal.text() and "reading…" not in terminal.text())
            if tab.name == "environment":
                terminal.until(lambda: "API_TOKEN=••••" in terminal.text())
                assert_hidden("the terminal", terminal.output.decode("utf-8", "replace"))
        terminal.send("q")
        terminal.until(lambda: terminal.ended)
        assert_hidden("the terminal", terminal.output.decode("utf-8", "replace"))
