"""What a line says beside its text: its level, the fields of a structured line, and both written for people.

Read when somebody asks, not when a line comes: a flood is drawn by the screenful, and filtered once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Final

import msgspec

LEVELS: Final = ("trace", "debug", "info", "warn", "error", "fatal")
UNKNOWN: Final = 0  # the level of a line that names none; the others are numbered from 1
ERROR: Final = LEVELS.index("error") + 1
_WORDS: Final = {
    "trace": 1,
    "debug": 2,
    "info": 3,
    "information": 3,
    "notice": 3,
    "warn": 4,
    "warning": 4,
    "err": 5,
    "error": 5,
    "fatal": 6,
    "crit": 6,
    "critical": 6,
    "panic": 6,
    "emerg": 6,
    "alert": 6,
}
_LEVEL_NAMES: Final = ("level", "lvl", "severity", "log.level", "levelname", "loglevel")
_LOOKED_AT: Final = 400  # characters: a level stands at the beginning of a line
_STARTS: Final = (
    "err",
    "warn",
    "info",
    "debug",
    "fatal",
    "trac",
    "panic",
    "crit",
    "notice",
    "exception",
    "alert",
    "emerg",
)
# Words by which most log formats name a level. In "uvicorn.error: started" it is a logger's name, not a level; of the
# words in lower case, only what a sign follows is one: "no error was found" is no error.
_LEVEL: Final = (
    r"(?<![\w.-])(?P<upper>TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERR(?:OR)?|FATAL|CRIT(?:ICAL)?|PANIC|EMERG|ALERT)\b"
    r"|(?P<python>\b(?:Traceback|[A-Za-z]+(?:Error|Exception))\b)"
    r"|(?<![\w.-])(?i:trace|debug|info|notice|warn(?:ing)?|error|fatal|crit(?:ical)?|panic)(?=[:\]\"|>])"
)
_GIVEN: Final = r"""(?<![\w-])(?:log\.?)?(?:level|lvl|severity|levelname)["']?\s*[=:]\s*["']?(\w+)"""
_FRONT: Final = re.compile(r"\[[\w.-]+\] (?=[{\w])")  # the container's name, before each line of a pod of several
_PAIR: Final = re.compile(r"(?<![^\s,|])([A-Za-z_@][\w.@/-]*)=(\"(?:[^\"\\]|\\.)*\"|[^\s\"]*)")


@cache  # with the first line, not with the import: that is before the first paint
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def level_of(text: str) -> int:
    """Return the level that a line names, 1 (trace) to 6 (fatal); 0 where it names none."""
    head = text[:_LOOKED_AT]
    folded = head.lower()
    if "lev" in folded or "lvl" in folded or "severity" in folded:
        given = _compiled(_GIVEN).search(head)
        if given is not None:
            return _level_named(given[1])
    if not any(start in folded for start in _STARTS):  # most lines end here: five times cheaper than the pattern
        return UNKNOWN
    best = UNKNOWN
    for match in _compiled(_LEVEL).finditer(head):
        if match["python"]:
            best = max(best, 5)
        else:
            best = max(best, _WORDS.get(match[0].lower(), UNKNOWN))
            if match["upper"] and match.start() < 60:  # the format's own place of it
                break
    return best


def level_number(word: str) -> int:
    """Return the number of a level's name; raises ValueError."""
    number = _WORDS.get(word.strip().lower(), UNKNOWN)
    if not number:
        raise ValueError(f"{word!r} is not a level; the levels are {', '.join(LEVELS)}")
    return number


def _level_named(value: str) -> int:
    if value.isdecimal():  # bunyan and pino count 10, 20 … 60
        number = int(value)
        return min(6, max(1, number // 10)) if number >= 10 else UNKNOWN
    return _WORDS.get(value.lower(), UNKNOWN)


def fields_of(text: str) -> dict[str, str]:
    """Return the fields of a line that is a JSON object, those inside it with a dotted name, or of logfmt's pairs."""
    front = _FRONT.match(text)
    start = front.end() if front else 0
    if text.startswith("{", start):
        with suppress(msgspec.DecodeError, RecursionError):  # nested a thousand levels deep: nobody's fields
            data = msgspec.json.decode(text[start:].encode("utf-8", "replace"))
            if isinstance(data, dict):
                return dict(_flat(data, ""))
    if "=" not in text:
        return {}
    return {name: _unquoted(value) for name, value in _PAIR.findall(text)}


def may_have(text: str, name: str, value: str = "") -> bool:
    """Whether `fields_of` may find the field, with a value that folds to that one; False costs a tenth of looking.

    What JSON or a backslash writes in another way may be everything.
    """
    if "{" in text or "\\" in text:
        return True
    return f"{name}=" in text and (not value or value in text.casefold())


def _flat(data: Mapping[str, object], above: str) -> Iterator[tuple[str, str]]:
    for name, value in data.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value[:1] == '"' and len(value) > 1 else value


_TIMES: Final = frozenset({"time", "ts", "timestamp", "@timestamp", "asctime", "t"})
_MESSAGES: Final = ("message", "msg", "event", "log")


def readable(text: str) -> str:
    """Return a structured line as LEVEL message  name=value …; any other line as it is."""
    front = _FRONT.match(text)
    start = front.end() if front else 0
    fields = fields_of(text)
    if not fields or not (text.startswith("{", start) or any(name in fields for name in (*_MESSAGES, *_LEVEL_NAMES))):
        return text
    message = next((name for name in _MESSAGES if name in fields), "")
    level = next((name for name in _LEVEL_NAMES if name in fields), "")
    number = _level_named(fields[level]) if level else UNKNOWN
    word = (LEVELS[number - 1] if number else fields.get(level, "")).upper()
    rest = (f"{name}={value}" for name, value in fields.items() if name not in (message, level) and name not in _TIMES)
    said = f"{word:<5} {fields.get(message, '')}".strip()
    return f"{text[:start]}{'  '.join((said, ' '.join(rest))).strip()}"
