"""The fields of an API object, read tolerantly: keys, words, numbers, times, conditions, owners; and what all have.

Pure; a field that is missing, null or of another type reads as empty: an API server of another version is no error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from types import MappingProxyType
from typing import Any, Final

from devenv.core.model import Health, Resource, Runtime, State
from devenv.core.text import quantity as quantity
from devenv.core.text import sanitize

TEXT_KEPT: Final = 600  # characters of a message: a line or two of a detail view
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def key_of(uid: str) -> str:
    """Return the key of the object with that uid."""
    return f"kubernetes:{uid}"


def mapping(value: object) -> Mapping[str, Any]:
    """Return the value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else _NOTHING


def mappings(value: object) -> list[Mapping[str, Any]]:
    """Return the objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: object) -> str:
    """Return outside text made safe, cut to what is shown."""
    return sanitize(value.strip())[:TEXT_KEPT] if isinstance(value, str) else ""


def word(value: object) -> str:
    """Return a short text that many objects share (a namespace, a node, an image), kept in memory once."""
    return intern(sanitize(value)) if isinstance(value, str) else ""


def number(value: object) -> int:
    """Return a whole number; 0 where there is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def time_of(value: object) -> float | None:
    """Return an RFC 3339 time as seconds since the epoch."""
    if not isinstance(value, str) or not value:
        return None
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError):
        return None


def conditions(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the status' conditions by their type."""
    return {item["type"]: item for item in mappings(status.get("conditions")) if isinstance(item.get("type"), str)}


def why_not(condition: Mapping[str, Any] | None, default: str = "") -> str:
    """Say a condition in words: its message, else its reason."""
    if condition is None:
        return default
    return text(condition.get("message")) or text(condition.get("reason")) or default


def pairs(value: object) -> tuple[tuple[str, str], ...]:
    """Return labels as pairs."""
    return tuple((word(name), word(item)) for name, item in value.items()) if isinstance(value, dict) else ()


def selector_text(selector: object) -> str:
    """Write a map of labels as a selector: app=web,tier=front."""
    return ",".join(f"{name}={value}" for name, value in pairs(selector))


def owner_of(meta: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return (kind, name, uid) of the controlling owner, empty where it has none."""
    for reference in mappings(meta.get("ownerReferences")):
        if reference.get("controller") is True:
            return word(reference.get("kind")), word(reference.get("name")), word(reference.get("uid"))
    return "", "", ""


def labels_match(selector: object, labels: Mapping[str, Any]) -> bool:
    """Whether a LabelSelector selects the labels; an empty one selects everything, None nothing."""
    if not isinstance(selector, dict):
        return False
    if any(labels.get(key) != value for key, value in mapping(selector.get("matchLabels")).items()):
        return False
    return all(_fulfils(rule, labels) for rule in mappings(selector.get("matchExpressions")))


def _fulfils(rule: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    value, values = labels.get(str(rule.get("key"))), rule.get("values")
    known = values if isinstance(values, list) else []
    answers = {"In": value in known, "NotIn": value not in known, "Exists": value is not None}
    return answers.get(str(rule.get("operator")), rule.get("operator") == "DoesNotExist" and value is None)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A resource as its own object tells it, and which events (their slots in the cache) may say more of the why."""

    resource: Resource
    explained_by: tuple[str, ...] = ()
    memory_limit: int | None = None  # bytes: of a pod what its containers may use, of a node what pods may


def facts(*columns: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Keep the columns that have something to show."""
    return tuple(column for column in columns if column[1])


def joined(words: Iterable[str]) -> str:
    """Join the parts of a sentence that are there, each once."""
    return "; ".join(dict.fromkeys(word for word in words if word))


def leaving(meta: Mapping[str, Any]) -> str:
    """Say of an object under deletion what keeps it; empty where nothing does."""
    finalizers = [word(name) for name in meta.get("finalizers") or () if isinstance(name, str)]
    if not finalizers:
        return ""
    return f"kept by the finalizer{'s' if len(finalizers) > 1 else ''} {', '.join(finalizers)}"


def base(
    raw: Mapping[str, Any], kind: str, context: str, state: State, *, leaving_status: str = "Terminating", **fields: Any
) -> Resource:
    """Make a resource of what all objects have: uid, name, namespace, owner, labels, creation; and of `fields`.

    `leaving_status` is the status of an object under deletion, where kubectl has another word for its kind.
    """
    meta = mapping(raw.get("metadata"))
    _, _, owner_uid = owner_of(meta)
    name = word(meta.get("name"))
    if meta.get("deletionTimestamp"):
        state = State.REMOVING
        fields["why"] = joined((leaving(meta), fields.get("why", "")))
        fields["status"] = leaving_status
        fields["health"] = Health.NONE
    fields.setdefault("service", "")
    uid = meta.get("uid")
    return Resource(
        key=key_of(uid) if isinstance(uid, str) and uid else f"kubernetes:{kind}/{word(meta.get('namespace'))}/{name}",
        runtime=Runtime.KUBERNETES,
        kind=kind,
        name=name,
        state=state,
        created_at=time_of(meta.get("creationTimestamp")),
        labels=pairs(meta.get("labels")),
        context=context,
        namespace=word(meta.get("namespace")),
        owner=key_of(owner_uid) if owner_uid else "",
        **fields,
    )
