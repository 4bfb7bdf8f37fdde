"""The API's events as happenings, each told once however often it is listed, and as explanations in the book."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from devenv.backends.kube.book import Book
from devenv.backends.kube.parse.event import Told, parse_event
from devenv.backends.streams import Buffer
from devenv.core.model import Happening

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

    def __init__(self, book: Book, buffer: Buffer) -> None:
        self._book = book
        self._buffer = buffer
        self._told: dict[str, tuple[int, float, str, str, str]] = {}  # by uid: count, time, object, slot, words
        self._listing: list[Told] = []

    def page(self, items: Iterable[Mapping[str, Any]], first: bool) -> None:
        """Take in a part of the list."""
        if first:
            self._listing = []
        self._listing += map(parse_event, items)

    def listed(self, uids: frozenset[str]) -> None:
        """Tell what the list holds that was not told before, oldest first."""
        for uid in self._told.keys() - uids:
            self._forget(uid)
        listing, self._listing = self._listing, []
        for told in sorted(listing, key=lambda item: item.happening.at):
            self._tell(told)

    def changed(self, event: str, raw: Mapping[str, Any]) -> None:
        """Take in one event of the watch."""
        told = parse_event(raw)
        if event == "DELETED":
            self._forget(told.uid)
        else:
            self._tell(told)

    def clear(self) -> None:
        """Forget all: another cluster or namespace."""
        for uid in tuple(self._told):
            self._forget(uid)

    def _tell(self, told: Told) -> None:
        happening = told.happening
        if told.kind == "Node":  # the kubelet writes the node's name where its uid belongs
            key = self._book.find("node", "", told.name)
            happening = Happening(key or happening.key, happening.at, *_rest(happening))
        known = self._told.get(told.uid)
        if known is not None and known[:2] == (told.count, happening.at):
            return
        slot = told.slot if told.happening.action in _EXPLAINS else ""
        self._told[told.uid] = (told.count, happening.at, happening.key, slot, told.words)
        self._buffer.put(happening)
        if slot:
            self._book.note(happening.key, slot, told.words, told.count)

    def _forget(self, uid: str) -> None:
        known = self._told.pop(uid, None)
        if known is not None and known[3]:
            self._book.unnote(*known[2:], known[0])


def _rest(happening: Happening) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    return happening.action, happening.text, happening.attributes
