"""The machine's clock is set by an hour, either way, while devenv reads: nothing is lost, told twice or waited for."""

from __future__ import annotations

import time

import pytest

from devenv.core.model import Connection, ConnectionState, State
from devenv.tui.header import connection_words
from devenv.tui.probes import EVERY, Answer, Probes
from fakes.docker_engine import FakeEngine
from tests.wire.reading import Reader

HOUR = 3600


class WallClock:
    """The wall clock of this process, the engine's included; the monotonic one goes on as it does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead = 0
        real, real_ns = time.time, time.time_ns
        monkeypatch.setattr(time, "time", lambda: real() + self._ahead)
        monkeypatch.setattr(time, "time_ns", lambda: real_ns() + self._ahead * 10**9)

    def step(self, seconds: int) -> None:
        self._ahead += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    return WallClock(monkeypatch)


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_clock_set_by_an_hour_loses_no_event_and_no_line(
    engine: FakeEngine, reader: Reader, clock: WallClock, step: int
) -> None:
    web, api = engine.add("web"), engine.add("api")
    engine.say(web, b"before\n")
    reader.start().live(2)
    reader.backend.follow_logs([web.key])
    reader.until(lambda: reader.texts("stdout") == ["before"])
    clock.step(step)
    engine.die(api, 3)
    reader.until(lambda: reader.has("api", state=State.EXITED, exit_code=3))
    engine.die(web, 4)  # its log ends with it, and is resumed at its next start
    reader.until(lambda: "container exited with code 4" in reader.texts("devenv"))
    web.log.append((time.time_ns(), 1, b"while nobody read\n"))
    engine.begin(web)
    reader.until(lambda: engine.log_readers(web))
    engine.say(web, b"after\n")
    reader.until(lambda: "after" in reader.texts())
    assert reader.texts("stdout") == ["before", "while nobody read", "after"]
    before = len(reader.states())
    engine.end_events()
    reader.until(lambda: len(reader.states()) > before and reader.state() == "live" and engine.event_readers() == 1)
    engine.die(web, 5)
    reader.until(lambda: reader.has("web", state=State.EXITED, exit_code=5) and reader.actions().count("die") >= 3)
    assert reader.actions().count("die") == 3


def test_the_seconds_to_the_next_try_are_never_more_than_it_is_waited() -> None:
    now = time.time()
    retrying = Connection("docker", ConnectionState.RETRYING, since=now, last_live=now, retry_in=8.0)
    assert connection_words(retrying, now - HOUR)[0] == "↻ retrying in 8 s, data of 0s ago"
    assert connection_words(retrying, now + HOUR)[0] == "↻ retrying now, data of 1h ago"


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_probe_is_not_put_off_by_a_clock_that_was_set(step: int) -> None:
    probes, now = Probes(), time.time()
    probes.url = "http://127.0.0.1:1/"
    probes.take(probes.url, Answer(now, 0.1, 200))
    assert not probes.due(now + EVERY / 2)
    assert probes.due(now + step)
