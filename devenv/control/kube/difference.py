"""What a change makes of an object, as lines of a unified diff over YAML."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import unified_diff
from typing import Any

from devenv.control.kube.masking import masked_pair

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
    found = {key: value for key, value in item.items() if key != "status"}
    metadata = {key: value for key, value in dict(found.get("metadata") or {}).items() if key not in _NOISE}
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != _LAST_APPLIED}
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    found["metadata"] = metadata
    return {key: found[key] for key in sorted(found, key=lambda key: _HEAD.index(key) if key in _HEAD else len(_HEAD))}


def to_yaml(item: Any) -> list[str]:
    """Return the lines of an object in YAML, keys in their order; None has no lines."""
    if item is None:
        return []
    import yaml  # deferred: only what prints objects needs it

    return yaml.safe_dump(item, sort_keys=False, allow_unicode=True, width=10_000).splitlines()
