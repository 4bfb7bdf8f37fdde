"""A LabelSelector of an object as the text that lists take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OPERATORS = {"In": "in", "NotIn": "notin"}


def label_selector(selector: Mapping[str, Any]) -> str:
    """Return `app=web,tier in (a,b),!old` for matchLabels and matchExpressions, or for a Service's plain mapping."""
    if not selector.keys() & {"matchLabels", "matchExpressions"}:
        return ",".join(f"{key}={value}" for key, value in selector.items())
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for rule in selector.get("matchExpressions") or ():
        key, operator = str(rule.get("key")), str(rule.get("operator"))
        if operator in _OPERATORS:
            parts.append(f"{key} {_OPERATORS[operator]} ({','.join(rule.get('values') or ())})")
        else:
            parts.append(f"!{key}" if operator == "DoesNotExist" else key)
    return ",".join(parts)


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector selects these labels; an empty one selects everything, None nothing."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_fulfils(rule, labels) for rule in selector.get("matchExpressions") or ())


def _fulfils(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, wanted = labels.get(str(rule.get("key"))), rule.get("values") or ()
    answers = {
        "In": value in wanted,
        "NotIn": value not in wanted,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }
    return answers.get(str(rule.get("operator")), False)
