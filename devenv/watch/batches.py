"""What changed, gathered until it is quiet: a continuous writer does not put a batch off for ever."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from devenv.watch.observe import Kind, PathEvent

QUIET = 0.05  # seconds without a change that end a batch: editors and git write the next file within 10 ms
LONGEST = 1.0  # seconds after the first change at which a batch ends in any case
_AN_EVENT_LATE = 2.0  # seconds: a file that was changed longer before its event was not saved just now


@dataclass(frozen=True, slots=True)
class Batch:
    """Changed paths, and when the first was saved and noticed (seconds since the epoch)."""

    paths: Mapping[str, PathEvent]
    saved: float
    noticed: float


class Batches:
    """Gathers events of one service: `add` from any thread, `take` from the one that works on them."""

    def __init__(
        self, quiet: float = QUIET, longest: float = LONGEST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._quiet, self._longest, self._clock = quiet, longest, clock
        self._changed = threading.Condition()
        self._paths: dict[str, PathEvent] = {}
        self._first = self._last = 0.0
        self._saved = self._noticed = 0.0
        self._poked = self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the end was asked for."""
        return self._closed

    @property
    def waiting(self) -> bool:
        """Whether something is there to be worked on, or the end was asked for."""
        return bool(self._paths) or self._poked or self._closed

    def add(self, seen: PathEvent) -> None:
        """Take one event. The first of a path says whether it was there before."""
        now = self._clock()
        with self._changed:
            if not self._paths:
                self._first = now
                self._noticed = time.time()
                self._saved = _saved_at(seen, self._noticed)
            first = self._paths.get(seen.path)
            self._paths[seen.path] = seen if first is None else PathEvent(seen.path, first.kind, seen.is_folder)
            self._last = now
            self._changed.notify()

    def poke(self) -> None:
        """Let `take` return without a change: the containers may be others."""
        with self._changed:
            self._poked = True
            self._changed.notify()

    def close(self) -> None:
        """Let `take` return None from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def take(self) -> Batch | None:
        """Wait for a batch, which is without paths after a poke; None after `close`."""
        with self._changed:
            while not self._closed:
                if self._paths:
                    left = min(self._last + self._quiet, self._first + self._longest) - self._clock()
                    if left <= 0:
                        paths, self._paths = self._paths, {}
                        return Batch(paths, self._saved, self._noticed)
                    self._changed.wait(left)
                elif self._poked:
                    self._poked = False
                    now = time.time()
                    return Batch({}, now, now)
                else:
                    self._changed.wait()
            return None


def _saved_at(seen: PathEvent, noticed: float) -> float:
    """Return when a file was saved: its status change is set by writes and renames alike, and by nobody's choice."""
    if seen.kind is Kind.DELETED:
        return noticed
    try:
        changed = os.lstat(seen.path).st_ctime
    except OSError:
        return noticed
    return changed if 0 <= noticed - changed <= _AN_EVENT_LATE else noticed
