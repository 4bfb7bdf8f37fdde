"""Overload: several times what the stack can do, for a while, and how soon it is well again."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.stack_load import PROBE_PATIENCE, Measured, Outcome, measure, time_below
from benchmarks.stack_project import PORTS, RunningStack
from benchmarks.tables import print_rows

CALM = 20.0  # requests a second before and after
AFTER = 20.0  # seconds in which it should recover


def press(stacks: Sequence[RunningStack], rate: float, seconds: float) -> None:
    """Print what became of the load, of the probes meanwhile, and when p95 was as before again."""
    rows = []
    for stack in stacks:
        measure(stack, AFTER / 2, rate=CALM)
        before = measure(stack, AFTER / 2, rate=CALM)
        pressed = measure(stack, seconds, rate=rate, probed=True)
        after = measure(stack, AFTER, rate=CALM)
        rows.append(_row(stack.variant.name, before, pressed, after))
    header = (
        "variant", "offered/s", "served/s", "p50 ms", "p95 ms", "p99 ms", "refused", "refusal p95 ms", "failed", "late",
        "frontend probes p99 ms", "failed", "backend probes p99 ms", "failed", "frontend cores", "throttled", "MB",
        "backend cores", "throttled", "MB", "well after s", "failed after", "generator",
    )  # fmt: skip
    print_rows(header, rows)


def _row(name: str, before: Measured, pressed: Measured, after: Measured) -> tuple[str, ...]:
    load = pressed.load
    offered = len(load.served) + len(load.refused) + load.failures
    cells = [
        name,
        f"{offered / load.seconds:.0f}",
        f"{load.rps:.0f}",
        *(f"{time_below(load.served, share):.0f}" for share in (0.5, 0.95, 0.99)),
        f"{len(load.refused) / offered:.0%}",
        f"{time_below(load.refused, 0.95):.0f}",
        f"{load.failures / offered:.1%}",
        str(load.late),
    ]
    for service in reversed(PORTS):
        probes = pressed.probes[service]
        cells += [f"{time_below(probes.served, 0.99):.0f}", str(_missed(probes))]
    for service in reversed(PORTS):
        cells += [f"{pressed.cores(service):.2f}", f"{pressed.throttled[service]:.0%}"]
        cells.append(f"{pressed.memory[service] / 1e6:.0f}")
    recovered = _recovered(after.load, 2 * time_below(before.load.served, 0.95))
    return (*cells, recovered, str(after.load.failures + len(after.load.refused)), f"{load.cpu:.0%}")


def _missed(probes: Outcome) -> int:
    return probes.failures + len(probes.refused) + sum(took > 1000 * PROBE_PATIENCE for _, took in probes.served)


def _recovered(load: Outcome, limit: float) -> str:
    """Return the second after which every later one had a p95 below the limit (milliseconds)."""
    slow = [
        second
        for second in range(int(load.seconds))
        if not time_below([one for one in load.served if second <= one[0] < second + 1], 0.95) <= limit
    ]
    return str(slow[-1] + 1) if slow else "0"
