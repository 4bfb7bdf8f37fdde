"""What is known of a cluster's objects: lists, watches and events become one consistent set of records.

Each list arrives in a thread of its own; they are joined here: a pod to its owner and that one's owner, events to
the object that they explain, an autoscaler to its workload, endpoint slices to their service. A change costs the same
however many objects there are.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from msgspec.structs import replace

from devenv.backends.kube.fields import joined, mapping, time_of
from devenv.backends.kube.kinds import KNOWN, PODS, SERVICES, Kind
from devenv.backends.kube.parse import Parsed, parse
from devenv.backends.kube.parse.infrastructure import Endpoints, endpoints_of
from devenv.backends.kube.parse.workload import scaling_of
from devenv.core.model import (
    AutoscalerFacts,
    Gone,
    Health,
    PodFacts,
    Resource,
    Scaling,
    Seen,
    ServiceFacts,
    Snapshot,
    State,
)
from devenv.core.text import human_age

WORKLOADS: Final = ("deployment", "replicaset", "statefulset", "daemonset", "job", "cronjob", "replicationcontroller")


@dataclass(slots=True)
class Entry:
    """An object: as it tells itself, and as it is shown with what others tell about it."""

    kind: Kind
    parsed: Parsed
    shown: Resource
    deadline: float | None = None  # when it should have been gone
    endpoints: Endpoints | None = None
    scaling: Scaling | None = None


def source_of(backend: str, kind: Kind) -> str:
    """Return the name of a list as a source of records."""
    return f"{backend}#{kind.plural if kind in KNOWN else kind.full_name}"


def target_of(scaler: Resource) -> tuple[str, str, str]:
    """Return the name in the cache of what an autoscaler scales."""
    about = scaler.kind_facts if isinstance(scaler.kind_facts, AutoscalerFacts) else AutoscalerFacts()
    return about.target_kind.lower(), scaler.namespace, about.target_name


def same_scaling(new: Scaling, old: Scaling | None) -> bool:
    """Whether nothing changed but the time at which it was read."""
    return old is not None and replace(new, at=0.0) == replace(old, at=0.0)


def uid_of(key: str) -> str:
    """Return the object's uid; "" for the few kinds whose objects have none."""
    return "" if "/" in key else key.removeprefix("kubernetes:")


