"""`down -v` on a terminal names what will be lost, and asks for the project's name; a script plays Compose."""

from __future__ import annotations

import os
import pty
from pathlib import Path

import pytest
from fakedocker import fake_docker

from tests import forked

ROOT = Path(__file__).parents[2]
SCRIPT = """
case "$*" in
  *config*) echo '{"name": "p", "services": {"web": {}}, "volumes": {"data": {"name": "p_data"}}}' ;;
  *dry-run*) echo '{"id":"Volume p_data","status":"Done","text":"Removed"}' >&2 ;;
  *) echo "$@" >>said; echo '{"id":"Volume p_data","status":"Done","text":"Removed"}' >&2 ;;
esac
"""


def down(folder: Path, answer: str | None) -> tuple[int, str, str]:
    """Run `devenv down -v`; return its exit code, what it told, and what Compose was asked to do."""
    (folder / "compose.yaml").touch()
    environ = fake_docker(folder, SCRIPT) | {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder)}
    options = ("-v", "--yes") if answer is None else ("-v",)
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        done = forked.run("devenv", "down", *options, cwd=folder, env=environ, stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    said = folder / "said"
    return done.returncode, done.stderr, said.read_text() if said.exists() else ""


def test_yes_deletes(tmp_path: Path) -> None:
    code, told, said = down(tmp_path, "p")
    assert code == 0
    assert "Deletes for ever these volumes and all data in them: p_data." in told
    assert "To do it, type p: " in told
    assert said.endswith("down --volumes\n")


@pytest.mark.parametrize("answer", ["", "no", "yes", "P"])
def test_anything_else_keeps_everything(tmp_path: Path, answer: str) -> None:
    code, told, said = down(tmp_path, answer)
    assert code == 10
    assert "Not confirmed: p_data and everything else is as it was" in told
    assert said == ""


def test_with_yes_nothing_is_asked(tmp_path: Path) -> None:
    code, told, said = down(tmp_path, None)
    assert code == 0
    assert "To do it, type" not in told
    assert said.endswith("down --volumes\n")
