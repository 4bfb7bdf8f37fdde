"""From process start to the first readable output and to the live table; the programs take turns: noise hits all.

devenv's first output is a picture of the services that were declared last time with their states of now; it is live
once Textual has painted over it.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.figures import Figure
from benchmarks.programs import Program
from benchmarks.stack import Stack

WATCHED = 3.0  # seconds that each start is watched
RATIOS = (  # what of devenv beside what of whom
    ("readable", "lazydocker", "<= 0.5x"),
    ("live", "bare Textual", "<= 1.25x"),
    ("live", "lazydocker", "<= 0.9x"),
)


def measure(stack: Stack, programs: Sequence[Program], runs: int) -> list[Figure]:
    """Start each program `runs` times (and once before, uncounted: caches, and what devenv keeps for the next time)."""
    seconds: dict[tuple[str, str], list[float]] = {}
    for turn in range(runs + 1):
        for program in programs:
            run = program.start(stack)
            run.read_for(WATCHED)
            if turn == 0:
                run.type(b"q" if program.name != "bare Textual" else b"\x11")  # only a clean end keeps a picture
                run.read_for(WATCHED)
            run.close()
            for what, condition in (("readable", program.readable), ("live", program.live)):
                at = run.when(condition)
                if turn and at is not None:
                    seconds.setdefault((what, program.name), []).append(at - run.started)
    figures = []
    for what in ("readable", "live"):
        for name in (program.name for program in programs):
            values = tuple(seconds.get((what, name), ()))
            if what == "readable" or name == "devenv":
                figures.append(Figure(f"start to {what} table", name, values, "s", "", runs - len(values)))
    for what, name, goal in RATIOS:
        ours, theirs = seconds.get((what, "devenv"), []), seconds.get(("readable", name), [])
        if ours and len(ours) == len(theirs):
            ratio = tuple(mine / other for mine, other in zip(ours, theirs, strict=True))
            figures.append(Figure(f"{what}, ratio of pairs", f"devenv / {name}", ratio, "x", goal))
    return figures
