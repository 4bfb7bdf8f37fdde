"""`python -m benchmarks.bench_stack`: what docsearch costs a request, where its knee is, and what it does beyond.

Variants are brought up side by side, as throw-away projects, and take turns, so that noise is shared. The most robust
figure is CPU a request, from the containers' own counters; times need a machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks import stack_knee, stack_overload
from benchmarks.stack import ROOT
from benchmarks.stack_load import Measured, measure, time_below
from benchmarks.stack_project import PORTS, RunningStack, Variant, running
from benchmarks.tables import print_rows

CLIENTS = 16  # connections at saturation
FORM = "NAME[,folder=F][,tag=T][,postgres][,SERVICE.cpus=N][,SERVICE.workers=N][,SERVICE.VARIABLE=V]..."


def compare(stacks: Sequence[RunningStack], rounds: int, seconds: float, rate: float) -> None:
    """Measure each variant at a modest rate and at saturation, in turns; prints a row each, medians of the rounds."""
    modest: dict[str, list[Measured]] = {stack.variant.name: [] for stack in stacks}
    full: dict[str, list[Measured]] = {stack.variant.name: [] for stack in stacks}
    for number in range(rounds + 1):
        for stack in stacks:
            steady = measure(stack, seconds, rate=rate)
            pressed = measure(stack, seconds, connections=CLIENTS, probed=True)
            if number:  # the first round fills caches and connection pools
                modest[stack.variant.name].append(steady)
                full[stack.variant.name].append(pressed)
    header = (
        "variant", "frontend CPU ms", "backend CPU ms", f"p50 ms at {rate:g}/s", "p95 ms", "bytes",
        "rps full", "p95 ms full", "frontend CPU ms full", "backend CPU ms full", "frontend probes p99 ms",
        "backend probes p99 ms", "refused", "failed", "generator",
    )  # fmt: skip
    print_rows(header, [_row(name, modest[name], full[name]) for name in modest])


def _row(name: str, modest: Sequence[Measured], full: Sequence[Measured]) -> tuple[str, ...]:
    def middle(values: Sequence[float], digits: int = 2) -> str:
        return f"{statistics.median(values):.{digits}f}"

    both = (*modest, *full)
    return (
        name,
        middle([one.cost("frontend") for one in modest]),
        middle([one.cost("backend") for one in modest]),
        middle([time_below(one.load.served, 0.5) for one in modest], 1),
        middle([time_below(one.load.served, 0.95) for one in modest], 1),
        middle([one.load.received / max(1, len(one.load.served)) for one in modest], 0),
        middle([one.load.rps for one in full], 0),
        middle([time_below(one.load.served, 0.95) for one in full], 0),
        middle([one.cost("frontend") for one in full]),
        middle([one.cost("backend") for one in full]),
        *(middle([time_below(one.probes[service].served, 0.99) for one in full], 0) for service in reversed(PORTS)),
        str(sum(len(one.load.refused) for one in both)),
        str(sum(one.load.failures for one in both)),
        f"{max(one.load.cpu for one in full):.0%}",
    )


def _variant(text: str) -> Variant:
    """Parse a variant as FORM says."""
    name, *parts = text.split(",")
    folder, tag, postgres = ROOT / "compose", "dev", False
    environment: dict[str, dict[str, str]] = {service: {} for service in PORTS}
    cpus: dict[str, float] = {}
    workers: dict[str, int] = {}
    for part in parts:
        key, _, value = part.partition("=")
        service, _, variable = key.partition(".")
        if key == "folder":
            folder = Path(value).resolve()
        elif key == "tag":
            tag = value
        elif key == "postgres":
            postgres = True
        elif service not in PORTS or not variable:
            raise argparse.ArgumentTypeError(f"{part!r} is not known: write {FORM}")
        elif variable == "cpus":
            cpus[service] = float(value)
        elif variable == "workers":
            workers[service] = int(value)
        else:
            environment[service][variable] = value
    return Variant(name, folder, tag, postgres, environment, cpus, workers)


def main() -> None:
    """Bring the variants up and run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_stack", description=__doc__)
    shipped = [Variant("shipped")]
    parser.add_argument("variant", nargs="*", type=_variant, default=shipped, help=f"{FORM}; default: shipped")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each variant after one that does not count")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each load")
    parser.add_argument("--rate", type=float, default=30.0, help="requests a second of the modest load")
    parser.add_argument("--documents", type=int, default=3000)
    parser.add_argument("--knee", action="store_true", help="find the knee instead, and measure at half of it")
    parser.add_argument("--overload", type=float, metavar="RATE", help="offer so many requests a second instead")
    arguments = parser.parse_args()
    with running(arguments.variant, arguments.documents) as stacks:
        if arguments.knee:
            stack_knee.find(stacks, arguments.seconds)
        elif arguments.overload:
            stack_overload.press(stacks, arguments.overload, 3 * arguments.seconds)
        else:
            compare(stacks, arguments.rounds, arguments.seconds, arguments.rate)
        idle = "; ".join(
            f"{stack.variant.name} idle: " + ", ".join(f"{name} {used:.3f}" for name, used in stack.idle.items())
            for stack in stacks
        )
    print(f"\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {arguments.documents} documents; cores: {idle}")


if __name__ == "__main__":
    main()
