"""Keeps the cache of one project true: by the engine's events, resumed after a break, and by inspections after them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from devenv.backends.docker import parse
from devenv.backends.docker.cache import BACKEND, ContainerCache
from devenv.backends.docker.client import RawStream, connect, engine_errors, inspect
from devenv.backends.docker.endpoint import Endpoint
from devenv.backends.docker.events import EngineEvent, event_params, read_events
from devenv.backends.streams import Stream, clock_offset
from devenv.core.errors import DevenvError, EngineForbidden, EngineUnreachable
from devenv.core.model import Connection, ConnectionState, Health, Project, Resource
from devenv.core.text import sanitize

if TYPE_CHECKING:
    from docker import APIClient


HISTORY: Final = 3600  # seconds; of Docker that is at most 256 events (moby daemon/events: eventsLimit)
# What the engine repeats of the past comes in one burst; later events are news, whatever the engine's clock says.
REPLAY: Final = 2.0  # seconds
# An event that is older than the list by less than the clocks may differ asks for an inspection all the same.
CLOCKS_DIFFER: Final = 5.0  # seconds


def list_project(client: APIClient, endpoint: Endpoint, project: str) -> tuple[Resource, ...]:
    """Read all containers of a Compose project, "" for all projects, in one call; what is none is left out."""
    label = f"{parse.LABEL_PROJECT}={project}" if project else parse.LABEL_PROJECT
    with engine_errors(endpoint):
        entries = client.containers(all=True, filters={"label": label})
    if not isinstance(entries, list):
        raise EngineUnreachable(f"{endpoint.shown} does not answer like a Docker Engine", "Is it one?")
    listed = (parse.from_list(entry) for entry in entries if isinstance(entry, dict))
    return tuple(resource for resource in listed if resource.container_id)


class Watcher:
    """Keeps the cache true by the engine's events, and says how the connection is. `run` belongs to a Stream."""

    def __init__(
        self,
        cache: ContainerCache,
        scope: Callable[[], Project],
        endpoint: Callable[[], Endpoint],
        emit: Callable[..., None],
        inspect: Callable[[Iterable[str]], None],
        notice: Callable[[EngineEvent], None],
        went_live: Callable[[], None],
    ) -> None:
        self._cache = cache
        self._scope = scope
        self._endpoint = endpoint
        self._emit = emit
        self._inspect = inspect
        self._notice = notice
        self._tell_live = went_live
        self.live = threading.Event()
        self.heard_at = time.monotonic()
        self.project: Project | None = None
        self._since = ""
        self._last_ns = 0
        self._listed_ns, self._offset = 0, 0.0  # when the list was asked for, and by which clock
        self._opened_at = 0.0
        self._last_live: float | None = None
        self._was_live = False  # until the last break
        self._label = ""
        self._version = ""
        self._list_again: Callable[[], None]
        self._telling = threading.Lock()

    def run(self, stream: Stream) -> None:
        """Connect, open the event stream, list, and read events until the stream ends or breaks."""
        if self._last_live is None:
            self._tell(ConnectionState.CONNECTING)
        endpoint = self._endpoint()
        self._label = endpoint.label
        client = connect(endpoint)
        try:
            self.project = project = self._scope()
            with engine_errors(endpoint):
                self._version = sanitize(str(client.version().get("Version", "")))
            since = self._since or str(int(time.time()) - HISTORY)
            events = RawStream(client, endpoint, "/events", event_params(project.name, since))
            try:
                with stream.closing(events.shutdown):
                    self._opened_at = time.monotonic()
                    self._listing(client, endpoint, project, events.clock_ahead)
                    self._went_live(stream)
                    self._read(events)
            finally:
                events.close()
        finally:
            if self.live.is_set():
                self.live.clear()
                self._was_live, self._last_live = True, time.time()
            client.close()

    def down(self, error: Exception | None, pause: float) -> None:
        """Say that the connection is lost, why, and when the next try is."""
        hint = error.hint if isinstance(error, DevenvError) else ""
        if error is None:
            message = "the engine ended the connection"
        elif isinstance(error, DevenvError):
            message = error.message
        else:
            message = sanitize(f"internal error: {type(error).__name__}: {error}")
        heals = error is None or (isinstance(error, EngineUnreachable) and not isinstance(error, EngineForbidden))
        if self._last_live is None or not heals:
            state = ConnectionState.FAILED
        else:
            state = ConnectionState.STALE if self._was_live else ConnectionState.RETRYING
        self._was_live = False
        with self._telling:
            self._tell(state, message, hint, retry_in=pause)

    def reread(self) -> bool:
        """Show the project as its files say now; False where that takes a new connection, or none is live."""
        before = self.project
        if before is None or not self.live.is_set():
            return False
        try:
            project = self._scope()
        except DevenvError:
            return False  # the next run meets it too, and tells it
        if project.name != before.name:
            return False
        self.project = project
        self._cache.declare(project)
        with self._telling:
            if self.live.is_set():  # what is wrong with the connection has the last word
                self._tell(ConnectionState.LIVE, *self._remark())
        return True

    def _listing(self, client: APIClient, endpoint: Endpoint, project: Project, clock_ahead: float) -> None:
        def read() -> None:
            asked_at = time.time() + clock_ahead
            self._cache.load(project, list_project(client, endpoint, project.name))
            self._listed_ns, self._offset = int(asked_at * 1e9), clock_offset()
            self._inspect(resource.key for resource in self._cache.containers())

        self._list_again = read
        read()

    def _went_live(self, stream: Stream) -> None:
        self._last_live = time.time()
        self.heard_at = time.monotonic()
        stream.succeeded()
        self._tell(ConnectionState.LIVE, *self._remark())
        self.live.set()
        self._tell_live()

    def _remark(self) -> tuple[str, str]:
        """Return what a user should know of the project though all is well, and what to do."""
        if self.project is None:
            return "", ""
        other = parse.started_elsewhere(self.project, self._cache.containers())
        if other:
            return other, "Changes here change the same containers. Another name keeps them apart: -p NAME"
        return self.project.problem, self.project.hint

    def _read(self, events: RawStream) -> None:
        for event in read_events(self._heard(events)):
            if isinstance(event, ValueError):
                self._list_again()  # whatever it said is unknown now: everything is read again
            else:
                self._take(event)

    def _heard(self, events: RawStream) -> Iterator[bytes]:
        while data := events.read():
            self.heard_at = time.monotonic()
            yield data

    def _take(self, event: EngineEvent) -> None:
        listed_ns = self._listed_ns + int(min(0.0, clock_offset() - self._offset) * 1e9)  # the clock may be set back
        replayed = event.at_ns <= listed_ns and time.monotonic() - self._opened_at < REPLAY
        if replayed and event.at_ns <= self._last_ns:
            return
        self._last_ns, self._since = event.at_ns, event.since
        unsure = event.at_ns > listed_ns - CLOCKS_DIFFER * 1e9
        if self._cache.apply(event, old=replayed) or (replayed and unsure):
            self._inspect((event.key,))
        self._notice(event)

    def _tell(self, state: ConnectionState, message: str = "", hint: str = "", retry_in: float | None = None) -> None:
        self._emit(
            Connection(
                backend=BACKEND,
                state=state,
                endpoint=self._label,
                version=self._version,
                message=message,
                hint=hint,
                since=time.time(),
                last_live=self._last_live,
                retry_in=retry_in,
            )
        )


