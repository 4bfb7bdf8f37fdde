"""What a run leaves behind: records as JSON lines, readable however it ended, and shown again as a backend's.

A line is `{"kind": "LogLine", ...}`: a record of `devenv.core.model`, or one of the records below. Each batch is one
write to a file opened for appending, so that SIGKILL at any moment costs at most the end of the last line. From it the
terminal shows a run that is over as it would show a live one, without an engine.
"""

from __future__ import annotations

import json
import os
import typing
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from devenv.backends.protocol import NothingToLookAt
from devenv.control.protocol import NoControl
from devenv.core import model
from devenv.core.decode import convert
from devenv.core.errors import UsageError
from devenv.core.masking import mask_secrets, mask_texts
from devenv.core.model import (
    Change,
    Connection,
    ConnectionState,
    Gone,
    Happening,
    LogLine,
    Resource,
    Sample,
    Seen,
    Snapshot,
)
from devenv.core.stored import changed_at, find, readable

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Header:
    """The first record: which stack this is the evidence of."""

    schema: int
    run: str
    project: str
    services: tuple[str, ...]
    began: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment worth finding again. `kind_of`: phase, test, failure, cleanup."""

    at: float
    kind_of: str
    text: str


@dataclass(frozen=True, slots=True)
class Probe:
    """One HTTP call and its answer; `status` 0: there was none, and `error` says why."""

    at: float
    endpoint: str
    method: str
    url: str
    status: int
    seconds: float
    error: str = ""
    body: str = ""

    @property
    def ok(self) -> bool:
        """Whether the answer was 2xx."""
        return 200 <= self.status < 300

    def __str__(self) -> str:
        answer = f"{self.status} {self.body[:200]!r}" if self.status else self.error
        return f"{self.method} {self.url} -> {answer} after {self.seconds * 1000:.0f} ms"


Record = model.Change | Header | Mark | Probe
_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (*typing.get_args(model.Change), Header, Mark, Probe)}


class EvidenceFile:
    """Appends records; every call is one write."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, records: Iterable[Record]) -> None:
        """Append the records; what looks like a secret is masked."""
        data = "".join(f"{encode(record)}\n" for record in records).encode("utf-8", "backslashreplace")
        while data:
            data = data[os.write(self._handle, data) :]

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)


def encode(record: Record) -> str:
    """Write one record as a line of JSON."""
    if isinstance(record, model.LogLine):
        data = msgspec.to_builtins(replace(record, text=mask_secrets(record.text)))
    else:
        data = mask_texts(msgspec.to_builtins(record))
    return json.dumps({"kind": type(record).__name__, **data}, ensure_ascii=False)


def read_evidence(path: Path) -> Iterator[Record]:
    """Read the records; the end of a last line that was cut off, and kinds of a later version, are left out.

    Raises UsageError where the file is not evidence.
    """
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path}: it is not a file")
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                try:
                    record = decode(line)
                except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                    if not line.endswith("\n"):
                        return  # the writer was killed within this line
                    raise UsageError(f"{path}, line {number}: not evidence of devenv: {error}") from error
                if number == 1 and not isinstance(record, Header):
                    raise UsageError(f"{path}: not evidence of devenv: it does not begin with a header")
                if record is not None:
                    yield record
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def decode(line: str) -> Record | None:
    """Read one line; None for a kind that this version does not know. Raises ValueError, TypeError or KeyError."""
    data = json.loads(line)
    kind = _KINDS.get(data.pop("kind"))
    return None if kind is None else typing.cast(Record, convert(data, kind))


NAME: Final = "docker"  # the records of a live session carry it too
SHOWN: Final = ("failure", "test", "cleanup")  # marks that every log shows
_SIGNS: Final = {"failure": "✗ FAILED", "test": "▸ test", "cleanup": "▪"}


def choose_file(path: Path) -> Path:
    """Return the evidence file that a path means: itself, or of a folder the first with a failure, else the newest.

    Raises UsageError where there is none.
    """
    if not os.path.isdir(path):  # noqa: PTH112 -- unlike Path.is_dir, it never raises
        return path
    files = sorted(find(path, "**/*.jsonl"), key=changed_at)
    if not files:
        raise UsageError(f"{path}: there is no evidence in it", "Name the folder of a run, or its .jsonl file.")
    return next((file for file in files if _has_failure(file)), files[-1])


def find_moment(folder: str, test: str, services: tuple[str, ...]) -> tuple[ReplayBackend, float, str]:
    """Return the evidence of a test's failure, else of the test: when it was, and the service that it is about.

    `services` are those that the test touched, the last one is tried first. Raises UsageError where there is none.
    """
    files = sorted(find(Path(folder), "**/*.jsonl"), key=changed_at)
    if not files:
        raise UsageError(f"{folder}: there is no evidence in it", "The evidence of the newest runs alone is kept.")
    moments: list[tuple[int, float, Path]] = []
    for file in files:
        with suppress(UsageError):
            for record in read_evidence(file):
                if isinstance(record, Mark) and record.text.startswith(test) and record.kind_of in ("failure", "test"):
                    moments.append((record.kind_of == "failure", record.at, file))
    _, at, file = max(moments, default=(0, 0.0, files[-1]), key=lambda item: item[:2])
    backend = ReplayBackend(file)
    known = set(backend.services().values())
    service = next((name for name in reversed(services) if name in known), min(filter(None, known), default=""))
    return backend, at, service


