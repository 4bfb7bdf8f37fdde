"""What a change makes of an object, as lines of a unified diff over YAML; the values of secrets are hidden.

That a secret's value changed is still seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import unified_diff
from typing import Any

from devenv.core.text import MASK, mask_secrets, sanitize

CHANGED = f"{MASK} (another value)"
_SECRET_FIELDS = ("data", "stringData")
# Names of the API itself that only point at a secret, or at nothing secret (core/v1 types.go).
_HARMLESS = frozenset({"secretName", "secretRef", "secretKeyRef", "imagePullSecrets", "automountServiceAccountToken"})


def masked_pair(before: Any, after: Any) -> tuple[Any, Any]:
    """Return both versions of one object with secrets masked; a masked value that differs says so in the second.

    Masked are all data of a Secret, values of `env` and `data` entries with a secret's name, and in every text what
    looks like a password or a token. Either side may be None.
    """
    kind = next((side.get("kind") for side in (after, before) if isinstance(side, dict)), None)
    if kind != "Secret":
        return _walk(before, after, "")
    first, second = _walk(_without(before), _without(after), "")
    for name in _SECRET_FIELDS:
        old, new = _field(before, name), _field(after, name)
        hidden_old, hidden_new = _walk(old, new, "", hide=True)
        if old is not None:
            first[name] = hidden_old
        if new is not None:
            second[name] = hidden_new
    return first, second


def masked(item: Any) -> Any:
    """Return one object with its secrets masked."""
    return masked_pair(None, item)[1]


def _walk(before: Any, after: Any, name: str, *, hide: bool = False) -> tuple[Any, Any]:
    if isinstance(before, dict) or isinstance(after, dict):
        return _walk_mappings(before, after, name, hide=hide)
    if isinstance(before, list) or isinstance(after, list):
        return _walk_lists(before, after, name, hide=hide)
    hide = hide or _is_secret(name)
    first, second = _leaf(before, hide=hide), _leaf(after, hide=hide)
    if first == second and before != after and isinstance(second, str):
        second = CHANGED if second == MASK else f"{second} (another value)"
    return first, second


def _walk_mappings(before: Any, after: Any, name: str, *, hide: bool) -> tuple[Any, Any]:
    old = before if isinstance(before, dict) else {}
    new = after if isinstance(after, dict) else {}
    first: dict[str, Any] = {}
    second: dict[str, Any] = {}
    named = new.get("name", old.get("name"))
    for key in dict.fromkeys((*old, *new)):
        label = str(named) if key == "value" and isinstance(named, str) else str(key)
        one, two = _walk(old.get(key), new.get(key), label, hide=hide)
        if key in old:
            first[sanitize(str(key))] = one
        if key in new:
            second[sanitize(str(key))] = two
    return (
        first if isinstance(before, dict) else _leaf(before, hide=hide),
        second if isinstance(after, dict) else _leaf(after, hide=hide),
    )


def _walk_lists(before: Any, after: Any, name: str, *, hide: bool) -> tuple[Any, Any]:
    old = before if isinstance(before, list) else []
    new = after if isinstance(after, list) else []
    by_new = dict(_paired(old, new))
    second = [_walk(by_new.get(index), item, name, hide=hide)[1] for index, item in enumerate(new)]
    first = [_walk(item, None, name, hide=hide)[0] for item in old]
    return (
        first if isinstance(before, list) else _leaf(before, hide=hide),
        second if isinstance(after, list) else _leaf(after, hide=hide),
    )


def _paired(old: list[Any], new: list[Any]) -> list[tuple[int, Any]]:
    """Pair the items of a list by their names where they have them, else by their places."""
    names = {item["name"]: item for item in old if isinstance(item, dict) and "name" in item}
    pairs = []
    for index, item in enumerate(new):
        if isinstance(item, dict) and "name" in item:
            pairs.append((index, names.get(item["name"])))
        elif index < len(old):
            pairs.append((index, old[index]))
    return pairs


def _leaf(value: Any, *, hide: bool) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if hide:
        return MASK
    return mask_secrets(sanitize(value, newlines=True)) if isinstance(value, str) else value


def _is_secret(name: str) -> bool:
    return name not in _HARMLESS and bool(name) and mask_secrets(f"{name}=x") != f"{name}=x"


def _without(item: Any) -> Any:
    return {key: value for key, value in item.items() if key not in _SECRET_FIELDS} if isinstance(item, dict) else item


def _field(item: Any, name: str) -> Any:
    return item.get(name) if isinstance(item, dict) else None


CONTEXT_LINES = 3
# Written by the server with every change or by controllers: noise in a diff (apimachinery meta/v1 ObjectMeta).
_NOISE = ("managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink")
_HEAD = ("apiVersion", "kind", "metadata")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"  # a copy of the object, secrets included


def diff_lines(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the lines that `before` and `after` differ in, with context and masked secrets; empty: no difference."""
    plain_before, plain_after = plain(before), plain(after)
    if plain_before == plain_after:
        return ()
    first, second = masked_pair(plain_before, plain_after)
    lines = unified_diff(to_yaml(first), to_yaml(second), "now", "planned", lineterm="", n=CONTEXT_LINES)
    return tuple(lines)[2:]


def plain(item: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the object without its status and what the server keeps in it for itself."""
    if item is None:
        return None
    kept = {key: value for key, value in item.items() if key != "status"}
    metadata = {key: value for key, value in dict(kept.get("metadata") or {}).items() if key not in _NOISE}
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != _LAST_APPLIED}
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    kept["metadata"] = metadata
    return {key: kept[key] for key in sorted(kept, key=lambda key: _HEAD.index(key) if key in _HEAD else len(_HEAD))}


def to_yaml(item: Any) -> list[str]:
    """Return the lines of an object in YAML, keys in their order; None has no lines."""
    if item is None:
        return []
    import yaml  # deferred: only what prints objects needs it

    return yaml.safe_dump(item, sort_keys=False, allow_unicode=True, width=10_000).splitlines()
