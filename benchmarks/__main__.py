"""devenv and its rivals: `python -m benchmarks [--runs N] [--idle SECONDS] [--only start,event,keys,acts,calls,idle]`.

Without `--only` also `many`: the same with ten times as many containers.
"""

from __future__ import annotations

import argparse
import os
import platform

from benchmarks import acts, calls, event, idle, keys, start
from benchmarks.figures import Figure, print_table
from benchmarks.programs import programs
from benchmarks.stack import FEW, MANY, base_image, running_stack


def main() -> None:
    """Bring a stack up, run the chosen measurements on it; then the same with ten times as many containers."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--runs", type=int, default=10, help="starts, crashes and commands of each program")
    parser.add_argument("--idle", type=float, default=30.0, help="seconds of idling that are measured")
    parser.add_argument("--only", default="start,event,keys,acts,calls,idle,many", help="which, separated by commas")
    arguments = parser.parse_args()
    chosen = set(arguments.only.split(","))
    image, figures = base_image(), {}
    for services in (FEW, MANY) if "many" in chosen else (FEW,):
        figures[services] = of_a_stack(image, services, chosen, arguments.runs, arguments.idle)
    for services, measured in figures.items():
        print(f"{services} health-checked containers")
        print_table(measured)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}")


def of_a_stack(image: str, services: int, chosen: set[str], runs: int, seconds: float) -> list[Figure]:
    """Measure what was chosen on a stack of so many containers; of many not what does not grow with them."""
    figures: list[Figure] = []
    measured = programs(services)
    with running_stack(image, services) as stack:
        if "start" in chosen:
            figures += start.measure(stack, measured, runs)
        if "event" in chosen and services == FEW:
            for program in measured:
                if program.name != "bare Textual":
                    figures += event.measure(stack, program, runs)
        if "keys" in chosen:
            figures += keys.measure(stack, measured, runs)
        if "acts" in chosen and services == FEW:
            figures += acts.measure(stack, measured[0], runs)
        if "calls" in chosen and services == FEW:
            figures += calls.measure(stack, runs)
        if "idle" in chosen:
            figures += idle.measure(stack, measured, seconds)
    return figures


if __name__ == "__main__":
    main()
