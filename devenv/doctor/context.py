"""What the checks look at, read once and shared between them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from devenv.backends.docker.about import EngineFacts, read_engine
from devenv.backends.docker.snapshot import read_containers
from devenv.core.model import Project, Resource


class Context:
    """The user's environment, project and engine. What several checks need is read once, by whichever comes first."""

    def __init__(
        self,
        resolve_project: Callable[[], Project],
        environ: Mapping[str, str] | None = None,
        engine: Callable[[Mapping[str, str]], EngineFacts] = read_engine,
        containers: Callable[[str, Mapping[str, str]], tuple[Resource, ...]] = read_containers,
    ) -> None:
        self.environ: Mapping[str, str] = dict(os.environ) if environ is None else environ
        self._project = _Once(resolve_project)
        self._engine = _Once(lambda: engine(self.environ))
        self._containers = _Once(lambda: containers(self.project().name, self.environ))

    def project(self) -> Project:
        """The Compose project here; raises DevenvError as resolving it does."""
        return self._project.get()

    def engine(self) -> EngineFacts:
        """What the engine says of itself; raises EngineUnreachable."""
        return self._engine.get()

    def containers(self) -> tuple[Resource, ...]:
        """The project's containers; raises DevenvError as both others."""
        self.engine()  # the failure that all have in common
        return self._containers.get()


T = TypeVar("T")


class _Once(Generic[T]):
    """A value that is made by the first who asks; a failure is remembered too."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[T] = []
        self._failed: Exception | None = None

    def get(self) -> T:
        with self._lock:
            if self._failed is not None:
                raise self._failed
            if not self._made:
                try:
                    self._made.append(self._make())
                except Exception as error:
                    self._failed = error
                    raise
            return self._made[0]
