"""What a search for secrets found. No record here ever holds a secret's value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Leak:
    """One secret where it should not be. `file` is a path, or an image with the layer's path in it."""

    file: str
    line: int
    name: str
    what: str
    shown: str
    fix: str


@dataclass(frozen=True, slots=True)
class SecretsReport:
    """One search. `files` and `images` say how much was looked at."""

    leaks: tuple[Leak, ...]
    files: int
    images: int
    unchecked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """passed, failed or inconclusive."""
        if self.leaks:
            return "failed"
        return "inconclusive" if self.unchecked else "passed"


@dataclass(frozen=True, slots=True)
class Need:
    """One Secret that a rendering needs."""

    overlay: str
    namespace: str
    secret: str
    keys: tuple[str, ...]
    used_by: tuple[str, ...]
    optional: bool
    provided_by: str  # empty: nothing that was asked knows it
