"""Commands as whole processes, beside Compose's for the same, in turns."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.figures import Figure, in_turn
from benchmarks.programs import environment
from benchmarks.stack import Stack

GOAL = "<= 1.3x"
SERVICE = "worker001"
CALLS = (  # devenv's, and Compose's
    (("status",), ("ps",)),
    (("up",), ("up", "--detach")),
    (("logs", "--tail", "10", SERVICE), ("logs", "--tail", "10", SERVICE)),
)


def measure(stack: Stack, runs: int) -> list[Figure]:
    """Run each pair `runs` times, and once before."""

    def seconds(command: Sequence[str]) -> float:
        began = time.perf_counter()
        subprocess.run(command, cwd=stack.folder, env=environment(), check=True, capture_output=True)
        return time.perf_counter() - began

    figures = []
    for ours, theirs in CALLS:
        commands = {"devenv": (sys.executable, "-m", "devenv", *ours), "compose": ("docker", "compose", *theirs)}
        times = in_turn(runs + 1, **{name: (lambda c=command: seconds(c)) for name, command in commands.items()})
        own, others = times["devenv"][1:], times["compose"][1:]
        ratio = tuple(mine / other for mine, other in zip(own, others, strict=True))
        figures += [
            Figure("a whole process", f"devenv {ours[0]}", own, "s"),
            Figure("a whole process", f"docker compose {theirs[0]}", others, "s"),
            Figure("ratio of pairs", f"devenv {ours[0]} / Compose's", ratio, "x", GOAL),
        ]
    return figures
