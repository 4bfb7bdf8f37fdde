"""The disk is full where devenv keeps something: it is told, what was there stays whole, and it goes on afterwards."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from devenv.builds.store import Store
from devenv.control.audit import AuditLog
from devenv.control.deploy.record import LocalRevisions, Revision
from devenv.core.errors import DevenvError
from devenv.runs.history import History
from devenv.runs.lines import write_text
from tests import forked
from tests.unit.full_disk import full_disk
from tests.verify.verify_samples import report_of


def test_the_audit_log_loses_no_record_but_the_one_that_was_cut(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    assert log.write("allowed", request=1, verb="up") == ""
    for left in (log.path.stat().st_size + 20, log.path.stat().st_size):  # cut within the line, and nothing at all
        with full_disk(left):
            warning = log.write("allowed", request=2, verb="down")
        assert warning.startswith(f"the audit log {log.path} cannot be written: ")
    assert log.write("allowed", request=3, verb="restart") == ""
    assert log.write("finished", request=3, result="done", seconds=1) == ""
    assert [(entry.what, entry.verdict) for entry in log.entries()] == [("up", "running"), ("restart", "done")]
    assert sum(line == b"" for line in log.path.read_bytes().splitlines()) == 0


def keep_build(folder: Path, value: str) -> None:
    store = Store(folder)
    store.write(store.file("trees", "web"), value.encode())


def keep_report(folder: Path, value: str) -> None:
    write_text(folder / "report.json", value)


def keep_revision(folder: Path, value: str) -> None:
    warning = LocalRevisions(folder, "server", "context", "space", "dev").save(
        Revision("1", 1.0, "dev", "context", "space", objects=({"kind": "ConfigMap", "data": {"value": value}},))
    )
    if warning:
        raise DevenvError(warning)


@pytest.mark.parametrize("keep", [keep_build, keep_report, keep_revision])
def test_a_kept_file_is_whole_or_not_replaced(keep: Callable[[Path, str], None], tmp_path: Path) -> None:
    keep(tmp_path, "first")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.*") if file.is_file()}
    with full_disk(10), pytest.raises((OSError, DevenvError)) as caught:
        keep(tmp_path, "second" * 100)
    assert "File too large" in str(caught.value)
    assert {file: file.read_bytes() for file in before} == before
    keep(tmp_path, "third" * 100)
    assert {file: file.read_bytes() for file in before} != before


def test_the_history_keeps_what_it_has(tmp_path: Path) -> None:
    history = History(tmp_path / "history.sqlite3")
    history.add(report_of("one", 1.0))
    with full_disk(history.path.stat().st_size // 2), pytest.raises(DevenvError, match="cannot be used") as caught:
        history.add(report_of("two", 2.0))
    assert "Free some space" in caught.value.hint
    history.add(report_of("three", 3.0))
    with history.writing() as database:
        assert sorted(database.execute("SELECT id FROM runs")) == [("one",), ("three",)]


ROOT = Path(__file__).parents[2]
FULL = "No space left on device\n  hint: Free some space there, and try again.\n"
CLOSED = "Bad file descriptor\n  hint: Send its output to a file or an open terminal.\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["doctor --list --json", "keys", "--version", "up --help"])
def test_what_is_printed_to_a_full_disk_is_no_fault_of_devenv(command: str, unbuffered: str) -> None:
    """A short output is written when the program ends, a long one, and all of an unbuffered one, before."""
    with Path("/dev/full").open("w") as full:
        done = forked.run(
            *("devenv", *command.split()), stdout=full, env={**os.environ, "PYTHONUNBUFFERED": unbuffered}
        )
    assert (done.returncode, done.stderr) == (1, f"devenv: failed: What it prints cannot be written: {FULL}")


@pytest.mark.parametrize("streams", [">&-", ">&- 2>&- <&-", "2>/dev/full", "2>&- <&-"])
def test_streams_that_are_closed_or_full_end_in_a_code_and_words_for_people_stop_nothing(
    streams: str, tmp_path: Path
) -> None:
    """It warns of the context; the files that it opens do not become its output."""
    config = {"contexts": [{"name": "dev", "context": {"cluster": "gone"}}]}
    (tmp_path / "config").write_text(json.dumps(config))
    program = f"exec {shlex.quote(sys.executable)} -m devenv kube contexts {streams}"
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "KUBECONFIG": str(tmp_path / "config"), "PATH": "/bin"}
    done = subprocess.run(["sh", "-c", program], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    if streams.startswith(">"):
        error = "" if "2>" in streams else f"devenv: failed: What it prints cannot be written: {CLOSED}"
        assert (done.returncode, done.stdout, done.stderr) == (1, "", error)
    else:
        assert (done.returncode, done.stderr) == (0, "")
        assert "dev            broken" in done.stdout
