"""Nothing that a terminal would act on survives `sanitize`; everything else does."""

from __future__ import annotations

import random
import time

import pytest

from devenv.core.text import human_age, human_bytes, human_duration, sanitize


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("plain", "plain"),
        ("", ""),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[38;2;1;2;3mtrue colour", "true colour"),
        ("a\x1b]52;c;ZWNobyBwd25lZA==\x07b", "ab"),  # OSC 52 writes the clipboard
        ("a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\b", "alinkb"),
        ("a\x1bPpayload\x1b\\b", "ab"),
        ("a\x9b2Jb", "ab"),
        ("a\x9d0;title\x9cb", "ab"),
        ("unterminated \x1b]0;title", "unterminated 0;title"),
        ("lone \x1b", "lone "),
        ("\x1bcreset", "reset"),
        ("bell\x07 back\x08 nul\x00 del\x7f", "bell back nul del"),
        ("col1\tcol2", "col1    col2"),
        ("50%\r100%", "50%␍100%"),
        ("line\r\n", "line␊"),
        ("one\ntwo", "one␊two"),
        ("abc\u202edcba", "abcdcba"),
        ("\ufeffbom", "bom"),
        ("lone \udc80 surrogate", "lone \ufffd surrogate"),
        ("[/foo] [@click=app.quit]", "[/foo] [@click=app.quit]"),
        ("日本語 👩‍👩‍👧 é", "日本語 👩‍👩‍👧 é"),
    ],
)
def test_what_is_shown(hostile: str, shown: str) -> None:
    assert sanitize(hostile) == shown


def test_bytes_that_are_not_utf8_become_replacement_characters() -> None:
    assert sanitize(b"caf\xe9 \xf0\x28\x8c\x28") == "caf\ufffd \ufffd(\ufffd("


def test_an_escape_made_of_utf8_encoded_c1_goes_too() -> None:
    assert sanitize("\x9b31mred".encode()) == "red"


def test_lines_stay_where_they_are_wanted() -> None:
    assert sanitize("one\r\ntwo\u2028three\n", newlines=True) == "one\ntwo\nthree\n"


def test_no_random_text_keeps_a_control_character() -> None:
    dice = random.Random(4)
    alphabet = [*map(chr, range(0xA0)), "[", "]", ";", "m", "\\", "\u202e", "\ud800", "x", "語"]
    for _ in range(5000):
        text = "".join(dice.choices(alphabet, k=dice.randrange(40)))
        assert sanitize(text).isprintable(), repr(text)
        assert all(line.isprintable() for line in sanitize(text, newlines=True).split("\n")), repr(text)


@pytest.mark.parametrize("unit", ["\x1b]", "\x9d", "\x1b[", "\x1bP;", "\x1b]\x9d"])
def test_cost_grows_linearly_with_unterminated_sequences(unit: str) -> None:
    def cost(repeats: int) -> float:
        text = unit * repeats
        start = time.process_time()
        sanitize(text)
        return time.process_time() - start

    # Quadratic cost would be 400 times as much; the margin is for a noisy machine.
    assert cost(400_000) < 150 * max(cost(20_000), 0.0005)


def test_numbers_for_people() -> None:
    assert [human_bytes(n) for n in (0, 734, 1536, 92_274_688, 5 * 1024**4)] == [
        "0 B",
        "734 B",
        "1.5 KiB",
        "88 MiB",
        "5.0 TiB",
    ]
    assert [human_age(s) for s in (-3, 59.9, 60, 3599, 3600, 86400, 10 * 86400)] == [
        "0s",
        "59s",
        "1m",
        "59m",
        "1h",
        "1d",
        "10d",
    ]
    assert [human_age(86400 * days) for days in (999, 1000, 9999)] == ["999d", "2y", "27y"], "four characters at most"
    assert [human_duration(s) for s in (0.256, 4.21, 75.4, 200)] == ["0.26 s", "4.2 s", "75 s", "3 min 20 s"]
