"""The load tests that this machine remembers: those that go on, whoever started them, and those that have ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from devenv.core.errors import EXIT_INTERRUPTED, DevenvError
from devenv.core.stored import Count, Unreadable, changed_at, find, read_json
from devenv.core.text import sanitize
from devenv.load.outcome import OUTCOME, OutcomeFile
from devenv.load.recording import BASE, RunFile
from devenv.load.runner import STARTED, LiveLoad, MakeRunner
from devenv.runs.identity import is_alive, owner_in, runs_folder

T = TypeVar("T")
SHOWN: Final = 20  # runs


@dataclass(frozen=True, slots=True)
class KnownRun:
    """One run: what was asked for, and how it ended; `owner` is the process that runs it, "" where nobody knows."""

    folder: Path
    began: float
    owner: str
    goes_on: bool
    kind: str  # of the target
    project: str
    shape: str
    users: int
    verdict: str = ""
    exit_code: int | None = None
    requests: int | None = None
    rps: float | None = None
    p95: float | None = None

    def attach(self) -> LiveLoad:
        """Return the run, to be followed and stopped."""
        return LiveLoad(self.folder, self.owner)


def known_runs(root: Path, limit: int = SHOWN) -> list[KnownRun]:
    """Return the newest runs of the project in `root` and the folders below it, newest first."""
    folders = sorted(find(runs_folder(), "*/load"), key=changed_at, reverse=True)
    runs: list[KnownRun] = []
    for folder in folders:
        run = _read(folder, root)
        if run is not None:
            runs.append(run)
        if len(runs) == limit:
            break
    return sorted(runs, key=lambda run: run.began, reverse=True)


def running(root: Path) -> KnownRun | None:
    """Return the newest run of the project that goes on."""
    return next((run for run in known_runs(root) if run.goes_on), None)


def find_running(make: MakeRunner) -> KnownRun | None:
    """Return the load test of the project that goes on, whoever started it; reads files."""
    if not find(runs_folder(), "*/load"):
        return None  # the usual case costs nothing more
    try:
        return running(make().root)
    except DevenvError:
        return None  # whoever opens the screen is told why


class _Options(msgspec.Struct):
    target: str = ""
    shape: str = ""
    users: Count = 0


class _Started(msgspec.Struct):
    owner: str = ""
    folder: str = ""
    wish: _Options = msgspec.field(default_factory=_Options)


class _Figures(msgspec.Struct):
    requests: int | None = None
    rps: float | None = None
    p95: float | None = None


class _Report(msgspec.Struct):
    figures: dict[str, _Figures] = {}


def _read(folder: Path, root: Path) -> KnownRun | None:
    started, run = _stored(folder / STARTED, _Started), _stored(folder / BASE, RunFile)
    place = Path(started.folder or run.folder)
    if not (started.folder or run.folder) or not place.is_relative_to(root):
        return None
    owner = started.owner or owner_in(folder.parent)
    outcome = _stored(folder / OUTCOME, OutcomeFile)
    figures = _stored(folder / "report.json", _Report).figures.get("total", _Figures())
    return KnownRun(
        folder=folder,
        began=run.began or changed_at(folder),
        owner=owner,
        goes_on=not outcome.verdict and outcome.exit_code is None and is_alive(owner),
        kind=sanitize(run.target.kind or started.wish.target),
        project=sanitize(run.target.project),
        shape=sanitize(run.options.shape or started.wish.shape),
        users=run.options.num_users or started.wish.users,
        verdict="interrupted" if outcome.exit_code == EXIT_INTERRUPTED else outcome.verdict or "",
        exit_code=outcome.exit_code,
        requests=figures.requests,
        rps=figures.rps,
        p95=figures.p95,
    )


def _stored(path: Path, kind: type[T]) -> T:
    """Return what a file of a run says; nothing of it where it is not there or not what it should be."""
    try:
        return read_json(path, kind) or kind()
    except Unreadable:
        return kind()
