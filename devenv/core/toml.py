"""devenv.toml as typed tables: what is wrong in it is reported by file and key, with what is expected there."""

from __future__ import annotations

import difflib
import sys
import tomllib
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin

import msgspec

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
    manifests: dict[str, Any] | None = None
    verify: dict[str, Any] | None = None
    load: dict[str, Any] | None = None
    tasks: dict[str, Any] | None = None
    cache: dict[str, Any] | None = None
    ci: dict[str, Any] | None = None


def read(path: Path) -> File:
    """Read the file; raises UsageError."""
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, RecursionError) as error:  # RecursionError: of tables in tables
        raise UsageError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from error
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
        return msgspec.convert(value, kind, dec_hook=hook)

    try:
        typed_value: T = convert(values, kind)
    except msgspec.ValidationError as error:
        message, hint = _mistake(values, kind, key, convert, error)
        raise UsageError(f"{file}: {message}", hint) from error
    return typed_value


def _mistake(
    value: object, kind: Any, key: str, convert: Callable[[object, Any], object], error: Exception
) -> tuple[str, str]:
    """Find the innermost key that is wrong, and tell what is expected there."""
    kind, expected, hint = _expected(kind)
    inner: list[tuple[str, object, Any]] = []
    fields = _fields(kind)
    if isinstance(value, dict) and (fields or get_origin(kind) is dict):
        dot = f"{key}." if key else ""
        kinds = _kinds(kind, value)
        for name in value:
            if name not in kinds:
                return f"unknown key {dot}{name}", _near(name, kinds)
        inner = [(f"{dot}{name}", value[name], kinds[name]) for name in value]
        for field in fields:
            if field.required and field.encode_name not in value:
                name, (plain, expectation, _) = f"{dot}{field.encode_name}", _expected(field.type)
                if expectation != _WORDS[dict]:
                    return f"{name} must be {expectation}, and it is not there", ""
                inner.append((name, {}, plain))  # the first key that has to be in it says more
    elif isinstance(value, list) and get_origin(kind) is tuple:
        inner = [(f"{key}[{index}]", item, get_args(kind)[0]) for index, item in enumerate(value)]
    for name, item, its in inner:
        try:
            convert(item, its)
        except msgspec.ValidationError as wrong:
            return _mistake(item, its, name, convert, wrong)
    if inner:  # each for itself is right
        return f"{key}: {str(error).partition(' - at ')[0]}", hint
    if get_origin(kind) is Literal:
        hint = _near(str(value), filter(None, get_args(kind)))
    return f"{key} must be {expected}, not {value!r}", hint


def _fields(kind: Any) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else ()


def _kinds(kind: Any, value: Iterable[str]) -> dict[str, Any]:
    """Return what is known of a table: each key with its type."""
    if get_origin(kind) is not dict:
        return {field.encode_name: field.type for field in _fields(kind)}
    name, its = get_args(kind)
    return dict.fromkeys(get_args(name) or value, its)


def _expected(kind: Any) -> tuple[Any, str, str]:
    """Return the type without what is around it, what it is in words, and a hint."""
    text, hint = "", ""
    while get_origin(kind) in (Annotated, Union, types.UnionType):
        for meta in getattr(kind, "__metadata__", ()):
            text, hint = meta.description or text, (meta.extra or {}).get("hint", hint)
        kind = get_args(kind)[0]
    origin = get_origin(kind) or kind
    if origin is tuple:
        inner = _WORDS.get(_expected(get_args(kind)[0])[0], _WORDS[dict])
        text = text or f"{inner.replace('a ', 'a list of ')}s"
    elif origin is Literal:
        text = text or f"one of {', '.join(filter(None, get_args(kind)))}"
    return kind, text or _WORDS.get(origin, "a table"), hint


def _near(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    near = difflib.get_close_matches(name, known, 1)
    there = f"Known here: {', '.join(known)}."
    return f"Did you mean {near[0]!r}? {there}" if near else there
