"""devenv.toml as typed tables: what is wrong is reported by file, line and key, with what is expected there."""

from __future__ import annotations

import difflib
import re
import sys
import tomllib
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from devenv.core import decode
from devenv.core.errors import UsageError

T = TypeVar("T")
_LARGEST: Final = sys.float_info.max  # TOML has inf and nan, and neither is a number to count with
Number = Annotated[float, msgspec.Meta(ge=0, le=_LARGEST, description="a number, 0 or more")]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=_LARGEST, description="a number of seconds, 0 or more")]
Whole = Annotated[int, msgspec.Meta(ge=0, description="a whole number, 0 or more")]
Text = Annotated[str, msgspec.Meta(min_length=1, description="a string that is not empty")]
_WORDS: Final = {str: "a string", Path: "a string", bool: "true or false", dict: "a table"}


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table of devenv.toml. An empty string is a key that is left out."""

    def __post_init__(self) -> None:
        """Put the defaults in."""
        defaults = self.__struct_defaults__
        for name, default in zip(self.__struct_fields__[-len(defaults) :], defaults, strict=False):
            if default and getattr(self, name) == "":
                msgspec.structs.force_setattr(self, name, default)


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands at the top of the file; its tables are typed one by one, those that a start needs and no others."""

    read_only: bool | None = None
    wait_timeout: Seconds | None = None
    compose: dict[str, Any] = {}
    kubernetes: dict[str, Any] = {}
    mask: dict[str, Any] = {}
    confirm: dict[str, Any] = {}
    terminal: dict[str, Any] = {}
    logs: dict[str, Any] = {}
    keys: dict[str, Any] = {}
    manifests: dict[str, Any] | None = None
    verify: dict[str, Any] | None = None
    load: dict[str, Any] | None = None
    tasks: dict[str, Any] | None = None
    cache: dict[str, Any] | None = None
    ci: dict[str, Any] | None = None
    scan: dict[str, Any] | None = None
    commands: dict[str, Any] | None = None


def read(path: Path) -> File:
    """Read the file; raises UsageError."""
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, RecursionError) as error:  # RecursionError: of tables in tables
        raise UsageError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        line = re.search(r" \(at line (\d+), column \d+\)$", str(error))
        place = f"{path}:{line[1]}" if line else str(path)
        raise UsageError(f"{place}: not valid TOML: {str(error)[: line.start() if line else None]}") from error
    return typed(values, File, path)


def typed(values: object, kind: type[T], file: Path, key: str = "") -> T:
    """Return the value under the key of the file as that type, its paths relative to the file's folder.

    Raises UsageError.
    """

    def hook(kind: type, value: object) -> Path:
        if kind is not Path or not isinstance(value, str):
            raise TypeError
        return file.parent / value if value else Path()  # an empty one is a path that is not given

    def convert(value: object, kind: Any) -> Any:
        return decode.convert(value, kind, hook)

    try:
        typed_value: T = convert(values, kind)
    except msgspec.ValidationError as error:
        wrong, message, hint = _mistake(values, kind, key, convert, error)
        raise UsageError(f"{place_of(file, wrong)}: {message}", hint) from error
    return typed_value


def _mistake(
    value: object, kind: Any, key: str, convert: Callable[[object, Any], object], error: Exception
) -> tuple[str, str, str]:
    """Find the innermost key that is wrong, and tell what is expected there: the key, the message and a hint."""
    kind, expected, hint = expectation(kind)
    inner: list[tuple[str, object, Any]] = []
    fields = _fields(kind)
    if isinstance(value, dict) and (fields or get_origin(kind) is dict):
        dot = f"{key}." if key else ""
        kinds = _kinds(kind, value)
        for name in value:
            if name not in kinds:
                return f"{dot}{name}", f"unknown key {dot}{name}", near(name, kinds)
        inner = [(f"{dot}{name}", value[name], kinds[name]) for name in value]
        for field in fields:
            if field.required and field.encode_name not in value:
                name, (plain, words, _) = f"{dot}{field.encode_name}", expectation(field.type)
                if words != _WORDS[dict]:
                    return name, f"{name} must be {words}, and it is not there", ""
                inner.append((name, {}, plain))  # the first key that has to be in it says more
    elif isinstance(value, list) and get_origin(kind) is tuple:
        inner = [(f"{key}[{index}]", item, get_args(kind)[0]) for index, item in enumerate(value)]
    for name, item, its in inner:
        try:
            convert(item, its)
        except msgspec.ValidationError as wrong:
            return _mistake(item, its, name, convert, wrong)
    if inner:  # each for itself is right
        return key, f"{key}: {str(error).partition(' - at ')[0]}", hint
    if get_origin(kind) is Literal:
        hint = near(str(value), filter(None, get_args(kind)))
    return key, f"{key} must be {expected}, not {value!r}", hint


