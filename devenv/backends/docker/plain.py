"""What is asked by plain HTTP on the engine's unix socket, since importing the SDK takes longer: lists, status, images.

Importing it takes a quarter of the time in which the terminal wants to be full. So the first list is read while Textual
loads; it is replaced by the SDK's own list as soon as the event stream is open. Where an answer cannot be had so
(another kind of endpoint, any failure), nothing is lost but time.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Mapping
from itertools import islice, takewhile
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from devenv.backends import counters
from devenv.backends.docker import parse
from devenv.backends.docker.client import READ_SIZE, connect, engine_errors
from devenv.backends.docker.endpoint import Endpoint
from devenv.backends.docker.lines import ChunkDecoder
from devenv.core.errors import DevenvError, EngineUnreachable
from devenv.core.masking import learn
from devenv.core.model import Project, Resource

ANSWER_WITHIN: Final = 2.0  # seconds; later than that, the SDK's answer is as early
STATS_WITHIN: Final = 10.0  # seconds
LARGEST: Final = 16 * 1024 * 1024  # bytes of an answer
_HEADERS: Final = 100  # lines of an answer's head


def ask(path: str, query: str, timeout: float = ANSWER_WITHIN) -> bytes:
    """Return the body of what the engine at this socket answers; raises OSError, ValueError for any other answer."""
    counters.called_engine("GET", query)
    request = f"GET {query} HTTP/1.0\r\nHost: docker\r\nConnection: close\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as engine:
        engine.settimeout(timeout)
        engine.connect(path)
        engine.sendall(request.encode())
        answer = bytearray()
        while data := engine.recv(65536):
            answer += data
            if len(answer) > LARGEST:
                raise ValueError("too large")
    head, separator, body = bytes(answer).partition(b"\r\n\r\n")
    if not separator or b" 200 " not in head.split(b"\r\n")[0] + b" " or b"chunked" in head.lower():
        raise ValueError("not the answer that was asked for")
    return body


def list_plainly(endpoint: Endpoint, project: str, timeout: float = ANSWER_WITHIN) -> tuple[Resource, ...] | None:
    """Return the project's containers as a list can tell them, or None where the SDK must be waited for."""
    return _list(endpoint, f"{parse.LABEL_PROJECT}={project}", timeout)


def _list(endpoint: Endpoint, label: str, timeout: float = ANSWER_WITHIN) -> tuple[Resource, ...] | None:
    if endpoint.scheme != "unix":
        return None
    filters = quote(json.dumps({"label": [label]}))
    try:
        query = f"/containers/json?all=1&filters={filters}"
        entries = json.loads(ask(_socket(endpoint), query, timeout))
        listed = tuple(parse.from_list(entry) for entry in entries)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None  # whatever it is, the SDK meets it in a moment and says it in full
    return tuple(resource for resource in listed if resource.container_id)


def read_plainly(
    endpoint: Endpoint, project: str, chosen: Callable[[Resource], bool] = lambda one: True
) -> tuple[Resource, ...] | None:
    """Return the project's `chosen` containers in full, or None where the SDK must be waited for."""
    listed = list_plainly(endpoint, project)
    listed = listed if listed is None else tuple(filter(chosen, listed))
    try:
        return None if listed is None else tuple(in_full(one, _inspect(endpoint, one)) for one in listed)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None  # one is gone meanwhile, or as above


def _inspect(endpoint: Endpoint, container: Resource) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(ask(_socket(endpoint), f"/containers/{container.container_id}/json"))
    learn((data.get("Config") or {}).get("Env"))  # as `devenv.backends.docker.client.inspect`
    return data


def in_full(listed: Resource, data: Mapping[str, Any]) -> Resource:
    """Return the resource of an inspection; the engine's own sentence is in the list, and kept where it still holds."""
    resource = parse.from_inspect(data)
    return replace(resource, status=listed.status) if resource.state is listed.state else resource


def read_stats(endpoint: Endpoint, container_id: str) -> dict[str, Any] | None:
    """Return what a container on a unix socket's engine uses; None for one that is gone. Raises EngineUnreachable."""
    try:
        query = f"/containers/{container_id}/stats?stream=false&one-shot=true"
        data = json.loads(ask(_socket(endpoint), query, STATS_WITHIN))
    except OSError:
        with engine_errors(endpoint):
            raise
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


