"""All measurements of all runs, in SQLite under the user's state folder, and what they say over time."""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import quote

import msgspec

from devenv.core.decode import convert
from devenv.core.stored import Moment, Unreadable, make_private, state_folder
from devenv.runs.criteria import Better, Verdict
from devenv.runs.report import Report

T = TypeVar("T")
_Number = Annotated[float, msgspec.Meta(ge=-1e100, le=1e100)]  # what can be summed and divided

SCHEMA = 1
COMPARED = 50  # the newest comparable values that a median is made of
BARS = "▁▂▃▄▅▆▇█"
_TABLES = """
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, began REAL NOT NULL, seconds REAL NOT NULL, project TEXT NOT NULL, target TEXT NOT NULL,
    machine TEXT NOT NULL, commit_id TEXT NOT NULL, dirty INTEGER NOT NULL, verdict TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS measurements (
    run TEXT NOT NULL REFERENCES runs(id), at REAL NOT NULL, criterion TEXT NOT NULL, value REAL, unit TEXT NOT NULL,
    budget REAL, better TEXT NOT NULL, verdict TEXT NOT NULL, source TEXT NOT NULL, stages TEXT NOT NULL,
    why TEXT NOT NULL, test TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS measurements_by_criterion ON measurements(criterion, at);
CREATE TABLE IF NOT EXISTS service_verdicts (
    run TEXT NOT NULL, at REAL NOT NULL, project TEXT NOT NULL, service TEXT NOT NULL, test TEXT NOT NULL,
    verdict TEXT NOT NULL, image TEXT NOT NULL, config TEXT NOT NULL, whole INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS service_verdicts_by_project ON service_verdicts(project, at);
"""


class Point(msgspec.Struct, frozen=True, array_like=True):
    """One value of a criterion in the history."""

    run: str
    at: Moment
    value: _Number | None
    unit: str
    budget: _Number | None
    better: Better
    verdict: Verdict
    commit: str
    dirty: int  # 1: the working tree differed from the commit
    machine: str
    why: str


@dataclass(frozen=True, slots=True)
class Trend:
    """The values of one criterion on one kind of machine, oldest first."""

    criterion: str
    points: tuple[Point, ...]

    @property
    def values(self) -> list[float]:
        """The values that were measured."""
        return [point.value for point in self.points if point.value is not None]

    def percentile(self, percent: float) -> float | None:
        """Return a percentile, interpolated between the two nearest values; None without any."""
        return percentile(self.values, percent)

    @property
    def change(self) -> float | None:
        """The newest value against the median of the runs before it, as `against` does."""
        measured = [point for point in self.points if point.value is not None]
        return self.against(measured[-1].run) if measured else None

    def against(self, run: str) -> float | None:
        """A run's newest value against the median of other runs, as a fraction; None where one of them is missing."""
        own = [point.value for point in self.points if point.run == run and point.value is not None]
        others = [point.value for point in self.points if point.run != run and point.value is not None]
        median = statistics.median(others[-COMPARED:]) if others else None
        return (own[-1] - median) / median if own and median else None

    @property
    def sparkline(self) -> str:
        """The newest 40 values as bars."""
        return sparkline(self.values[-40:])


