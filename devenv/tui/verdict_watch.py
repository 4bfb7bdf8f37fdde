"""Keeps the table's verdicts up to date: reads in a thread when the history or the images have changed, else not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from devenv.core.model import Resource, Runtime
from devenv.core.state import Delta
from devenv.tui.safe_text import safe

if TYPE_CHECKING:
    from textual.screen import Screen

    from devenv.tui.verdicts import Verdicts

_WORKLOADS: Final = ("deployment", "statefulset", "daemonset")


About = tuple[str, frozenset[tuple[str, str]], frozenset[str]]  # the arguments of `Verdicts.read`


class VerdictWatch:
    """Of one screen; `look` is called each second and is cheap, however many pods there are beside.

    `show` is called with what was read.
    """

    def __init__(self, screen: Screen[None], show: Callable[[Verdicts], None]) -> None:
        self._screen = screen
        self._show = show
        self.known: Verdicts | None = None
        self.containers: dict[str, Resource] = {}  # of Compose
        self._places: dict[str, tuple[str, str]] = {}  # of a cluster's workloads: pods do not matter here
        self._about: About | None = None  # None after a change
        self._reading = False
        self._problem = ""
        self.reads = 0  # since the start: a budget of the tests

    def take(self, delta: Delta) -> None:
        """Note which containers of Compose, and which workloads of a cluster, came, changed or went."""
        for key in delta.removed:
            if self.containers.pop(key, None) is not None or self._places.pop(key, None) is not None:
                self._about = None
        for resource in delta.updated:
            if resource.runtime is Runtime.COMPOSE and resource.project:
                self.containers[resource.key] = resource
                self._about = None
            elif resource.kind in _WORKLOADS and resource.key not in self._places:
                self._places[resource.key] = resource.context, resource.namespace
                self._about = None

    def look(self) -> None:
        """Begin to read where something is new."""
        if self._reading or not (self.containers or self._places):
            return
        if self._about is None:
            known = self.containers.values()
            project = next((resource.project for resource in known), "")
            images = frozenset(resource.image_id for resource in known if resource.image_id)
            self._about = project, frozenset(self._places.values()), images
        about = self._about
        if self.known is not None and not self.known.wants(*about):
            return
        self._reading = True
        self.reads += 1
        self._screen.run_worker(lambda: self._read(about), thread=True, group="verdicts")

    def detail(self, resource: Resource, running: Iterable[str] = ()) -> list[tuple[str, str]]:
        """Return what the details say of it; `running` are the images that a workload's pods run."""
        return self.known.detail(resource, time.time(), running) if self.known is not None else []

    def _read(self, about: About) -> None:
        from devenv.tui.verdicts import Verdicts  # in the thread: it brings SQLite

        verdicts = (self.known or Verdicts()).read(*about)
        self._screen.app.call_from_thread(self._take, verdicts)

    def _take(self, verdicts: Verdicts) -> None:
        self._reading = False
        self.known = verdicts
        if verdicts.problem and verdicts.problem != self._problem:
            self._problem = verdicts.problem
            self._screen.notify(safe(verdicts.problem), title="no verdicts", severity="warning", markup=False)
        self._show(verdicts)
