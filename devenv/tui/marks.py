"""Moments for the benchmarks: written as JSON lines when DEVENV_BENCH_MARKS names a file, else nothing at all."""

from __future__ import annotations

import time
from pathlib import Path


class Marks:
    """Writes moments into a file; without one it does nothing."""

    def __init__(self, path: str | None) -> None:
        self._path = Path(path) if path else None
        self._once: set[str] = set()

    @property
    def wanted(self) -> bool:
        """Whether somebody measures."""
        return self._path is not None

    def write(self, mark: str) -> None:
        """Write a moment: `t` in seconds since the epoch, `monotonic` in those of CLOCK_MONOTONIC."""
        if self._path is None:
            return
        import json  # only where somebody measures

        line = json.dumps({"mark": mark, "t": time.time(), "monotonic": time.monotonic()})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def write_once(self, mark: str) -> None:
        """Write a moment the first time only."""
        if mark not in self._once:
            self._once.add(mark)
            self.write(mark)
