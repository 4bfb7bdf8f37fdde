"""Runs a generator against a variant and measures what both sides did meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.figures import percentile
from benchmarks.stack import ROOT
from benchmarks.stack_mix import Request, get
from benchmarks.stack_project import PORTS, RunningStack, Usage

PROBES_A_SECOND = 10
PROBE_PATIENCE = 2.0  # seconds: the timeout of the liveness probes in k8s/


@dataclass(frozen=True)
class Outcome:
    """What became of a generator's requests; times in milliseconds, each with the second in which it was due."""

    seconds: float
    served: list[tuple[float, float]]
    refused: list[tuple[float, float]]
    failed: Counter[str]
    received: int
    late: int
    cpu: float  # the generator's share of a core

    @property
    def rps(self) -> float:
        """Requests served a second."""
        return len(self.served) / self.seconds

    @property
    def failures(self) -> int:
        """Requests without a proper answer: neither served nor refused with Retry-After."""
        return self.failed.total()


@dataclass
class Measured:
    """One load on one variant."""

    load: Outcome
    cpu: dict[str, float]  # core-seconds a service used in it
    throttled: dict[str, float]  # share of its CPU limit's periods in which a service was stopped
    memory: dict[str, float]  # most bytes that were seen
    idle: dict[str, float]  # cores that a service uses without load
    probes: dict[str, Outcome] = field(default_factory=dict)

    def cost(self, service: str) -> float:
        """CPU milliseconds a request that was served, without what the service uses when it is idle."""
        used = self.cpu[service] - self.idle[service] * self.load.seconds
        return 1000 * used / max(1, len(self.load.served))

    def cores(self, service: str) -> float:
        """Cores in use."""
        return self.cpu[service] / self.load.seconds


def time_below(times: Sequence[tuple[float, float]], share: float) -> float:
    """Return a percentile of the times."""
    return percentile((took for _, took in times), share)


def measure(
    stack: RunningStack, seconds: float, *, rate: float = 0.0, connections: int = 0, probed: bool = False
) -> Measured:
    """Send the mix to the frontend, at a rate or over so many connections; with `probed` ask the probes meanwhile."""
    services = tuple(stack.containers)
    before = {service: stack.usage(service) for service in services}
    highest = {service: before[service].memory for service in services}
    process = _start(stack, "frontend", stack.requests, seconds, rate=rate, connections=connections)
    probing = {
        service: _start(stack, service, [get("/health", True), get("/ready", True)], seconds, rate=PROBES_A_SECOND)
        for service in (PORTS if probed else ())
    }
    over = threading.Event()
    after: dict[str, Usage] = {}

    def sample() -> None:
        began = time.monotonic()
        while not over.wait(max(0.0, min(1.0, began + seconds - time.monotonic()))):
            last = time.monotonic() - began >= seconds
            for service in services:
                now = stack.usage(service)
                highest[service] = max(highest[service], now.memory)
                if last:
                    after[service] = now
            if last:
                return

    sampling = threading.Thread(target=sample, name="usage")
    sampling.start()
    try:
        load = _outcome(process)
        probes = {service: _outcome(one) for service, one in probing.items()}
        sampling.join()
    finally:
        over.set()
        for one in (process, *probing.values()):
            if one.poll() is None:
                one.kill()
                one.wait()
    return Measured(
        load,
        {service: after[service].cpu - before[service].cpu for service in services},
        {service: _throttled(before[service], after[service]) for service in services},
        highest,
        stack.idle,
        probes,
    )


def _throttled(before: Usage, after: Usage) -> float:
    return (after.throttled - before.throttled) / max(1, after.periods - before.periods)


def _start(
    stack: RunningStack,
    service: str,
    requests: Sequence[Request],
    seconds: float,
    rate: float = 0.0,
    connections: int = 0,
) -> subprocess.Popen[str]:
    plan = {
        "host": stack.addresses[service],
        "port": PORTS[service],
        "requests": requests,
        "seconds": seconds,
        "rate": rate,
        "connections": connections,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.stack_generator"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(plan))
    process.stdin.close()
    return process


def _outcome(process: subprocess.Popen[str]) -> Outcome:
    assert process.stdout is not None
    told: dict[str, Any] = json.loads(process.stdout.read())
    process.wait()
    return Outcome(
        told["seconds"],
        [(at, 1000 * took) for at, took, _ in told["served"]],
        [(at, 1000 * took) for at, took in told["refused"]],
        Counter(told["failed"]),
        told["received"],
        told["late"],
        told["cpu"],
    )
