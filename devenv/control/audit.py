"""The audit log: every change that was asked for, allowed or refused, and how it ended. JSON lines, one a record."""

from __future__ import annotations

import getpass
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct, field

from devenv.core.stored import state_folder

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
        line = json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self.path.exists() and self.path.stat().st_size >= ROTATE_AT:
                self.path.replace(self.path.with_suffix(".jsonl.1"))
            # A pipe that nobody reads is not waited for.
            # One write of one line to a file opened for appending: records of several processes do not mix.
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)
            try:
                os.write(handle, line)
            finally:
                os.close(handle)
        except OSError as error:
            return f"the audit log {self.path} cannot be written: {error.strerror}"
        return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this user id, as in many containers
        return str(os.getuid())