class Cache:
    """The objects of one cluster as they are shown; every change is handed to `emit`, in order, under one lock."""

    def __init__(
        self, backend: str, context: str, emit: Callable[..., None], on_pod: Callable[[Resource, bool], None]
    ) -> None:
        self._backend = backend
        self._context = context
        self._emit = emit
        self._on_pod = on_pod  # a pod as it is now; False: it is gone
        self._lock = threading.RLock()
        self._entries: dict[str, Entry] = {}
        self._lists: dict[Kind, dict[str, Entry]] = {}
        self._named: dict[tuple[str, str, str], str] = {}
        self._children: dict[str, dict[str, None]] = {}
        self._held: dict[str, dict[str, Resource]] = {}
        self._scalers: dict[tuple[str, str, str], str] = {}
        self._slices: dict[tuple[str, str], dict[str, Endpoints]] = {}
        self._notes: dict[str, dict[str, tuple[str, int]]] = {}
        self._leaving: set[str] = set()

    def page(self, kind: Kind, items: Iterable[Mapping[str, Any]]) -> None:
        """Take in a part of a list."""
        for raw in items:
            self._put(kind, raw)

    def listed(self, kind: Kind, uids: frozenset[str]) -> None:
        """Take in that a list is complete: what is not in it is gone."""
        with self._lock:
            entries = self._lists.setdefault(kind, {})
            for key in [key for key in entries if uid_of(key) not in uids]:
                self._take_out(key)
            if kind is PODS:  # endpoint slices that came before it could not tell whose pods they lead to
                for key, entry in self._lists.get(SERVICES, {}).items():
                    self._renew(key, entry)
            self._emit(Snapshot(source_of(self._backend, kind), tuple(entry.shown for entry in entries.values())))
            self._emit(*(entry.scaling for entry in entries.values() if entry.scaling is not None))

    def changed(self, kind: Kind, event: str, raw: Mapping[str, Any]) -> None:
        """Take in one event of a watch."""
        if event != "DELETED":
            self._put(kind, raw)
            return
        uid = mapping(raw.get("metadata")).get("uid")
        key = f"kubernetes:{uid}"
        with self._lock:
            if key in self._entries:
                self._take_out(key)
                self._emit(Gone(source_of(self._backend, kind), key))

    def drop(self, kind: Kind) -> None:
        """Forget a list: it is not watched any more, or was another cluster's."""
        with self._lock:
            for key in tuple(self._lists.get(kind, ())):
                self._take_out(key)
            self._lists.pop(kind, None)
            self._emit(Snapshot(source_of(self._backend, kind), ()))

    def note(self, key: str, slot: str, text: str, count: int) -> None:
        """Take in what an event says about an object, and how often it happened."""
        with self._lock:
            notes = self._notes.setdefault(key, {})
            if notes.get(slot) != (text, count):
                notes[slot] = (text, count)
                self._explain(key, slot)

    def unnote(self, key: str, slot: str, text: str, count: int) -> None:
        """Take back what an event said, unless a newer one said something else."""
        with self._lock:
            notes = self._notes.get(key, {})
            if notes.get(slot) == (text, count):
                del notes[slot]
                if not notes:
                    del self._notes[key]
                self._explain(key, slot)

    def tick(self) -> None:
        """Look again at what the clock changes: objects under deletion that should be gone."""
        with self._lock:
            for key in tuple(self._leaving):
                self._renew(key, self._entries[key])

    def entry(self, key: str) -> Entry | None:
        """Return the object of that key."""
        with self._lock:
            return self._entries.get(key)

    def find(self, kind: str, namespace: str, name: str) -> str:
        """Return the key of the object of that kind ("pod") and name; "" where there is none."""
        return self._named.get((kind, namespace, name), "")

    def pods_of(self, key: str) -> tuple[Resource, ...]:
        """Return the pods of a workload, or the pod itself."""
        with self._lock:
            return tuple(self._pods_below(key))

    def count(self, kind: Kind) -> int:
        """Return how many objects of a kind there are."""
        return len(self._lists.get(kind, ()))

    def _pods_below(self, key: str) -> Iterator[Resource]:
        entry = self._entries.get(key)
        if entry is not None and entry.shown.kind == "pod":
            yield entry.shown
        for child in self._children.get(key, ()):
            yield from self._pods_below(child)

    def _put(self, kind: Kind, raw: Mapping[str, Any]) -> None:
        parsed = parse(raw, kind.name, self._context)
        resource = parsed.resource
        key = resource.key
        with self._lock:
            old = self._entries.get(key)
            deadline = time_of(mapping(raw.get("metadata")).get("deletionTimestamp"))
            entry = Entry(kind, parsed, old.shown if old is not None else resource, deadline)
            self._entries[key] = entry
            self._lists.setdefault(kind, {})[key] = entry
            self._named[resource.kind, resource.namespace, resource.name] = key
            (self._leaving.add if deadline is not None else self._leaving.discard)(key)
            if resource.owner:
                self._children.setdefault(resource.owner, {})[key] = None
            if resource.kind == "endpointslice":
                self._put_slice(key, endpoints_of(raw), entry)
            if resource.kind == "horizontalpodautoscaler":
                self._scalers[target_of(resource)] = key
                entry.scaling = scaling_of(raw, key, time.time())
            self._renew(key, entry, is_new=old is None)
            if entry.scaling is not None and not same_scaling(entry.scaling, old.scaling if old else None):
                self._emit(entry.scaling)

    def _explain(self, key: str, slot: str) -> None:
        entry = self._entries.get(key)
        if entry is not None and slot in entry.parsed.explained_by:
            self._renew(key, entry)

    def _renew(self, key: str, entry: Entry, *, is_new: bool = False) -> None:
        """Say anew what an object is with all that others tell, and go on to those that it tells something about."""
        before, after = entry.shown, self._joined(key, entry)
        if not is_new and before == after:
            return
        entry.shown = after
        self._emit(Seen(source_of(self._backend, entry.kind), after))
        if after.kind == "pod":
            self._hold(key, after)
            self._on_pod(after, True)
        elif after.kind == "job" and (is_new or before.service != after.service):
            for child in self._children.get(key, ()):
                self._renew(child, self._entries[child])
        if is_new and after.kind == "replicaset":
            self._renew_workload(after.owner)
        if after.kind == "horizontalpodautoscaler":
            self._renew_workload(self._named.get(target_of(after), ""))

    def _joined(self, key: str, entry: Entry) -> Resource:
        resource = entry.parsed.resource
        notes = self._notes.get(key)
        reasons = [notes[slot] for slot in entry.parsed.explained_by if slot in notes] if notes else ()
        if reasons or entry.deadline is not None:
            resource = explained(resource, reasons, overdue_words(entry.deadline, time.time()))
        if resource.kind == "pod":
            owner = self._entries.get(resource.owner)
            if owner is not None and owner.shown.kind == "job" and owner.shown.service != resource.service:
                return replace(resource, service=owner.shown.service)
            return resource
        if resource.kind in WORKLOADS:
            return self._with_pods(key, resource)
        if resource.kind == "service":
            return self._with_endpoints(resource)
        return resource

    def _with_pods(self, key: str, resource: Resource) -> Resource:
        owners = [key]
        if resource.kind == "deployment":
            owners += self._children.get(key, ())
        held = [self._held[owner] for owner in owners if owner in self._held]
        scaler = self._entries.get(self._scalers.get((resource.kind, resource.namespace, resource.name), ""))
        if not held and scaler is None:
            return resource
        return with_pods(
            resource, [item.values() for item in held], sum(map(len, held)), scaler.shown if scaler else None
        )

    def _with_endpoints(self, resource: Resource) -> Resource:
        slices = self._slices.get((resource.namespace, resource.name))
        if slices is None:
            return resource
        ready = frozenset[str]().union(*(item.ready for item in slices.values()))
        unready = frozenset[str]().union(*(item.unready for item in slices.values())) - ready
        pod = self._entries.get(next(iter(ready or unready), ""))
        return with_endpoints(resource, len(ready), len(unready), pod.shown.service if pod is not None else "")

    def _hold(self, key: str, pod: Resource) -> None:
        """Note whether a pod holds its workload back, and say the workload anew where that changed."""
        held = self._held.get(pod.owner, {})
        if pod.owner and holds_back(pod):
            self._held.setdefault(pod.owner, held)[key] = pod
        elif held.pop(key, None) is None:
            return
        elif not held:
            del self._held[pod.owner]
        self._renew_workload(pod.owner)

    def _renew_workload(self, key: str) -> None:
        while (entry := self._entries.get(key)) is not None:
            self._renew(key, entry)
            key = entry.shown.owner

    def _put_slice(self, key: str, endpoints: Endpoints, entry: Entry) -> None:
        entry.endpoints = endpoints
        self._slices.setdefault((endpoints.namespace, endpoints.service), {})[key] = endpoints
        self._renew_service(endpoints)

    def _renew_service(self, endpoints: Endpoints) -> None:
        key = self._named.get(("service", endpoints.namespace, endpoints.service), "")
        entry = self._entries.get(key)
        if entry is not None:
            self._renew(key, entry)

    def _take_out(self, key: str) -> None:
        entry = self._entries.pop(key)
        resource = entry.shown
        self._lists.get(entry.kind, {}).pop(key, None)
        name = (resource.kind, resource.namespace, resource.name)
        if self._named.get(name) == key:
            del self._named[name]
        self._leaving.discard(key)
        self._notes.pop(key, None)
        children = self._children.get(resource.owner)
        if children is not None:
            children.pop(key, None)
            if not children:
                del self._children[resource.owner]
        if resource.kind == "pod":
            held = self._held.get(resource.owner)
            if held is not None and held.pop(key, None) is not None:
                if not held:
                    del self._held[resource.owner]
                self._renew_workload(resource.owner)
            self._on_pod(resource, False)
        elif entry.endpoints is not None:
            slices = self._slices.get((entry.endpoints.namespace, entry.endpoints.service), {})
            slices.pop(key, None)
            self._renew_service(entry.endpoints)
        elif resource.kind == "horizontalpodautoscaler" and self._scalers.get(target_of(resource)) == key:
            del self._scalers[target_of(resource)]
            self._renew_workload(self._named.get(target_of(resource), ""))


