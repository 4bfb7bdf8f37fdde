"""Frames, chunks, times and lines: the same result for any cutting of the bytes."""

from __future__ import annotations

import random
import time

import pytest

from devenv.backends.docker.lines import (
    LINE_KEPT,
    ChunkDecoder,
    FrameParser,
    FramingError,
    LineAssembler,
    Piece,
    Resume,
    split_time,
)
from devenv.core.model import LogLine

STAMP = b"2026-11-23T16:39:32.500000000Z "
AT = 1795451972.5


def frame(stream: int, payload: bytes) -> bytes:
    return bytes((stream, 0, 0, 0)) + len(payload).to_bytes(4, "big") + payload


def cuttings(data: bytes, seed: int) -> list[list[bytes]]:
    """Cut the data in one piece, byte by byte, and by chance."""
    chance = random.Random(seed)
    found = [[data], [data[i : i + 1] for i in range(len(data))]]
    for _ in range(30):
        parts, position = [], 0
        while position < len(data):
            size = chance.choice((1, 2, 3, 7, 8, 9, 31, 64, 65, 500))
            parts.append(data[position : position + size])
            position += size
        found.append(parts)
    return found


def joined(pieces: list[Piece]) -> list[tuple[int, bytes]]:
    frames: list[tuple[int, bytes]] = []
    for stream, data, begins in pieces:
        if begins:
            frames.append((stream, data))
        else:
            assert frames[-1][0] == stream
            frames[-1] = (stream, frames[-1][1] + data)
    return frames


def test_frames_for_any_cutting() -> None:
    chance = random.Random(5)
    sent = [(chance.randrange(4), chance.randbytes(chance.choice((0, 1, 40, 63, 64, 65, 700)))) for _ in range(30)]
    data = b"".join(frame(stream, payload) for stream, payload in sent)
    for parts in cuttings(data, 1):
        parser = FrameParser()
        pieces = [piece for part in parts for piece in parser.feed(part)]
        assert joined(pieces) == [(stream, payload) for stream, payload in sent if payload]
        assert not parser.cut


def test_a_large_frame_is_passed_on_and_not_held() -> None:
    parser = FrameParser()
    first = parser.feed(frame(1, b"")[:0] + bytes((1, 0, 0, 0)) + (50_000_000).to_bytes(4, "big") + b"x" * 1000)
    assert first == [(1, b"x" * 1000, True)]
    assert parser.cut
    total = 1000
    for _ in range(49_999):
        ((stream, data, begins),) = parser.feed(b"y" * 1000)
        assert (stream, begins) == (1, False)
        assert not parser._held
        total += len(data)
    assert total == 50_000_000
    assert not parser.cut


@pytest.mark.parametrize("header", [b"\x04\0\0\0\0\0\0\1", b"\x01\0\0\1\0\0\0\1", b"<html>..", b"2026-11-"])
def test_what_is_no_frame(header: bytes) -> None:
    with pytest.raises(FramingError):
        FrameParser().feed(frame(1, b"good\n") + header + b"x")


def test_chunks_for_any_cutting() -> None:
    chance = random.Random(6)
    sent = [chance.randbytes(chance.choice((1, 2, 15, 16, 300))) for _ in range(30)]
    data = b"".join(b"%x;name=value\r\n%b\r\n" % (len(part), part) for part in sent) + b"0\r\n\r\n"
    for parts in cuttings(data, 2):
        decoder = ChunkDecoder()
        assert b"".join(decoder.feed(part) for part in parts) == b"".join(sent)
        assert decoder.done


@pytest.mark.parametrize("data", [b"xyz\r\n", b"\r\n", b"1" * 2000])
def test_what_is_no_chunk(data: bytes) -> None:
    with pytest.raises(FramingError):
        ChunkDecoder().feed(data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (STAMP + b"text", (AT, b"text")),
        (b"2026-11-23T16:39:32.5Z x", (AT, b"x")),
        (b"2026-11-23T17:39:32.500000000+01:00 x", (AT, b"x")),
        (STAMP, (AT, b"")),
        (b"no time here", (None, b"no time here")),
        (b"2026-99-99T16:39:32.500000000Z x", (None, b"2026-99-99T16:39:32.500000000Z x")),
        (b"2026-11-23T16:39:xx.500000000Z x", (None, b"2026-11-23T16:39:xx.500000000Z x")),
        (b"", (None, b"")),
        (b"\xff" * 40, (None, b"\xff" * 40)),
    ],
)
def test_times(text: bytes, expected: tuple[float | None, bytes]) -> None:
    assert split_time(text) == expected


def _read(parts: list[bytes], *, tty: bool = False) -> list[LogLine]:
    lines, frames = LineAssembler("k"), FrameParser()
    found = [line for part in parts for line in (lines.feed_raw(part) if tty else lines.feed_frames(frames.feed(part)))]
    return found + lines.flush()


