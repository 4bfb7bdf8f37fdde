"""Resource use from metrics.k8s.io, with the time and the window of each sample; without it the reason, once.

Its figures are a mean over the window and as old as the metrics server's resolution (15 s, minikube's addon 60 s).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from devenv.backends.kube.cache import Cache, Entry
from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Forbidden, KubeError, NotFound, Unreachable
from devenv.backends.kube.fields import mapping, mappings, quantity, time_of, word
from devenv.backends.kube.kinds import NODE_METRICS, POD_METRICS, PODS
from devenv.backends.streams import Buffer, Stream
from devenv.core.model import Sample

SOONEST: Final = 5.0  # seconds between two readings
LATEST: Final = 60.0
IDLE: Final = 600.0  # seconds to sleep while nothing is watched
# One list of a whole namespace costs less than many single requests, unless most of it is not on screen.
MOST_LISTED: Final = 1_000  # pods
MOST_SINGLE: Final = 60
_WITHOUT: Final = "no resource use: the cluster serves no metrics.k8s.io (minikube addons enable metrics-server)"


def usage_of(raw: Mapping[str, Any]) -> tuple[float, float | None, float, int]:
    """Return (time, window, cores, bytes) of a PodMetrics or NodeMetrics object."""
    parts = [mapping(item.get("usage")) for item in mappings(raw.get("containers"))] or [mapping(raw.get("usage"))]
    cores = sum(quantity(part.get("cpu")) or 0.0 for part in parts)
    memory = int(sum(quantity(part.get("memory")) or 0.0 for part in parts))
    return time_of(raw.get("timestamp")) or 0.0, seconds(raw.get("window")), cores, memory


def seconds(duration: object) -> float | None:
    """Return a Go duration of hours, minutes and seconds ("1m0s", "14.8s") in seconds."""
    if not isinstance(duration, str):
        return None
    total, number = 0.0, ""
    for letter in duration:
        if letter.isdecimal() or letter == ".":
            number += letter
        elif letter in "hms" and number:
            total, number = total + float(number) * {"h": 3600, "m": 60, "s": 1}[letter], ""
            if duration.endswith("ms"):
                return None
        else:
            return None
    return total or None


class Metrics:
    """Reads the use of the watched pods, workloads (their pods' sum) and nodes. `run` belongs to a Stream."""

    def __init__(self, client: KubeClient, cache: Cache, buffer: Buffer, tell: Callable[[str], None]) -> None:
        self._client = client
        self._cache = cache
        self._buffer = buffer
        self._tell = tell
        self._keys: tuple[str, ...] = ()
        self._changed = threading.Event()
        self._published: dict[str, tuple[float, float]] = {}

    def watch(self, keys: Collection[str]) -> None:
        """Sample exactly these from now on."""
        fresh = set(keys) - set(self._keys)
        self._keys = tuple(keys)
        self._published = {key: at for key, at in self._published.items() if key in keys}
        if fresh:
            self._changed.set()

    def run(self, stream: Stream, is_live: Callable[[], bool]) -> None:
        """Sample while something is watched and the cluster answers."""
        while not stream.stopping:
            pause = IDLE
            if self._keys and is_live():
                pause = self._try()
            elif self._keys:
                pause = SOONEST
            stream.wait_until(self._changed, pause)
            # A screen that scrolls asks for others many times a second.
            stream.wait_until(threading.Event(), 0.2)
            self._changed.clear()

    def _try(self) -> float:
        try:
            pause = self._round()
        except Unreachable:
            return SOONEST  # the lists' streams say so
        except Forbidden:
            self._tell("no resource use: this user may not read metrics.k8s.io")
            return LATEST
        except NotFound:
            self._tell(_WITHOUT)
            return LATEST
        except KubeError as error:
            # 503: registered, and the metrics server does not answer.
            self._tell(f"no resource use: metrics.k8s.io does not answer ({error.message})")
            return LATEST
        self._tell("")
        return pause

    def _round(self) -> float:
        entries = {key: self._cache.entry(key) for key in self._keys}
        nodes = [entry for entry in entries.values() if entry is not None and entry.shown.kind == "node"]
        pods = {key: self._cache.pods_of(key) for key, entry in entries.items() if entry is not None}
        namespaces = {pod.namespace: [] for members in pods.values() for pod in members}  # type: dict[str, list[str]]
        for name in {(pod.namespace, pod.name) for members in pods.values() for pod in members}:
            namespaces[name[0]].append(name[1])
        usage = {name: use for space, names in namespaces.items() for name, use in self._pods(space, names)}
        samples = [self._sample(key, [usage.get((pod.namespace, pod.name)) for pod in pods[key]]) for key in pods]
        if nodes:
            uses = {word(mapping(raw.get("metadata")).get("name")): usage_of(raw) for raw in self._list_nodes()}
            samples += [self._sample(entry.shown.key, [uses.get(entry.shown.name)]) for entry in nodes]
        fresh = [sample for sample in samples if sample is not None and self._is_news(sample)]
        self._buffer.put(*fresh)
        newest = max((sample for sample in samples if sample is not None), key=lambda item: item.at, default=None)
        if newest is None:
            return SOONEST
        due = newest.at + (newest.window or 15.0) + 1.0 - time.time()
        return min(LATEST, max(SOONEST, due))

    def _is_news(self, sample: Sample) -> bool:
        values = (sample.at, sample.cpu or 0.0)
        if self._published.get(sample.key) == values:
            return False
        self._published[sample.key] = values
        return True

    def _pods(self, namespace: str, names: list[str]) -> Iterable[tuple[tuple[str, str], tuple[Any, ...]]]:
        if self._cache.count(PODS) <= MOST_LISTED or len(names) > MOST_SINGLE:
            for raw in self._client.get(POD_METRICS.path(namespace)).get("items") or ():
                yield (namespace, word(mapping(raw.get("metadata")).get("name"))), usage_of(raw)
            return
        missing = 0
        for name in names:
            try:
                yield (namespace, name), usage_of(self._client.get(POD_METRICS.path(namespace, name)))
            except NotFound:
                missing += 1  # not measured yet, or ended
        if missing == len(names):
            self._client.get(POD_METRICS.path(namespace), limit=1)  # says it where nothing is served at all

    def _list_nodes(self) -> list[dict[str, Any]]:
        return self._client.get(NODE_METRICS.path()).get("items") or []

    def _sample(self, key: str, uses: list[tuple[Any, ...] | None]) -> Sample | None:
        known = [use for use in uses if use is not None]
        if not known:
            return None
        return Sample(
            key=key,
            at=min(use[0] for use in known),
            cpu=sum(use[2] for use in known),
            memory=sum(use[3] for use in known),
            memory_limit=self._limit(key),
            window=max((use[1] for use in known if use[1] is not None), default=None),
        )

    def _limit(self, key: str) -> int | None:
        entry: Entry | None = self._cache.entry(key)
        if entry is None:
            return None
        if entry.shown.kind in ("pod", "node"):
            return entry.parsed.memory_limit
        entries = [self._cache.entry(pod.key) for pod in self._cache.pods_of(key)]
        limits = [item.parsed.memory_limit for item in entries if item is not None]
        known = [limit for limit in limits if limit is not None]
        return sum(known) if known and len(known) == len(limits) else None
