"""The engine as `up --wait` sees it: the events of one project, and readings of all its containers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from devenv.backends.docker.client import connect
from devenv.backends.docker.endpoint import Endpoint
from devenv.backends.docker.snapshot import GIVE_UP_AFTER, EngineEvents, read_resources
from devenv.core.errors import EngineForbidden, EngineUnreachable
from devenv.core.model import Happening, Project, Resource

if TYPE_CHECKING:
    from docker import APIClient


class ProjectWatch:
    """Opens the event stream before the first reading, so that nothing in between is missed.

    A short break of the connection is bridged: a reading that fails gives the one before it, for as long as the event
    stream may be gone too. Entering raises EngineUnreachable, EngineForbidden.
    """

    def __init__(self, project: Project, endpoint: Endpoint) -> None:
        self._project = project
        self._endpoint = endpoint
        self._events = EngineEvents(endpoint, project.name)
        self._stack = ExitStack()
        self._client: APIClient | None = None
        self._latest: tuple[Resource, ...] = ()
        self._lost_at: float | None = None

    def __enter__(self) -> ProjectWatch:
        """Connect."""
        self._stack.enter_context(self._events)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close both connections."""
        self._stack.close()
        self._forget()

    def events(self, timeout: float) -> Sequence[Happening]:
        """Return what happened since the last call, waiting at most `timeout` seconds for the first of it."""
        return self._events.events(timeout)

    def read(self) -> tuple[Resource, ...]:
        """Read all containers in full; raises EngineUnreachable when the engine stays away."""
        try:
            self._client = self._client or connect(self._endpoint)
            self._latest = read_resources(self._project, self._endpoint, self._client)
            self._lost_at = None
        except EngineForbidden:
            raise
        except EngineUnreachable:
            self._forget()
            self._lost_at = self._lost_at or time.monotonic()
            if not self._latest or time.monotonic() - self._lost_at > GIVE_UP_AFTER:
                raise
        return self._latest

    @property
    def is_stale(self) -> bool:
        """Whether the last reading failed, so that another is due."""
        return self._lost_at is not None

    def _forget(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
