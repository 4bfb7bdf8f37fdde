"""Reading of objects that nobody has checked: a wrong type is read as absent, since the schema rule tells it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_QUANTITY = re.compile(r"([+-]?[0-9]*\.?[0-9]+)(e[+-]?[0-9]+|E[+-]?[0-9]+|[a-zA-Z]*)")
# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_SUFFIXES = {
    "": 1.0,
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
    "Ei": 2.0**60,
}


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
    found = get(value, *path)
    return {key: item for key, item in found.items() if isinstance(key, str)} if isinstance(found, dict) else {}


def sequence(value: object, *path: str | int) -> list[Any]:
    """Return the list at the path, an empty one where there is none."""
    found = get(value, *path)
    return found if isinstance(found, list) else []


def mappings(value: object, *path: str | int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the mappings of the list at the path, each with its index."""
    for index, item in enumerate(sequence(value, *path)):
        if isinstance(item, dict):
            yield index, item


def text(value: object, *path: str | int) -> str:
    """Return the string at the path, an empty one where there is none."""
    found = get(value, *path)
    return found if isinstance(found, str) else ""


def whole(value: object, *path: str | int) -> int | None:
    """Return the whole number at the path, None where there is none."""
    found = get(value, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def labels_match(selector: object, labels: Mapping[str, Any]) -> bool:
    """Say whether a LabelSelector selects the labels; an empty selector selects everything, None nothing."""
    if not isinstance(selector, dict):
        return False
    if any(labels.get(key) != value for key, value in mapping(selector, "matchLabels").items()):
        return False
    return all(_expression(item, labels) for _, item in mappings(selector, "matchExpressions"))


def _expression(expression: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    value = labels.get(text(expression, "key"))
    values = sequence(expression, "values")
    match text(expression, "operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return False


def quantity(value: object) -> float | None:
    """Read a resource quantity (100m, 64Mi, 0.5) as a number of its base unit; None where it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    number, suffix = match.groups()
    if suffix in _SUFFIXES:
        return float(number) * _SUFFIXES[suffix]
    return (
        float(number + suffix) if suffix[:1] in "eE" and len(suffix) > 1 and suffix[1:].lstrip("+-").isdigit() else None
    )
