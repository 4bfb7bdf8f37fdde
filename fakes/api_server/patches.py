"""Merge, strategic merge and JSON patches. List keys are those of the built-in types' patch strategies."""

from __future__ import annotations

import copy
from typing import Any

from fakes.api_server.status import Refusal

# Which field identifies an item of a list; a list that is not here is replaced as a whole.
LIST_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}


def list_key(field: str, items: list[Any]) -> tuple[str, ...]:
    """Return the key fields of a list; () for an atomic one. Ports are the container's or the service's."""
    if field == "ports":
        for word in ("containerPort", "port"):
            if items and all(isinstance(item, dict) and word in item for item in items):
                return (word, "protocol")
        return ()
    key = LIST_KEYS.get(field, ())
    return key if all(isinstance(item, dict) for item in items) else ()


def key_of(item: dict[str, Any], key: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(item.get(word, "TCP" if word == "protocol" else None) for word in key)


def merge(live: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    made = dict(live) if isinstance(live, dict) else {}
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = merge(made.get(name), value)
    return made


def strategic(live: Any, patch: Any, field: str = "") -> Any:
    """Kubernetes' own merge: keyed lists are merged by item, with the directives $patch: delete and replace."""
    if isinstance(patch, list):
        key = list_key(field, [item for item in patch if isinstance(item, dict) and "$patch" not in item])
        if not key or not isinstance(live, list):
            return copy.deepcopy([item for item in patch if not (isinstance(item, dict) and "$patch" in item)])
        made = list(live)
        for item in patch:
            at = next((n for n, old in enumerate(made) if key_of(old, key) == key_of(item, key)), None)
            if item.get("$patch") == "delete":
                made = [old for n, old in enumerate(made) if n != at]
            elif at is None:
                made.append(copy.deepcopy(item))
            else:
                made[at] = strategic(made[at], item, field)
        return made
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    made = {} if patch.get("$patch") == "replace" or not isinstance(live, dict) else dict(live)
    for name, value in patch.items():
        if name.startswith("$"):
            continue
        if value is None:
            made.pop(name, None)
        else:
            made[name] = strategic(made.get(name), value, name)
    return made


def json_patch(live: Any, steps: list[dict[str, Any]]) -> Any:
    """RFC 6902: add, replace, remove, test, copy and move; a failing test is 422 as in the API server."""
    made = copy.deepcopy(live)
    for step in steps:
        value = step.get("value")
        if step["op"] in ("copy", "move"):
            parent, name = _walk(made, step["from"])
            value = copy.deepcopy(parent[name])
            if step["op"] == "move":
                del parent[name]
        parent, name = _walk(made, step["path"])
        try:
            match step["op"]:
                case "test":
                    if parent[name] != value:
                        raise KeyError(name)
                case "remove":
                    del parent[name]
                case "replace":
                    parent[name]
                    parent[name] = value
                case _ if isinstance(parent, list):
                    parent.insert(len(parent) if name == "-" else int(name), value)
                case _:
                    parent[name] = value
        except (KeyError, IndexError) as error:
            message = f"the server rejected our request due to an error in our request: {step['op']} {step['path']}"
            raise Refusal(422, message, "Invalid") from error
    return made


def _walk(content: Any, pointer: str) -> tuple[Any, Any]:
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    for part in parts[:-1]:
        try:
            content = content[int(part)] if isinstance(content, list) else content[part]
        except (KeyError, IndexError, ValueError) as error:
            raise Refusal(422, f"jsonpatch: {pointer} does not exist", "Invalid") from error
    name: Any = parts[-1]
    if isinstance(content, list) and name != "-":
        name = int(name)
    return content, name
