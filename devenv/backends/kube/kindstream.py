"""The supervised stream of one list: what it reads goes to the book or the event log, how it is to the link."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from devenv.backends.kube.book import Book
from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Forbidden, KubeError, NotFound
from devenv.backends.kube.events import EventLog
from devenv.backends.kube.kinds import EVENTS, Kind
from devenv.backends.kube.link import Link
from devenv.backends.kube.listwatch import ListWatch
from devenv.backends.streams import Stream

ASK_AGAIN: Final = 120.0  # seconds; a permission that was given, or a kind that was installed, is noticed then


class KindStream:
    """Reads one kind of objects in one namespace (None: all) until it is stopped."""

    def __init__(
        self,
        client: KubeClient,
        kind: Kind,
        namespace: str | None,
        book: Book,
        events: EventLog,
        link: Link,
        *,
        began: Callable[[KindStream], None],
        back: Callable[[], None],
    ) -> None:
        self.kind = kind
        self.namespace = namespace if kind.namespaced else None
        self._client = client
        self._book = book
        self._events = events
        self._link = link
        self._began = began  # a list begins: it may be another cluster's
        self._back = back  # the connection is there again: nobody waits for the end of a pause
        self._lock = threading.Lock()  # what arrives after `stop` must not come back into the book
        self._stopped = False
        self.identity = ""  # of the cluster that the newest list is from
        self._lists = ListWatch(
            client,
            kind,
            self.namespace,
            on_page=self._page,
            on_listed=self._listed,
            on_event=self._event,
            on_live=self._live,
        )
        self.stream = Stream(f"kube-{kind.full_name}", self._run, self._down)
        self._link.opening(self.kind.full_name)

    def start(self) -> None:
        """Start the thread."""
        self.stream.start()

    def stop(self) -> None:
        """End it, and forget what it read."""
        self.stream.stop()
        with self._lock:
            self._stopped = True
            if self.kind is EVENTS:
                self._events.clear()
            else:
                self._book.drop(self.kind)
        self._link.closed(self.kind.full_name)

    def relist(self) -> None:
        """Forget what was read and read it anew, now: another cluster answers."""
        self._lists.relist()
        with self._lock:
            if self.kind is EVENTS:
                self._events.clear()
            else:
                self._book.drop(self.kind)
        self.stream.interrupt()
        self.stream.hurry()

    def _run(self, stream: Stream) -> None:
        try:
            self._lists.run(stream)
        except (Forbidden, NotFound) as error:
            with self._lock:
                if not self._stopped and self.kind is not EVENTS:
                    self._book.drop(self.kind)
            self._link.denied(self.kind.full_name, self.kind.plural, self._reason(error))
            stream.wait_until(threading.Event(), ASK_AGAIN)

    def _reason(self, error: KubeError) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        if isinstance(error, Forbidden):
            return f"this user may not list{where}"
        return "the cluster does not serve"

    def _down(self, error: Exception | None, pause: float) -> None:
        if not self._stopped:
            self._link.down(self.kind.full_name, error, pause)

    def _page(self, items: list[dict[str, Any]], first: bool) -> None:
        if first:
            self._began(self)
        with self._lock:
            if self._stopped:
                return
            if self.kind is EVENTS:
                self._events.page(items, first)
            else:
                self._book.page(self.kind, items)

    def _listed(self, uids: frozenset[str]) -> None:
        with self._lock:
            if self._stopped:
                return
            if self.kind is EVENTS:
                self._events.listed(uids)
            else:
                self._book.listed(self.kind, uids)

    def _event(self, event: str, raw: dict[str, Any]) -> None:
        with self._lock:
            if self._stopped:
                return
            if self.kind is EVENTS:
                self._events.changed(event, raw)
            else:
                self._book.changed(self.kind, event, raw)

    def _live(self) -> None:
        if not self._stopped and self._link.live(self.kind.full_name):
            self._back()
