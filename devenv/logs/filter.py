"""Filters of lines: patterns that may not run for ever, levels, fields and times; each a short text that people type.

timeout            a regular expression; without an upper-case letter it takes both cases
!health            lines without it
level>=warn        at that level or above; also level=error
status=500 msg~timeout   fields of JSON or logfmt, all of them: equal, not equal (!=), with a pattern (~), without (!~)
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from devenv.core.errors import PatternTooSlow
from devenv.core.model import LogLine
from devenv.logs.record import fields_of, level_number, level_of, may_have

PATTERN_TIME: Final = 0.05  # seconds that a pattern may take on one line
LINE_LOOKED_AT: Final = 16_384  # characters of one line
Test = Callable[[LogLine], bool]


class Pattern:
    """A regular expression that is cut off; a text without signs of one is looked for as it is, which costs less.

    Raises ValueError for an expression that is none.
    """

    def __init__(self, text: str, *, plain: bool = False) -> None:
        """`plain` says that it is a text, whatever signs are in it."""
        self.text = text
        self._fold = text == text.lower()
        self._plain = text if plain or not re.search(r"[\\^$.|?*+()\[\]{}]", text) else ""
        self._regex: Any = None
        if not self._plain:
            import regex  # deferred: it takes 30 ms to import, and most who look at a log filter nothing

            try:
                self._regex = regex.compile(text, regex.IGNORECASE if self._fold else 0)
            except regex.error as error:
                raise ValueError(f"{text!r} is not a regular expression: {error}") from error

    @property
    def is_regex(self) -> bool:
        """Whether it is more than a text that is looked for as it is."""
        return self._regex is not None

    def found_in(self, text: str) -> bool:
        """Whether the text has it; raises PatternTooSlow."""
        if self._plain:
            return self._plain in (text.lower() if self._fold else text)
        try:
            return self._regex.search(text[:LINE_LOOKED_AT], timeout=PATTERN_TIME) is not None
        except TimeoutError as error:
            hint = "Write it without repetitions inside repetitions."
            raise PatternTooSlow(f"“{self.text}” takes too long on one line: it was stopped", hint) from error

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return where it is in the text; nowhere where that takes too long."""
        if self._plain:
            flags = re.IGNORECASE if self._fold else 0
            return [match.span() for match in re.finditer(re.escape(self._plain), text, flags)]
        try:
            found = self._regex.finditer(text, timeout=PATTERN_TIME)
            return [match.span() for match in found if match.end() > match.start()]
        except TimeoutError:
            return []


class Filter(Struct, frozen=True):
    """One condition, with the text that says it."""

    text: str
    test: Test


_TERM: Final = re.compile(r"(?P<name>[A-Za-z_@][\w.@/-]*)(?P<sign>!=|!~|>=|=|~)(?P<value>\"[^\"]*\"|\S+)")


def parse_filter(text: str) -> Filter:
    """Read one; raises ValueError for a pattern or a level that is none."""
    said = text.strip()
    inverted = said.startswith("!")
    body = said[1:].lstrip() if inverted else said
    if not body:
        raise ValueError("a filter needs a text")
    test = _terms(body) or _pattern_test(body)
    return Filter(said, (lambda line: not test(line)) if inverted else test)


def _pattern_test(text: str) -> Test:
    pattern = Pattern(text)
    return lambda line: pattern.found_in(line.text)


def _terms(text: str) -> Test | None:
    """Return the test of a text that is nothing but terms; None for every other one."""
    tests: list[Test] = []
    end = 0
    for match in _TERM.finditer(text):
        if text[end : match.start()].strip():
            return None
        end = match.end()
        test = _term(match["name"], match["sign"], match["value"].strip('"'))
        if test is None:
            return None
        tests.append(test)
    if not tests or text[end:].strip():
        return None
    return tests[0] if len(tests) == 1 else lambda line: all(test(line) for test in tests)


def _term(name: str, sign: str, value: str) -> Test | None:
    if name.lower() == "level" and sign in ("=", ">=", "!="):
        number = level_number(value)
        if sign == ">=":
            return lambda line: level_of(line.text) >= number
        return lambda line: (level_of(line.text) == number) is (sign == "=")
    if sign == ">=":
        return None
    wanted = sign in ("=", "~")
    pattern = Pattern(value) if sign in ("~", "!~") else None
    folded = value.casefold()

    def holds(value: str) -> bool:
        return pattern.found_in(value) if pattern is not None else value.casefold() == folded

    # Looked for in the text before its fields are read, which costs ten times as much: few lines of a log have it.
    seen = "" if '"' in value or (pattern is not None and pattern.is_regex) else folded
    without = holds("") is wanted
    return lambda line: (
        holds(fields_of(line.text).get(name, "")) is wanted if may_have(line.text, name, seen) else without
    )


class LineFilter(Struct, frozen=True):
    """What of a log is shown: lines that pass all filters and lie between two moments; marks between them, too.

    Without any of it, everything.
    """

    filters: tuple[Filter, ...] = ()
    since: float | None = None  # seconds since the epoch
    until: float | None = None

    def __bool__(self) -> bool:
        return bool(self.filters) or self.since is not None or self.until is not None

    def passes(self, line: LogLine) -> bool:
        """Whether the line is shown; raises PatternTooSlow."""
        at = line.at
        if at is not None and (
            (self.since is not None and at < self.since) or (self.until is not None and at > self.until)
        ):
            return False
        if line.stream == "devenv":
            return True
        return all(one.test(line) for one in self.filters)


def line_filter(
    patterns: Iterable[str], level: str = "", since: float | None = None, until: float | None = None
) -> LineFilter:
    """Return the filter of these texts, of a level and above, and between two moments; raises ValueError."""
    texts: Sequence[str] = (*([f"level>={level}"] if level else []), *patterns)
    return LineFilter(tuple(parse_filter(text) for text in texts), since, until)


_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|[dhms])")
_UNITS: Final = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def seconds_of(text: str) -> float:
    """Return the seconds of a duration as Go writes it, days included: 90s, 1h30m, 1.5h, 2d; raises ValueError."""
    if not re.fullmatch(f"(?:{_PART.pattern})+", text):
        raise ValueError(f"{text!r} is not a time like 90s, 5m or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def moment_of(text: str, now: float | None = None) -> float:
    """Return the seconds since the epoch of a duration before now, of an ISO date or time, or of such a number.

    Raises ValueError.
    """
    now = time.time() if now is None else now
    if re.fullmatch(r"\d{9,}(?:\.\d+)?", text):
        return float(text)
    if re.match(r"\d{4}-\d", text):
        try:
            return datetime.fromisoformat(text).timestamp()  # without a zone: the local one
        except ValueError as error:
            raise ValueError(f"{text!r} is not a date or time like 2026-01-31T12:00:00Z") from error
    return now - seconds_of(text)