def _has_failure(path: Path) -> bool:
    with suppress(UsageError):  # another file of the folder may be readable
        return any(isinstance(record, Mark) and record.kind_of == "failure" for record in read_evidence(path))
    return False


class ReplayBackend(NothingToLookAt):
    """A `devenv.backends.protocol.Backend` of one evidence file; everything is there from the first drain on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header: Header | None = None
        self.failures: list[Mark] = []
        self._resources: dict[str, Resource] = {}
        self._happenings: list[Happening] = []
        self._samples: dict[str, Sample] = {}
        self._lines: dict[str, list[LogLine]] = defaultdict(list)
        self._notes: list[tuple[float, str]] = []
        self._names: dict[str, str] = {}
        self._last = 0.0
        self._outbox: list[Change] = []
        self._followed: set[str] = set()
        self._wake: Callable[[], None] = lambda: None
        with readable(path):
            self._read()

    @property
    def name(self) -> str:
        """The name that the records carry."""
        return NAME

    @property
    def title(self) -> str:
        """What the terminal calls it."""
        return f"{self.header.project if self.header else self.path.name} (evidence)"

    def services(self) -> dict[str, str]:
        """Return the service of each key that was ever seen."""
        return dict(self._names)

    def start(self, wake: Callable[[], None]) -> None:
        """Give everything but the logs, which are given when they are followed."""
        self._wake = wake
        message = self.failures[-1].text if self.failures else "recorded; nothing here is live"
        state = Connection(
            backend=NAME,
            state=ConnectionState.STALE,
            endpoint=f"evidence {self.path.name}",
            message=message,
            hint="It is read-only.",
            since=self._last,
            last_live=self._last,
        )
        self._put(state, Snapshot(NAME, tuple(self._resources.values())), *self._happenings, *self._samples.values())

    def stop(self) -> None:
        """Nothing runs."""

    def drain(self) -> list[Change]:
        """Give what was asked for since the last call."""
        changes, self._outbox = self._outbox, []
        return changes

    def watch_stats(self, keys: Collection[str]) -> None:
        """The last samples were given at the start."""

    def follow_logs(self, keys: Collection[str], tail: int = 500) -> None:
        """Give the recorded lines with the marks between them: all of them, for nothing will follow."""
        new = [key for key in keys if key not in self._followed]
        self._followed = set(keys)
        for key in new:
            self._put(*self._log(key))

    def watch_detail(self, key: str | None) -> None:
        """Everything that was recorded of it is there already."""

    def _put(self, *changes: Change) -> None:
        was_empty = not self._outbox
        self._outbox += changes
        if was_empty and self._outbox:
            self._wake()

    def _log(self, key: str) -> list[LogLine]:
        marks = [LogLine(key, at, "devenv", text) for at, text in self._notes]
        last = 0.0
        placed: list[tuple[float, int, LogLine]] = []
        for number, line in enumerate(self._lines[key]):
            last = line.at if line.at is not None else last
            placed.append((last, number, line))
        placed += [(mark.at or 0.0, len(placed) + number, mark) for number, mark in enumerate(marks)]
        return [line for _, _, line in sorted(placed, key=lambda item: item[:2])]

    def _read(self) -> None:
        cleaning = False
        for record in read_evidence(self.path):
            if isinstance(record, Header):
                self.header = record
            elif isinstance(record, Mark):
                cleaning = cleaning or record.kind_of == "cleanup"
                self._mark(record)
            elif isinstance(record, Probe):
                if not record.ok:
                    self._notes.append((record.at, f"probe {record}"))
            elif isinstance(record, LogLine):
                self._lines[record.key].append(record)
            elif not cleaning:  # what the clean-up removed is what the evidence is kept of
                self._apply(record)

    def _apply(self, record: Change) -> None:
        if isinstance(record, Snapshot):
            self._keep(record.resources)
            present = {resource.key for resource in record.resources}
            self._resources = {key: item for key, item in self._resources.items() if key in present}
        elif isinstance(record, Seen):
            self._keep((record.resource,))
        elif isinstance(record, Gone):
            self._resources.pop(record.key, None)
        elif isinstance(record, Happening):
            self._happenings.append(record)
            self._last = max(self._last, record.at)
        elif isinstance(record, Sample):
            self._samples[record.key] = record

    def _keep(self, resources: Iterable[Resource]) -> None:
        for resource in resources:
            self._names[resource.key] = resource.service
            before = self._resources.get(resource.key)
            # A list knows less than the inspection before it: checks are kept.
            if before is not None and before.checks and not resource.checks and before.state == resource.state:
                continue
            self._resources[resource.key] = resource

    def _mark(self, mark: Mark) -> None:
        self._last = max(self._last, mark.at)
        if mark.kind_of == "failure":
            self.failures.append(mark)
        if mark.kind_of in SHOWN:
            clock = datetime.fromtimestamp(mark.at).strftime("%H:%M:%S.%f")[:-3]
            self._notes.append((mark.at, f"{_SIGNS[mark.kind_of]} {clock} {mark.text}"))


class ReadOnlyControl(NoControl):
    """Refuses every change: what is shown is over."""

    def __init__(self) -> None:
        super().__init__("This is evidence of a run that is over", "")
