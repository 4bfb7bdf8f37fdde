"""What the images at hand were made from: a record a build, found by the key that its image carries as a label."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from devenv.builds.context import Entry, Tree
from devenv.builds.key import MAIN, Inputs, Reading
from devenv.builds.store import Store
from devenv.core.decode import from_json
from devenv.core.stored import Moment, Unreadable, read_bytes, read_json, readable

SCHEMA: Final = 1
MOST: Final = 200  # records and trees kept: some for each service of a large project, an old one is of no use
_RECORDS: Final = "records"
_TREES: Final = "trees"
_LATER: Final = "images"
NOTHING: Final = ""
_ORDER: Final = {"file": 0, "Dockerfile": 1, "ignore rule": 2, "ignore file": 3, "argument": 4}
_KEY: Final = re.compile(r"[0-9a-f]{64}")


class Record(msgspec.Struct, frozen=True):
    """One build: how many `seconds` it took, and the ids of the services' images (`bases`) that it was made from."""

    schema: int
    service: str
    at: Moment
    seconds: float
    bases: dict[str, str]
    inputs: Inputs
    rules: dict[str, tuple[str, ...]]


class Change(msgspec.Struct, frozen=True):
    """One thing that an image is made from and that changed: its kind, its name, and its hash or value before and now.

    "" is before or now for what was or is not there.
    """

    kind: str
    name: str
    before: str
    after: str


def read_record(store: Store, key: str) -> Record | None:
    """Return the record of the build with this key, None where there is none that can be read."""
    if not _KEY.fullmatch(key):
        return None  # a label that somebody else wrote
    try:
        record = read_json(store.file(_RECORDS, key), Record)
    except Unreadable:
        return None
    return record if record is not None and record.schema == SCHEMA and record.inputs.key == key else None


def write_record(
    store: Store, service: str, reading: Reading, *, at: float, seconds: float, bases: Mapping[str, str]
) -> None:
    """Keep what a build was made from; raises OSError."""
    for tree in reading.trees.values():
        file = store.file(_TREES, tree.digest)
        if not file.exists():
            store.write(file, msgspec.json.encode(tree.entries))
    record = Record(SCHEMA, service, at, seconds, dict(bases), reading.inputs, dict(reading.rules))
    store.write(store.file(_RECORDS, reading.key), msgspec.json.encode(record))


def later_key(store: Store, image_id: str) -> str:
    """Return the key of a later build that made nothing else than this image, "" where there was none."""
    try:
        key = read_json(store.file(_LATER, image_id.rpartition(":")[2]), str) or ""
    except Unreadable:
        return ""
    return key if _KEY.fullmatch(key) else ""


def write_later_key(store: Store, image_id: str, key: str) -> None:
    """Keep that an image is what a build with this key makes too, though its label has another; raises OSError."""
    store.write(store.file(_LATER, image_id.rpartition(":")[2]), msgspec.json.encode(key))


def forget_oldest(store: Store) -> None:
    """Remove the records and trees beyond the newest ones; raises OSError."""
    for kind in (_RECORDS, _TREES, _LATER):
        store.keep_newest(kind, MOST)


def changes_since(record: Record, reading: Reading, store: Store) -> tuple[Change, ...]:
    """Return what changed between a build and now, what people edit first."""
    changes = list(_changes(record, reading, store))
    return tuple(sorted(changes, key=lambda change: (_ORDER.get(change.kind, len(_ORDER)), change.kind, change.name)))


def _changes(record: Record, reading: Reading, store: Store) -> Iterator[Change]:
    before, now = record.inputs, reading.inputs
    for kind in sorted(before.facts.keys() | now.facts.keys()):
        yield from _differences(kind, before.facts.get(kind, {}), now.facts.get(kind, {}))
    for name in sorted(before.trees.keys() | now.trees.keys()):
        if before.trees.get(name) != now.trees.get(name):
            yield from _tree_changes(name, before.trees.get(name, NOTHING), reading.trees.get(name), store)
        old, new = record.rules.get(name, ()), reading.rules.get(name, ())
        if old != new:
            yield from _differences("ignore rule", dict.fromkeys(old, "set"), dict.fromkeys(new, "set"), _prefix(name))


def _differences(kind: str, before: Mapping[str, str], now: Mapping[str, str], prefix: str = "") -> Iterator[Change]:
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name, NOTHING), now.get(name, NOTHING)
        # A base image that the engine does not have is there all the same, with an empty digest.
        if old != new or (name in before) != (name in now):
            yield Change(kind, f"{prefix}{name}", old, new)


def _tree_changes(name: str, digest: str, tree: Tree | None, store: Store) -> Iterator[Change]:
    now = {entry.path: entry for entry in tree.entries} if tree is not None else {}
    entries = _read_entries(store, digest)
    if entries is None:
        yield Change("context", name or ".", digest, tree.digest if tree is not None else NOTHING)
        return
    before = {entry.path: entry for entry in entries}
    for path in sorted(before.keys() | now.keys()):
        old, new = before.get(path), now.get(path)
        if old != new:
            yield Change("file", f"{_prefix(name)}{path}", _said(old, new), _said(new, old))


def _read_entries(store: Store, digest: str) -> tuple[Entry, ...] | None:
    """Return the entries of a tree; none where it is not kept any more, or not as it was."""
    file = store.file(_TREES, digest)
    try:
        content = read_bytes(file)
        if content is None or hashlib.sha256(content).hexdigest() != digest:
            return None
        with readable(file):
            return from_json(content, tuple[Entry, ...])
    except Unreadable:
        return None


def _said(entry: Entry | None, other: Entry | None) -> str:
    """Return what tells an entry from the other one of its path: its content, else its target, mode or type."""
    if entry is None:
        return NOTHING
    if other is not None and entry.type == other.type and entry.content == other.content:
        return entry.target if entry.target != other.target else f"mode {entry.mode:04o}"
    return entry.content or (f"link to {entry.target}" if entry.target else f"{entry.type} {entry.mode:04o}")


def _prefix(name: str) -> str:
    return "" if name == MAIN else f"{name}:"
