"""A flood of log lines: python -m benchmarks.bench_logs [--lines N] [--before FOLDER]

Three services print numbered lines, 1,000, 5,000 and 20,000 a second, N in all (default a million):

1. counted: every line of each is on the shelf of the terminal's logs, or counted as dropped: exactly;
2. CPU at 5,000 lines a second of one service, for this tree and, with --before, for that of FOLDER, in turns;
3. keys: from each key of a filter to a screen with its lines alone, with a log of 50,000 lines at rest, then with
   20,000 more a second; likewise for both trees.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pyte

from benchmarks.figures import Figure, percentile, print_table
from benchmarks.idle import cpu_seconds
from benchmarks.programs import environment
from benchmarks.stack import ROOT, Stack, base_image
from benchmarks.terminal import UNKNOWN_TO_PYTE, TerminalRun, start
from devenv.backends.docker.backend import DockerBackend
from devenv.core.model import LogLine, LogsDropped, Project, Service, Snapshot
from devenv.tui.logs.buffers import LogShelf
from devenv.tui.table.lines import GroupKey

RATES = {"slow": 1_000, "middle": 5_000, "fast": 20_000, "more": 20_000}
FLOOD = ("slow", "middle", "fast")
MB = 1_000_000
# Begins with SIGUSR1, so that all readers are there; `count` 0: until it is stopped.
PRINT = """
import signal, sys, time
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})  # the kernel drops it for process 1 otherwise
signal.sigwait({signal.SIGUSR1})
rate, count, number, began = RATE, COUNT, 0, time.monotonic()
while not count or number < count:
    due = min(int((time.monotonic() - began) * rate) + 1, count or 1 << 60)
    said = "level=info msg=served path=/search/items status=200 user=abcdef ms"
    lines = [f"{number + n} {said}={n % 97}\\n" for n in range(due - number)]
    number += len(lines)
    sys.stdout.write("".join(lines)); sys.stdout.flush()
    time.sleep(0.02)
print("end", flush=True); signal.pause()
"""


@contextmanager
def flood(image: str, counts: dict[str, int]) -> Iterator[Stack]:
    """Bring services up that wait for the signal to print so many lines each."""
    services = {
        name: {
            "image": image,
            "command": ["python3", "-c", PRINT.replace("RATE", str(RATES[name])).replace("COUNT", str(count))],
            "stop_grace_period": "0s",
            "logging": {"driver": "json-file", "options": {"max-size": "1g"}},
        }
        for name, count in counts.items()
    }
    project = f"devenv-bench-logs-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix=project) as folder:
        Path(folder, "compose.yaml").write_text(json.dumps({"name": project, "services": services}))
        stack = Stack(project, folder, tuple(services))
        try:
            stack.compose("up", "-d")
            yield stack
        finally:
            stack.compose("down", "-t", "0")


def shares(lines: int) -> dict[str, int]:
    """Divide a number of lines so that all end at about the same time."""
    return {name: lines * rate // sum(RATES[name] for name in FLOOD) for name, rate in RATES.items() if name in FLOOD}


def counted(stack: Stack, counts: dict[str, int]) -> list[Figure]:
    """Compare what came, what was counted as dropped, and what was printed; raises AssertionError."""
    shelf, merged = LogShelf(), GroupKey("*", "*")
    buffer = shelf.select(("*",), merged, 0.0)
    project = Project(stack.project, stack.folder, (), tuple(map(Service, counts)))
    backend = DockerBackend(lambda: project, os.environ)
    woken = threading.Event()
    names: dict[str, str] = {}
    came: Counter[str] = Counter()
    ended: set[str] = set()
    backend.start(woken.set)
    rss: list[int] = []
    try:
        began, signalled, deadline = time.monotonic(), False, time.monotonic() + 600
        while len(ended) < len(counts):
            assert time.monotonic() < deadline, (came, shelf.keys)
            woken.wait(0.2)
            woken.clear()
            time.sleep(1 / 15)  # as the screen drains
            changes = backend.drain()
            for change in changes:
                if isinstance(change, Snapshot):
                    names.update({one.key: one.service for one in change.resources})
                elif isinstance(change, LogLine) and change.stream == "stdout":
                    came[names[change.key]] += change.text != "end"
                    ended |= {names[change.key]} if change.text == "end" else set()
            if len(names) == len(counts) and not signalled:
                shelf.feed(merged, names)
                backend.follow_logs(names, 0)
                time.sleep(2)
                stack.compose("kill", "-s", "SIGUSR1")
                signalled, began = True, time.monotonic()
            shelf.take(*(change for change in changes if isinstance(change, LogLine | LogsDropped)))
            rss.append(psutil.Process().memory_info().rss)
        took = time.monotonic() - began
    finally:
        backend.stop()
    dropped = {names[key]: count for key, count in buffer.dropped.items()}
    for name, count in counts.items():
        assert came[name] + dropped.get(name, 0) == count, (name, came, dropped, counts)
    assert buffer.total == sum(came.values()) + len(counts), "each line has a number, and so has each end"
    half = rss[len(rss) // 2 :]
    return [
        Figure("lines printed = shown + dropped", "devenv", (float(sum(counts.values())),), "lines", "exactly"),
        Figure("of them dropped, and counted", "devenv", (float(sum(dropped.values())),), "lines"),
        Figure("lines a second", "devenv", (sum(counts.values()) / took,), "/s"),
        Figure("memory, last to middle of the flood", "devenv", (rss[-1] / half[0],), "x", "< 1.05 x"),
    ]


def program(stack: Stack, root: Path = ROOT) -> TerminalRun:
    """Start the real terminal of a source tree on it, and wait until its table is there."""
    environ = {**environment(), "PYTHONPATH": str(root)}
    run = start([sys.executable, "-m", "devenv"], environ, stack.folder)
    until = time.monotonic() + 30
    while not any("● running" in line for line in run.screen()):
        assert time.monotonic() < until, "\n".join(run.screen())
        read_all(run, 0.5)
    read_all(run, 2.0)
    return run


def read_all(run: TerminalRun, seconds: float) -> None:
    """Collect what it writes for exactly that long."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        run.read_for(left)


