"""`devenv/logs`: levels, fields, filters, the order of several sources, and looking through a buffer bit by bit."""

from __future__ import annotations

import sys
from collections import deque
from datetime import UTC, datetime

import pytest

from devenv.backends.docker.lines import LineAssembler, Resume
from devenv.backends.streams import Buffer
from devenv.cli.tui import size_logs
from devenv.core.errors import PatternTooSlow
from devenv.core.model import LogLine, LogsDropped
from devenv.core.settings import LogSettings
from devenv.core.text import sanitize, sanitize_styled
from devenv.logs.buffer import PLACED, LogBuffer
from devenv.logs.filter import LineFilter, Pattern, line_filter, moment_of, parse_filter, seconds_of
from devenv.logs.fold import FoldKind, Folds
from devenv.logs.histogram import Histogram
from devenv.logs.merge import Reorder, in_order
from devenv.logs.record import LEVELS, fields_of, level_of, readable
from devenv.logs.scan import Scan
from devenv.tui.logs.buffers import LogShelf
from devenv.tui.logs.rows import LogRows, Look
from devenv.tui.table.lines import GroupKey


def line(text: str, at: float | None = None, key: str = "a", stream: str = "stdout") -> LogLine:
    return LogLine(key, at, stream, text)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ('{"time": "x", "level": "warn", "msg": "ERROR is only a word here"}', "warn"),
        ('{"severity":"ERROR","message":"m"}', "error"),
        ('{"level":50,"msg":"as pino and bunyan count"}', "error"),
        ("[web] time=x level=debug msg=y", "debug"),
        ("2026-11-28 12:00:00,123 CRITICAL root: gone", "fatal"),
        ("WARNING:root:low", "warn"),
        ("[error] 12#12: *3 connect() failed", "error"),
        ("java.lang.NullPointerException: x", "error"),
        ("Traceback (most recent call last):", "error"),
        ("uvicorn.error: started", ""),
        ("no error was found", ""),
        ("GET /search?level=x 200", ""),
        ("", ""),
    ],
)
def test_the_level_that_a_line_names(text: str, level: str) -> None:
    assert (["", *LEVELS][level_of(text)]) == level


def test_fields_of_json_and_of_logfmt() -> None:
    assert fields_of('{"a": {"b": 1, "c": [1, 2]}, "d": null, "e": "ü"}') == {
        "a.b": "1",
        "a.c": "[1, 2]",
        "d": "null",
        "e": "ü",
    }
    assert fields_of(r'level=info msg="two \"words\"" empty= user.id=7') == {
        "level": "info",
        "msg": 'two "words"',
        "empty": "",
        "user.id": "7",
    }
    assert fields_of('{"cut": "in its midd') == {}
    assert fields_of("[1, 2]") == {}


def test_a_structured_line_for_people_and_every_other_as_it_is() -> None:
    assert readable('[web] {"ts": 1, "level": "warn", "msg": "slow", "db": {"ms": 12}}') == "[web] WARN  slow  db.ms=12"
    assert readable("level=info msg=started port=80") == "INFO  started  port=80"
    for text in ("GET /a?b=c 200", "{not json}", "plain"):
        assert readable(text) == text


LINES = (
    line('{"level": "error", "msg": "Timeout of db", "code": 500}', 100.0),
    line("level=warn msg=slow code=500", 200.0),
    line("INFO all is well", 300.0),
    line("container exited with code 3", 310.0, stream="devenv"),
    line("plain text with (brackets)", 400.0),
)


@pytest.mark.parametrize(
    ("texts", "left"),
    [
        ((), {0, 1, 2, 3, 4}),
        (("timeout",), {0, 3}),
        (("Timeout",), {0, 3}),
        (("TIMEOUT",), {3}),
        (("!timeout",), {1, 2, 3, 4}),
        (("t.*e",), {0, 3, 4}),
        (("level>=warn",), {0, 1, 3}),
        (("level=info",), {2, 3}),
        (("code=500",), {0, 1, 3}),
        (("code!=500",), {2, 3, 4}),
        (("level=error msg~time",), {0, 3}),
        (("msg!~time",), {1, 2, 3, 4}),
        (("!code=500 msg~slow",), {0, 2, 3, 4}),
        (("code=500", "!slow"), {0, 3}),
        ((r"\(brackets\)",), {3, 4}),
    ],
)
def test_filters_are_combined(texts: tuple[str, ...], left: set[int]) -> None:
    only = line_filter(texts)
    assert {number for number, one in enumerate(LINES) if only.passes(one)} == left


