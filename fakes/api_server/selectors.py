"""Label and field selectors: the grammar of k8s.io/apimachinery/pkg/labels, and dotted fields."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fakes.api_server.status import Object, Refusal

_SET = re.compile(r"^\s*(\S+)\s+(in|notin)\s*\(([^)]*)\)\s*$")
_PARTS = re.compile(r",(?![^(]*\))")
Test = Callable[[Object], bool]


def label_test(selector: str) -> Test:
    tests = [_requirement(part) for part in _PARTS.split(selector) if part.strip()]
    return lambda content: all(test(content.get("metadata", {}).get("labels") or {}) for test in tests)


def field_test(selector: str) -> Test:
    wanted = []
    for part in selector.split(","):
        if not part.strip():
            continue
        match = re.match(r"^\s*([\w.]+)\s*(!=|==|=)\s*(.*?)\s*$", part)
        if match is None:
            raise Refusal(400, f"invalid field selector: {part!r}")
        wanted.append((match.group(1).split("."), match.group(2) == "!=", match.group(3)))
    return lambda content: all((_field(content, path) == value) != negated for path, negated, value in wanted)


def both(labels: str, fields: str) -> Test:
    by_label, by_field = label_test(labels), field_test(fields)
    return lambda content: by_label(content) and by_field(content)


def _field(content: Object, path: list[str]) -> str:
    value: Any = content
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return "" if value is None else str(value)


def _requirement(part: str) -> Callable[[dict[str, str]], bool]:
    match = _SET.match(part)
    if match:
        key, word, listed = match.groups()
        values = {value.strip() for value in listed.split(",")}
        if word == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    text = part.strip()
    for sign in ("!=", "==", "="):
        if sign in text:
            key, _, value = (side.strip() for side in text.partition(sign))
            if sign == "!=":
                return lambda labels: labels.get(key) != value
            return lambda labels: labels.get(key) == value
    if text.startswith("!"):
        return lambda labels: text[1:].strip() not in labels
    return lambda labels: text in labels