def test_lines_of_two_streams_for_any_cutting() -> None:
    data = b"".join(
        (
            frame(1, STAMP + b"one\n"),
            frame(1, STAMP + b"par"),
            frame(2, STAMP + b"error\n"),
            frame(1, STAMP + b"tial\n"),
            frame(2, STAMP + b"\n"),
            frame(1, STAMP + b"several\nlines\nin one"),
            frame(1, STAMP + b" frame\n"),
            frame(2, STAMP + b"no end"),
        )
    )
    for parts in cuttings(data, 3):
        assert [(line.stream, line.text, line.at, line.cut) for line in _read(parts)] == [
            ("stdout", "one", AT, 0),
            ("stderr", "error", AT, 0),
            ("stdout", "partial", AT, 0),
            ("stderr", "", AT, 0),
            ("stdout", "several", AT, 0),
            ("stdout", "lines", AT, 0),
            ("stdout", "in one frame", AT, 0),
            ("stderr", "no end", AT, 0),
        ]


def test_a_terminal_for_any_cutting() -> None:
    data = STAMP + b"one\r\n" + STAMP + b"\r\n" + STAMP + b"\x1b[1mtwo\x1b[0m\r\n" + STAMP + b"prompt> "
    for parts in cuttings(data, 4):
        found = _read(parts, tty=True)
        assert [(line.text, line.at) for line in found] == [("one", AT), ("", AT), ("two", AT), ("prompt> ", AT)]


@pytest.mark.parametrize("tty", [False, True])
def test_an_overlong_line_is_cut_and_counted(tty: bool) -> None:
    long = b"a" * (LINE_KEPT - 1) + "é".encode() + b"b" * 100
    data = (
        STAMP + long + b"\n" + STAMP + b"next\n"
        if tty
        else frame(1, STAMP + long + b"\n") + frame(1, STAMP + b"next\n")
    )
    for parts in cuttings(data, 5)[2:5]:
        first, second = _read(parts, tty=tty)
        assert first.text == "a" * (LINE_KEPT - 1), "no half of a character at its end"
        assert first.cut == len(long) - (LINE_KEPT - 1)
        assert second.text == "next"


def test_the_engine_cuts_long_lines_itself_and_repeats_the_time() -> None:
    part = b"x" * 16_384
    data = b"".join(frame(1, STAMP + part) for _ in range(3)) + frame(1, STAMP + b"end\n")
    (line,) = _read([data])
    assert (line.text, line.cut) == ("x" * 16_384, 2 * 16_384 + 3)


def _lines(*times: float) -> list[LogLine]:
    return [LogLine("k", at, "stdout", f"{at}/{number}") for number, at in enumerate(times)]


def test_resuming_skips_what_was_seen_and_nothing_else() -> None:
    resume = Resume()
    assert resume.params(50) == {"tail": 50}
    assert len(resume.new_of(_lines(1.0, 2.0))) == 2
    assert len(resume.new_of(_lines(2.0, 2.0))) == 2
    params = resume.params(50)
    assert params["tail"] == "all"
    assert float(params["since"]) == pytest.approx(1.999)
    again = _lines(1.0, 2.0, 2.0)
    assert resume.new_of(again) == []
    rest = _lines(2.0, 2.0, 3.0, 2.5)
    assert resume.new_of(rest) == rest[1:]
    resume.params(50)
    assert resume.new_of(_lines(2.5, 3.0)) == []
    assert resume.new_of([LogLine("k", None, "stdout", "no time")]) != []


def test_a_flood_is_parsed_fast() -> None:
    data = b"".join(frame(1, STAMP + b"line %d is a fairly normal line of a log\n" % n) for n in range(50_000))
    parts = [data[i : i + 65_536] for i in range(0, len(data), 65_536)]
    began = time.process_time()
    assert len(_read(parts)) == 50_000
    rate = 50_000 / (time.process_time() - began)
    # 300 000 lines a second on a machine of two slow cores; a tenth of it means that somebody lost the fast path.
    assert rate > 30_000, f"{rate:.0f} lines a second"


def test_a_clock_set_back_between_two_connections_loses_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    resume, hour = Resume(), 3600.0
    resume.params(50)
    resume.new_of(_lines(9_000.0, 9_001.0))
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - hour)
    assert float(resume.params(50)["since"]) == pytest.approx(9_001.0 - hour, abs=0.1)
    again = _lines(8_000.0, 9_000.0, 9_001.0, 9_002.0 - hour, 9_003.0 - hour)
    assert resume.new_of(again) == again[3:]
    params = resume.params(50)
    assert float(params["since"]) == pytest.approx(9_003.0 - hour, abs=0.1)
    rest = _lines(8_000.0, 9_000.0, 9_001.0, 9_003.0 - hour, 9_004.0 - hour, 9_000.5, 9_005.0)
    assert resume.new_of(rest) == rest[4:]


@pytest.mark.parametrize("batches", [((9_000.0, 9_001.0), (5_402.0,)), ((9_000.0, 9_001.0, 5_402.0),)])
def test_a_clock_set_back_while_a_log_is_read_repeats_no_line(batches: tuple[tuple[float, ...], ...]) -> None:
    """The engine's own clock may be set where ours is not, as that of a virtual machine."""
    resume = Resume()
    resume.params(50)
    for times in batches:
        assert len(resume.new_of(_lines(*times))) == len(times)
    assert float(resume.params(50)["since"]) == pytest.approx(5_402.0, abs=0.1)
    again = _lines(9_000.0, 9_001.0, 5_402.0, 5_403.0, 9_000.0)
    assert resume.new_of(again) == again[3:]
