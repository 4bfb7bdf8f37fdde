"""Every parser of what comes from outside, on damaged input: a value or an error with a sentence, nothing else.

The parsers, and an input that each reads, are in tests/fuzz.py. A property that only a certain input shows has a test
of its own beside the parser.
"""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import ERRORS, NASTY, PARSERS, Parser, judge

EXAMPLES: Final = 40  # a parser; `make fuzz` looks at thousands
_TOKENS: Final = re.compile(rb'"(?:[^"\\\\]|\\\\.)*"|[\w.+-]+|\s+|.', re.DOTALL)
# Where, how many tokens (or bytes) go, and what comes instead: None doubles what is there.
EDIT = st.tuples(
    st.booleans(), st.integers(0, 2**16), st.sampled_from((0, 1, 1, 4, 20)),
    st.none() | st.sampled_from(NASTY) | st.binary(max_size=8),
)  # fmt: skip


def damaged(data: bytes, edits: list[tuple[bool, int, int, bytes | None]]) -> bytes:
    """Take parts out, double them, or put something nasty in: whole tokens, so that most of it stays what it was."""
    for by_token, at, count, put in edits:
        tokens = _TOKENS.findall(data) if by_token else [data[i : i + 1] for i in range(len(data))]
        begin = at % (len(tokens) + 1)
        gone = tokens[begin : begin + count]
        data = b"".join((*tokens[:begin], *(gone * 2 if put is None else (put,)), *tokens[begin + count :]))
    return data


@pytest.mark.parametrize(("parser", "whole"), PARSERS, ids=[parser.__name__ for parser, _ in PARSERS])
def test_damaged_input_is_a_value_or_an_error_with_a_sentence(
    parser: Parser, whole: Callable[[Path], bytes], tmp_path: Path
) -> None:
    made = whole(tmp_path)

    @settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None)
    @given(edits=st.lists(EDIT, min_size=1, max_size=5))
    def damage(edits: list[tuple[bool, int, int, bytes | None]]) -> None:
        judge(parser, damaged(made, edits), tmp_path)

    damage()


NESTED = 100_000
BOMBS = {
    "brackets": b"[" * NESTED + b"]" * NESTED + b"\n",
    "objects": b'{"a":' * NESTED + b"1" + b"}" * NESTED + b"\n",
    "ten thousand keys": b"{" + b", ".join(b'"key%d": %d' % (n, n) for n in range(10_000)) + b"}\n",
    "ten thousand lines of keys": b"".join(b"key%d = %d\n" % (n, n) for n in range(10_000)),
    "a line of a megabyte": b"x" * 1_000_000 + b"\n",
    "a number of a hundred thousand digits": b'{"time": ' + b"9" * 100_000 + b"}\n",
    "a YAML bomb": b"a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (n + 1, n + 1, b", ".join([b"*%c" % n] * 10)) for n in range(97, 110))
    + b"clusters: *n\nusers: *n\ncontexts: *n\n",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("parser", [parser for parser, _ in PARSERS], ids=lambda parser: parser.__name__)
def test_what_is_made_to_burst_is_a_value_or_an_error_in_bounded_memory(
    parser: Parser, bomb: bytes, tmp_path: Path
) -> None:
    tracemalloc.start()
    try:
        with suppress(*ERRORS):
            parser(bomb, tmp_path)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 12 * len(bomb) + 25_000_000  # 3.14 takes a tenth more than 3.11


def test_what_is_whole_is_read(tmp_path: Path) -> None:
    for parser, made in PARSERS:
        parser(made(tmp_path), tmp_path)  # raises nothing
