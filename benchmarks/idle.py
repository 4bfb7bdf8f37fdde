"""What a program costs while nothing happens but health checks: its own CPU, the engine's, and its memory."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from benchmarks.figures import Figure
from benchmarks.programs import Program
from benchmarks.stack import Stack

GROWN = 60.0  # seconds: a younger container shows its age by the second, which is not idling
WARM = 5.0  # seconds after the start that do not count
MB = 1_000_000


def engine_process() -> psutil.Process | None:
    """The dockerd of this machine, where it can be seen."""
    return next((process for process in psutil.process_iter(["name"]) if process.info["name"] == "dockerd"), None)


def cpu_seconds(process: psutil.Process | None) -> float:
    """User and system time of the process and its children so far."""
    if process is None:
        return float("nan")
    times = process.cpu_times()
    children = sum(sum(child.cpu_times()[:2]) for child in process.children(recursive=True))
    return times.user + times.system + times.children_user + times.children_system + children


def wake_ups(process: psutil.Process) -> int:
    """How often its threads went to sleep so far, and its children's: each time something had woken them."""
    return sum(
        int(line.split()[1])
        for part in (process, *process.children(recursive=True))
        for status in Path(f"/proc/{part.pid}/task").glob("*/status")
        for line in status.read_text().splitlines()
        if line.startswith("voluntary_ctxt_switches")
    )


def measure(stack: Stack, programs: list[Program], seconds: float) -> list[Figure]:
    """Watch the engine alone, then each program with the engine, for that long each."""
    time.sleep(GROWN)
    engine = engine_process()
    before = cpu_seconds(engine)
    time.sleep(seconds)
    baseline = (cpu_seconds(engine) - before) / seconds * 100
    figures = [Figure("dockerd CPU alone", "-", (baseline,), "%")]
    for program in programs:
        run = program.start(stack)
        run.read_for(WARM)
        process = psutil.Process(run.pid)
        own, theirs = cpu_seconds(process), cpu_seconds(engine)
        woken = wake_ups(process)
        written = sum(len(data) for _, data in run.chunks)
        run.read_for(seconds)
        ours = program.name == "devenv"
        own_load = (cpu_seconds(process) - own) / seconds * 100
        engine_load = (cpu_seconds(engine) - theirs) / seconds * 100
        woken = wake_ups(process) - woken
        drawn = sum(len(data) for _, data in run.chunks) - written
        resident = sum(part.memory_info().rss for part in (process, *process.children(recursive=True)))
        run.close()
        figures += [
            Figure("idle CPU", program.name, (own_load,), "%", "<= bare + 0.5 %" if ours else ""),
            Figure("wake-ups while idle", program.name, (woken / seconds,), "a second"),
            Figure("dockerd CPU over baseline", program.name, (engine_load - baseline,), "%", "< +1 %" if ours else ""),
            Figure("drawn while idle", program.name, (drawn / seconds,), "B/s"),
            Figure("memory (RSS)", program.name, (resident / MB,), "MB", "< 90 MB" if ours else ""),
        ]
    return figures
