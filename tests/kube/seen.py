"""What a ListWatch told, kept for assertions, and waiting on a condition with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.kinds import PODS, Kind
from devenv.backends.kube.listwatch import ListWatch
from devenv.backends.streams import Backoff, Stream


def wait_for(condition: Callable[[], object], timeout: float = 10.0, *, saying: str = "") -> None:
    """Poll until it is true; fails with what was waited for."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout:.0f} s in vain: {saying or condition}"
        time.sleep(0.01)


class Watched:
    """One kind kept up to date by a real stream: `names` as a screen would have them."""

    def __init__(
        self,
        client: KubeClient,
        kind: Kind = PODS,
        namespace: str | None = None,
        *,
        pause: float = 0.05,
        **options: Any,
    ) -> None:
        self.by_uid: dict[str, dict[str, Any]] = {}
        self.log: list[str] = []
        self.errors: list[Exception | None] = []
        self.list_watch = ListWatch(
            client,
            kind,
            namespace,
            on_page=self._page,
            on_listed=self._listed,
            on_event=self._event,
            on_live=lambda: self.log.append("live"),
            on_quiet=lambda: self.log.append("quiet"),
            **options,
        )
        backoff = Backoff(pause, pause)
        self.stream = Stream(f"test-{kind.plural}", self.list_watch.run, self._down, backoff=backoff)

    def __enter__(self) -> Watched:
        self.stream.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.stop()
        assert self.stream.join(30), "the stream did not end"

    @property
    def names(self) -> set[str]:
        return {content["metadata"]["name"] for content in tuple(self.by_uid.values())}

    def live(self, times: int = 1) -> None:
        """Wait until it was live that often."""
        wait_for(lambda: self.log.count("live") >= times, saying=f"live {times} times: {self.log} {self.errors}")

    def _page(self, items: list[dict[str, Any]], first: bool) -> None:
        self.log.append("list" if first else "page")
        self.by_uid |= {item["metadata"]["uid"]: item for item in items}

    def _listed(self, uids: frozenset[str]) -> None:
        self.by_uid = {uid: item for uid, item in self.by_uid.items() if uid in uids}

    def _event(self, word: str, content: dict[str, Any]) -> None:
        self.log.append(word)
        if word == "DELETED":
            self.by_uid.pop(content["metadata"]["uid"], None)
        else:
            self.by_uid[content["metadata"]["uid"]] = content

    def _down(self, error: Exception | None, pause: float) -> None:
        self.errors.append(error)