def test_filters_by_time() -> None:
    only = LineFilter(since=200.0, until=310.0)
    assert [one.at for one in LINES if only.passes(one)] == [200.0, 300.0, 310.0]


@pytest.mark.parametrize("text", ["(", "level=loud", "level>=7x", "", "!", "msg~(", "*"])
def test_what_is_no_filter_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"needs|is no"):
        line_filter([text])


def test_a_pattern_that_backtracks_for_ever_is_cut_off() -> None:
    pattern = Pattern("(a|aa)+$")
    assert pattern.found_in("aaa")
    with pytest.raises(PatternTooSlow, match="takes too long"):
        pattern.found_in("a" * 60 + "b")
    assert pattern.spans("a" * 60 + "b") == []
    assert Pattern("é+").spans("Éé x é") == [(0, 2), (5, 6)]
    assert Pattern("(x", plain=True).spans("a (X") == [(2, 4)]


def test_times_as_they_are_typed() -> None:
    assert [seconds_of(text) for text in ("90s", "1h30m", "1.5h", "300ms", "2d")] == [90, 5400, 5400, 0.3, 172800]
    assert moment_of("5m", 1000.0) == 700.0
    assert moment_of("2026-01-31T12:00:00Z") == 1769860800.0
    assert moment_of("1769860800.5") == 1769860800.5
    for text in ("5", "yesterday", "2026-13-01", "-5m"):
        with pytest.raises(ValueError, match="time"):
            moment_of(text)


def test_whole_sources_in_the_order_of_their_times() -> None:
    a = [line("a1", 1.0), line("a2", 4.0), line("a3, of the other stream", 3.5), line("a4, without a time")]
    b = [line("b1", 2.0, "b"), line("b2", 5.0, "b")]
    texts = [one.text for one in in_order([a, b])]
    assert texts == ["a1", "b1", "a2", "a3, of the other stream", "a4, without a time", "b2"]


def test_two_clocks_that_differ_keep_the_order_of_each() -> None:
    now = 0.0
    reorder = Reorder(0.3, clock=lambda: now)
    given: list[str] = []
    for number in range(10):  # the clock of b is two seconds behind; its lines come as early as those of a
        now = number * 0.1
        reorder.put([line(f"a{number}", 100 + now), line(f"b{number}", 98 + now, "b")])
        given += [one.text for one in reorder.ready()]
    given += [one.text for one in reorder.rest()]
    assert sorted(given) == sorted(f"{name}{number}" for name in "ab" for number in range(10))
    assert [text for text in given if text[0] == "a"] == [f"a{number}" for number in range(10)]
    assert [text for text in given if text[0] == "b"] == [f"b{number}" for number in range(10)]


def test_a_line_waits_for_earlier_ones_and_a_late_one_is_not_lost() -> None:
    now = 0.0
    reorder = Reorder(0.3, clock=lambda: now)
    reorder.put([line("second", 2.0)])
    assert list(reorder.ready()) == []
    now = 0.1
    reorder.put([line("first", 1.0, "b")])
    now = 0.35
    assert [one.text for one in reorder.ready()] == ["first", "second"]
    reorder.put([line("late", 0.5, "c")])
    now = 0.7
    assert [one.text for one in reorder.ready()] == ["late"]


def test_more_than_may_wait_is_given_at_once() -> None:
    reorder = Reorder(10.0, held=3, clock=lambda: 0.0)
    reorder.put(line(str(number), float(number)) for number in range(5))
    assert [one.text for one in reorder.ready()] == ["0", "1"]


def texts(buffer: LogBuffer) -> list[str]:
    return [one.text for one in buffer.lines]


def test_late_lines_are_placed_among_the_newest_and_numbers_stay_with_what_is_before() -> None:
    buffer = LogBuffer(6)
    buffer.extend([line("1", 1.0), line("3", 3.0)], place=True)
    buffer.extend([line("5", 5.0, "b"), line("2", 2.0, "b"), line("none", None, "b")], place=True)
    assert texts(buffer) == ["1", "2", "none", "3", "5"]
    assert (buffer.moved, buffer.moved_since(0), buffer.moved_since(1)) == (1, 1, None)
    buffer.extend([line("6", 6.0), line("4", 4.0)], place=True)
    assert (texts(buffer), buffer.first, buffer.total) == (["2", "none", "3", "4", "5", "6"], 1, 7)


def test_a_line_that_is_older_than_all_that_may_move_is_kept_too() -> None:
    buffer = LogBuffer()
    buffer.extend([line(str(number), float(number)) for number in range(1, PLACED + 11)], place=True)
    buffer.extend([line("late", 0.5, "b")], place=True)
    assert texts(buffer)[10] == "late"
    assert buffer.total == PLACED + 11


