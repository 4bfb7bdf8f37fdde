"""The first list of a project's containers, read before the SDK is imported.

Importing the SDK takes a quarter of the time in which the terminal wants to be full. So the first list is one plain
HTTP/1.0 request on the engine's unix socket, made while Textual loads; it is replaced by the SDK's own list as soon as
the event stream is open. Where it cannot be had (another kind of endpoint, any failure), nothing is lost but time.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from urllib.parse import quote

from devenv.backends.docker import parse
from devenv.backends.docker.endpoint import Endpoint
from devenv.backends.docker.plain import ask
from devenv.core.errors import DevenvError
from devenv.core.model import Project, Resource


def list_early(endpoint: Endpoint, project: str) -> tuple[Resource, ...] | None:
    """Return the project's containers as a list can tell them, or None where the SDK must be waited for."""
    if endpoint.scheme != "unix":
        return None
    filters = quote(json.dumps({"label": [f"{parse.LABEL_PROJECT}={project}"]}))
    try:
        entries = json.loads(ask(endpoint.host.removeprefix("unix://"), f"/containers/json?all=1&filters={filters}"))
        listed = tuple(parse.from_list(entry) for entry in entries)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None  # whatever it is, the SDK meets it in a moment and says it in full
    return tuple(resource for resource in listed if resource.container_id)


class EarlyList:
    """Resolves the project and reads its first list in a thread of its own, while the program still loads."""

    def __init__(self, scope: Callable[[], Project], endpoint: Callable[[], Endpoint]) -> None:
        self._scope = scope
        self._endpoint = endpoint
        self._outcome: Project | DevenvError | None = None
        self._thread: threading.Thread | None = None

    def begin(self, load: Callable[[Project, tuple[Resource, ...]], None]) -> None:
        """Start; `load` gets what was read, in the thread."""
        self._thread = threading.Thread(target=self._read, args=(load,), name="docker-early", daemon=True)
        self._thread.start()

    def project(self) -> Project:
        """Return the project that was resolved early, the first time; later resolve it anew. Errors as the scope's."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        outcome, self._outcome = self._outcome, None
        if isinstance(outcome, DevenvError):
            raise outcome
        return outcome or self._scope()

    def forget(self) -> None:
        """Let `project` resolve it anew: its files changed since."""
        if self._thread is not None:
            self._thread.join()
        self._outcome = None

    def _read(self, load: Callable[[Project, tuple[Resource, ...]], None]) -> None:
        try:
            self._outcome = project = self._scope()
            listed = list_early(self._endpoint(), project.name)
        except DevenvError as error:
            self._outcome = error
            return
        if listed is not None:
            load(project, listed)
