"""What a run leaves behind: records as JSON lines, written while it goes on, readable however it ended.

A line is `{"kind": "LogLine", ...}`: a record of `devenv.core.model`, or one of the records below. Each batch is one
write to a file opened for appending, so that SIGKILL at any moment costs at most the end of the last line.
"""

from __future__ import annotations

import json
import os
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from devenv.core import model
from devenv.core.errors import UsageError
from devenv.core.text import mask_secrets

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
        record = replace(record, text=mask_secrets(record.text))
    return json.dumps({"kind": type(record).__name__, **msgspec.to_builtins(record)}, ensure_ascii=False)


def read_evidence(path: Path) -> Iterator[Record]:
    """Read the records; the end of a last line that was cut off, and kinds of a later version, are left out.

    Raises UsageError where the file is not evidence.
    """
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path}: it is no file")
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
    return None if kind is None else typing.cast(Record, msgspec.convert(data, kind))