def scanned(buffer: LogBuffer) -> Scan:
    scan = Scan(buffer, lambda one, number: int(one.text.split()[0]))
    while not scan.complete:
        scan.look_back(0.0)
    return scan


def test_a_scan_gives_rows_and_follows_the_buffer() -> None:
    buffer = LogBuffer(1000)
    buffer.extend([line(f"{number % 3} {number}", float(number)) for number in range(900)], place=False)
    scan = scanned(buffer)
    assert (len(scan), len(scan.numbers)) == (900, 600)
    assert [scan.at_row(y) for y in (0, 1, 2, 3, 899, 900, -1)] == [
        (1, 0),
        (2, 0),
        (2, 1),
        (4, 0),
        (899, 1),
        None,
        None,
    ]
    assert [scan.row_of(number) for number in (0, 1, 2, 3, 4, 899)] == [0, 0, 1, 3, 3, 898]
    buffer.extend([line(f"2 {number}", float(number)) for number in range(900, 1103)], place=False)
    assert scan.sync() == 102  # the rows of 0 to 102
    assert scan.at_row(0) == (103, 0)
    assert len(scan) == 900 - 102 + 2 * 203
    buffer.extend([line("1 late", 1100.5, "b")], place=True)
    assert scan.sync() == 1
    assert len(scan) == 900 - 103 + 2 * 203 + 1
    assert scan.numbers[-3:].tolist() == [1101, 1102, 1103]
    assert [scan.next_to(number, 1) for number in (1102, 1103)] == [1103, 104]
    assert [scan.next_to(number, -1) for number in (1102, 104)] == [1101, 1103]


TRACES = {
    "python": """Traceback (most recent call last):
  File "/app/db.py", line 3, in get
    return rows[key]
           ~~~~^^^^^
  [Previous line repeated 20 more times]
KeyError: 'a'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/main.py", line 9, in <module>
    get("a")
app.errors.NotFound: no 'a'""",
    "java": """ERROR o.a.Servlet - Servlet.service() threw
    at com.shop.Cart.add(Cart.java:12)
    at com.shop.Main.main(Main.java:3)
Caused by: java.lang.NullPointerException: x
    at com.shop.Db.get(Db.java:7)
    ... 12 more""",
    "node": """TypeError: Cannot read properties of undefined (reading 'id')
    at Object.<anonymous> (/app/index.js:3:9)
    at async main (node:internal/main:1:2)""",
    "go": """panic: runtime error: index out of range [5] with length 3
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x1]

goroutine 1 [running]:
main.(*Cart).add(0xc000012345, 0x1)
    /app/main.go:12 +0x1d
main.main()
    /app/main.go:30 +0x2e
created by main.start
    /app/main.go:5 +0x11""",
}
PLAIN = ("served", "  indented: 1", "    more: 2", "GET /a (ok)", "", "INFO: started", "at noon", "served")


def folded(buffer: LogBuffer, kind: FoldKind) -> list[tuple[str, int]]:
    """Return the lines that are shown, each with how many stand behind it."""
    folds = Folds(buffer, kind)
    scan = Scan(buffer, lambda one, number: not folds.hides(one, number))
    while not scan.complete:
        scan.look_back(0.0)
    return [(one.text, scan.behind(number)) for number in scan.numbers if (one := buffer.line(number)) is not None]


@pytest.mark.parametrize("language", TRACES)
def test_a_stack_trace_is_one_line_and_what_is_beside_it_stays(language: str) -> None:
    trace = TRACES[language].splitlines()
    buffer = LogBuffer()
    buffer.extend([line(text) for text in (*PLAIN, *trace, *PLAIN)], place=False)
    around = [(text, 0) for text in PLAIN]
    assert folded(buffer, "traces") == [*around, (trace[0], len(trace) - 1), *around]
    assert folded(buffer, "") == [(text, 0) for text in (*PLAIN, *trace, *PLAIN)]
    between = LogBuffer()  # a line of another source between two ends a fold, and none is lost
    between.extend([line(trace[0]), line("other", key="b"), *map(line, trace[1:])], place=False)
    shown = folded(between, "traces")
    assert sum(1 + behind for _, behind in shown) == len(trace) + 1
    assert shown[1] == ("other", 0)


