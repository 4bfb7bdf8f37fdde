"""Whatever the files that devenv keeps hold by now, a start goes on: at worst something is not shown, and told once."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from verify_samples import report_of

from devenv.cli.verify import evidence_lines
from devenv.control.audit import AuditLog, default_path
from devenv.control.deploy.record import LocalRevisions, Revision
from devenv.core.errors import DevenvError, UsageError
from devenv.core.kube_settings import KubeSettings
from devenv.core.model import Resource, Runtime, State
from devenv.core.stored import Unreadable, only_one, read_bytes, read_json, state_folder
from devenv.load.live import Following
from devenv.load.outcome import save_outcome
from devenv.load.report import make_report
from devenv.load.runner import LiveLoad, known_runs
from devenv.runs.criteria import Verdict
from devenv.runs.evidence import SCHEMA, EvidenceFile, Header, Mark, ReplayBackend, choose_file, find_moment
from devenv.runs.history import History
from devenv.runs.identity import begin_run, machine_id, owner_in, runs_folder
from devenv.runs.publish import publish
from devenv.tui.runs.load_rows import title_parts
from devenv.tui.verdict_watch import About
from devenv.tui.verdicts import Verdicts
from devenv.verify.kube.leftovers import CLUSTERS, note_cluster, of_dead_runs
from devenv.verify.leftovers import forget_old_runs
from devenv.verify.runner import Outcome, read_report
from devenv.verify.service_verdicts import ServiceVerdicts, Subject

NOBODY = 65534
API = Resource("docker/1", Runtime.COMPOSE, "container", "shop-api-1", "api", State.RUNNING, project="shop")
ABOUT: About = ("shop", frozenset(), frozenset())
VALUES: tuple[Any, ...] = (None, [], {}, "x\x1b[31m\ud800", -1, 1e308, 10**30, True, 1e12, [[]], {"": None}, "")


@dataclass(frozen=True)
class Kept:
    """A kind of file: where it is after `write`, and what is made of it; `read` may raise DevenvError, nothing else."""

    path: Callable[[], Path]
    write: Callable[[], object]
    read: Callable[[], object]


def history() -> Path:
    return state_folder() / "history.sqlite3"


def write_history() -> None:
    report = report_of("r1", 10.0, at=time.time())
    History().add(report)
    ServiceVerdicts().add(report, {"api": Subject("i", "c")}, whole=True)


def read_history() -> object:
    found = Verdicts().read(*ABOUT, lambda ids: {})
    seen: list[object] = [found.cell(API, time.time()).text, *found.detail(API, time.time())]
    lenient = History(lenient=True)
    for name in ["cold_start", *lenient.criteria("shop", "m1")]:
        trend = lenient.trend(name, "shop", "m1")
        seen += [trend.values, trend.change, trend.sparkline, trend.percentile(95)]
    publish(report_of("r2", 20.0), state_folder().parent / "reports", {})
    for strict in (lambda: History().criteria("shop", "m1"), write_history):
        with suppress(Unreadable):
            strict()
    return all(seen[:2])


def run_folder() -> Path:
    return runs_folder() / "r1" / "load"


def write_run() -> None:
    folder = run_folder()
    folder.mkdir(parents=True, exist_ok=True)
    owner = "/".join((machine_id(), "boot", "1", "0"))
    (folder.parent / "owner").write_text(f"{owner}\n")
    wish = {"target": "compose", "shape": "steady", "users": 3}
    (folder / "started.json").write_text(json.dumps({"owner": owner, "folder": "/", "wish": wish}))
    run = {
        "schema": 1, "run": "r1", "base": 0.0, "began": 1000.0, "folder": "/", "documents": 1, "seed": 1,
        "thresholds": ["search:p95<200"], "warm_up": 1.0, "target": {"kind": "compose", "project": "shop"},
        "options": {"shape": "steady", "num_users": 3, "run_time": 60, "open": True, "rate": 1.0, "replicas": 1},
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(run))
    names = {"search": {"n": 3, "failed": 1, "seconds": 1.0, "times": {"20": 3}}}
    load = [
        {"t": 1.0, "at": 1001.0, "type": "phase", "name": "steady"},
        {"t": 2.0, "at": 1002.0, "type": "load", "phase": "steady", "users": 3, "names": names, "generator": {}},
    ]
    (folder / "load.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in load))
    target = [
        {"t": 0.0, "at": 1000.0, "type": "begin", "pid": 1, "cores": 2},
        {"t": 1.0, "at": 1001.0, "type": "tick", "machine": 0.5, "own": 0.01},
        {"t": 1.0, "at": 1001.0, "type": "link", "backend": "docker", "state": "live", "why": ""},
    ]
    (folder / "target.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in target))
    (folder / "locust.log").write_text("Locust says\n")
    save_outcome(folder, 0, Verdict.PASSED, ["why"], [])
    (folder / "report.json").write_text(json.dumps({"figures": {"total": {"requests": 3, "rps": 1.0, "p95": 20}}}))


def read_run() -> object:
    seen = [
        (run.attach().is_over, run.verdict, run.users + 1, f"{run.began:.0f} {run.p95} {run.rps}")
        for run in known_runs(Path("/"))
    ]
    forget_old_runs()
    following = Following(LiveLoad(run_folder(), owner_in(run_folder().parent)))
    for look in (following.look, lambda: make_report(run_folder()).title):
        with suppress(DevenvError):
            look()
    title = "".join(part for part, _ in title_parts(following.state))
    return seen == [(True, "passed", 4, "1000 20.0 1.0")] and "steady on" in title


def report_file() -> Path:
    return state_folder() / "last-verify" / "report.json"


def read_report_file() -> object:
    outcome = Outcome(1, read_report(report_file()))
    return len(outcome.measurements) == 2 and outcome.verdict and outcome.error()


def evidence_file() -> Path:
    return runs_folder() / "r1" / "evidence" / "shop.jsonl"


def write_evidence() -> None:
    file = EvidenceFile(evidence_file())
    file.write([Header(SCHEMA, "r1", "shop", ("api",), 1.0), Mark(2.0, "failure", "test_x: it failed")])
    file.close()


def read_evidence_file() -> object:
    for read in (ReplayBackend, evidence_lines):
        with suppress(DevenvError):
            read(evidence_file())
    _, at, _ = find_moment(str(evidence_file().parent), "test_x", ())
    return at == 2.0 and choose_file(evidence_file().parent) == evidence_file()


def revisions() -> LocalRevisions:
    return LocalRevisions(state_folder() / "deploy", "https://server", "minikube", "d", "dev")


def read_revisions() -> object:
    newest, found = revisions().newest(), revisions().find("rev")
    return newest is not None and newest == found and (newest.id, newest.at + 1, dict(newest.digests))


def lock() -> Path:
    return state_folder() / "deploy" / "dev.lock"


def read_lock() -> object:
    with only_one(lock(), "dev"):
        return int(lock().read_text()) == os.getpid()


KINDS = {
    "history": Kept(history, write_history, read_history),
    **{
        name: Kept(lambda name=name: run_folder() / name, write_run, read_run)  # type: ignore[misc]  # bound at once
        for name in (
            *("../owner", "started.json", "run.json", "load.jsonl", "target.jsonl"),
            *("outcome.json", "report.json", "locust.log"),
        )
    },
    "last report": Kept(report_file, lambda: publish(report_of("r1", 1.0), report_file().parent, {}), read_report_file),
    "evidence": Kept(evidence_file, write_evidence, read_evidence_file),
    "clusters": Kept(
        lambda: state_folder() / CLUSTERS,
        lambda: (begin_run(), note_cluster("minikube", {})),
        lambda: [of_dead_runs(KubeSettings(allow=()), {"KUBECONFIG": "/nowhere"}), note_cluster("kind-x", {})],
    ),
    "revisions": Kept(
        lambda: next(revisions().folder.glob("*.gz")),
        lambda: revisions().save(Revision("rev", 1.0, "dev", "minikube", "d", digests={"a/b": "sha256:1"})),
        read_revisions,
    ),
    "lock": Kept(lock, lambda: (lock().parent.mkdir(parents=True), lock().touch()), read_lock),
    "audit log": Kept(
        default_path, lambda: AuditLog(default_path()).write("x"), lambda: not AuditLog(default_path()).write("y")
    ),
}


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe_instead(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def loop_instead(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


CONTENTS: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "cut off": cut,
    "NUL bytes": lambda path: path.write_bytes(b"\0" * 5000),
    "no UTF-8": lambda path: path.write_bytes(b"\xff\xfe\xd8\n"),
    "a list": lambda path: path.write_text("[]\n"),
    "a word": lambda path: path.write_text('"x"\n'),
    "null": lambda path: path.write_text("null\n"),
    "a huge number": lambda path: path.write_text("9" * 5000 + "\n"),
    "infinity": lambda path: path.write_text('{"schema": 1, "at": 1e999, "t": 1e999, "kind": "Mark"}\n'),
    "another schema": lambda path: path.write_text('{"schema": 99, "kind": "Header", "type": "x", "t": 1}\n'),
    "deep lists": lambda path: path.write_text("[" * 100_000 + "\n"),
    "deep objects": lambda path: path.write_text('{"a":' * 100_000 + "\n"),
    "compressed": lambda path: path.write_bytes(gzip.compress(b"[" * 100_000)),
    "a folder": folder_instead,
    "a pipe": pipe_instead,
    "a loop of links": loop_instead,
}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def unprivileged() -> Iterator[Callable[[], None]]:
    """Drop root's rights until the end of the test: nothing is unreadable for root."""
    is_root = os.geteuid() == 0
    yield lambda: os.seteuid(NOBODY) if is_root else None
    if is_root:
        os.seteuid(0)


