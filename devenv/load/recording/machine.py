"""What this machine and this process use of their processors, from Linux's /proc (proc(5): stat)."""

from __future__ import annotations

import os
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_IDLE = (3, 4)  # fields of the line `cpu`: idle and iowait


class Machine:
    """Two readings make a rate; `read` returns cores in use, None where /proc/stat is not there."""

    def __init__(self, stat: Path = _STAT) -> None:
        self._stat = stat
        self.cores = os.cpu_count() or 1
        self._before = self._ticks()

    def read(self) -> float | None:
        """Return the cores in use since the last call."""
        before, self._before = self._before, self._ticks()
        if before is None or self._before is None:
            return None
        spent, busy = self._before[0] - before[0], self._before[1] - before[1]
        return round(self.cores * busy / spent, 3) if spent > 0 else None

    def _ticks(self) -> tuple[int, int] | None:
        if not self._stat.is_file():
            return None
        fields = [int(word) for word in self._stat.read_text("ascii").split("\n", 1)[0].split()[1:9]]
        return sum(fields), sum(value for index, value in enumerate(fields) if index not in _IDLE)


class Own:
    """The CPU of this process, as a share of one core since the last call."""

    def __init__(self) -> None:
        self._before = (time.monotonic(), time.process_time())

    def read(self) -> float:
        """Return the share."""
        before, self._before = self._before, (time.monotonic(), time.process_time())
        spent = self._before[0] - before[0]
        return (self._before[1] - before[1]) / spent if spent > 0 else 0.0
