"""A day at work, compressed: what the terminal holds of memory, threads, descriptors and connections stays the same."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest

from fakes.docker_engine import FakeEngine
from tests.terminal.real_terminal import RealTerminal

ROOT = Path(__file__).parents[2]
ROUNDS = 12
EVENTS = 28_800 // ROUNDS  # of a round: one a second in eight hours
WARM = 3  # rounds until caches and buffers are full
GROWTH = 6e6  # bytes that nine rounds may add, a quarter of a kilobyte an event

pytestmark = [pytest.mark.slow, pytest.mark.terminal]


def held(process: psutil.Process) -> tuple[int, int, int]:
    """Threads, descriptors, and connections to the engine."""
    return process.num_threads(), process.num_fds(), len(process.net_connections("unix"))


def test_eight_hours_of_events_leave_memory_threads_descriptors_and_connections_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("name: shop\nservices: {a: {image: x}, b: {image: x}, c: {image: x}}\n")
    with FakeEngine() as engine:
        first, *others = [engine.add(f"shop-{name}-1", service=name, project="shop") for name in "abc"]
        environ = {**os.environ, **engine.environ, "PYTHONPATH": str(ROOT), "KUBECONFIG": "/none"}
        with RealTerminal([sys.executable, "-m", "devenv"], tmp_path, environ=environ) as terminal:
            terminal.until(lambda: "● live" in terminal.text() and engine.log_readers(first))
            process, sizes, counts = psutil.Process(terminal.pid), [], []
            for number in range(ROUNDS):
                for turn in range(EVENTS // 2):
                    container = others[turn % 2]
                    engine.die(container, turn % 3)
                    engine.begin(container)
                    engine.say(first, b"line %d of a log that is as long as lines of logs are\n" % turn)
                    if turn % 300 == 299:
                        engine.end_events()
                    if turn % 20 == 19:
                        terminal.read(0.02)
                end = f"round {number} has ended"
                engine.say(first, end.encode() + b"\n")
                terminal.until(lambda end=end: end in terminal.text() and "● live" in terminal.text())  # type: ignore[misc]
                terminal.read_quiet()
                terminal.output = b""
                sizes.append(process.memory_info().rss)
                counts.append(held(process))
            terminal.send("q")
            terminal.until(lambda: terminal.ended)
    assert terminal.exit_code == 0
    assert max(sizes[WARM:]) - sizes[WARM - 1] < GROWTH, sizes
    threads, descriptors, connections = zip(*counts[WARM - 1 :], strict=True)
    assert max(threads) <= threads[0] + 1, counts
    assert max(descriptors) <= descriptors[0] + 2, counts
    assert max(connections) <= connections[0] + 2, counts
