"""Readings of the engine for who must judge, without a screen: a project, its events, the engine itself."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field

from devenv.backends.docker import parse
from devenv.backends.docker.cache import absent_services
from devenv.backends.docker.client import RawStream, connect, engine_errors, inspect
from devenv.backends.docker.endpoint import Endpoint, resolve_endpoint
from devenv.backends.docker.events import EngineEvent, event_params, happening_of, read_events
from devenv.backends.docker.plain import in_full, read_plainly
from devenv.backends.docker.watcher import list_project
from devenv.backends.streams import Stream
from devenv.core.errors import DevenvError, EngineForbidden, EngineUnreachable
from devenv.core.model import Happening, Project, Resource
from devenv.core.text import sanitize

if TYPE_CHECKING:
    from docker import APIClient

GIVE_UP_AFTER: Final = 15.0  # seconds without the engine: it restarts in about five (measured with Engine 28.5)


def read_resources(
    project: Project,
    endpoint: Endpoint,
    client: APIClient | None = None,
    read: tuple[Resource, ...] | None = None,
) -> tuple[Resource, ...]:
    """Read all resources of a project in full: a list, an inspection of each container, and the absent services.

    With `client`, that connection is used and stays open; with `read`, these are the containers. Raises
    EngineUnreachable, EngineForbidden.
    """
    if client is None:
        plain = read_plainly(endpoint, project.name) if read is None else read
        if plain is not None:
            return (*plain, *absent_services(project, plain))
        own = connect(endpoint)
        try:
            return read_resources(project, endpoint, own)
        finally:
            own.close()
    listed = list_project(client, endpoint, project.name)
    inspected = (_inspect(client, endpoint, resource) for resource in listed)
    containers = tuple(resource for resource in inspected if resource is not None)
    return (*containers, *absent_services(project, containers))


def read_containers(name: str, environ: Mapping[str, str]) -> tuple[Resource, ...]:
    """List the containers of the project of that name; raises EngineUnreachable, EngineForbidden."""
    endpoint = resolve_endpoint(environ)
    client = connect(endpoint)
    try:
        return list_project(client, endpoint, name)
    finally:
        client.close()


def read_projects(environ: Mapping[str, str]) -> tuple[tuple[Project, int], ...]:
    """Return every Compose project that has a container, as its labels tell, with how many of them are up.

    Raises EngineUnreachable, EngineForbidden.
    """
    endpoint = resolve_endpoint(environ)
    client = connect(endpoint)
    try:
        containers = list_project(client, endpoint, "")
    finally:
        client.close()
    of_project: dict[str, list[Resource]] = {}
    for item in containers:
        of_project.setdefault(item.project, []).append(item)
    return tuple(
        (parse.project_of(name, items), sum(item.state.is_up for item in items))
        for name, items in sorted(of_project.items())
    )


def read_past_events(name: str, endpoint: Endpoint, since: float) -> tuple[EngineEvent, ...]:
    """Return what the engine remembers of the project of that name since then, oldest first.

    It keeps the last 256 of all projects (moby, daemon/events). Raises EngineUnreachable, EngineForbidden.
    """
    client = connect(endpoint)
    try:
        params = event_params(name, f"{since:.9f}") | {"until": f"{time.time():.9f}"}
        stream = RawStream(client, endpoint, "/events", params)
        try:
            return tuple(item for item in read_events(iter(stream.read, b"")) if isinstance(item, EngineEvent))
        finally:
            stream.close()
    finally:
        client.close()


def _inspect(client: APIClient, endpoint: Endpoint, listed: Resource) -> Resource | None:
    from docker.errors import NotFound

    with engine_errors(endpoint):
        try:
            data = inspect(client, listed.container_id)
        except NotFound:
            return None
    return in_full(listed, data)


class EngineEvents:
    """The events of one project from the moment the context is entered; a short break of the connection is bridged.

    Entering raises EngineUnreachable or EngineForbidden when the stream cannot be opened.
    """

    def __init__(self, endpoint: Endpoint, project_name: str) -> None:
        self._endpoint = endpoint
        self._project = project_name
        self._queue: queue.SimpleQueue[Happening | DevenvError] = queue.SimpleQueue()
        self._since = ""
        self._first: RawStream | None = None
        self._client: APIClient | None = None
        self._lost_at: float | None = None
        self._stream = Stream("docker-project-events", self._run, self._down)

    def __enter__(self) -> EngineEvents:
        """Open the stream, so that whatever is read afterwards cannot miss an event."""
        self._client, self._first = self._open()
        self._stream.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the stream."""
        self._stream.stop()
        self._stream.join(1.0)

    def events(self, timeout: float) -> list[Happening]:
        """Return what happened since the last call, waiting at most `timeout` seconds for the first of it.

        Raises EngineUnreachable when the engine has been gone for 15 s.
        """
        happenings: list[Happening] = []
        try:
            item = self._queue.get(timeout=max(0.0, timeout))
            while True:
                if isinstance(item, DevenvError):
                    raise item
                happenings.append(item)
                item = self._queue.get_nowait()
        except queue.Empty:
            return happenings

    def _open(self) -> tuple[APIClient, RawStream]:
        client = connect(self._endpoint)
        try:
            return client, RawStream(client, self._endpoint, "/events", event_params(self._project, self._since))
        except BaseException:
            client.close()
            raise

    def _run(self, stream: Stream) -> None:
        opened = (self._client, self._first) if self._client and self._first else self._open()
        self._client = self._first = None
        client, events = opened
        try:
            with stream.closing(events.shutdown):
                stream.succeeded()
                self._lost_at = None
                for event in read_events(iter(events.read, b"")):
                    self._take(event)
        finally:
            events.close()
            client.close()

    def _take(self, event: EngineEvent | ValueError) -> None:
        if isinstance(event, ValueError):
            self._queue.put(EngineUnreachable(f"{self._endpoint.shown} sent an event that cannot be read: {event}"))
        elif event.since != self._since:
            self._since = event.since
            self._queue.put(happening_of(event))

    def _down(self, error: Exception | None, pause: float) -> None:
        now = time.monotonic()
        self._lost_at = self._lost_at or now
        if now + pause - self._lost_at > GIVE_UP_AFTER:
            known = error if isinstance(error, DevenvError) else None
            self._queue.put(known or EngineUnreachable(f"the engine at {self._endpoint.shown} went away"))


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


