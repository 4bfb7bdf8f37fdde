"""Logs at the wire: frames, terminals, breaks, restarts and hostile bytes."""

from __future__ import annotations

import time

import pytest

from fakes.docker_engine import CLEAN, CUT, FakeEngine, frame
from tests.wire.reading import Reader


def test_the_last_lines_and_then_what_comes(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web")
    for number in range(10):
        engine.say(web, b"old %d\n" % number)
    reader.start().live(1)
    reader.backend.follow_logs([web.key], tail=3)
    reader.until(lambda: len(reader.lines) == 3)
    engine.say(web, b"problem\n", stream=2)
    engine.say(web, b"new\n")
    reader.until(lambda: len(reader.lines) == 5)
    assert [(line.stream, line.text) for line in reader.lines] == [
        *(("stdout", f"old {number}") for number in (7, 8, 9)),
        ("stderr", "problem"),
        ("stdout", "new"),
    ]
    last = reader.lines[-1].at
    assert last is not None
    assert abs(last - web.log[-1][0] / 1e9) < 1e-6


def test_nothing_is_followed_any_more(engine: FakeEngine, reader: Reader) -> None:
    web, api = engine.add("web"), engine.add("api")
    reader.start().live(2)
    reader.backend.follow_logs([web.key, "compose/fake/absent"])
    reader.until(lambda: engine.log_readers(web) == 1)
    reader.backend.follow_logs([api.key])
    reader.until(lambda: engine.log_readers(api) == 1 and engine.log_readers(web) == 0)
    engine.say(web, b"unheard\n")
    engine.say(api, b"heard\n")
    reader.until(lambda: reader.texts() == ["heard"])


def test_hostile_lines(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web")
    reader.start().live(1)
    reader.backend.follow_logs([web.key])
    reader.until(lambda: engine.log_readers(web))
    engine.say(web, b"\x1b[31mred\x1b[0m \x1b]52;c;ZXZpbA==\x07end\n")
    engine.say(web, b"[/foo][bold]markup[/]\n")
    engine.say(web, b"bad \xff\xfe utf-8 \xc3\n")
    engine.say(web, b"\x1b]0;title\x1b\\\x9b2J\x00nul\n")
    engine.say(web, b"progress 10%\rprogress 99%\r\n")
    engine.say(web, "x\u202ey\u2028z\n".encode())
    engine.say(web, b"\n")
    reader.until(lambda: len(reader.lines) == 7)
    texts = reader.texts()
    assert texts[0] == "red end"
    assert texts[1] == "[/foo][bold]markup[/]"
    assert texts[2] == "bad \ufffd\ufffd utf-8 \ufffd"
    assert "nul" in texts[3]
    assert "progress 99%" in texts[4]
    assert texts[6] == ""
    assert all(text.isprintable() for text in texts)


def test_a_line_of_ten_megabytes_is_cut_and_not_held(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web")
    reader.start().live(1)
    reader.backend.follow_logs([web.key])
    reader.until(lambda: engine.log_readers(web))
    engine.say(web, b"y" * 10_000_000 + b"\n")  # in one frame
    for _ in range(640):  # and in the parts that the engine makes of it
        engine.say(web, b"z" * 16_384)
    engine.say(web, b"\n")
    engine.say(web, b"after\n")
    reader.until(lambda: len(reader.lines) == 3)
    assert [(len(line.text), line.cut) for line in reader.lines[:2]] == [
        (16_384, 10_000_000 - 16_384),
        (16_384, 639 * 16_384),
    ]
    assert reader.texts()[2] == "after"


def test_a_terminal_has_no_frames_and_may_arrive_a_byte_at_a_time(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web", tty=True)
    engine.say(web, b"first\r\n")
    reader.start().live(1)
    reader.backend.follow_logs([web.key])
    reader.until(lambda: reader.texts() == ["first"])
    for byte in b"2030-01-01T00:00:00.000000000Z \x1b[32mgreen\x1b[0m prompt\r\n":
        engine.say_raw(web, bytes((byte,)))
    reader.until(lambda: len(reader.lines) == 2)
    assert reader.texts() == ["first", "green prompt"]
    assert reader.lines[1].at == 1893456000.0


def test_frames_cut_anywhere_and_partial_lines(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web")
    reader.start().live(1)
    reader.backend.follow_logs([web.key])
    reader.until(lambda: engine.log_readers(web))
    stamp = b"2030-01-01T00:00:00.000000000Z "
    stream = frame(1, stamp + b"be") + frame(2, stamp + b"error\n") + frame(1, stamp + b"gin\n") + frame(1, b"")
    stream += frame(3, b"the engine is unwell\n")
    for position in range(0, len(stream), 3):
        engine.say_raw(web, stream[position : position + 3])
    reader.until(lambda: len(reader.lines) == 3)
    assert [(line.stream, line.text) for line in reader.lines] == [
        ("stderr", "error"),
        ("stdout", "begin"),
        ("devenv", "the engine is unwell"),
    ]


def test_bytes_that_are_no_frames_are_told_and_the_log_is_read_anew(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web")
    reader.start().live(1)
    reader.backend.follow_logs([web.key])
    reader.until(lambda: engine.log_readers(web))
    engine.say_raw(web, b"<html>this is a proxy</html>")
    reader.until(lambda: any("no log" in text for text in reader.texts("devenv")))
    reader.until(lambda: engine.log_readers(web))
    engine.say(web, b"well again\n")
    reader.until(lambda: "well again" in reader.texts())


@pytest.mark.parametrize("how", [CLEAN, CUT])
def test_a_broken_stream_is_resumed_without_loss_or_repetition(engine: FakeEngine, reader: Reader, how: str) -> None:
    web = engine.add("web")
    reader.start().live(1)
    reader.backend.follow_logs([web.key])
    now = time.time_ns()
    web.log += [(now, 1, b"same time %d\n" % number) for number in range(3)]
    reader.until(lambda: engine.log_readers(web))
    engine.end_log(web, how)
    reader.until(lambda: not engine.log_readers(web))
    web.log += [(now, 1, b"same time 3\n"), (now + 1, 1, b"later\n")]
    reader.until(lambda: "later" in reader.texts())
    assert reader.texts("stdout") == [*(f"same time {number}" for number in range(4)), "later"]
    assert reader.texts("devenv") == ["log interrupted: the connection ended", "log continues"]


def test_a_frame_cut_by_the_break_is_read_again(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web")
    engine.say(web, b"one\n")
    reader.start().live(1)
    reader.backend.follow_logs([web.key])
    reader.until(lambda: reader.texts() == ["one"])
    web.log.append((time.time_ns(), 1, b"two\n"))
    engine.say_raw(web, frame(1, b"2030-01-01T00:00:00.000000000Z two\n")[:20])
    engine.end_log(web, CUT)
    reader.until(lambda: reader.texts("stdout") == ["one", "two"])


def test_the_log_goes_on_when_the_container_is_restarted(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web")
    engine.say(web, b"first life\n")
    reader.start().live(1)
    reader.backend.follow_logs([web.key])
    reader.until(lambda: reader.texts() == ["first life"])
    engine.die(web, 3)
    reader.until(lambda: "container exited with code 3" in reader.texts("devenv"))
    engine.begin(web)
    reader.until(lambda: engine.log_readers(web))
    engine.say(web, b"second life\n")
    reader.until(lambda: "second life" in reader.texts())
    assert reader.texts() == ["first life", "container exited with code 3", "second life"]
    engine.remove(web)
    reader.until(lambda: reader.texts()[-1] == "container removed")
    logs = [stream for stream in reader.backend.streams() if stream.name.startswith("docker-log-")]
    assert not [stream for stream in logs if stream.alive and not stream.stopping]


def test_a_stopped_container_shows_its_log(engine: FakeEngine, reader: Reader) -> None:
    job = engine.add("job", state="exited", status="Exited (0) 1 hour ago", finished_ns=1)
    engine.say(job, b"done\n")
    reader.start().live(1)
    reader.backend.follow_logs([job.key])
    reader.until(lambda: reader.texts() == ["done"])
    requests = engine.requests["logs"]
    engine.begin(job)
    reader.until(lambda: engine.requests["logs"] == requests + 1)


@pytest.mark.parametrize(("state", "finished_ns"), [("created", 0), ("exited", 1)])
def test_a_start_while_the_log_is_opened_is_no_exit(
    engine: FakeEngine, reader: Reader, monkeypatch: pytest.MonkeyPatch, state: str, finished_ns: int
) -> None:
    web = engine.add("web", state=state, finished_ns=finished_ns)
    opened = web.log_since

    def started_meanwhile(since: float, tail: str, until: float) -> list[tuple[int, int, bytes]]:
        if web.state != "running":
            engine.begin(web)
        return opened(since, tail, until)

    monkeypatch.setattr(web, "log_since", started_meanwhile)
    reader.start().live(1)
    reader.backend.follow_logs([web.key])
    reader.until(lambda: engine.log_readers(web))
    requests = engine.requests["logs"]
    engine.end_log(web, CLEAN)  # the engine looked before the start, and had nothing to follow
    reader.until(lambda: engine.requests["logs"] > requests)
    engine.say(web, b"first line\n")
    reader.until(lambda: "first line" in reader.texts())
    engine.die(web, 3)
    reader.until(lambda: reader.texts("devenv"))
    assert reader.texts("devenv") == ["container exited with code 3"]


def test_a_log_driver_that_cannot_be_read_is_told_once(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web")
    engine.faults[f"/containers/{web.id}/logs"] = (501, b'{"message": "logging driver does not support reading"}')
    reader.start().live(1)
    reader.backend.follow_logs([web.key])
    reader.until(lambda: engine.requests["logs"] >= 3)
    (told,) = reader.texts()
    assert "does not support reading" in told


def test_the_log_survives_a_restart_of_the_engine(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web")
    engine.say(web, b"before\n")
    reader.start().live(1)
    reader.backend.follow_logs([web.key])
    reader.until(lambda: reader.texts() == ["before"])
    engine.stop()
    reader.until(lambda: "interrupted" in reader.texts()[-1])
    web.log.append((time.time_ns(), 1, b"meanwhile\n"))
    engine.start()
    reader.until(lambda: reader.texts("stdout") == ["before", "meanwhile"])
    assert reader.texts("devenv")[-1] == "log continues"
