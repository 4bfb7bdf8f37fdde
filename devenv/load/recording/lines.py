"""The lines of a recording: JSON objects, one a line, written as things happen, each with the time of one clock.

`t` is seconds since the recording began by the machine's monotonic clock, which no correction of the time moves and
which all processes of a machine share; `at` is the wall clock, for comparing with what other machines say.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from devenv.core.errors import DevenvError
from devenv.core.stored import Count, Moment, Unreadable, is_file, read_plain

SCHEMA: Final = 1
BASE: Final = "run.json"  # what the run is: target, options, the clock's base
LOAD: Final = "load.jsonl"  # written by the generator
WATCHED: Final = "target.jsonl"  # written by the recorder


class _Target(msgspec.Struct):
    kind: str = ""
    project: str = ""
    service: str = ""
    context: str = ""
    namespace: str = ""
    url: str = ""


class _Options(msgspec.Struct):
    shape: str | None = None
    num_users: Count | None = None
    run_time: float | None = None
    rate: float | None = None
    replicas: Count | None = None


class RunFile(msgspec.Struct):
    """What is read of run.json; its other keys are for people."""

    schema: int = SCHEMA
    run: str = ""
    began: Moment = 0.0
    folder: str = ""
    warm_up: float | None = None
    thresholds: list[str] = []
    target: _Target = msgspec.field(default_factory=_Target)
    options: _Options = msgspec.field(default_factory=_Options)


class _Line(msgspec.Struct):
    t: Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]
    type: str
    at: Moment = 0.0


def read_run(folder: Path) -> dict[str, Any] | None:
    """Return what run.json says, None where there is none; raises Unreadable, also for another version's."""
    run = read_plain(folder / BASE, RunFile)
    if run is None:
        return None
    if run.get("schema") != SCHEMA:
        raise Unreadable(f"{folder / BASE} was not recorded by this version of devenv", "Use the version that did.")
    target = msgspec.to_builtins(_Target()) | run.get("target", {})
    return {"began": 0.0, "thresholds": [], **run, "target": target, "options": run.get("options", {})}


class Lines:
    """A file of lines that is flushed at each, so that nothing is lost whatever ends the process."""

    def __init__(self, path: Path, base: float) -> None:
        self._base = base
        try:
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise DevenvError(
                f"{path} cannot be written: {error.strerror}", "Choose a folder with --record."
            ) from error

    def now(self) -> float:
        """Return the time of the recording."""
        return time.monotonic() - self._base

    def write(self, kind: str, /, **values: Any) -> None:
        """Write one line."""
        line = {"t": round(self.now(), 3), "at": round(time.time(), 3), "type": kind, **values}
        self._file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Tail:
    """Reads what is appended to a file; a last line that is not whole yet is left for the next time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.broken = 0  # lines that cannot be read, as a full disk leaves them

    def read(self) -> Iterator[dict[str, Any]]:
        """Return the new lines; none where the file is not there yet."""
        if not is_file(self._path):
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for raw in file:
                if not raw.endswith(b"\n"):
                    return
                self._offset += len(raw)
                try:
                    line = msgspec.json.decode(raw, type=dict[str, Any])
                    msgspec.convert(line, _Line)
                except (ValueError, RecursionError):
                    self.broken += 1
                    continue
                yield line


def say(data: dict[str, Any]) -> None:
    """Tell the process that started this one, as one line on standard output."""
    sys.stdout.write(json.dumps(data) + "\n")
    sys.stdout.flush()


def write_text(path: Path, text: str) -> None:
    """Write a file of a run, whole or not at all: others read it meanwhile. Raises DevenvError."""
    try:
        new = path.with_name(f"{path.name}.new")
        new.write_text(text, "utf-8", errors="backslashreplace")
        new.replace(path)
    except OSError as error:
        raise DevenvError(f"{path} cannot be written: {error.strerror}", "Choose another folder.") from error