def test_repeated_lines_fold_where_only_their_times_differ_and_open_again() -> None:
    buffer = LogBuffer()
    said = [f"2026-11-28T12:00:0{second}.000Z retry in 1 s" for second in range(5)]
    buffer.extend([line(text) for text in ("up", *said, "retry in 2 s", "gone", "gone")], place=False)
    assert folded(buffer, "repeats") == [("up", 0), (said[0], 4), ("retry in 2 s", 0), ("gone", 1)]
    assert len(folded(buffer, "traces")) == 9
    folds = Folds(buffer, "repeats")

    def hidden() -> list[int]:
        return [number for number, one in enumerate(buffer.lines) if folds.hides(one, number)]

    folds.toggle(1, 5)
    assert hidden() == [8]
    folds.toggle(1, 1)
    assert hidden() == [2, 3, 4, 5, 8]


@pytest.mark.parametrize("value", ["17", "a b", "Groß", "GROSS", "1.0", "[1, 2]", "b=2", "7", "é", "[0-9]+$"])
@pytest.mark.parametrize("sign", ["=", "!=", "~", "!~"])
def test_a_field_is_found_however_the_line_writes_it(sign: str, value: str) -> None:
    lines = [
        *("x=17", "x=117", "y=17", "17 x=", 'x="a b"', 'y="x=17"', "a=1,x=17", r'x="a\ b"', "x=groß", "x=GROSS", "17"),
        *('{"x": 17}', '{"x": "17"}', '{"x": 1e0}', '{"x": [1,2]}', r'{"x": "\u0031\u0037"}', '{"a": {"x": 17}}'),
        *('[web] {"x": "a b"}', "[web] x=17", r"x=\u00e9", '{"x": "\\u00e9"}', "", 'x="a=1 b=2"', "xx=17 x=7"),
    ]
    pattern = Pattern(value)
    for text in lines:
        field = fields_of(text).get("x", "")
        holds = pattern.found_in(field) if "~" in sign else field.casefold() == value.casefold()
        passes = parse_filter(f'x{sign}"{value}"').test(line(text))
        assert passes is (holds is not sign.startswith("!")), text


def test_a_flood_is_looked_at_a_slice_at_once_and_all_of_it_in_the_end() -> None:
    buffer = LogBuffer()
    scan = scanned(buffer)
    buffer.extend([line(f"1 {number}", float(number)) for number in range(2_000)], place=False)
    scan.sync(0.0)
    assert 0 < len(scan) < 2_000
    assert scan.lags
    assert not scan.complete
    assert not scan.looked_at(1_999)
    buffer.extend([line(f"1 {number}", float(number)) for number in range(2_000, 2_010)], place=False)
    while not scan.complete:
        scan.look_back(0.0)
    assert scan.numbers.tolist() == list(range(2_010))


def test_a_histogram_counts_what_is_there_however_lines_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer, histogram = LogBuffer(500), Histogram()
    buffer.extend([line(f"{'ERROR' if n % 50 == 0 else 'INFO'} {n}", float(n)) for n in range(300)], place=False)
    scan = Scan(buffer, lambda one, _: "7" not in one.text, histogram)
    while not scan.complete:
        scan.look_back(0.0)

    def exact() -> tuple[int, int]:
        shown = [one for number in scan.numbers if (one := buffer.line(number)) is not None]
        return len(shown), sum("ERROR" in one.text for one in shown)

    def shown() -> tuple[int, int]:
        ends = [int(one.at or 0) for number in (scan.numbers[0], scan.numbers[-1]) if (one := buffer.line(number))]
        columns = histogram.columns(ends[1] + 1 - ends[0])  # one for each second
        return sum(one.lines for one in columns), sum(one.errors for one in columns)

    assert shown() == exact()
    buffer.extend([line(f"ERROR late {n}", n + 0.5, "b") for n in range(100, 140)], place=True)
    scan.sync(60.0)
    assert shown() == exact()
    for begin in range(300, 1_500, 40):  # the first ones are let go
        buffer.extend([line(f"INFO {n}", float(n)) for n in range(begin, begin + 40)], place=False)
        scan.sync(60.0)
        assert shown() == exact()
    read: list[str] = []
    monkeypatch.setattr("devenv.logs.histogram.level_of", lambda text: read.append(text) or 3)
    buffer.extend([line(f"INFO {n}", float(n)) for n in range(1_500, 1_504)], place=False)
    scan.sync(60.0)
    assert read == [f"INFO {n}" for n in range(1_500, 1_504)]  # a batch costs its lines
    place = histogram.since(1_200.0)
    assert place is not None
    assert (one := buffer.line(scan.numbers[place])) is not None
    assert one.at == 1_200.0


