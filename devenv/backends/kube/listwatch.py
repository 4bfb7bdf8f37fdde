"""One kind of objects kept up to date: a list in pages, then a watch that is resumed where it ended.

The protocol: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from devenv.backends.kube.client import KubeClient, collection_paused
from devenv.backends.kube.connection import InFlight
from devenv.backends.kube.errors import Gone, Silent, Unreachable
from devenv.backends.kube.kinds import Kind
from devenv.backends.streams import Stopped, Stream

_LISTS: Final = 3  # lists in a row that may become too old on the way, before it is called a failure
_SHORTEST: Final = 1.0  # seconds; a server that ends watches sooner is asked again only after the stream's pause
WATCH_TIMEOUT: Final = 300.0

OnPage = Callable[[list[dict[str, Any]], bool], None]
OnListed = Callable[[frozenset[str]], None]
OnEvent = Callable[[str, dict[str, Any]], None]


def _nothing() -> None:
    return


class ListWatch:
    """The `run` of a Stream; what it reads it tells by callbacks, in the stream's thread.

    on_page(items, first)  a page of a list; `first`: of a new list, which replaces what came before
    on_listed(uids)        the list is complete: every object that is not among these is gone
    on_event(type, object) ADDED, MODIFIED or DELETED; a bookmark is passed on to nobody
    on_live()              the watch is open and what was read is current; again after each break
    on_quiet()             the connection ended or was silent, and is being resumed

    Errors leave `run` and are the Stream's: it waits and calls `run` again, which resumes or lists anew. It lists
    anew after 410, after the API server was away, and when the cluster's identity is another one: a new cluster
    answers a watch from an old version that it has not reached yet with silence (measured with 1.36.2).
    """

    def __init__(
        self,
        client: KubeClient,
        kind: Kind,
        namespace: str | None,
        *,
        on_page: OnPage,
        on_listed: OnListed,
        on_event: OnEvent,
        on_live: Callable[[], None] = _nothing,
        on_quiet: Callable[[], None] = _nothing,
        labels: str = "",
        fields: str = "",
        like: type | None = None,
        timeout: float = WATCH_TIMEOUT,
    ) -> None:
        """`like` as of the client's `request`: what is read of a page of the list."""
        self.client = client
        self.kind = kind
        self.namespace = namespace
        self._on_page = on_page
        self._on_listed = on_listed
        self._on_event = on_event
        self._on_live = on_live
        self._on_quiet = on_quiet
        self._labels = labels
        self._fields = fields
        self._like = like
        self._timeout = timeout
        self._version = ""  # where to resume; "" lists
        self._identity = ""
        self._generation = 0
        self._anew = threading.Event()
        self._suspect = False  # whether the server's identity has to be asked before resuming
        self._broke_at = 0.0

    @property
    def resource_version(self) -> str:
        """The last version that was read; "" before a list is complete."""
        return self._version

    def relist(self) -> None:
        """Begin with a list the next time; interrupt the stream for it to happen now. From any thread."""
        self._anew.set()

    def run(self, stream: Stream) -> None:
        """Keep it up to date until the stream stops or an error ends it."""
        lists = 0
        while not stream.stopping:
            try:
                if self._anew.is_set() or not self._version or self._replaced(stream):
                    lists += 1
                    self._list(stream)
                lasted = self._watch(stream)
                lists = 0
                if lasted < _SHORTEST:
                    self._on_quiet()
                    return
            except Gone:
                self._version = ""
                if lists >= _LISTS:
                    raise
            except Silent:
                self._suspect, self._broke_at = True, time.monotonic()
            except Unreachable as error:
                # Who was away may come back as another cluster, or from a backup: only a break is resumed.
                self._suspect, self._broke_at = True, time.monotonic()
                if not error.broke:
                    self._version = ""
                raise
            self._on_quiet()

    def _replaced(self, stream: Stream) -> bool:
        """Whether it may be another cluster than the one that was listed, and is."""
        if not self._suspect and self.client.generation == self._generation:
            return False
        return self._ask_identity(stream) != self._identity

    def _ask_identity(self, stream: Stream) -> str:
        flight = InFlight()
        with stream.closing(flight.close):
            return self.client.identity(self._broke_at, flight=flight)

    def _list(self, stream: Stream) -> None:
        self._anew.clear()
        self._version = ""
        self._generation = self.client.generation
        self._identity = self._ask_identity(stream)
        uids: set[str] = set()
        version = ""
        first = True
        flight = InFlight()
        with stream.closing(flight.close):
            pages = self.client.pages(
                self.kind, self.namespace, labels=self._labels, fields=self._fields, like=self._like, flight=flight
            )
            while True:
                with collection_paused():
                    page = next(pages, None)
                    if page is None:
                        break
                    self._on_page(page.items, first)
                    uids.update(str(item["metadata"].get("uid", "")) for item in page.items)
                    first, version = False, page.resource_version
                    page = None  # gone before the collector could walk it
        self._on_listed(frozenset(uids))
        self._version = version
        self._suspect = False

    def _watch(self, stream: Stream) -> float:
        """Watch until the server ends it, and return how many seconds that was."""
        opened = self.client.watch(
            self.kind,
            self.namespace,
            self._version,
            labels=self._labels,
            fields=self._fields,
            timeout=self._timeout,
        )
        with opened as watch, stream.closing(watch.close):
            if self._anew.is_set():  # asked for when there was no connection to interrupt
                return _SHORTEST
            watch.connect()
            self._suspect, self._generation = False, self.client.generation
            stream.succeeded()
            opened_at = time.monotonic()
            self._on_live()
            for kind, content in watch:
                if kind != "BOOKMARK":
                    self._on_event(kind, content)
                self._version = content["metadata"].get("resourceVersion") or self._version
        if stream.stopping:
            raise Stopped
        return time.monotonic() - opened_at
