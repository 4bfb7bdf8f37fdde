"""What all parsers of the API's JSON share: the resource of what every object has, and its sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from devenv.backends.kube.fields import key_of, mapping, owner_of, pairs, time_of, word
from devenv.core.model import Health, Resource, Runtime, State
from devenv.core.text import quantity as quantity


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