class HistoryFile:
    """The database; reading makes no file, and leaves out rows that are not what they should be.

    Raises Unreadable where it cannot be used; reads of a `lenient` one find nothing then, and `problem` says why.
    """

    def __init__(self, path: Path | None = None, *, lenient: bool = False) -> None:
        self.path = path or state_folder() / "history.sqlite3"
        self.problem = ""
        self._lenient = lenient

    def rows(self, kind: type[T], query: str, *values: object) -> list[T]:
        """Return the rows of a query as that kind."""
        rows: list[T] = []
        try:
            for row in self._read(query, values):
                with suppress(msgspec.ValidationError):
                    rows.append(convert(row, kind))
        except Unreadable as error:
            self.problem = error.message
            if not self._lenient:
                raise
        return rows

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Open it, with its tables, for one transaction."""
        with self._usable():
            make_private(self.path.parent)
            self.path.touch(mode=0o600)  # before SQLite makes it with the mode of all files
            with closing(sqlite3.connect(self.path, timeout=20.0)) as database, database:
                self._check(database)
                database.executescript(_TABLES)
                database.execute(f"PRAGMA user_version = {SCHEMA}")
                yield database

    def _read(self, query: str, values: Sequence[object]) -> list[object]:
        with self._usable():
            if not os.path.lexists(self.path):
                return []
            # For writing too: a writer that was killed left a journal, and SQLite takes back what is in it.
            place = f"file:{quote(str(self.path.absolute()))}?mode=rw"
            with closing(sqlite3.connect(place, uri=True, timeout=5.0)) as database:
                self._check(database)
                database.text_factory = lambda data: data.decode("utf-8", "replace")
                try:
                    return database.execute(query, values).fetchall()
                except sqlite3.OperationalError as error:
                    if "no such table" in str(error):  # of an older devenv, or an empty file
                        return []
                    raise

    def _check(self, database: sqlite3.Connection) -> None:
        if database.execute("PRAGMA user_version").fetchone()[0] > SCHEMA:
            raise Unreadable(f"{self.path} was written by a newer devenv", "Use that version, or move the file away.")

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, sqlite3.Warning, OSError, ValueError) as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest says more closely what could not be done
            full = code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
            hint = "Free some space on its disk." if full else "Move the file away; a new one is made."
            raise Unreadable(f"the history {self.path} cannot be used: {error}", hint) from error


class History(HistoryFile):
    """What was measured, of all runs."""

    def add(self, report: Report) -> None:
        """Keep one run; the same run again replaces it."""
        with self.writing() as database:
            run = (
                *(report.run, report.began, report.seconds, report.project, report.target),
                *(report.machine.id, report.commit.id, int(report.commit.dirty), report.verdict.value),
            )
            database.execute("DELETE FROM measurements WHERE run = ?", (report.run,))
            database.execute("INSERT OR REPLACE INTO runs VALUES (?,?,?,?,?,?,?,?,?)", run)
            rows = [
                (
                    *(report.run, item.at, item.criterion.name, item.value, item.criterion.unit),
                    *(item.criterion.budget, item.criterion.better.value, item.verdict.value, item.criterion.source),
                    *(json.dumps(dict(item.stages)), item.why, item.test),
                )
                for item in report.measurements
            ]
            database.executemany(f"INSERT INTO measurements VALUES ({','.join('?' * 12)})", rows)

    def criteria(self, project: str, machine: str) -> list[str]:
        """Return the names of what was measured for the project on that kind of machine."""
        query = (
            "SELECT DISTINCT criterion FROM measurements JOIN runs ON run = id"
            " WHERE project = ? AND machine = ? ORDER BY criterion"
        )
        return [name for (name,) in self.rows(tuple[str], query, project, machine)]

    def trend(self, criterion: str, project: str, machine: str, limit: int = 200) -> Trend:
        """Return the newest values of a criterion in comparable runs: same project, same kind of machine."""
        query = (
            "SELECT run, at, value, unit, budget, better, m.verdict, commit_id, dirty, machine, why"
            " FROM measurements m JOIN runs ON run = id WHERE criterion = ? AND project = ? AND machine = ?"
            " ORDER BY at DESC LIMIT ?"
        )
        points = self.rows(Point, query, criterion, project, machine, limit)
        return Trend(criterion, tuple(reversed(points)))


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return a percentile, interpolated between the two nearest values; None without any."""
    ordered = sorted(values)
    if not ordered:
        return None
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def sparkline(values: Sequence[float]) -> str:
    """Draw values as bars, the least as the lowest."""
    if not values:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return "".join(BARS[round((value - low) / span * (len(BARS) - 1))] for value in values)
