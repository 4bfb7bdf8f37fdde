"""Server-side apply: which manager owns which field, conflicts, and what an apply takes away again.

https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from fakes.api_server.patches import key_of, list_key
from fakes.api_server.status import Object, Refusal
from fakes.api_server.store import now

Path = tuple[str, ...]  # ("f:spec", "f:containers", 'k:{"name":"web"}', "f:image"): the steps of fieldsV1
_SERVERS = ("managedFields", "uid", "resourceVersion", "creationTimestamp", "generation", "name", "namespace")


def leaves(content: Any, path: Path = (), field: str = "") -> Iterator[tuple[Path, Any]]:
    """Yield each owned field with its value; a keyed list's item is owned itself too ("."), an atomic list whole."""
    if isinstance(content, dict) and content:
        for name, value in content.items():
            if not path and name in ("apiVersion", "kind"):
                continue
            if path == ("f:metadata",) and name in _SERVERS:
                continue
            yield from leaves(value, (*path, f"f:{name}"), name)
    elif isinstance(content, list) and (key := list_key(field, content)) and content:
        for item in content:
            step = "k:" + json.dumps(dict(zip(key, key_of(item, key), strict=True)), separators=(",", ":"))
            yield (*path, step, "."), None
            yield from leaves(item, (*path, step))
    else:
        yield path, content


def owners(content: Object) -> list[Object]:
    return [entry | {"set": set(_paths(entry["fieldsV1"]))} for entry in content["metadata"].get("managedFields") or ()]


def record_update(before: Object | None, after: Object, manager: str, sub: str = "") -> None:
    """Give the fields that an update changed to its manager, and take them from all others."""
    old = dict(leaves(before)) if before else {}
    new = dict(leaves(after))
    changed = {path for path, value in new.items() if path not in old or old[path] != value}
    entries = owners(before) if before else []
    mine = None
    for entry in entries:
        entry["set"] = {path for path in entry["set"] if path in new}
        if entry["operation"] == "Update" and entry["manager"] == manager and entry.get("subresource", "") == sub:
            mine = entry
        else:
            entry["set"] -= {path for path in changed if path[-1] != "."}
    if changed:
        if mine is None:
            entries.append(mine := _entry(manager, "Update", sub))
        mine["set"] |= changed
        mine["time"] = now()
    _store(after, entries)


def apply(live: Object | None, wanted: Object, manager: str, *, force: bool) -> Object:
    """Return the object as this manager wants it; raises the 409 that names each owner and field."""
    made = copy.deepcopy(live) if live else {"metadata": {}}
    entries = owners(made)
    mine = next((entry for entry in entries if (entry["manager"], entry["operation"]) == (manager, "Apply")), None)
    values = dict(leaves(wanted))
    present = dict(leaves(made))
    conflicts = []
    for entry in entries:
        if entry is mine:
            continue
        for path in sorted(entry["set"] & values.keys()):
            if path[-1] != "." and present.get(path) != values[path]:
                conflicts.append((entry, path))
                if force:
                    entry["set"].discard(path)
    if conflicts and not force:
        raise _conflict(conflicts, made)
    if mine is not None:
        kept = set().union(*(entry["set"] for entry in entries if entry is not mine))
        for path in sorted(mine["set"] - values.keys() - kept, key=len, reverse=True):
            _remove(made, path)
    else:
        entries.append(mine := _entry(manager, "Apply", ""))
    made = _merged(made, wanted)
    if mine["set"] != set(values):
        mine["set"], mine["time"] = set(values), now()
    _store(made, entries)
    return made


def _entry(manager: str, operation: str, sub: str) -> Object:
    made: Object = {"manager": manager, "operation": operation, "fieldsType": "FieldsV1", "set": set(), "time": now()}
    return made | ({"subresource": sub} if sub else {})


def _conflict(conflicts: list[tuple[Object, Path]], made: Object) -> Refusal:
    causes = []
    for entry, path in conflicts:
        message = f'conflict with "{entry["manager"]}"'
        if entry["operation"] == "Update":
            # Another apply is named alone (Kubernetes 1.36.2), an update with its subresource and its version.
            message += f' with subresource "{entry["subresource"]}"' if entry.get("subresource") else ""
            message += f" using {made['apiVersion']}"
        causes.append({"reason": "FieldManagerConflict", "message": message, "field": shown(path)})
    plural = "conflict" if len(causes) == 1 else "conflicts"
    told = "; ".join(f"{cause['message']}: {cause['field']}" for cause in causes)
    return Refusal(409, f"Apply failed with {len(causes)} {plural}: {told}", "Conflict", {"causes": causes})


def shown(path: Path) -> str:
    """Write a path as the API server does: .spec.template.spec.containers[name="web"].image"""
    text = ""
    for step in path:
        if step.startswith("f:"):
            text += "." + step[2:]
        elif step.startswith("k:"):
            text += "[" + ",".join(f"{name}={json.dumps(value)}" for name, value in json.loads(step[2:]).items()) + "]"
    return text


def _merged(live: Any, wanted: Any, field: str = "") -> Any:
    if isinstance(wanted, dict) and isinstance(live, dict) and wanted:
        made = dict(live)
        for name, value in wanted.items():
            if name != "managedFields":
                made[name] = _merged(made.get(name), value, name)
        return made
    if isinstance(wanted, list) and isinstance(live, list) and (key := list_key(field, wanted)):
        made_list = list(live)
        for item in wanted:
            at = next((n for n, old in enumerate(made_list) if key_of(old, key) == key_of(item, key)), None)
            if at is None:
                made_list.append(copy.deepcopy(item))
            else:
                made_list[at] = _merged(made_list[at], item)
        return made_list
    return copy.deepcopy(wanted)


def _remove(content: Any, path: Path) -> None:
    chain = []
    for step in path[:-1] if path[-1] == "." else path:
        name: Any = step[2:]
        if step.startswith("k:"):
            wanted = json.loads(name)
            at = next((n for n, item in enumerate(content) if all(_same(item, k, v) for k, v in wanted.items())), None)
            if at is None:
                return
            name = at
        elif not isinstance(content, dict) or name not in content:
            return
        chain.append((content, name))
        content = content[name]
    parent, name = chain[-1]
    del parent[name]


def _same(item: Object, name: str, value: Any) -> bool:
    return bool(item.get(name, "TCP" if name == "protocol" else None) == value)


def _paths(fields: Object, path: Path = ()) -> Iterator[Path]:
    for step, inner in fields.items():
        if step == ".":
            yield (*path, ".")
        elif inner:
            yield from _paths(inner, (*path, step))
        else:
            yield (*path, step)


def _store(content: Object, entries: list[Object]) -> None:
    kept = []
    for entry in entries:
        fields: Object = {}
        for path in sorted(entry.pop("set")):
            inner = fields
            for step in path:
                inner = inner.setdefault(step, {})
        if fields:
            kept.append(entry | {"apiVersion": content.get("apiVersion", "v1"), "fieldsV1": fields})
    if kept:
        content["metadata"]["managedFields"] = kept
    else:
        content["metadata"].pop("managedFields", None)
