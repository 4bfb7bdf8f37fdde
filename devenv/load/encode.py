"""How the records of a backend become lines of a recording."""

from __future__ import annotations

from typing import Any

from devenv.core.model import Change, Connection, Gone, Happening, Resource, Sample, Scaling, Seen, Snapshot

Encoded = tuple[str, dict[str, Any]]


class Encoder:
    """Turns records into lines; a resource is told again only when something of interest changed."""

    def __init__(self) -> None:
        self.resources: dict[str, Resource] = {}
        self._before: dict[str, dict[str, Any]] = {}
        self._sources: dict[str, set[str]] = {}  # keys of each list, as its last snapshot had them

    def take(self, change: Change) -> list[Encoded]:
        """Return the lines that a record means; none for what a load test does not need."""
        match change:
            case Snapshot():
                return self._snapshot(change)
            case Seen():
                self._sources.setdefault(change.backend, set()).add(change.resource.key)
                return self._resource(change.resource)
            case Gone():
                return self._gone(change.key)
            case Sample():
                return [("sample", self._sample(change))]
            case Scaling():
                return [("scaling", self._scaling(change))]
            case Happening():
                return [("event", self._happening(change))]
            case Connection():
                values = {"backend": change.backend, "state": change.state.value, "why": change.message}
                return [("link", values)]
            case _:
                return []

    def _snapshot(self, snapshot: Snapshot) -> list[Encoded]:
        keys = {item.key for item in snapshot.resources}
        gone = self._sources.get(snapshot.backend, set()) - keys
        self._sources[snapshot.backend] = keys
        lines = [line for key in sorted(gone) for line in self._gone(key)]
        return lines + [line for item in snapshot.resources for line in self._resource(item)]

    def _resource(self, item: Resource) -> list[Encoded]:
        self.resources[item.key] = item
        values: dict[str, Any] = {
            "key": item.key,
            "kind": item.kind,
            "name": item.name,
            "service": item.service,
            "state": item.state.value,
            "health": item.health.value,
            "restarts": item.restarts,
            "ready": item.ready,
            "why": item.why,
            "oom": item.oom_killed,
            "created": item.created_at,
            "facts": dict(item.facts),
        }
        if self._before.get(item.key) == values:
            return []
        self._before[item.key] = values
        return [("resource", values)]

    def _gone(self, key: str) -> list[Encoded]:
        if self.resources.pop(key, None) is None:
            return []
        self._before.pop(key, None)
        return [("gone", {"key": key})]

    def _named(self, key: str) -> dict[str, str]:
        item = self.resources.get(key)
        return {"key": key, "name": item.name if item else key, "service": item.service if item else ""}

    def _sample(self, sample: Sample) -> dict[str, Any]:
        return {
            **self._named(sample.key),
            "of": sample.at,
            "cpu": None if sample.cpu is None else round(sample.cpu, 5),
            "memory": sample.memory,
            "limit": sample.memory_limit,
            "window": sample.window,
        }

    def _scaling(self, scaling: Scaling) -> dict[str, Any]:
        metrics = [
            {"name": item.name, "unit": item.unit, "current": item.current, "target": item.target}
            for item in scaling.metrics
        ]
        return {
            **self._named(scaling.key),
            "of": scaling.at,
            "target": scaling.target,
            "min": scaling.minimum,
            "max": scaling.maximum,
            "current": scaling.current,
            "desired": scaling.desired,
            "metrics": metrics,
            "conditions": [list(item) for item in scaling.conditions],
            "scaled": scaling.last_scaled_at,
        }

    def _happening(self, happening: Happening) -> dict[str, Any]:
        return {
            **self._named(happening.key),
            "of": happening.at,
            "action": happening.action,
            "text": happening.text,
            "attributes": dict(happening.attributes),
        }
