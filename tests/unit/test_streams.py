"""The buffer loses nothing that it must not lose; a stream comes back after whatever breaks it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest

from devenv.backends.streams import Backoff, Buffer, Stopped, Stream
from devenv.model import (
    Action,
    Connection,
    ConnectionState,
    Gone,
    Happening,
    LogLine,
    LogsDropped,
    Phase,
    Resource,
    Runtime,
    Sample,
    Seen,
    Snapshot,
    State,
)

LIMIT = 5.0  # seconds


def resource(key: str, state: State = State.RUNNING) -> Resource:
    return Resource(key, Runtime.COMPOSE, "container", key, key, state)


def line(key: str, number: int) -> LogLine:
    return LogLine(key, None, "stdout", str(number))


def test_wake_is_called_once_until_the_buffer_is_drained() -> None:
    woken: list[int] = []
    buffer = Buffer(lambda: woken.append(1))
    buffer.put(Seen("b", resource("a")))
    buffer.put(Seen("b", resource("c")))
    buffer.put_lines([line("a", 1)])
    assert len(woken) == 1
    assert len(buffer.drain()) == 3
    assert buffer.drain() == []
    buffer.put_lines([line("a", 2)])
    assert len(woken) == 2
    buffer.put()
    buffer.put_lines([])
    assert len(woken) == 2


def test_who_comes_later_is_told_of_what_waits() -> None:
    buffer = Buffer()
    woken: list[int] = []
    buffer.set_wake(lambda: woken.append(1))
    assert woken == []
    waiting = Buffer()
    waiting.put(Seen("b", resource("a")))
    waiting.set_wake(lambda: woken.append(2))
    waiting.put(Seen("b", resource("c")))
    assert woken == [2]


def test_facts_are_replaced_by_newer_ones_and_never_lost() -> None:
    buffer = Buffer(lines=10)
    for number in range(1000):
        buffer.put(
            Seen("b", resource(f"k{number % 3}", State.CREATED if number < 990 else State.DEAD)),
            Connection("b", ConnectionState.LIVE, since=float(number)),
            Sample("k0", float(number), None, None, None),
            Action(7, "up", (), Phase.RUNNING, float(number)),
        )
        buffer.put_lines([line("k0", number)])
    buffer.put(Gone("b", "k1"))
    changes = buffer.drain()
    assert {c.resource.key: c.resource.state for c in changes if isinstance(c, Seen)} == {
        "k0": State.DEAD,
        "k2": State.DEAD,
    }
    assert [c.key for c in changes if isinstance(c, Gone)] == ["k1"]
    assert [c.since for c in changes if isinstance(c, Connection)] == [999.0]
    assert [c.at for c in changes if isinstance(c, Sample | Action)] == [999.0, 999.0]


def test_lost_lines_are_the_oldest_and_are_counted() -> None:
    buffer = Buffer(lines=10)
    buffer.put_lines([line("a", number) for number in range(8)])
    buffer.put_lines([line("b", number) for number in range(7)])
    buffer.put(line("a", 8), LogsDropped("b", 100))
    changes = buffer.drain()
    dropped = [c for c in changes if isinstance(c, LogsDropped)]
    lines = [c for c in changes if isinstance(c, LogLine)]
    assert sorted((d.key, d.count) for d in dropped) == [("a", 6), ("b", 100)]
    assert [(c.key, c.text) for c in lines] == [
        ("a", "6"),
        ("a", "7"),
        *(("b", str(number)) for number in range(7)),
        ("a", "8"),
    ]
    assert changes.index(dropped[0]) < changes.index(lines[0]), "the gap is before what was kept"
    assert buffer.drain() == [], "the count begins anew"


def test_a_snapshot_replaces_what_was_said_of_single_resources() -> None:
    buffer = Buffer()
    happening = Happening("a", 1.0, "die", "exited")
    buffer.put(Seen("b", resource("a")), Seen("other", resource("x")), Gone("b", "c"), happening)
    buffer.put(Snapshot("b", (resource("a"),)), Seen("b", resource("d")))
    assert buffer.drain() == [
        Seen("other", resource("x")),
        happening,
        Snapshot("b", (resource("a"),)),
        Seen("b", resource("d")),
    ]


def test_happenings_are_bounded_and_the_newest_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devenv.backends.streams.HAPPENINGS_KEPT", 100)
    buffer = Buffer()
    for number in range(250):
        buffer.put(Happening("a", float(number), "die", ""))
    kept = [c.at for c in buffer.drain() if isinstance(c, Happening)]
    assert kept == [float(number) for number in range(150, 250)]


def test_many_threads_lose_no_record() -> None:
    woken: list[int] = []
    buffer = Buffer(lambda: woken.append(1), lines=100)

    def write(name: str) -> None:
        for number in range(500):
            buffer.put_lines([line(name, number)])
            buffer.put(Seen("b", resource(f"{name}{number}")))

    threads = [threading.Thread(target=write, args=(f"t{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    seen, counted, kept = set(), 0, 0
    while any(thread.is_alive() for thread in threads) or woken:
        woken.clear()
        for change in buffer.drain():
            if isinstance(change, Seen):
                seen.add(change.resource.key)
            elif isinstance(change, LogsDropped):
                counted += change.count
            else:
                kept += 1
    assert len(seen) == 2000
    assert counted + kept == 2000


def test_the_pauses_grow_have_jitter_and_are_bounded() -> None:
    backoff = Backoff(uniform=random.Random(1).uniform)
    pauses = [backoff.next(0.0) for _ in range(5000)]
    assert all(0.5 <= pause <= 30.0 for pause in pauses)
    assert pauses[0] == 0.5
    assert 2.0 <= pauses[3] <= 4.0
    assert all(pause >= 15.0 for pause in pauses[7:])
    assert len(set(pauses[7:])) > 1000
    assert backoff.next(9.9) >= 15.0, "it did not last long enough"
    assert backoff.next(10.0) == 0.5


class Script:
    """A connection that does what it is told, one thing a try, and then ends the stream."""

    def __init__(self, *steps: Exception | float) -> None:
        self.steps = list(steps)
        self.now = 0.0
        self.told: list[tuple[str, float]] = []

    def run(self, stream: Stream) -> None:
        if not self.steps:
            stream.finish()
            return
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        stream.succeeded()
        self.now += step

    def down(self, error: Exception | None, pause: float) -> None:
        self.told.append((type(error).__name__, pause))

    def stream(self) -> Stream:
        highest: Callable[[float, float], float] = lambda low, high: high  # noqa: E731 - it has a type this way
        return Stream(
            "script",
            self.run,
            self.down,
            backoff=Backoff(uniform=highest),
            clock=lambda: self.now,
            wait=lambda event, pause: None,
        )


def test_a_stream_is_run_again_and_success_resets_the_pause() -> None:
    script = Script(OSError(), ValueError(), 1.0, KeyError(), 60.0, OSError())
    stream = script.stream()
    stream.start()
    assert stream.join(LIMIT)
    assert script.told == [
        ("OSError", 0.5),
        ("ValueError", 1.0),
        ("NoneType", 2.0),
        ("KeyError", 4.0),
        ("NoneType", 0.5),
        ("OSError", 1.0),
    ]


def test_stop_closes_what_is_open_from_outside() -> None:
    opened, closed = threading.Event(), threading.Event()

    def run(stream: Stream) -> None:
        with stream.closing(closed.set):
            opened.set()
            assert closed.wait(LIMIT)

    downs: list[object] = []
    stream = Stream("s", run, lambda error, pause: downs.append(error))
    stream.start()
    assert opened.wait(LIMIT)
    stream.stop()
    assert stream.join(LIMIT)
    assert closed.is_set()
    assert downs == [], "a stop is no failure"


def test_stop_while_a_connection_is_being_opened_closes_it_too() -> None:
    opening, go_on = threading.Event(), threading.Event()
    closed: list[int] = []

    def run(stream: Stream) -> None:
        opening.set()
        assert go_on.wait(LIMIT)
        with stream.closing(lambda: closed.append(1)):
            raise AssertionError("it must not come here")

    stream = Stream("s", run, lambda error, pause: closed.append(99))
    stream.start()
    assert opening.wait(LIMIT)
    stream.stop()
    go_on.set()
    assert stream.join(LIMIT)
    assert closed == [1]


def test_hurry_ends_the_pause() -> None:
    pausing, second = threading.Event(), threading.Event()
    runs: list[int] = []

    def run(stream: Stream) -> None:
        runs.append(1)
        if len(runs) == 2:
            second.set()
            stream.finish()

    stream = Stream("s", run, lambda error, pause: pausing.set(), backoff=Backoff(first=60.0, longest=60.0))
    stream.start()
    assert pausing.wait(LIMIT)
    stream.hurry()
    assert second.wait(LIMIT)
    assert stream.join(LIMIT)


def test_interrupt_breaks_the_run_but_not_the_stream() -> None:
    runs: list[int] = []
    open_now = threading.Event()

    def run(stream: Stream) -> None:
        runs.append(1)
        ended = threading.Event()
        with stream.closing(ended.set):
            open_now.set()
            assert ended.wait(LIMIT)

    again = threading.Event()
    stream = Stream("s", run, lambda error, pause: again.set(), backoff=Backoff(first=0.0, longest=0.0))
    stream.start()
    assert open_now.wait(LIMIT)
    stream.interrupt()
    assert again.wait(LIMIT)
    assert not stream.stopping
    stream.stop()
    assert stream.join(LIMIT)


def test_waiting_for_somebody_elses_event_ends_with_the_stream() -> None:
    waiting = threading.Event()
    never = threading.Event()
    caught: list[type] = []

    def run(stream: Stream) -> None:
        waiting.set()
        try:
            stream.wait_until(never)
        except Stopped as stopped:
            caught.append(type(stopped))
            raise

    stream = Stream("s", run, lambda error, pause: None)
    stream.start()
    assert waiting.wait(LIMIT)
    stream.stop()
    assert stream.join(LIMIT)
    assert caught == [Stopped]
