"""What etcd and the watch cache are: objects with versions, and the history that watches read."""

from __future__ import annotations

import copy
import json
import threading
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

from devenv.backends.kube.kinds import Kind
from fakes.api_server.status import Object

HISTORY = 20_000


@dataclass(slots=True)
class Entry:
    """One stored object. `raw` is its JSON, kept so that long lists and watches cost nothing to write."""

    content: Object
    raw: bytes
    version: int


@dataclass(frozen=True, slots=True)
class Change:
    """One step of history: `before` is None for a creation, `after` the last state for a deletion."""

    version: int
    type: str
    kind: str
    namespace: str
    before: Object | None
    after: Entry


class Store:
    """All objects by kind, then by (namespace, name). `changed` is notified at each change and at each wake-up."""

    def __init__(self, first_version: int = 1000) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.version = first_version
        self.oldest = first_version  # watches from before it are too old
        self.history: deque[Change] = deque()
        self._objects: dict[str, dict[tuple[str, str], Entry]] = {}

    def get(self, kind: Kind, namespace: str, name: str) -> Entry | None:
        with self.changed:
            return self._objects.get(kind.full_name, {}).get((namespace, name))

    def all(self, kind: Kind, namespace: str | None) -> list[Entry]:
        """Return the entries in the order of their keys, as etcd lists them."""
        with self.changed:
            found = self._objects.get(kind.full_name, {})
            keys = sorted(key for key in found if namespace is None or key[0] == namespace)
            return [found[key] for key in keys]

    def everything(self) -> list[tuple[str, Entry]]:
        with self.changed:
            return [(kind, entry) for kind, found in self._objects.items() for entry in found.values()]

    def write(self, kind: Kind, content: Object) -> Entry:
        """Create or replace; gives uid, creation time, generation and version. An unchanged object stays as it is."""
        with self.changed:
            about = content.setdefault("metadata", {})
            key = (about.get("namespace", "") if kind.namespaced else "", about["name"])
            found = self._objects.setdefault(kind.full_name, {})
            before = found.get(key)
            content = {"apiVersion": kind.api, "kind": kind.name, **content}
            about = content["metadata"]
            if before is not None:
                about["uid"] = before.content["metadata"]["uid"]
                about["creationTimestamp"] = before.content["metadata"]["creationTimestamp"]
                about["resourceVersion"] = before.content["metadata"]["resourceVersion"]
            if "spec" in content:
                old = before.content if before is not None else {}
                count = old.get("metadata", {}).get("generation", 0)
                about["generation"] = count if count and old.get("spec") == content["spec"] else count + 1
            if before is not None and content == before.content:
                return before
            about.setdefault("uid", str(uuid.uuid4()))
            about.setdefault("creationTimestamp", now())
            entry = self._record("MODIFIED" if before else "ADDED", kind, content, before)
            found[key] = entry
            return entry

    def remove(self, kind: Kind, namespace: str, name: str) -> Entry | None:
        with self.changed:
            before = self._objects.get(kind.full_name, {}).pop((namespace, name), None)
            if before is None:
                return None
            return self._record("DELETED", kind, copy.deepcopy(before.content), before)

    def bump(self, count: int = 1) -> int:
        """Let time pass: versions that other kinds of objects used up."""
        with self.changed:
            self.version += count
            return self.version

    def compact(self) -> None:
        """Forget the history: watches and continue tokens from before now are too old."""
        with self.changed:
            self.version += 1
            self.oldest = self.version
            self.history.clear()

    def since(self, version: int, kind: str, namespace: str | None) -> list[Change]:
        """Return later changes of a kind; the caller holds `changed`."""
        found = []
        for change in reversed(self.history):
            if change.version <= version:
                break
            if change.kind == kind and (namespace is None or change.namespace == namespace):
                found.append(change)
        return found[::-1]

    def _record(self, word: str, kind: Kind, content: Object, before: Entry | None) -> Entry:
        self.version += 1
        content["metadata"]["resourceVersion"] = str(self.version)
        entry = Entry(content, json.dumps(content, separators=(",", ":")).encode(), self.version)
        namespace = content["metadata"].get("namespace", "")
        self.history.append(
            Change(self.version, word, kind.full_name, namespace, before.content if before else None, entry)
        )
        if len(self.history) > HISTORY:
            self.oldest = self.history.popleft().version
        self.changed.notify_all()
        return entry


def now() -> str:
    """The time as the API writes it, in whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
