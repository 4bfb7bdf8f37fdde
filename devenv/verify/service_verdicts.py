"""The last verdict of each service: which tests were about it, how they ended, and of which image and configuration.

It is a table beside the measurements in the history's database; an older devenv does not look at it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devenv.core.errors import DevenvError
from devenv.verify.reports.data import Report
from devenv.verify.runs import state_folder
from devenv.verify.subjects import Subject
from devenv.verify.verdict import Verdict

KEPT: Final = 200  # runs of one project
_WORST_FIRST: Final = (Verdict.ERROR, Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.PASSED)
_TABLE = """
CREATE TABLE IF NOT EXISTS service_verdicts (
    run TEXT NOT NULL, at REAL NOT NULL, project TEXT NOT NULL, service TEXT NOT NULL, test TEXT NOT NULL,
    verdict TEXT NOT NULL, image TEXT NOT NULL, config TEXT NOT NULL, whole INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS service_verdicts_by_project ON service_verdicts(project, at);
"""
_Row = tuple[str, float, str, str, str, str, str, int]


@dataclass(frozen=True, slots=True)
class ServiceVerdict:
    """The worst of the newest results of a service's tests; `at` is when that one ended, `tests` how many there are."""

    service: str
    verdict: Verdict
    at: float
    subject: Subject
    tests: int


class ServiceVerdicts:
    """The table; raises DevenvError where it cannot be used."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or state_folder() / "history.sqlite3"

    def add(self, report: Report, subjects: Mapping[str, Subject], *, whole: bool) -> None:
        """Keep the results of a run on one runtime. `whole`: all tests were run, so that earlier runs count no more.

        A test that touched no service in particular is about all of them. The report's project is what the services
        belong to: a Compose project, or a place in a cluster (`devenv.verify.subjects.place_of`).
        """
        at = report.began + report.seconds
        everything = tuple(subjects)
        unknown = Subject()
        rows = [
            (
                *(report.run, at, report.project, service, test.id, test.verdict.value),
                *(subjects.get(service, unknown).image, subjects.get(service, unknown).config, int(whole)),
            )
            for test in report.tests
            for service in test.services or everything
        ]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with closing(sqlite3.connect(self.path, timeout=20.0)) as database, database:
                database.executescript(_TABLE)
                mine = (report.run, report.project)
                database.execute("DELETE FROM service_verdicts WHERE run = ? AND project = ?", mine)
                database.executemany(f"INSERT INTO service_verdicts VALUES ({','.join('?' * 9)})", rows)
                database.execute(
                    "DELETE FROM service_verdicts WHERE project = ? AND run NOT IN"
                    " (SELECT run FROM service_verdicts WHERE project = ? GROUP BY run ORDER BY MAX(at) DESC LIMIT ?)",
                    (report.project, report.project, KEPT),
                )
        except (sqlite3.Error, OSError) as error:
            raise DevenvError(f"the history {self.path} cannot be used: {error}", "Move the file away.") from error

    def of(self, project: str) -> dict[str, ServiceVerdict]:
        """Return the last verdict of each service of a project that was ever verified; reading makes no file."""
        if not self.path.is_file():
            return {}
        try:
            with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True, timeout=5.0)) as database:
                if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'service_verdicts'").fetchone():
                    return {}
                rows: list[_Row] = database.execute(
                    "SELECT run, at, service, test, verdict, image, config, whole FROM service_verdicts"
                    " WHERE project = ? ORDER BY at DESC",
                    (project,),
                ).fetchall()
        except sqlite3.Error as error:
            raise DevenvError(f"the history {self.path} cannot be used: {error}", "Move the file away.") from error
        found = {service: _last(service, rows) for service in {row[2] for row in rows}}
        return {service: last for service, last in found.items() if last is not None}


def _last(service: str, rows: Iterable[_Row]) -> ServiceVerdict | None:
    """Judge the newest result of each test of the same content, back to the last run of all tests; None without any."""
    newest: dict[str, tuple[Verdict, float]] = {}
    subject: Subject | None = None
    end = ""
    for run, at, name, test, verdict, image, config, whole in rows:
        if end and run != end:
            break
        if whole:
            end = run
        if name != service:
            continue
        of = Subject(image, config)
        subject = subject or of
        if of != subject:
            break
        newest.setdefault(test, (Verdict(verdict), at))
    if not newest:
        return None  # it was renamed or removed, or the last run of all tests has none about it
    worst = min((verdict for verdict, _ in newest.values()), key=_WORST_FIRST.index)
    at = max(at for verdict, at in newest.values() if verdict is worst)
    return ServiceVerdict(service, worst, at, subject or Subject(), len(newest))
