"""From a crash to the screen: the main process is killed from the host's side, the row must say so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence

from benchmarks.figures import Figure
from benchmarks.programs import Program
from benchmarks.stack import Stack

SETTLED = 2.5  # seconds from start until the program has surely subscribed to events
CRASHED = ("exited", "restarting", "137")


def row_shows_crash(service: str) -> Callable[[Sequence[str]], bool]:
    """Whether the service's row says in one of the usual words that it crashed."""

    def shown(screen: Sequence[str]) -> bool:
        return any(service in line and any(word in line for word in CRASHED) for line in screen)

    return shown


def die_event(stack: Stack, service: str, since: float) -> float:
    """Wall-clock time of the container's `die` event after `since`, by the engine's own clock."""
    told = subprocess.run(
        [
            *("docker", "events", "--since", f"{since:.6f}", "--until", f"{time.time():.6f}"),
            *("--filter", "event=die", "--filter", f"container={stack.project}-{service}-1", "--format", "{{json .}}"),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return float(json.loads(told.stdout.splitlines()[0])["timeNano"]) / 1e9


def measure(stack: Stack, program: Program, runs: int) -> list[Figure]:
    """Crash `runs` different services, one after the other, in one run of the program."""
    run = program.start(stack)
    run.read_for(SETTLED)
    from_crash: list[float] = []
    from_event: list[float] = []
    missed = 0
    for service in stack.services[: min(runs, program.rows)]:
        wall = time.time()
        killed = time.monotonic()
        os.kill(stack.pid(service), signal.SIGKILL)
        run.read_for(1.5)
        at = run.when(row_shows_crash(service), after=killed)
        if at is None:
            missed += 1
            continue
        from_crash.append(at - killed)
        from_event.append(wall + (at - killed) - die_event(stack, service, wall))
    run.close()
    ours = program.name == "devenv"
    return [
        Figure("crash to screen", program.name, tuple(from_crash), "s", "< 0.3 s" if ours else "", missed),
        Figure("event to screen", program.name, tuple(from_event), "s", "< 0.15 s" if ours else "", missed),
    ]