_LOOKED_AT = 8  # pods; the words name one, and counting is cheap: a change costs the same with 7,000 of them

_TRIES = 6  # failed readiness probes until one is not starting any more: twice the API's default failureThreshold


def holds_back(pod: Resource) -> bool:
    """Whether its workload waits for this pod; a failed one that was replaced holds nothing back, but in a job."""
    if pod.state is State.REMOVING:
        return bool(pod.why)
    if pod.state is State.EXITED:
        return bool(pod.exit_code) and isinstance(pod.kind_facts, PodFacts) and pod.kind_facts.owner_kind == "Job"
    return pod.health is not Health.HEALTHY


def explained(resource: Resource, notes: Iterable[tuple[str, int]], overdue: str = "") -> Resource:
    """Add to a resource what events (words, and how often) and the clock say about it."""
    reasons = list(notes)
    if not reasons and not overdue:
        return resource
    fresh = [
        f"{text} ({count} times)" if count > 1 else text for text, count in reasons if text and text not in resource.why
    ]
    health = resource.health
    if health is Health.STARTING and any(text.startswith("readiness") and count > _TRIES for text, count in reasons):
        health = Health.UNHEALTHY  # it runs, has passed its startup probe, and is not on its way to be ready
    return replace(resource, why=joined((overdue, resource.why, *fresh)), health=health)


