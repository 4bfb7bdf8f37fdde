"""The thread that asks about single containers: after events, for the watched detail, and whether the engine lives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from devenv.backends.docker import parse
from devenv.backends.docker.cache import ContainerCache
from devenv.backends.docker.client import connect, engine_errors
from devenv.backends.docker.endpoint import Endpoint
from devenv.backends.docker.watcher import Watcher, list_project
from devenv.backends.streams import Stream
from devenv.core.model import Health

if TYPE_CHECKING:
    from docker import APIClient

QUIET: Final = 10.0  # seconds without a word from the engine before it is asked whether it is there
AUDIT_EVERY: Final = 6  # every so many such questions the list is compared: the stream alone may be dead
ANSWER_WITHIN: Final = 5.0  # seconds


class Inspector:
    """Inspects the containers that were named, each once however often it was named. `run` belongs to a Stream."""

    def __init__(self, cache: ContainerCache, endpoint: Callable[[], Endpoint]) -> None:
        self._cache = cache
        self._endpoint = endpoint
        self._wanted: dict[str, None] = {}
        self._changed = threading.Condition()
        self._stopped = False
        self._detail: str | None = None
        self._detail_at: float | None = None
        self._asked_at = time.monotonic()
        self._questions = 0

    def ask(self, keys: Iterable[str]) -> None:
        """Inspect these containers soon; callable from any thread."""
        with self._changed:
            self._wanted.update(dict.fromkeys(keys))
            self._changed.notify()

    def watch(self, key: str | None) -> None:
        """Keep the health-check log of this container fresh, of no other."""
        self._cache.show_checks_of(key)
        with self._changed:
            self._detail, self._detail_at = key, None
            if key is not None and key.startswith("docker/"):
                self._wanted[key] = None
            self._changed.notify()

    def run(self, stream: Stream, watcher: Watcher, breaks: Callable[[], None]) -> None:
        """Answer what is asked while the engine is live; call `breaks` when it turns out not to be."""
        stream.wait_until(watcher.live)
        endpoint = self._endpoint()
        client = connect(endpoint, ANSWER_WITHIN)
        self._asked_at = time.monotonic()
        try:
            with stream.closing(self._interrupt):
                stream.succeeded()
                while not stream.stopping and watcher.live.is_set():
                    self._step(client, endpoint, watcher, breaks)
        except Exception:
            breaks()
            raise
        finally:
            client.close()

    def _step(self, client: APIClient, endpoint: Endpoint, watcher: Watcher, breaks: Callable[[], None]) -> None:
        quiet_at = max(watcher.heard_at, self._asked_at) + QUIET
        with self._changed:
            if not self._wanted and not self._stopped:
                until = quiet_at if self._detail_at is None else min(quiet_at, self._detail_at)
                self._changed.wait(max(0.0, until - time.monotonic()))
            wanted, self._wanted = self._wanted, {}
            now = time.monotonic()
            if self._detail is not None and self._detail_at is not None and now >= self._detail_at:
                wanted[self._detail] = None
                self._detail_at = None
        if self._stopped:
            return
        for key in wanted:
            self._inspect(client, endpoint, key)
        if now >= quiet_at:
            self._question(client, endpoint, watcher, breaks)

    def _inspect(self, client: APIClient, endpoint: Endpoint, key: str) -> None:
        from docker.errors import NotFound

        touched = self._cache.touched(key)
        with engine_errors(endpoint):
            try:
                data: dict[str, Any] = client.inspect_container(key.removeprefix("docker/"))
            except NotFound:
                self._cache.gone(key)
                return
        self._asked_at = time.monotonic()
        self._cache.inspected(key, data, touched)
        if key == self._detail:
            self._detail_at = self._next_check(key, data)

    def _next_check(self, key: str, data: dict[str, Any]) -> float | None:
        """Return when (monotonic) the next check's result is due: the engine tells only of changes of the health."""
        resource = self._cache.resource(key)
        if resource is None or not resource.state.is_up or not parse.has_healthcheck(data):
            return None
        interval = parse.check_interval(data, starting=resource.health is Health.STARTING)
        age = time.time() - resource.checks[-1].ended_at if resource.checks else 0.0
        # A check itself takes a moment; clocks may differ (an engine in a virtual machine), so never below a second.
        return time.monotonic() + min(max(interval - age + 0.3, 1.0), interval + 5.0)

    def _question(self, client: APIClient, endpoint: Endpoint, watcher: Watcher, breaks: Callable[[], None]) -> None:
        self._asked_at = time.monotonic()
        self._questions += 1
        if self._questions % AUDIT_EVERY or watcher.project is None:
            with engine_errors(endpoint):
                client.ping()
            return
        heard_at = watcher.heard_at
        listed = {r.key: r.state for r in list_project(client, endpoint, watcher.project.name)}
        known = {r.key: r.state for r in self._cache.containers()}
        if listed != known and not self._wait_for_word(watcher, heard_at):
            breaks()

    def _wait_for_word(self, watcher: Watcher, heard_at: float) -> bool:
        """Give an event that is on its way a second to arrive."""
        with self._changed:
            return self._changed.wait_for(lambda: self._stopped or watcher.heard_at != heard_at, timeout=1.0)

    def _interrupt(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()
