"""`python -m benchmarks [--runs N] [--idle SECONDS] [--only start,event,idle]`: measure, then print one table."""

from __future__ import annotations

import argparse
import os
import platform

from benchmarks import event, idle, start
from benchmarks.figures import Figure, print_table
from benchmarks.programs import programs
from benchmarks.stack import SERVICES, base_image, running_stack


def main() -> None:
    """Bring the stack up once and run the chosen measurements on it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--runs", type=int, default=10, help="starts, and crashes, of each program")
    parser.add_argument("--idle", type=float, default=30.0, help="seconds of idling that are measured")
    parser.add_argument("--only", default="start,event,idle", help="which measurements, separated by commas")
    arguments = parser.parse_args()
    chosen = set(arguments.only.split(","))
    figures: list[Figure] = []
    with running_stack(base_image()) as stack:
        measured = programs()
        if "start" in chosen:
            figures += start.measure(stack, measured, arguments.runs)
        if "event" in chosen:
            for program in measured:
                figures += event.measure(stack, program, arguments.runs)
        if "idle" in chosen:
            figures += idle.measure(stack, measured, arguments.idle)
    load = os.getloadavg()[0]
    print(
        f"{len(SERVICES)} health-checked containers; {os.cpu_count()} cores, load {load:.1f}; "
        f"Python {platform.python_version()}"
    )
    print_table(figures)


if __name__ == "__main__":
    main()
