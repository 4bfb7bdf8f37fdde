"""From process start to the first paint and to the full table; the programs take turns, so that noise hits both."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.figures import Figure
from benchmarks.programs import Program
from benchmarks.stack import Stack

WATCHED = 3.0  # seconds that each start is watched


def anything(screen: Sequence[str]) -> bool:
    """Whether anything was painted."""
    return any(line.strip() for line in screen)


def measure(stack: Stack, programs: Sequence[Program], runs: int) -> list[Figure]:
    """Start each program `runs` times (and once before, uncounted: disk caches)."""
    painted: dict[str, list[float | None]] = {program.name: [] for program in programs}
    full: dict[str, list[float | None]] = {program.name: [] for program in programs}
    for turn in range(runs + 1):
        for program in programs:
            run = program.start(stack)
            run.read_for(WATCHED)
            run.close()
            if turn == 0:
                continue
            for seen, condition in ((painted, anything), (full, program.populated)):
                at = run.when(condition)
                seen[program.name].append(None if at is None else at - run.started)
    figures = []
    for name, table, goal in (("first paint", painted, "< 0.35 s"), ("populated table", full, "<= 0.75x lazydocker")):
        for program in programs:
            values = tuple(value for value in table[program.name] if value is not None)
            missed = len(table[program.name]) - len(values)
            figures.append(Figure(name, program.name, values, "s", goal if program.name == "devenv" else "", missed))
    if len(programs) > 1 and all(value is not None for values in full.values() for value in values):
        pairs = zip(full[programs[0].name], full[programs[1].name], strict=True)
        ratios = tuple(ours / theirs for ours, theirs in pairs if ours is not None and theirs)
        figures.append(Figure("populated, ratio of pairs", "devenv/lazydocker", ratios, "x", "<= 0.75x"))
    return figures