ANSWER_WITHIN = 10.0  # seconds


class EngineFacts(Struct, frozen=True):
    """An engine's own words. `published` maps (host port, protocol) to the Compose project or container holding it."""

    endpoint: str
    version: str
    system: str
    root: str  # where it keeps its data, a path on its own machine
    memory: int  # bytes
    cpus: int
    local: bool  # whether it runs on this machine, as far as its endpoint tells
    clock_skew: float | None = None  # seconds it is ahead of this machine
    published: Mapping[tuple[int, str], str] = field(default_factory=dict)


def read_engine(environ: Mapping[str, str]) -> EngineFacts:
    """Ask the engine that the docker CLI would use; raises EngineUnreachable."""
    endpoint = resolve_endpoint(environ)
    client = connect(endpoint, timeout=ANSWER_WITHIN)
    try:
        with engine_errors(endpoint):
            asked = time.time()
            info = client.info()
            answered = time.time()
            published = dict(_published(client.containers()))
    finally:
        client.close()
    return EngineFacts(
        endpoint=endpoint.label,
        version=sanitize(str(info.get("ServerVersion", "?"))),
        system=sanitize(str(info.get("OperatingSystem", "?"))),
        root=sanitize(str(info.get("DockerRootDir", ""))),
        memory=int(info.get("MemTotal") or 0),
        cpus=int(info.get("NCPU") or 0),
        local=endpoint.host.startswith("unix://") and "Docker Desktop" not in str(info.get("OperatingSystem")),
        clock_skew=_skew(str(info.get("SystemTime", "")), asked, answered),
        published=published,
    )


def _published(containers: Iterable[Mapping[str, Any]]) -> Iterator[tuple[tuple[int, str], str]]:
    for container in containers:
        labels = container.get("Labels") or {}
        owner = sanitize(labels.get(parse.LABEL_PROJECT) or (container.get("Names") or ["?"])[0].lstrip("/"))
        for port in container.get("Ports") or ():
            if port.get("PublicPort"):
                yield (int(port["PublicPort"]), str(port.get("Type", "tcp"))), owner


def _skew(system_time: str, asked: float, answered: float) -> float | None:
    """Difference to the middle of the request: what the network cost must not look like a wrong clock."""
    try:
        engine = datetime.fromisoformat(system_time.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
    return engine - (asked + answered) / 2


DISK_USE_WITHIN: Final = 60.0  # seconds; the engine walks through each volume


class Belongings(Struct, frozen=True):
    """What the engine has of one project; `volumes` are full names with their size in bytes, None where unknown."""

    containers: tuple[Resource, ...]
    networks: tuple[str, ...]
    volumes: Mapping[str, int | None]


def read_belongings(name: str, environ: Mapping[str, str], volumes: Sequence[str] = ()) -> Belongings:
    """Read what belongs to the project; its volumes are those with its label, and these where they are there.

    To know sizes the engine walks through volumes, which takes seconds for large ones: it is asked only where `volumes`
    are named. Raises EngineUnreachable, EngineForbidden.
    """
    endpoint = resolve_endpoint(environ)
    client = connect(endpoint)
    try:
        containers = list_project(client, endpoint, name)
        with engine_errors(endpoint):
            listed = client.networks(filters={"label": f"{parse.LABEL_PROJECT}={name}"})
            networks = tuple(sanitize(str(item["Name"])) for item in listed)
            sizes: dict[str, int | None] = {}
            if volumes:
                url = f"{client.base_url}/v{client.api_version}/system/df"  # the SDK's own `df` reads images too
                answer = client.get(url, params={"type": "volume"}, timeout=DISK_USE_WITHIN)
                answer.raise_for_status()
                for item in answer.json().get("Volumes") or ():
                    size = (item.get("UsageData") or {}).get("Size", -1)
                    if item["Name"] in volumes:
                        sizes[sanitize(str(item["Name"]))] = size if size >= 0 else None
        return Belongings(containers, networks, sizes)
    finally:
        client.close()
