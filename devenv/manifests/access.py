"""Reading of objects that nobody has checked: a wrong type is read as absent, since the schema rule tells it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Any, TypeVar

from devenv.core.text import quantity as quantity

_Key = TypeVar("_Key", bound=Hashable)
_Item = TypeVar("_Item")


def get(value: object, *path: str | int) -> Any:
    """Return what is at the path, None where there is nothing."""
    for step in path:
        if isinstance(step, str) and isinstance(value, dict):
            value = value.get(step)
        elif isinstance(step, int) and isinstance(value, list) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value


def mapping(value: object, *path: str | int) -> dict[str, Any]:
    """Return the mapping at the path, an empty one where there is none."""
    inner = get(value, *path)
    return {key: item for key, item in inner.items() if isinstance(key, str)} if isinstance(inner, dict) else {}


def sequence(value: object, *path: str | int) -> list[Any]:
    """Return the list at the path, an empty one where there is none."""
    inner = get(value, *path)
    return inner if isinstance(inner, list) else []


def mappings(value: object, *path: str | int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the mappings of the list at the path, each with its index."""
    for index, item in enumerate(sequence(value, *path)):
        if isinstance(item, dict):
            yield index, item


def text(value: object, *path: str | int) -> str:
    """Return the string at the path, an empty one where there is none."""
    inner = get(value, *path)
    return inner if isinstance(inner, str) else ""


def whole(value: object, *path: str | int) -> int | None:
    """Return the whole number at the path, None where there is none."""
    inner = get(value, *path)
    return inner if isinstance(inner, int) and not isinstance(inner, bool) else None


def grouped(pairs: Iterable[tuple[_Key, _Item]]) -> dict[_Key, list[_Item]]:
    """Return the items by their key, in the order in which they came."""
    groups: dict[_Key, list[_Item]] = {}
    for key, item in pairs:
        groups.setdefault(key, []).append(item)
    return groups