def read(kept: Kept) -> None:
    with suppress(DevenvError):
        kept.read()


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("kind", KINDS)
def test_any_content_is_read(kind: str, content: str) -> None:
    kept = KINDS[kind]
    kept.write()
    assert kept.read(), "as it was written, all is there"
    CONTENTS[content](kept.path())
    read(kept)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_may_not_be_read_is_told(kind: str, unprivileged: Callable[[], None]) -> None:
    kept = KINDS[kind]
    kept.write()
    kept.read()  # whatever is imported at the first use is there before the rights go
    kept.path().chmod(0)
    unprivileged()
    read(kept)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_where_the_state_folder_should_be_is_told(kind: str, state: Path) -> None:
    state.mkdir()
    (state / "devenv").write_text("")
    with suppress(StopIteration):  # there is no revision to name
        read(KINDS[kind])


JSON = [name for name, kept in KINDS.items() if name.endswith(("json", "jsonl")) or name in ("evidence", "clusters")]


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


def exchanged(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = exchanged(copy[path[0]], path[1:], value)
    return copy


@pytest.mark.parametrize("kind", [*JSON, "last report", "revisions"])
def test_any_value_in_any_place_is_read(kind: str) -> None:
    kept = KINDS[kind]
    kept.write()
    path = kept.path()
    packed = kind == "revisions"
    text = gzip.decompress(path.read_bytes()).decode() if packed else path.read_text()
    lines = text.splitlines(keepends=True) if path.name.endswith(".jsonl") else [text]
    for index, line in enumerate(lines):
        data = json.loads(line)
        for place, value in itertools.product(places(data), VALUES):
            changed = [*lines[:index], f"{json.dumps(exchanged(data, place, value))}\n", *lines[index + 1 :]]
            whole = "".join(changed).encode()
            path.write_bytes(gzip.compress(whole) if packed else whole)
            read(kept)


COLUMNS = {
    "runs": ("began", "seconds", "project", "target", "machine", "commit_id", "dirty", "verdict"),
    "measurements": ("at", "criterion", "value", "unit", "budget", "better", "verdict", "stages", "why"),
    "service_verdicts": ("run", "at", "service", "test", "verdict", "image", "config", "whole"),
}
STORED = ("", "x", -1, 1e308, float("inf"), float("-inf"), 2**62, b"\xff\x00", "\x1b[31m", None)


@pytest.mark.parametrize(("table", "column"), [(table, name) for table, names in COLUMNS.items() for name in names])
def test_any_value_in_the_history_is_read(table: str, column: str) -> None:
    write_history()
    for value in STORED:
        with sqlite3.connect(history()) as database, suppress(sqlite3.IntegrityError):
            database.execute(f"UPDATE {table} SET {column} = ?", (value,))
        database.close()
        read_history()
    with sqlite3.connect(history()) as database:
        database.execute(f"UPDATE {table} SET {column} = CAST(X'FFFE' AS TEXT)")
        database.execute("PRAGMA writable_schema = 1")
    database.close()
    read_history()


def test_a_history_that_another_program_made_costs_the_cells_and_one_message() -> None:
    history().parent.mkdir(parents=True)
    with sqlite3.connect(history()) as database:
        database.execute("CREATE TABLE service_verdicts (other TEXT)")
    database.close()
    found = Verdicts().read(*ABOUT, lambda ids: {})
    assert found.services == {}
    assert "cannot be used" in found.problem


def test_what_is_wrong_is_told_with_the_file_and_the_key(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": {"b": "c"}}')
    with pytest.raises(Unreadable, match=r"x\.json cannot be read: .*`int`.*`\$"):
        read_json(tmp_path / "x.json", dict[str, dict[str, int]])
    assert read_bytes(tmp_path / "nothing") is None
    with pytest.raises(UsageError, match="no evidence"):
        choose_file(tmp_path)
