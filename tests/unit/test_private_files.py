"""What devenv keeps about a project is this user's alone, whichever command is the first to keep something."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devenv.cli.console import as_fault
from devenv.control.deploy.record import LocalRevisions, Revision
from devenv.control.guard import Guard
from devenv.core.settings import Config
from devenv.core.stored import only_one, state_folder
from devenv.runs.history import History
from devenv.runs.identity import begin_run


def keep_history() -> None:
    with History().writing():
        pass


def keep_revision() -> None:
    revisions = LocalRevisions(state_folder() / "deployments", "server", "context", "namespace", "dev")
    assert revisions.save(Revision("1", 1.0, "dev", "context", "namespace")) == ""


def hold_lock() -> None:
    with only_one(state_folder() / "deploy-locks" / "dev.lock", "dev"):
        pass


@pytest.fixture
def _open_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home" / "state"))
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_open_umask")
@pytest.mark.parametrize(
    "keep",
    [
        keep_history,
        keep_revision,
        hold_lock,
        begin_run,
        lambda: Guard.of(Config()).note("clean"),
        lambda: as_fault(ValueError("x")),
    ],
    ids=["history", "revision", "lock", "run", "audit", "fault"],
)
def test_nobody_else_can_look_into_it(keep: Callable[[], object], tmp_path: Path) -> None:
    keep()
    made = [path for path in (tmp_path / "home").rglob("*") if not path.is_symlink()]
    assert any(path.is_file() for path in made)
    open_folders = [path for path in made if path.is_dir() and stat.S_IMODE(path.stat().st_mode) != 0o700]
    assert open_folders == []
    for path in made:
        if path.name in ("history.sqlite3", "audit.jsonl", "last-fault.txt") or path.suffix in (".gz", ".lock"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