def test_a_histogram_is_bounded_and_finds_its_seconds_again() -> None:
    histogram = Histogram()
    histogram.append(line("ERROR once", float(day * 86_400)) for day in range(1_000))
    filled = [len([one for one in histogram.columns(width) if one.lines]) for width in (10, 100_000)]
    assert filled[0] == 10
    histogram.append(line("INFO x", 999 * 86_400.0 + n / 10) for n in range(1_000))
    histogram.forget(0, 999)
    columns = histogram.columns(100)
    assert (columns[0].at, columns[0].lines, columns[0].errors, columns[-1].at) == (86_313_600, 11, 1, 86_313_699)
    assert histogram.error(500, -1) == 0
    assert histogram.error(500, 1) is None
    histogram.forget(0, 1_001)
    assert histogram.columns(100) == []


def test_two_looks_at_a_buffer_both_learn_which_lines_moved() -> None:
    buffer = LogBuffer()
    buffer.extend([line("1 first", 1.0), line("1 third", 3.0)], place=True)
    scans = [scanned(buffer), scanned(buffer)]
    buffer.extend([line("0 second", 2.0, "b")], place=True)
    for scan in scans:
        scan.sync()
        assert scan.numbers.tolist() == [0, 2]


@pytest.mark.parametrize(
    "raw",
    [
        b"\x1b[31mred\x1b[0m \x1b]52;c;ZXZpbA==\x07end",
        b"10%\r\x1b[31m99%\x1b[m\r\n",
        b"\x1b[2Jx\x00y\x9b1mz",
        b"\x1b[38;5;300mno such colour\x1b[8mhidden",
        "\x1b[31mü\u202e\x1b]0;t\x1b[1mx".encode(),
    ],
)
def test_colours_change_nothing_about_what_is_kept_of_a_text(raw: bytes) -> None:
    text, styles = sanitize_styled(raw)
    assert text == sanitize(raw)
    assert all(0 <= start < end <= len(text) for start, end, _ in styles)
    assert all(code.replace(";", "").isdecimal() and "8" not in code.split(";") for _, _, code in styles)


def test_colours_are_kept_where_they_stood() -> None:
    assert sanitize_styled("a\x1b[1;31mb\x1b[4mc\x1b[0md\x1b[38;2;1;2;3me") == (
        "abcde",
        ((1, 2, "1;31"), (2, 3, "1;31;4"), (4, 5, "38;2;1;2;3")),
    )


def test_the_logs_of_a_process_are_as_large_as_devenv_toml_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogBuffer, "kept", LogBuffer.kept)
    monkeypatch.setattr(LineAssembler, "kept", LineAssembler.kept)
    size_logs(LogSettings(lines=2_000, width=100))
    assembler, buffer = LineAssembler("a"), LogBuffer()
    for number in range(3_000):
        buffer.extend(assembler.feed_raw(f"2026-11-28T12:00:00Z {number:0150d}\n".encode()), place=False)
    assert (len(buffer.lines), buffer.let_go, buffer.total) == (2_000, 1_000, 3_000)
    assert {(len(one.text), one.cut) for one in buffer.lines} == {(100, 50)}


def test_a_flood_keeps_no_more_objects_however_long_it_lasts() -> None:
    shelf = LogShelf()
    merged = GroupKey("*", "*")
    buffer = shelf.select(("*",), merged, 0.0)
    buffer.lines = deque(maxlen=2_000)
    shelf.feed(merged, {key: key for key in "abc"})
    rows = LogRows(buffer, Look(80), Folds(buffer))
    waiting = Buffer(lines=380)
    readers = {key: (LineAssembler(key), Resume()) for key in "abc"}
    blocks, printed, at = [], 0, 1_700_000_000
    for second in range(40):
        for key, count in (("a", 10), ("b", 50), ("c", 400)):
            assembler, resume = readers[key]
            stamp = datetime.fromtimestamp(at + second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            raw = (f"{stamp}.{n:06}Z \x1b[38;5;{n % 256}mline {n:9} of {second:5}\x1b[m\n" for n in range(count))
            waiting.put_lines(resume.new_of(assembler.feed_raw("".join(raw).encode())))
            printed += count
        shelf.take(*(change for change in waiting.drain() if isinstance(change, LogLine | LogsDropped)))
        rows.sync()
        while rows.scan.lags:
            rows.sync()
        blocks.append(sys.getallocatedblocks())
    assert buffer.total + sum(buffer.dropped.values()) == printed
    assert sum(buffer.dropped.values()) == 40 * 80
    assert len(rows.scan.numbers) == len(buffer.lines) == 2_000
    assert max(blocks[25:]) < 1.02 * max(blocks[10:25]), "what is kept does not grow in the second half"
