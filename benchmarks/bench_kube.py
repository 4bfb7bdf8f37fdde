"""`python -m benchmarks.bench_kube [--pods 100,1000,7000] [--runs N] [--idle S] [--churn S]`: the program on a cluster.

The API server is ours (fakes/api_server), in a process of its own; the program runs in a pseudo-terminal.
Time to the table is from the start of the process: to the first row, and to the cluster's line that counts all pods.
Goals are those of the issue: 7,000 pods on screen < 5 s, event to screen < 0.15 s, memory < 250 MB, idle CPU < 2 %.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from benchmarks.figures import Figure, print_table
from benchmarks.idle import MB, cpu_seconds
from benchmarks.kube_pods import PODS_EACH
from benchmarks.programs import environment
from benchmarks.terminal import TerminalRun, start

COMPOSE = "name: bench-kube\nservices:\n  none:\n    image: localhost/none:none\n"
MANY = 7000
CALM = 8.0  # seconds after the last change until idling is measured
EVENTS = 10


class Server:
    """The server's process; `ask` sends a line and returns what it answers."""

    def __init__(self, folder: Path, pods: int) -> None:
        self.kubeconfig = folder / f"kubeconfig-{pods}"
        command = [sys.executable, "-m", "benchmarks.kube_server", str(self.kubeconfig), str(pods)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pod_bytes = self.answer()["bytes"]

    def send(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def ask(self, line: str) -> dict[str, Any]:
        self.send(line)
        return self.answer()

    def requests(self) -> dict[str, int]:
        return self.ask("requests")["requests"]

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.kill()  # it has nothing to lose, and a loaded machine needs long to take 7,000 pods apart
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


@contextlib.contextmanager
def serving(folder: Path, pods: int) -> Iterator[Server]:
    server = Server(folder, pods)
    try:
        yield server
    finally:
        server.close()


def program(folder: Path, server: Server) -> TerminalRun:
    environ: Mapping[str, str] = {**environment(), "KUBECONFIG": str(server.kubeconfig)}
    command = str(Path(sys.executable).parent / "devenv")
    return start((command, "tui"), environ, str(folder))


def shows_rows(screen: Sequence[str]) -> bool:
    """Whether the first deployment's row is there with its pods counted."""
    return any("service-000" in line and f"{PODS_EACH}/{PODS_EACH}" in line for line in screen)


def counts(pods: int) -> Callable[[Sequence[str]], bool]:
    """Whether the cluster's line says that many pods."""
    return lambda screen: any(f" {pods} pods" in line or f" {pods:,} pods" in line for line in screen)


def shows(number: int, ready: int) -> Callable[[Sequence[str]], bool]:
    """Whether the deployment's row counts that many ready pods."""
    return lambda screen: any(f"service-{number:03}" in line and f"{ready}/{PODS_EACH}" in line for line in screen)


def time_to_table(folder: Path, server: Server, pods: int, runs: int) -> list[Figure]:
    """Start it `runs` times, and once before, uncounted, for the disk's caches."""
    rows: list[float] = []
    known: list[float] = []
    spent: list[float] = []
    for turn in range(runs + 1):
        run = program(folder, server)
        run.read_for(watched(pods))
        cpu = cpu_seconds(psutil.Process(run.pid))
        run.close()
        if turn == 0:
            continue
        first, last = run.when(shows_rows), run.when(counts(pods))
        if first is not None:
            rows.append(first - run.started)
        if last is not None:
            known.append(last - run.started)
            spent.append(cpu)
    goal = "< 5 s" if pods == MANY else ""
    return [
        Figure(f"{pods} pods: first rows on screen", "devenv", tuple(rows), "s", "", runs - len(rows)),
        Figure(f"{pods} pods: all counted on screen", "devenv", tuple(known), "s", goal, runs - len(known)),
        Figure(f"{pods} pods: own CPU for it", "devenv", tuple(spent), "s", "", runs - len(spent)),
    ]


def watched(pods: int) -> float:
    """Seconds that a start is watched."""
    return 5.0 + pods / 350


def while_it_runs(folder: Path, server: Server, pods: int, idle: float, churn: float) -> list[Figure]:
    """Measure one run of the program: events, memory, churn, idling."""
    run = program(folder, server)
    run.read_for(watched(pods))
    process = psutil.Process(run.pid)
    delays: list[float] = []
    missed = 0
    for turn in range(EVENTS):
        ready = turn % 2 == 1
        word = "ready" if ready else "unready"
        happened = server.ask(f"{word} 0")["at"]
        run.read_for(1.0)
        at = run.when(shows(0, PODS_EACH - (not ready)), after=happened)
        if at is None:
            missed += 1
        else:
            delays.append(at - happened)
    server.send(f"churn {churn}")
    run.read_for(2.0)
    own, began = cpu_seconds(process), time.monotonic()
    run.read_for(churn - 3.0)
    busy = (cpu_seconds(process) - own) / (time.monotonic() - began) * 100
    run.read_for(2.0)
    server.answer()
    run.read_for(CALM)
    asked, own, began = server.requests(), cpu_seconds(process), time.monotonic()
    drawn = sum(len(data) for _, data in run.chunks)
    run.read_for(idle)
    lasted = time.monotonic() - began
    quiet = (cpu_seconds(process) - own) / lasted * 100
    drawn = sum(len(data) for _, data in run.chunks) - drawn
    later = server.requests()
    resident = sum(part.memory_info().rss for part in (process, *process.children(recursive=True)))
    run.close()
    minute = (sum(later.values()) - sum(asked.values())) / lasted * 60
    return [
        Figure(f"{pods} pods: event to screen", "devenv", tuple(delays), "s", "< 0.15 s", missed),
        Figure(f"{pods} pods: memory (RSS)", "devenv", (resident / MB,), "MB", "< 250 MB"),
        Figure(f"{pods} pods: own CPU, ten pods a second change", "devenv", (busy,), "%"),
        Figure(f"{pods} pods: own CPU, idle", "devenv", (quiet,), "%", "< 2 %"),
        Figure(f"{pods} pods: drawn while idle", "devenv", (drawn / lasted,), "B/s"),
        Figure(f"{pods} pods: requests a minute, idle", "devenv", (minute,), "requests"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_kube")
    parser.add_argument("--pods", default=f"100,1000,{MANY}", help="how many, separated by commas")
    parser.add_argument("--runs", type=int, default=3, help="starts that are counted")
    parser.add_argument("--only", default="start,run", help="which measurements, separated by commas")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds of idling that are measured")
    parser.add_argument("--churn", type=float, default=20.0, help="seconds of ten changes a second")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="devenv-bench-") as name:
        folder = Path(name)
        (folder / "compose.yaml").write_text(COMPOSE, encoding="utf-8")
        for pods in map(int, arguments.pods.split(",")):
            with serving(folder, pods) as server:
                print(f"{pods} pods of {server.pod_bytes / 1000:.1f} kB", file=sys.stderr, flush=True)
                figures = time_to_table(folder, server, pods, arguments.runs) if "start" in arguments.only else []
                if "run" in arguments.only:
                    figures += while_it_runs(folder, server, pods, arguments.idle, arguments.churn)
            print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}")
            print_table(figures)


if __name__ == "__main__":
    main()
