"""The engine's event stream: which events are asked for, and what each one says."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from devenv.backends.docker.parse import LABEL_PROJECT, container_key
from devenv.core.model import Happening
from devenv.core.text import sanitize

# Asked for by name, so that a health check's exec_create, exec_start and exec_die (three a check) are filtered out by
# the engine. With health_status in the list moby matches prefixes (daemon/events/filter.go), which finds
# "health_status: healthy" and still no exec_ event.
WATCHED: Final = (
    *("create", "start", "restart", "die", "kill", "oom", "stop", "pause", "unpause"),
    *("rename", "destroy", "update", "health_status"),
)
LONGEST: Final = 1_048_576  # bytes of one event; labels are the bulk of it
_TEXTS: Final = {
    "create": "created",
    "start": "started",
    "restart": "restarted",
    "oom": "out of memory: the kernel killed a process in it",
    "stop": "stopped",
    "pause": "paused",
    "unpause": "unpaused",
    "destroy": "removed",
    "update": "resource limits changed",
}


class EngineEvent(Struct, frozen=True):
    """One event of a container; `detail` is the new health of a health_status event. `at_ns` is the engine's clock."""

    container_id: str
    action: str
    at_ns: int
    attributes: Mapping[str, str]
    detail: str = ""

    @property
    def key(self) -> str:
        """The key of the container's resource."""
        return container_key(self.container_id)

    @property
    def at(self) -> float:
        """When it happened, seconds since the epoch."""
        return self.at_ns / 1e9

    @property
    def since(self) -> str:
        """The event's time as GET /events takes it, to resume from."""
        return f"{self.at_ns // 1_000_000_000}.{self.at_ns % 1_000_000_000:09d}"

    @property
    def exit_code(self) -> int | None:
        """The exit code of a die event."""
        text = self.attributes.get("exitCode", "")
        return int(text) if text.lstrip("-").isdecimal() and len(text) < 12 else None


def event_params(project: str, since: str = "") -> dict[str, str]:
    """Return the query of GET /events for one Compose project, from `since` ("seconds.nanoseconds") on."""
    filters = {"type": ["container"], "event": list(WATCHED), "label": [f"{LABEL_PROJECT}={project}"]}
    params = {"filters": json.dumps(filters)}
    if since:
        params["since"] = since
    return params


class Lines:
    """Cuts a stream of bytes into lines, whatever its chunks; a line longer than `longest` is given up as None."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._rest = b""
        self._longest = longest
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        """Return the lines that `data` completes."""
        *complete, rest = data.split(b"\n")
        for index, line in enumerate(complete):
            whole = self._rest + line if index == 0 else line
            self._rest = b"" if index == 0 else self._rest
            if self._skipping:
                self._skipping = False
            elif whole.strip():
                yield whole
        self._rest += rest if not self._skipping else b""
        if len(self._rest) > self._longest:
            self._rest, self._skipping = b"", True
            yield None


def parse_event(line: bytes) -> EngineEvent | None:
    """Parse one line of the stream; None for events of no interest. Raises ValueError for what is no event."""
    try:
        data = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(data, dict):
        raise ValueError("not an object")
    if data.get("Type", "container") != "container":
        return None
    raw = data.get("Action") or data.get("status")
    actor = data.get("Actor")
    container_id = (actor.get("ID") if isinstance(actor, dict) else None) or data.get("id")
    if not isinstance(raw, str) or not isinstance(container_id, str):
        raise ValueError("no action or no container")
    action, _, detail = raw.partition(":")
    if action not in WATCHED:
        return None
    attributes = actor.get("Attributes") if isinstance(actor, dict) else None
    return EngineEvent(sanitize(container_id), action, _nanoseconds(data), _texts(attributes), sanitize(detail.strip()))


def read_events(chunks: Iterable[bytes]) -> Iterator[EngineEvent | ValueError]:
    """Yield the events in a stream's chunks, and the error of each line that is none: what it reported is unknown."""
    lines = Lines()
    for chunk in chunks:
        for line in filter(None, lines.feed(chunk)):
            try:
                event = parse_event(line)
            except ValueError as error:
                yield error
            else:
                if event is not None:
                    yield event


def happening_of(event: EngineEvent) -> Happening:
    """Say an event in a developer's words."""
    interesting = ("exitCode", "signal", "oldName", "execDuration")
    pairs = tuple((name, event.attributes[name]) for name in interesting if name in event.attributes)
    return Happening(event.key, event.at, event.action, _text(event), pairs)


def signal_name(number: int) -> str:
    """Return SIGKILL for 9; "signal 99" for a number that has no name here."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _text(event: EngineEvent) -> str:
    if event.action == "die":
        code = event.exit_code
        # Shells and runtimes report death by signal n as 128+n (POSIX shell, 2.8.2).
        by_signal = f" ({signal_name(code - 128)})" if code is not None and 128 < code < 160 else ""
        return f"exited with code {'unknown' if code is None else code}{by_signal}"
    if event.action == "kill":
        number = event.attributes.get("signal", "")
        return (
            f"was sent {signal_name(int(number)) if number.isdecimal() and len(number) < 4 else number or 'a signal'}"
        )
    if event.action == "health_status":
        return f"is {event.detail}"
    if event.action == "rename":
        return f"renamed from {event.attributes.get('oldName', '').removeprefix('/')}"
    return _TEXTS.get(event.action, event.action)


def _nanoseconds(data: Mapping[str, Any]) -> int:
    nanoseconds, seconds = data.get("timeNano"), data.get("time")
    if isinstance(nanoseconds, int):
        return nanoseconds
    return int(seconds * 1e9) if isinstance(seconds, int | float) else 0


def _texts(attributes: object) -> dict[str, str]:
    if not isinstance(attributes, dict):
        return {}
    return {sanitize(name): sanitize(value) for name, value in attributes.items() if isinstance(value, str)}