def cpu(stack: Stack, trees: dict[str, Path], seconds: float, turns: int) -> list[Figure]:
    """Measure the CPU at 5,000 lines a second for each tree, in turns."""
    stack.compose("kill", "-s", "SIGUSR1")
    used: dict[str, list[float]] = {name: [] for name in trees}
    memory: dict[str, list[float]] = {name: [] for name in trees}
    for _ in range(turns):
        for name, root in trees.items():
            run = program(stack, root)
            try:
                read_all(run, 3.0)
                process = psutil.Process(run.pid)
                before = cpu_seconds(process)
                read_all(run, seconds)
                used[name].append((cpu_seconds(process) - before) / seconds * 100)
                memory[name].append(process.memory_info().rss / MB)
            finally:
                run.close()
    figures = [Figure("CPU at 5,000 lines a second", name, tuple(values), "%") for name, values in used.items()]
    return figures + [Figure("memory then (RSS)", name, tuple(values), "MB") for name, values in memory.items()]


class Watched:
    """The screen of a program as it becomes: each output is interpreted once."""

    def __init__(self, run: TerminalRun) -> None:
        self.run = run
        self._screen = pyte.Screen(run.columns, run.lines)
        self._stream = pyte.ByteStream(self._screen)

    def catch_up(self, shown: Callable[[Sequence[str]], bool] = lambda _: False) -> float | None:
        """Interpret what it wrote; return when the screen first satisfied `shown`."""
        chunks, self.run.chunks = self.run.chunks, []
        seen = None
        for at, data in chunks:
            self._stream.feed(UNKNOWN_TO_PYTE.sub(b"", data))
            if seen is None and shown(self._screen.display):
                seen = at
        return seen

    def key(self, key: bytes, text: str, limit: float = 3.0) -> float | None:
        """Return the seconds from a key to a screen on which every line of the log has the text."""

        def filtered(screen: Sequence[str]) -> bool:
            lines = [line for line in screen if "level=info" in line]
            return bool(lines) and all(text in line for line in lines)

        self.catch_up()
        began = time.monotonic()
        self.run.type(key)
        while time.monotonic() < began + limit:
            read_all(self.run, 0.25)
            if (at := self.catch_up(filtered)) is not None:
                return at - began
        return None


def typed(watched: Watched, rounds: int) -> tuple[list[float], int]:
    """Type the last two characters of filters; return the milliseconds of each, and how many were never answered."""
    took: list[float] = []
    failed = 0
    for number in range(rounds):
        text = f"f ms={number % 9 + 1}{number * 7 % 7}"
        watched.run.type(b"f")
        read_all(watched.run, 0.4)
        watched.run.type(text[:-2].encode())
        read_all(watched.run, 0.4)
        for end in (len(text) - 1, len(text)):
            seconds = watched.key(text[end - 1].encode(), text[:end])
            if seconds is None:
                failed += 1
            else:
                took.append(seconds * 1000)
        watched.run.type(b"\x1b")
        read_all(watched.run, 0.4)
    return took, failed


def keys(image: str, trees: dict[str, Path], rounds: int) -> list[Figure]:
    """Measure from key to screen, at rest and in a flood, for each tree in turns."""
    figures = []
    for name, root in trees.items():
        with flood(image, {"fast": 50_000, "more": 0}) as stack:
            run = program(stack, root)
            try:
                read_all(run, 1.0)
                stack.compose("kill", "-s", "SIGUSR1", "fast")
                run.type(b"lz")
                read_all(run, 8.0)
                watched = Watched(run)
                rest = typed(watched, rounds)
                for key in (b"\x1b", b"j", b"lz"):
                    run.type(key)
                    read_all(run, 1.0)
                stack.compose("kill", "-s", "SIGUSR1", "more")
                read_all(run, 5.0)
                busy = typed(watched, rounds)
            finally:
                run.close()
        for when, (took, failed), goal in (("at rest", rest, ""), ("in a flood", busy, "< 50 ms")):
            for part in (50, 95):
                value = percentile(took, part / 100)
                figures.append(Figure(f"key to screen, {when}, p{part}", name, (value,), "ms", goal, failed))
        if rest[0] and busy[0]:
            ratio = statistics.median(busy[0]) / statistics.median(rest[0])
            figures.append(Figure("key to screen, flood to rest, p50", name, (ratio,), "x"))
    return figures


def main() -> None:
    """Run the chosen measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=2, help="of the CPU measurement")
    parser.add_argument("--before", type=Path, help="another source tree, to compare")
    parser.add_argument("--only", default="counted,cpu,keys")
    arguments = parser.parse_args()
    chosen, image, figures = arguments.only.split(","), base_image(), []
    if "counted" in chosen:
        counts = shares(arguments.lines)
        with flood(image, counts) as stack:
            figures += counted(stack, counts)
    if "cpu" in chosen:
        trees = {"devenv": ROOT} | ({"before": arguments.before.resolve()} if arguments.before else {})
        with flood(image, {"middle": 0}) as stack:
            figures += cpu(stack, trees, 15.0, arguments.turns)
    if "keys" in chosen:
        trees = {"devenv": ROOT} | ({"before": arguments.before.resolve()} if arguments.before else {})
        figures += keys(image, trees, arguments.turns * 10)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print_table(figures)


if __name__ == "__main__":
    main()