def overdue_words(deadline: float | None, now: float) -> str:
    """Say of an object under deletion that it should be gone (`deadline`: its deletionTimestamp)."""
    if deadline is None or now - deadline < 1:
        return ""
    return f"should have been gone {human_age(now - deadline)} ago"


def with_pods(workload: Resource, held: Sequence[Iterable[Resource]], count: int, scaler: Resource | None) -> Resource:
    """Add to a workload the pods that hold it back (`count` of them) and what its autoscaler complains about."""
    looked_at = list(islice((pod for pods in held for pod in pods), _LOOKED_AT))
    first = next((pod for pod in looked_at if pod.health is Health.UNHEALTHY), looked_at[0] if looked_at else None)
    words = [workload.why]
    health = workload.health
    if first is not None and workload.kind != "cronjob":
        verb = "failed" if first.state is State.EXITED else "waits" if count == 1 else "wait"
        shown = f"{first.name}: {first.why}" if first.why else first.name
        words.append(f"{count} {'pod' if count == 1 else 'pods'} {verb}: {shown}")
        if health is Health.STARTING and any(pod.health is Health.UNHEALTHY for pod in looked_at):
            health = Health.UNHEALTHY
    facts = workload.facts
    if scaler is not None:
        facts = (*facts, ("autoscaler", f"{scaler.name}: {scaler.status}"))
        if scaler.why and scaler.why != "held at its minimum" and scaler.health is not Health.STARTING:
            words.append(f"autoscaler {scaler.name}: {scaler.why}")
    return replace(workload, why=joined(words), health=health, facts=facts)


def with_endpoints(service: Resource, ready: int, unready: int, workload: str) -> Resource:
    """Add to a service how many endpoints it has, and that it leads nowhere."""
    selector = service.kind_facts.selector if isinstance(service.kind_facts, ServiceFacts) else ""
    why, health = service.why, service.health
    if selector and not ready:
        nobody = f"no pod matches its selector {selector}"
        why = joined((why, nobody if not unready else f"none of its {unready} pods is ready"))
        health = Health.UNHEALTHY
    elif ready and health is Health.NONE:
        health = Health.HEALTHY
    return replace(service, why=why, health=health, ready=(ready, ready + unready), service=workload or service.service)
