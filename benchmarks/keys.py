"""From a key to the change on the screen: the cursor goes from row to row, and each row is painted anew."""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks.figures import Figure, percentile
from benchmarks.programs import Program
from benchmarks.stack import Stack

SETTLED = 4.0  # seconds after the start
PAUSE = 0.1  # seconds between keys
MOVES = 12  # rows down, and as many up again


def measure(stack: Stack, programs: Sequence[Program], runs: int) -> list[Figure]:
    """Move down and up the table `runs` times in each program that moves by `j` and `k`."""
    figures = []
    for program in programs:
        if program.name == "bare Textual":  # it knows the arrows only
            down, up = b"\x1b[B", b"\x1b[A"
        else:
            down, up = b"j", b"k"
        run = program.start(stack)
        run.read_for(SETTLED)
        seconds: list[float] = []
        missed = 0
        for _ in range(runs):
            for move, key in enumerate([down] * MOVES + [up] * MOVES):
                row = move + 2 if move < MOVES else 2 * MOVES - move
                service = stack.services[row - 1].encode()
                seen = len(run.chunks)
                at = time.monotonic()
                run.type(key)
                run.read_for(1.0, until=lambda data, service=service: service in data)
                if any(service in data for _, data in run.chunks[seen:]):
                    seconds.append(run.chunks[-1][0] - at)
                else:
                    missed += 1
                run.read_for(PAUSE)
        run.close()
        goal = "p95 < 30 ms" if program.name == "devenv" else ""
        name = "key to the row that it chooses"
        figures.append(Figure(name, program.name, tuple(seconds), "s", goal, missed))
        if seconds:
            figures.append(Figure(f"{name}, p95", program.name, (percentile(seconds, 0.95),), "s", goal))
    return figures
