"""The API's events (v1): what happened to which object, how often, and reported by whom; each once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from devenv.backends.kube.cache import Cache
from devenv.backends.kube.fields import key_of, mapping, number, text, time_of, word
from devenv.backends.streams import Buffer
from devenv.core.model import Happening

_CONTAINER: Final = re.compile(r"\{(.+)\}$")
# The message of a probe: "Readiness probe failed: ..." (pkg/kubelet/prober/prober.go).
_PROBE: Final = re.compile(r"^(Readiness|Liveness|Startup) probe (failed|errored)[^:]*: ?(.*)$", re.DOTALL)
UNHEALTHY: Final = "Unhealthy"


@dataclass(frozen=True, slots=True)
class ParsedEvent:
    """One event: `slot` names what it explains (the reason, with the container's name for a probe's)."""

    uid: str  # of the event itself
    happening: Happening
    slot: str
    count: int
    words: str
    warning: bool
    kind: str  # of the object that it tells about
    name: str
    namespace: str


def parse_event(raw: Mapping[str, Any]) -> ParsedEvent:
    """Read an event, as recorders of events/v1 write them too (eventTime and series instead of count)."""
    meta, about, series = (mapping(raw.get(name)) for name in ("metadata", "involvedObject", "series"))
    about = about or mapping(raw.get("regarding"))
    at = (
        time_of(series.get("lastObservedTime"))
        or time_of(raw.get("lastTimestamp"))
        or time_of(raw.get("eventTime"))
        or time_of(raw.get("firstTimestamp"))
        or time_of(meta.get("creationTimestamp"))
        or 0.0
    )
    count = number(series.get("count")) or number(raw.get("count")) or 1
    reason = word(raw.get("reason"))
    message = text(raw.get("message") or raw.get("note"))
    container = _CONTAINER.search(str(about.get("fieldPath") or ""))
    component = word(mapping(raw.get("source")).get("component") or raw.get("reportingComponent"))
    attributes = [("count", str(count)), ("type", word(raw.get("type"))), ("component", component)]
    if container is not None:
        attributes.append(("container", word(container[1])))
    attributes += [("kind", word(about.get("kind"))), ("name", word(about.get("name")))]
    return ParsedEvent(
        uid=word(meta.get("uid")),
        happening=Happening(key_of(word(about.get("uid"))), at, reason, message, tuple(attributes)),
        slot=f"{reason}/{word(container[1])}" if reason == UNHEALTHY and container is not None else reason,
        count=count,
        words=_words(message),
        warning=raw.get("type") == "Warning",
        kind=word(about.get("kind")),
        name=word(about.get("name")),
        namespace=word(about.get("namespace")),
    )


def _words(message: str) -> str:
    match = _PROBE.match(message)
    if match is None:
        return message
    said = match[3].strip()  # a probe's program may fail without a word
    return f"{match[1].lower()} probe {match[2]}{f': {said}' if said else ''}"


# Reasons that explain why an object is not as it should be; all others are happenings only.
_EXPLAINS: Final = frozenset(
    (
        *("Unhealthy", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"),
        *("NetworkNotReady", "FailedCreate", "SyncLoadBalancerFailed", "VolumeFailedDelete", "UnparseableSchedule"),
        *("FailedNeedsStart", "TooManyMissedTimes", "ProvisioningFailed", "FailedBinding", "WaitForFirstConsumer"),
        "WaitForPodScheduled",
    )
)


class EventLog:
    """Takes in the list and the watch of events; all methods belong to the thread of that stream."""

    def __init__(self, cache: Cache, buffer: Buffer) -> None:
        self._cache = cache
        self._buffer = buffer
        self._published: dict[str, tuple[int, float, str, str, str]] = {}  # by uid: count, time, object, slot, words
        self._listing: list[ParsedEvent] = []

    def page(self, items: Iterable[Mapping[str, Any]], first: bool) -> None:
        """Take in a part of the list."""
        if first:
            self._listing = []
        self._listing += map(parse_event, items)

    def listed(self, uids: frozenset[str]) -> None:
        """Pass on what of the list is new, oldest first."""
        for uid in self._published.keys() - uids:
            self._forget(uid)
        listing, self._listing = self._listing, []
        for event in sorted(listing, key=lambda item: item.happening.at):
            self._tell(event)

    def changed(self, event: str, raw: Mapping[str, Any]) -> None:
        """Take in one event of the watch."""
        parsed = parse_event(raw)
        if event == "DELETED":
            self._forget(parsed.uid)
        else:
            self._tell(parsed)

    def clear(self) -> None:
        """Forget all: another cluster or namespace."""
        for uid in tuple(self._published):
            self._forget(uid)

    def _tell(self, event: ParsedEvent) -> None:
        happening = event.happening
        if event.kind == "Node":  # the kubelet writes the node's name where its uid belongs
            key = self._cache.find("node", "", event.name)
            happening = Happening(key or happening.key, happening.at, *_rest(happening))
        known = self._published.get(event.uid)
        if known is not None and known[:2] == (event.count, happening.at):
            return
        slot = event.slot if event.happening.action in _EXPLAINS else ""
        self._published[event.uid] = (event.count, happening.at, happening.key, slot, event.words)
        self._buffer.put(happening)
        if slot:
            self._cache.note(happening.key, slot, event.words, event.count)

    def _forget(self, uid: str) -> None:
        known = self._published.pop(uid, None)
        if known is not None and known[3]:
            self._cache.unnote(*known[2:], known[0])


def _rest(happening: Happening) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    return happening.action, happening.text, happening.attributes
