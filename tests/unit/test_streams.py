"""A stream comes back after whatever breaks it, and ends when it is told to."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from devenv.backends.streams import Backoff, Stopped, Stream

LIMIT = 30.0  # seconds, on a busy machine too


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
