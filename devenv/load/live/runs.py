"""The load tests that this machine remembers: those that go on, whoever started them, and those that have ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from devenv.load.live.process import STARTED, LiveLoad, is_alive, read_json
from devenv.load.recording.lines import BASE
from devenv.load.reports.data import OUTCOME
from devenv.verify.runs import runs_folder

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
    folders = sorted(runs_folder().glob("*/load"), key=_changed, reverse=True)
    found: list[KnownRun] = []
    for folder in folders:
        run = _read(folder, root)
        if run is not None:
            found.append(run)
        if len(found) == limit:
            break
    return sorted(found, key=lambda run: run.began, reverse=True)


def running(root: Path) -> KnownRun | None:
    """Return the newest run of the project that goes on."""
    return next((run for run in known_runs(root) if run.goes_on), None)


def _changed(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0  # removed meanwhile


def _read(folder: Path, root: Path) -> KnownRun | None:
    started, run = read_json(folder / STARTED), read_json(folder / BASE)
    if not started and not run:
        return None
    place = Path(str(started.get("folder") or run.get("folder") or ""))
    if not place.is_relative_to(root):
        return None
    owner = str(started.get("owner") or _owner(folder.parent / "owner"))
    outcome = read_json(folder / OUTCOME)
    target, wish = run.get("target") or {}, started.get("wish") or {}
    options = run.get("options") or {}
    figures = _figures(folder)
    return KnownRun(
        folder=folder,
        began=float(run.get("began") or _changed(folder)),
        owner=owner,
        goes_on=not outcome and is_alive(owner),
        kind=str(target.get("kind") or wish.get("target") or ""),
        project=str(target.get("project") or ""),
        shape=str(options.get("shape") or wish.get("shape") or ""),
        users=int(options.get("num_users") or wish.get("users") or 0),
        verdict=str(outcome.get("verdict") or ""),
        exit_code=outcome.get("exit_code"),
        requests=figures.get("requests"),
        rps=figures.get("rps"),
        p95=figures.get("p95"),
    )


def _owner(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError:
        return ""


def _figures(folder: Path) -> dict[str, Any]:
    figures = read_json(folder / "report.json").get("figures") or {}
    total: dict[str, Any] = figures.get("total") or {}
    return total
