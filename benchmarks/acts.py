"""From an act's key to the first thing that it changes on the screen: a question, a note, the bar of what runs."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

import pyte

from benchmarks.figures import Figure, percentile
from benchmarks.programs import Program
from benchmarks.stack import Stack
from benchmarks.terminal import UNKNOWN_TO_PYTE, TerminalRun
from devenv.tui.action_table import ACTIONS, OF_PROJECT, UserAction

SETTLED = 4.0  # seconds after the start
PATIENCE = 1.0  # seconds that a change may take; later ones are not seen
ENDED = 20.0  # seconds that a change of the stack may go on
# The shell takes the terminal, and quitting ends it; here is nothing to cancel, to open in a browser, or to deploy.
LEFT_OUT = frozenset({"shell", "leave", "drop", "browse", "deploy"})
LAST = ("stop", "start")  # the others need a service that runs
_BYTES = {"question_mark": b"?", "exclamation_mark": b"!"}


def measured() -> list[UserAction]:
    """Return the acts on a project that have a key and do something here, in an order in which each makes sense."""
    acts = [one for one in ACTIONS if one.group == OF_PROJECT and one.key and one.name not in LEFT_OUT]
    return sorted(acts, key=lambda one: LAST.index(one.name) if one.name in LAST else -1)


def typed(action: UserAction) -> bytes:
    """Return what a terminal sends for the act's key."""
    if action.key.startswith("ctrl+"):
        return bytes([ord(action.key[-1]) & 0x1F])
    return _BYTES.get(action.key, action.key.encode())


def words(screen: Sequence[str]) -> frozenset[str]:
    """Return the words of a screen: ages and figures change by themselves, words do not."""
    return frozenset(re.findall(r"[A-Za-z?]{2,}", " ".join(screen)))


class Watched:
    """The screen of a run, drawn as far as it was read."""

    def __init__(self, run: TerminalRun) -> None:
        self._run = run
        self._screen = pyte.Screen(run.columns, run.lines)
        self._stream = pyte.ByteStream(self._screen)
        self._drawn = 0

    def draw(self, before: frozenset[str] = frozenset()) -> float | None:
        """Draw what was read since, and return when a word came that is none of `before`."""
        first = None
        for at, data in self._run.chunks[self._drawn :]:
            self._stream.feed(UNKNOWN_TO_PYTE.sub(b"", data))
            if first is None and before and words(self._screen.display) - before:
                first = at
        self._drawn = len(self._run.chunks)
        return first

    @property
    def lines(self) -> Sequence[str]:
        """What is on it."""
        return self._screen.display

    def press(self, keys: bytes) -> float | None:
        """Type, and return the seconds to the first change; None where nothing changed."""
        self.draw()
        before = words(self.lines)
        at = time.monotonic()
        self._run.type(keys)
        self._run.read_for(PATIENCE)
        changed = self.draw(before)
        return None if changed is None else changed - at

    def settle(self) -> None:
        """Answer what is asked by no, close what is open, and wait until nothing runs any more."""
        self._run.type(b"\x1b\x1b")
        until = time.monotonic() + ENDED
        while time.monotonic() < until:
            self._run.read_for(PATIENCE / 2)
            self.draw()
            if not any("x cancel" in line for line in self.lines):
                return


def measure(stack: Stack, program: Program, runs: int) -> list[Figure]:
    """Press each act's key `runs` times; a question is answered by no, what needs none is done."""
    run = program.start(stack)
    run.read_for(SETTLED)
    watched = Watched(run)
    seconds: dict[str, list[float]] = {action.name: [] for action in measured()}
    missed = dict.fromkeys(seconds, 0)
    for _ in range(runs):
        for action in measured():
            for _again in range(2 if action.name in ("pause", "watch") else 1):  # and what it was before
                took = watched.press(typed(action))
                watched.settle()
                if took is None:
                    missed[action.name] += 1
                else:
                    seconds[action.name].append(took)
    run.close()
    name, goal = "key to the first change", "p95 < 0.1 s"
    figures = [
        Figure(f"{name}: {act}", program.name, tuple(took), "s", failed=missed[act]) for act, took in seconds.items()
    ]
    every = tuple(one for took in seconds.values() for one in took)
    whole = Figure(f"{name}, p95 of all", program.name, (percentile(every, 0.95),), "s", goal, sum(missed.values()))
    return [*figures, whole]
