"""Keeps the table's verdicts up to date: reads in a thread when the history or the images have changed, else not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from devenv.model import Resource, Runtime
from devenv.state import Delta
from devenv.tui.shown import shown

if TYPE_CHECKING:
    from devenv.tui.screens.main import MainScreen
    from devenv.tui.verdicts import Verdicts


class VerdictWatch:
    """Of one main screen; `look` is called each second and is cheap, however many pods there are beside."""

    def __init__(self, screen: MainScreen) -> None:
        self._screen = screen
        self._found: Verdicts | None = None
        self._containers: dict[str, Resource] = {}  # of Compose: the smoke tests are about nothing else
        self._about: tuple[str, frozenset[str]] | None = None  # their project and images; None after a change
        self._reading = False
        self._told = ""
        self.reads = 0  # since the start: a budget of the tests

    def take(self, delta: Delta) -> None:
        """Note which containers of Compose came, changed or went."""
        for key in delta.removed:
            if self._containers.pop(key, None) is not None:
                self._about = None
        for resource in delta.updated:
            if resource.runtime is Runtime.COMPOSE and resource.project:
                self._containers[resource.key] = resource
                self._about = None

    def look(self) -> None:
        """Begin to read where something is new."""
        if self._reading or not self._containers:
            return
        if self._about is None:
            known = self._containers.values()
            images = frozenset(resource.image_id for resource in known if resource.image_id)
            self._about = next(iter(known)).project, images
        project, images = self._about
        if self._found is not None and not self._found.wants(project, images):
            return
        self._reading = True
        self.reads += 1
        self._screen.run_worker(lambda: self._read(project, images), thread=True, group="verdicts")

    def detail(self, resource: Resource) -> list[tuple[str, str]]:
        """Return what the details say of it."""
        return self._found.detail(resource, time.time()) if self._found is not None else []

    def _read(self, project: str, images: frozenset[str]) -> None:
        from devenv.tui.verdicts import Verdicts  # in the thread: it brings SQLite

        found = (self._found or Verdicts(project)).read(project, images)
        self._screen.app.call_from_thread(self._show, found)

    def _show(self, found: Verdicts) -> None:
        self._reading = False
        self._found = found
        screen = self._screen
        if found.problem and found.problem != self._told:
            self._told = found.problem
            screen.notify(shown(found.problem), title="no verdicts", severity="warning", markup=False)
        screen.board.verdict = found.cell
        if found.services:
            screen.table.show_verdicts()
        screen.refresh_rows(screen.store.resources)
