"""How many seconds a cluster's connection says that it waits, while many streams try again at times of their own."""

from __future__ import annotations

import pytest

from devenv.backends.kube import connection_state as module
from devenv.backends.kube.connection_state import ConnectionTracker
from devenv.backends.kube.errors import Unreachable
from devenv.core.model import Connection, ConnectionState
from devenv.tui.header import connection_words


class Clock:
    """Both clocks of the tracker, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def time(self) -> float:
        return self.now

    monotonic = time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def test_the_seconds_are_those_until_the_next_try_also_long_after_the_break(clock: Clock) -> None:
    said: list[Connection] = []
    tracker = ConnectionTracker("kubernetes/x", said.append)
    for name in ("pods", "services"):
        tracker.opening(name)
        tracker.live(name)
    gone = Unreachable("no answer")
    tracker.down("pods", gone, 1.0)
    clock.now += 1.0
    tracker.down("pods", gone, 2.0)
    assert said[-1].state is ConnectionState.RETRYING
    clock.now += 30.0
    tracker.down("pods", gone, 8.0)
    assert connection_words(said[-1], clock.now)[0].startswith("↻ retrying in 8 s")
    clock.now += 3.0
    assert connection_words(said[-1], clock.now)[0].startswith("↻ retrying in 5 s")
    clock.now += 6.0  # pods try just now: what they wait for is the services' next try
    tracker.down("services", gone, 4.0)
    assert connection_words(said[-1], clock.now)[0].startswith("↻ retrying in 4 s")
    clock.now += 5.0
    assert connection_words(said[-1], clock.now)[0].startswith("↻ retrying now")


def test_while_every_stream_tries_no_seconds_are_said(clock: Clock) -> None:
    said: list[Connection] = []
    tracker = ConnectionTracker("kubernetes/x", said.append)
    tracker.opening("pods")
    tracker.live("pods")
    for _ in range(2):
        tracker.down("pods", Unreachable("no answer"), 1.0)
    clock.now += 3.0
    tracker.remark("usage", "no metrics")
    assert said[-1].state is ConnectionState.RETRYING
    assert said[-1].retry_in is None
