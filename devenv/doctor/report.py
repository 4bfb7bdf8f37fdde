"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is; only FAILED makes `devenv doctor` exit with 1."""

    OK = "ok"
    WARNING = "warning"  # works now, will annoy later
    FAILED = "failed"
    UNKNOWN = "unknown"  # could not be checked; the message says why


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result: `check` is its stable id, `fix` what to do (a command where there is one)."""

    check: str
    level: Level
    message: str
    fix: str = ""
