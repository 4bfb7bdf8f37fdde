"""The buffer between a stream and the terminal loses nothing that it must not lose."""

from __future__ import annotations

import threading

import pytest

from devenv.backends.streams import Buffer
from devenv.core.model import (
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
