"""The one store: applies the backends' records, keeps a version, and tells what changed since a version.

It belongs to one thread (the terminal's, or a command's); backends reach it only through their buffers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from msgspec import Struct

from devenv.core.model import (
    Action,
    Change,
    Connection,
    Gone,
    Happening,
    Phase,
    Progress,
    Resource,
    Sample,
    Scaling,
    Seen,
    Snapshot,
)

HAPPENINGS_KEPT = 100  # per resource
STRANGERS_KEPT = 64  # keys that have happenings but no resource
_ENDED = (Phase.DONE, Phase.FAILED, Phase.REFUSED)


class Delta(Struct, frozen=True):
    """What changed between two versions; a resource that came and went in between is only in `removed`."""

    version: int
    updated: tuple[Resource, ...] = ()
    removed: tuple[str, ...] = ()
    connections: tuple[Connection, ...] = ()
    samples: tuple[Sample, ...] = ()
    actions: tuple[Action, ...] = ()
    happenings: tuple[Happening, ...] = ()
    scalings: tuple[Scaling, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(
            (
                *(self.updated, self.removed, self.connections, self.samples),
                *(self.actions, self.happenings, self.scalings),
            )
        )


class Store:
    """Everything that is known now. Equal records change nothing, so that nothing is drawn for them."""

    def __init__(self) -> None:
        self._version = 0
        self._resources: dict[str, Resource] = {}
        self._owner: dict[str, str] = {}
        self._connections: dict[str, Connection] = {}
        self._samples: dict[str, Sample] = {}
        self._scalings: dict[str, Scaling] = {}
        self._actions: dict[int, Action] = {}
        self._progress: dict[int, dict[str, Progress]] = {}
        self._happenings: dict[str, deque[tuple[int, Happening]]] = {}
        # (table, key) -> version of its newest change, oldest first: a reader walks only what is newer than it knows.
        self._changed: dict[tuple[str, str | int], int] = {}

    @property
    def version(self) -> int:
        """Grows by one with each change."""
        return self._version

    @property
    def resources(self) -> Mapping[str, Resource]:
        """All resources by key, in the order in which they were first seen."""
        return MappingProxyType(self._resources)

    def progress(self, action_id: int) -> Mapping[str, Progress]:
        """The steps of an action that runs or has just ended, by their id."""
        return MappingProxyType(self._progress.get(action_id, {}))

    def resource(self, key: str) -> Resource | None:
        """The resource of that key, or None where it is gone."""
        return self._resources.get(key)

    def connection(self, backend: str) -> Connection | None:
        """The newest word of that backend about its connection."""
        return self._connections.get(backend)

    def sample(self, key: str) -> Sample | None:
        """The newest resource use of that resource."""
        return self._samples.get(key)

    def scaling(self, key: str) -> Scaling | None:
        """The newest state of that autoscaler."""
        return self._scalings.get(key)

    def happenings(self, key: str) -> tuple[Happening, ...]:
        """What happened to that resource, oldest first, at most HAPPENINGS_KEPT."""
        return tuple(happening for _, happening in self._happenings.get(key, ()))

    def apply(self, changes: Iterable[Change]) -> None:
        """Take the records in. Log lines are not kept here: they go to whoever shows them."""
        for change in changes:
            match change:
                case Snapshot(backend, resources):
                    present = {resource.key for resource in resources}
                    gone = [key for key, owner in self._owner.items() if owner == backend and key not in present]
                    for key in gone:
                        self._remove(key)
                    for resource in resources:
                        self._put(backend, resource)
                case Seen(backend, resource):
                    self._put(backend, resource)
                case Gone(_, key):
                    self._remove(key)
                case Connection():
                    if self._connections.get(change.backend) != change:
                        self._connections[change.backend] = change
                        self._touch("connection", change.backend)
                case Sample():
                    # A sample may arrive after its resource went: it must not come back as a ghost.
                    if change.key in self._resources and self._samples.get(change.key) != change:
                        self._samples[change.key] = change
                        self._touch("sample", change.key)
                case Scaling():
                    if change.key in self._resources and self._scalings.get(change.key) != change:
                        self._scalings[change.key] = change
                        self._touch("scaling", change.key)
                case Happening():
                    self._happen(change)
                case Action():
                    self._act(change)
                case Progress():
                    self._progress.setdefault(change.action, {})[change.id] = change
                case _:
                    continue

    def since(self, version: int) -> Delta:
        """Tell what changed after that version, in the order in which it changed."""
        newer: list[tuple[str, str | int]] = []
        for entry, changed in reversed(self._changed.items()):
            if changed <= version:
                break
            newer.append(entry)
        entries: dict[str, list[str | int]] = {}
        for table, key in reversed(newer):
            entries.setdefault(table, []).append(key)
        resource_keys = [str(key) for key in entries.get("resource", ())]
        return Delta(
            version=self._version,
            updated=tuple(self._resources[key] for key in resource_keys if key in self._resources),
            removed=tuple(key for key in resource_keys if key not in self._resources),
            connections=tuple(self._connections[str(key)] for key in entries.get("connection", ())),
            samples=tuple(self._samples[str(key)] for key in entries.get("sample", ()) if str(key) in self._samples),
            scalings=tuple(
                self._scalings[str(key)] for key in entries.get("scaling", ()) if str(key) in self._scalings
            ),
            actions=tuple(self._actions[int(key)] for key in entries.get("action", ())),
            happenings=tuple(
                happening
                for key in entries.get("happening", ())
                for changed, happening in self._happenings.get(str(key), ())
                if changed > version
            ),
        )

    def _happen(self, happening: Happening) -> None:
        kept = self._happenings.setdefault(happening.key, deque(maxlen=HAPPENINGS_KEPT))
        self._touch("happening", happening.key)
        kept.append((self._version, happening))
        # Events of what is not (or no longer) there: a create comes before its resource, a destroy after it.
        if len(self._happenings) > len(self._resources) + STRANGERS_KEPT:
            stranger = next((key for key in self._happenings if key not in self._resources), None)
            if stranger is not None:
                del self._happenings[stranger]

    def _act(self, action: Action) -> None:
        before = self._actions.get(action.id)
        if before == action:
            return
        if before is None and action.phase not in _ENDED:
            # Of what has ended nobody asks any more.
            running = {known.id for known in self._actions.values() if known.phase not in _ENDED}
            self._progress = {of: steps for of, steps in self._progress.items() if of in running}
        self._actions[action.id] = action
        self._touch("action", action.id)

    def _put(self, backend: str, resource: Resource) -> None:
        if self._resources.get(resource.key) == resource:
            return
        self._resources[resource.key] = resource
        self._owner[resource.key] = backend
        self._touch("resource", resource.key)

    def _remove(self, key: str) -> None:
        if self._resources.pop(key, None) is None:
            return
        del self._owner[key]
        self._samples.pop(key, None)
        self._scalings.pop(key, None)
        self._happenings.pop(key, None)
        self._touch("resource", key)

    def _touch(self, table: str, key: str | int) -> None:
        self._version += 1
        entry = (table, key)
        # Moved to the end: the dict stays sorted by version.
        self._changed.pop(entry, None)
        self._changed[entry] = self._version