class EarlyReading:
    """Reads the project of a folder in full in a thread, while Compose resolves it.

    Which project that is, containers of the folder tell by their labels. Compose has the last word: what was read of a
    project of another name than it says is never given.
    """

    def __init__(self, endpoint: Endpoint, folder: str) -> None:
        self._read: dict[str, tuple[Resource, ...]] = {}
        self._thread = threading.Thread(target=self._ask, args=(endpoint, folder), name="docker-early", daemon=True)
        self._thread.start()

    def of(self, project: str) -> tuple[Resource, ...] | None:
        """Return the containers of the project of that name, None where they were not read."""
        self._thread.join()
        return self._read.get(project)

    def _ask(self, endpoint: Endpoint, folder: str) -> None:
        names = {one.project for one in _list(endpoint, f"{parse.LABEL_FOLDER}={folder}") or ()}
        if len(names) == 1 and (read := read_plainly(endpoint, name := names.pop())) is not None:
            self._read[name] = read


class PlainStream:
    """A log as it comes from an engine on a unix socket; to its reader what a RawStream of the SDK is."""

    def __init__(self, endpoint: Endpoint, query: str) -> None:
        """Ask; raises OSError, ValueError where the answer is another one, or does not begin in time."""
        counters.called_engine("GET", query)
        self._endpoint = endpoint
        self._chunks = ChunkDecoder()
        with socket.socket(socket.AF_UNIX) as engine:
            engine.settimeout(ANSWER_WITHIN)
            engine.connect(_socket(endpoint))
            engine.sendall(f"GET {query} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n".encode())
            self._file = engine.makefile("rb")  # it keeps the socket open
            head = b"".join(islice(takewhile(lambda line: line != b"\r\n", self._file), _HEADERS)).lower()
            engine.settimeout(None)  # afterwards silence is normal
        if not re.match(rb"http/1\.1 200 [^\0]*\r\ntransfer-encoding: chunked\r\n", head):
            self._file.close()
            raise ValueError("not the answer that was asked for")
        kind = re.search(rb"\r\ncontent-type: ([^\r]*)\r\n", head)
        self.content_type = kind[1].decode("ascii", "replace") if kind else ""

    def read(self) -> bytes:
        """Return what has arrived, waiting for at least one byte; b"" at the end. Raises EngineUnreachable."""
        try:
            while not self._chunks.done and (data := self._file.read1(READ_SIZE)):
                if payload := self._chunks.feed(data):
                    return payload
        except (OSError, ValueError):
            with engine_errors(self._endpoint):
                raise
        return b""

    def close(self) -> None:
        """Give the connection back."""
        self._file.close()


def _socket(endpoint: Endpoint) -> str:
    return endpoint.host.removeprefix("unix://")


class Prefetch:
    """Resolves the project and reads its first list in a thread of its own, while the program still loads."""

    def __init__(self, scope: Callable[[], Project], endpoint: Callable[[], Endpoint]) -> None:
        self._scope = scope
        self._endpoint = endpoint
        self._outcome: Project | DevenvError | None = None
        self._thread: threading.Thread | None = None

    def begin(self, load: Callable[[Project, tuple[Resource, ...]], None]) -> None:
        """Start; `load` gets what was read, in the thread."""
        self._thread = threading.Thread(target=self._read, args=(load,), name="docker-prefetch", daemon=True)
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
            listed = list_plainly(self._endpoint(), project.name)
        except DevenvError as error:
            self._outcome = error
            return
        if listed is not None:
            load(project, listed)


_PATH: Final = "/images/json"


class EngineImage(msgspec.Struct, frozen=True):
    """One image. `names` are its tags, `digests` what registries call its content ("repository@sha256:...")."""

    id: str
    names: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}


def list_images(endpoint: Endpoint) -> dict[str, EngineImage]:
    """Return the images that have a name, by each of their names; raises EngineUnreachable, EngineForbidden.

    On a unix socket this is one plain request: importing the SDK for it takes longer than all the rest.
    """
    entries = _plain(endpoint)
    if entries is None:
        client = connect(endpoint)
        try:
            with engine_errors(endpoint):
                entries = client.images()
        finally:
            client.close()
    if not isinstance(entries, list):
        raise EngineUnreachable(f"{endpoint.shown} does not answer like a Docker Engine", "Is it one?")
    listed = [_image(entry) for entry in entries if isinstance(entry, dict)]
    return {name: image for image in listed for name in image.names}


def _plain(endpoint: Endpoint) -> Any:
    if endpoint.scheme != "unix":
        return None
    try:
        return json.loads(ask(_socket(endpoint), _PATH))
    except (OSError, ValueError, RecursionError):
        return None  # whatever it is, the SDK meets it next and says it in full


def _image(entry: Mapping[str, Any]) -> EngineImage:
    labels = entry.get("Labels")
    return EngineImage(
        id=str(entry.get("Id", "")),
        names=tuple(str(name) for name in entry.get("RepoTags") or () if name != "<none>:<none>"),
        digests=tuple(str(digest) for digest in entry.get("RepoDigests") or ()),
        labels={str(key): str(value) for key, value in labels.items()} if isinstance(labels, dict) else {},
    )
