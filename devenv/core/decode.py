"""Typed data from JSON bytes or plain values, by msgspec, in whatever thread.

msgspec reads the fields of a type at its first use, and keeps what it has read so far where every thread sees it: two
threads that use a type for the first time at once end the interpreter by a segmentation fault (msgspec 0.22). Each
type is therefore read here once, by one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, Final, TypeVar

import msgspec

T = TypeVar("T")
_decoders: Final[dict[Any, msgspec.json.Decoder[Any]]] = {}
_reading = Lock()


def from_json(data: bytes | str, kind: type[T]) -> T:
    """Return the JSON document as that type; raises msgspec.DecodeError, and ValidationError where it does not fit."""
    value: T = _decoder(kind).decode(data)
    return value


def convert(value: object, kind: type[T], hook: Callable[[type, Any], Any] | None = None) -> T:
    """Return plain data as that type, its custom types by the hook; raises msgspec.ValidationError."""
    _decoder(kind)
    return msgspec.convert(value, kind, dec_hook=hook)


def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    with _reading:
        decoder = _decoders.get(kind)
        if decoder is None:
            decoder = _decoders[kind] = msgspec.json.Decoder(kind)
        return decoder