QUIET: Final = 10.0  # seconds without a word from the engine before it is asked whether it is there
AUDIT_EVERY: Final = 6  # every so many such questions the list is compared: the stream alone may be dead
ANSWER_WITHIN: Final = 5.0  # seconds


class Inspector:
    """Inspects the containers that were named, each once however often it was named. `run` belongs to a Stream."""

    def __init__(self, cache: ContainerCache, endpoint: Callable[[], Endpoint]) -> None:
        self._cache = cache
        self._endpoint = endpoint
        self._asked: dict[str, None] = {}
        self._changed = threading.Condition()
        self._stopped = False
        self._detail: str | None = None
        self._detail_at: float | None = None
        self._asked_at = time.monotonic()
        self._questions = 0

    def ask(self, keys: Iterable[str]) -> None:
        """Inspect these containers soon; callable from any thread."""
        with self._changed:
            self._asked.update(dict.fromkeys(keys))
            self._changed.notify()

    def watch(self, key: str | None) -> None:
        """Keep the health-check log of this container fresh, of no other."""
        self._cache.show_checks_of(key)
        with self._changed:
            self._detail, self._detail_at = key, None
            if key is not None and key.startswith("docker/"):
                self._asked[key] = None
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
            if not self._asked and not self._stopped:
                until = quiet_at if self._detail_at is None else min(quiet_at, self._detail_at)
                self._changed.wait(max(0.0, until - time.monotonic()))
            asked, self._asked = self._asked, {}
            now = time.monotonic()
            if self._detail is not None and self._detail_at is not None and now >= self._detail_at:
                asked[self._detail] = None
                self._detail_at = None
        if self._stopped:
            return
        for key in asked:
            self._inspect(client, endpoint, key)
        if now >= quiet_at:
            self._question(client, endpoint, watcher, breaks)

    def _inspect(self, client: APIClient, endpoint: Endpoint, key: str) -> None:
        from docker.errors import NotFound

        touched = self._cache.touched(key)
        with engine_errors(endpoint):
            try:
                data = inspect(client, key.removeprefix("docker/"))
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
