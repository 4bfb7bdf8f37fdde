"""The audit log: what was asked for, by whom, whether it was allowed, and how it ended; written and read back."""

from __future__ import annotations

import errno
import getpass
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from devenv.core.masking import mask_texts
from devenv.core.stored import make_private, state_folder
from devenv.core.text import human_duration, sanitize

ROTATE_AT = 5_000_000  # bytes; about 15 000 changes. One older file is kept.


def default_path() -> Path:
    """Return the audit log's file in the user's state folder."""
    return state_folder() / "audit.jsonl"


class AuditLog(Struct, frozen=True):
    """Appends records to one file, by default the user's; what could not be written is a warning and stops nothing."""

    path: Path = field(default_factory=default_path)

    def write(self, event: str, **facts: object) -> str:
        """Append a record `{at, event, user, pid, **facts}`; return "" or why it could not be written."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        record: dict[str, object] = {"at": at, "event": event, "user": _user(), "pid": os.getpid(), **facts}
        line = json.dumps(mask_texts(record), ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        try:
            make_private(self.path.parent)
            if self.path.exists() and self.path.stat().st_size >= ROTATE_AT:
                self.path.replace(self.path.with_suffix(".jsonl.1"))
            # A pipe that nobody reads is not waited for.
            # One write of one line to a file opened for appending: records of several processes do not mix.
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)
            try:
                if not _ends_whole(self.path):
                    line = b"\n" + line  # else what a full disk cut would take this one with it
                if os.write(handle, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(handle)
        except OSError as error:
            return f"the audit log {self.path} cannot be written: {error.strerror}"
        return ""

    def entries(self) -> list[AuditEntry]:
        """Return the changes that both files tell of, oldest first; a line that is no record is left out."""
        entries: dict[tuple[object, object, int], AuditEntry] = {}
        again: dict[tuple[object, object], int] = {}  # process ids come back: a number counts anew with each
        for record in self._records():
            event, whose = record.get("event"), (record.get("pid"), record.get("request"))
            if event in ("allowed", "refused"):
                again[whose] = again.get(whose, 0) + 1
                entries[(*whose, again[whose])] = _begun(record)
            elif event == "finished" and (key := (*whose, again.get(whose, 0))) in entries:
                entries[key] = replace(
                    entries[key],
                    verdict=sanitize(str(record.get("result"))),
                    seconds=_seconds(record.get("seconds")),
                    reason=sanitize(str(record.get("error") or "")),
                )
        return list(entries.values())

    def _records(self) -> Iterator[Mapping[str, Any]]:
        for path in (self.path.with_suffix(".jsonl.1"), self.path):
            try:
                lines = path.read_bytes().splitlines()
            except OSError:
                continue  # there is none yet
            for line in lines:
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError):
                    continue  # cut by a full disk
                if isinstance(record, dict):
                    yield record


class AuditEntry(Struct, frozen=True):
    """One change: when, who, what, what one would type for it, how it ended ("running" until then), how long it took.

    `where` is the project, or the cluster's context and namespace. `seconds` is None where it did not end.
    """

    at: str
    user: str
    source: str
    what: str
    where: str
    command: str
    verdict: str
    seconds: float | None = None
    reason: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """Return when, who, verdict, duration, what and the command, as a line of a table."""
        took = "–" if self.seconds is None else human_duration(self.seconds)
        moment = f"{self.at[:10]} {self.at[11:19]}"
        what = f"{self.what} in {self.where}" if self.where else self.what
        return moment, f"{self.user}/{self.source}", self.verdict, took, what, self.command or "–"


HEAD: Final = ("TIME (UTC)", "WHO", "VERDICT", "TOOK", "WHAT", "COMMAND")


def _begun(record: Mapping[str, Any]) -> AuditEntry:
    def text(name: str) -> str:
        return sanitize(str(record.get(name) or ""))

    given = record.get("targets")
    targets = [sanitize(str(target)) for target in given] if isinstance(given, list) else []
    place = "/".join(filter(None, (text("context"), text("namespace")))) or text("project")
    return AuditEntry(
        at=text("at"),
        user=text("user"),
        source=text("source"),
        what=" ".join((text("verb"), *targets)),
        where=place,
        command=text("command"),
        verdict="refused" if record.get("event") == "refused" else "running",
        reason=text("reason"),
    )


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _ends_whole(path: Path) -> bool:
    if not path.is_file() or not path.stat().st_size:
        return True
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this user id, as in many containers
        return str(os.getuid())
