"""Stages as they run: each is timed, told when it begins and ends, and kept however it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from devenv.control.deploy.records import Stage, Status
from devenv.core.errors import DevenvError


@dataclass(slots=True)
class Note:
    """What a running stage will say of itself at its end; the stage's code writes it."""

    text: str = ""
    status: Status = Status.DONE
    details: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Stages:
    """All stages of one deployment so far. `begun` and `ended` are told to whoever shows them."""

    begun: Callable[[str], None] = lambda name: None
    ended: Callable[[Stage], None] = lambda stage: None
    clock: Callable[[], float] = time.monotonic
    done: list[Stage] = field(default_factory=list)
    running: str = ""

    @contextmanager
    def stage(self, name: str) -> Iterator[Note]:
        """Time the block. An error makes the stage failed, with the error's words, and passes on."""
        note, began, self.running = Note(), self.clock(), name
        self.begun(name)
        try:
            yield note
        except BaseException as error:
            words = error.message if isinstance(error, DevenvError) else "interrupted"
            if not isinstance(error, DevenvError | KeyboardInterrupt):
                words = f"devenv itself failed: {error!r}"
            self._add(Stage(name, Status.FAILED, self.clock() - began, words, tuple(note.details)))
            raise
        else:
            self._add(Stage(name, note.status, self.clock() - began, note.text, tuple(note.details)))
            self.running = ""

    def skip(self, name: str, why: str) -> None:
        """Keep that a stage was not run, and why."""
        self._add(Stage(name, Status.SKIPPED, 0.0, why))

    def _add(self, stage: Stage) -> None:
        self.done.append(stage)
        self.ended(stage)
