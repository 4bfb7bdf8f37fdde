"""The knee: the highest rate that the stack follows, found by steps of the open model, and its use at half of it."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.stack_load import Measured, measure, time_below
from benchmarks.stack_project import PORTS, RunningStack
from benchmarks.tables import print_rows

FIRST = 40.0  # requests a second of the first step
GROWTH = 1.25
MOST = 16  # steps
# As the load tests' shape `step` says it (docs/LOADTESTS.md): answered share, failed share, p95 over the first step's.
ANSWERED, FAILED, SLOWED = 0.9, 0.01, 5.0


def find(stacks: Sequence[RunningStack], seconds: float) -> None:
    """Print the steps of each variant up to the first that it does not follow, and a long run at half of the knee."""
    for stack in stacks:
        measure(stack, seconds, rate=FIRST)  # fills caches and connection pools
        steps: list[tuple[float, Measured]] = []
        knee, rate = 0.0, FIRST
        for _ in range(MOST):
            found = measure(stack, seconds, rate=rate, probed=True)
            steps.append((rate, found))
            if not _follows(rate, found, steps[0][1]):
                break
            knee, rate = rate, rate * GROWTH
        half = measure(stack, 3 * seconds, rate=knee / 2, probed=True)
        print(f"\n{stack.variant.name}: the knee is at {knee:.0f} requests a second\n")
        print_rows(_HEADER, [_row(rate, found) for rate, found in (*steps, (knee / 2, half))])


def _follows(rate: float, found: Measured, first: Measured) -> bool:
    load = found.load
    offered = rate * load.seconds
    lost = load.failures + len(load.refused)
    slow = time_below(load.served, 0.95) >= SLOWED * time_below(first.load.served, 0.95)
    return len(load.served) >= ANSWERED * offered and lost < FAILED * offered and not slow


_HEADER = (
    "rate", "served/s", "p50 ms", "p95 ms", "p99 ms", "refused", "failed", "late", "frontend cores", "throttled",
    "MB", "backend cores", "throttled", "MB", "frontend probes p99 ms", "backend probes p99 ms", "generator",
)  # fmt: skip


def _row(rate: float, found: Measured) -> tuple[str, ...]:
    load = found.load
    cells = [
        f"{rate:.0f}",
        f"{load.rps:.0f}",
        *(f"{time_below(load.served, share):.1f}" for share in (0.5, 0.95, 0.99)),
        str(len(load.refused)),
        str(load.failures),
        str(load.late),
    ]
    for service in reversed(PORTS):
        memory = found.memory[service] / 1e6
        cells += [f"{found.cores(service):.2f}", f"{found.throttled[service]:.0%}", f"{memory:.0f}"]
    cells += [f"{time_below(found.probes[service].served, 0.99):.0f}" for service in reversed(PORTS)]
    return (*cells, f"{load.cpu:.0%}")