_HEADER: Final = re.compile(r"\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(?:#.*)?$")
_PART: Final = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'[^']*'|[\w-]+)\s*(\.|=|$)""")


def place_of(file: Path, key: str) -> str:
    """Return "FILE:LINE" of a key, of the table that it belongs in where it is not there, or the file alone."""
    lines = lines_of(file)
    while key:
        if key in lines:
            return f"{file}:{lines[key]}"
        key = key[: max(key.rfind("."), key.rfind("["), 0)]
    return str(file)


def lines_of(file: Path) -> dict[str, int]:
    """Return the line of each table and key, written as errors write them: "verify.endpoint[0].port".

    What is inside of an inline table or a list has no line of its own.
    """
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    lines: dict[str, int] = {}
    lists: dict[str, int] = {}  # of tables, and how many of each there are so far
    table, closing = "", ""  # the quotes that a string of several lines ends with
    for number, line in enumerate(text.splitlines(), 1):
        if closing:
            closing = "" if line.count(closing) % 2 else closing
            continue
        header = _HEADER.match(line)
        if header and (parts := _parts(header[2])):
            table = ""
            for part in parts:
                table += f".{part}" if table else part
                if table in lists and not (header[1] == "[[" and part is parts[-1]):
                    table += f"[{lists[table] - 1}]"
            if header[1] == "[[":
                lists[table] = lists.get(table, 0) + 1
                table += f"[{lists[table] - 1}]"
            lines.setdefault(table, number)
        elif parts := _parts(line, assigned=True):
            lines.setdefault(".".join([*([table] if table else []), *parts]), number)
        closing = next((quotes for quotes in ('"""', "'''") if line.count(quotes) % 2), "")
    return lines


def _parts(text: str, *, assigned: bool = False) -> list[str]:
    """Return the names of a dotted key; none where `assigned` and no "=" follows."""
    parts, place = [], 0
    while match := _PART.match(text, place):
        parts.append(match[1].strip("\"'") if match[1][0] in "\"'" else match[1])
        place = match.end()
        if match[2] != ".":
            return parts if (match[2] == "=") is assigned else []
    return []


def _fields(kind: Any) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else ()


def _kinds(kind: Any, value: Iterable[str]) -> dict[str, Any]:
    """Return what is known of a table: each key with its type."""
    if get_origin(kind) is not dict:
        return {field.encode_name: field.type for field in _fields(kind)}
    name, its = get_args(kind)
    return dict.fromkeys(get_args(name) or value, its)


def expectation(kind: Any) -> tuple[Any, str, str]:
    """Return the type without what is around it, what it is in words, and a hint."""
    text, hint = "", ""
    while get_origin(kind) in (Annotated, Union, types.UnionType):
        for meta in getattr(kind, "__metadata__", ()):
            text, hint = meta.description or text, (meta.extra or {}).get("hint", hint)
        kind = get_args(kind)[0]
    origin = get_origin(kind) or kind
    if origin is tuple:
        inner = _WORDS.get(expectation(get_args(kind)[0])[0], _WORDS[dict])
        text = text or f"{inner.replace('a ', 'a list of ')}s"
    elif origin is Literal:
        text = text or f"one of {', '.join(filter(None, get_args(kind)))}"
    return kind, text or _WORDS.get(origin, "a table"), hint


def near(name: str, known: Iterable[str]) -> str:
    """Return a hint: the known name that is most like this one, and all that are known."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, 1)
    there = f"Known here: {', '.join(known)}."
    return f"Did you mean {near[0]!r}? {there}" if near else there
