"""Whose run is it, does its owner live, and the private copy of a project."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from devenv.core.errors import DevenvError
from devenv.runs import identity as runs
from devenv.verify import environment, leftovers
from devenv.verify.http import new_nonce
from devenv.verify.waiting import VerificationFailed, wait_until


def test_a_living_owner_is_not_dead() -> None:
    assert not runs.is_dead(str(runs.this_process()))


def test_an_owner_whose_process_ended_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    owner = runs.owner_of(child.pid)
    assert not runs.is_dead(str(owner))
    child.communicate()
    assert runs.is_dead(str(owner))


def test_a_number_that_another_process_has_now_is_a_dead_owner() -> None:
    assert runs.is_dead(str(replace(runs.this_process(), start="1")))


def test_everything_from_before_the_last_boot_is_dead() -> None:
    assert runs.is_dead(str(replace(runs.this_process(), boot="another")))


@pytest.mark.parametrize("owner", ["", "nonsense", "a/b/c/d", "other-machine/boot/1/1"])
def test_owners_of_other_machines_are_left_alone(owner: str) -> None:
    assert not runs.is_dead(owner)


def test_the_copies_of_dead_runs_are_found_and_those_of_living_ones_are_not(state: Path) -> None:
    alive = runs.begin_run()
    dead = runs.begin_run()
    for run in (alive, dead):
        (run.folder / leftovers.TREES / "project").mkdir(parents=True)
    (dead.folder / "owner").write_text(str(replace(dead.owner, start="1")))
    found = [item for item in leftovers.of_dead_runs() if item.kind == "files"]
    assert [item.run for item in found] == [dead.id]
    leftovers.remove(found)
    assert not (dead.folder / leftovers.TREES).exists()
    assert (alive.folder / leftovers.TREES / "project").is_dir()


def test_a_copy_has_modes_and_links_and_no_junk(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in (".git/config", "node_modules/x", "app/__pycache__/x", "app/run.sh", "data/big", "venv/needed", ".env"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("x")
    (source / "app" / "run.sh").chmod(0o755)
    (source / "link").symlink_to("app/run.sh")
    os.mkfifo(source / "pipe")
    environment.copy_tree(source, tmp_path / "copy", ["data"], [source / "venv"])
    found = {str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*")}
    assert found == {".env", "app", "app/run.sh", "link", "venv", "venv/needed"}
    assert (tmp_path / "copy" / "app" / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "copy" / "link").readlink() == Path("app/run.sh")


def test_a_project_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "big").write_bytes(b"x" * 2000)
    monkeypatch.setattr(environment, "LARGEST", 1000)
    with pytest.raises(DevenvError, match="too large") as caught:
        environment.copy_tree(tmp_path / "source", tmp_path / "copy")
    assert "exclude" in caught.value.hint
    assert not (tmp_path / "copy").exists()


def test_waiting_says_what_was_expected_and_what_was_seen_last() -> None:
    answers = iter([ValueError("not yet"), 1])

    def probe() -> int:
        answer = next(answers, 2)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(VerificationFailed, match=r"expected: three within 0.05 s\nseen:     2 \(after \d+ tries\)"):
        wait_until("three", probe, 0.05, lambda answer: answer == 3, every=0.01)
    assert wait_until("two", probe, 1.0, lambda answer: answer == 2) == 2


def test_nonces_are_words_that_were_never_used() -> None:
    found = {new_nonce() for _ in range(100)}
    assert len(found) == 100
    assert all(word.isalnum() and word[0].isalpha() for word in found)
