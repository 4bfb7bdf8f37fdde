"""The logs at hand: one buffer a resource, for the selected one and those that were selected just before it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from devenv.model import LogLine, LogsDropped
from devenv.tui.rows import Identity
from devenv.tui.widgets.log_buffer import LogBuffer

SHELF: Final = 3  # logs that are still followed after the selection went on: coming back finds them whole


class LogShelf:
    """Routes log lines to the buffer of their resource; a line of an unknown one is thrown away."""

    def __init__(self) -> None:
        self._buffers: OrderedDict[str, LogBuffer] = OrderedDict()
        self._identities: dict[str, Identity] = {}

    @property
    def keys(self) -> tuple[str, ...]:
        """Whose logs are wanted."""
        return tuple(self._buffers)

    def select(self, identity: Identity, key: str, now: float) -> LogBuffer:
        """Return the buffer of that resource, with the lines of the container that stood in its place before."""
        buffer = self._buffers.get(key)
        if buffer is None:
            buffer = LogBuffer()
            older = next((old for old, place in self._identities.items() if place == identity and old != key), None)
            if older is not None:
                before = self._buffers.pop(older)
                del self._identities[older]
                if before.lines:
                    buffer.inherit(before, LogLine(key, now, "devenv", "container was re-created"))
            self._buffers[key] = buffer
            self._identities[key] = identity
        self._buffers.move_to_end(key)
        while len(self._buffers) > SHELF:
            gone, _ = self._buffers.popitem(last=False)
            del self._identities[gone]
        return buffer

    def take(self, change: LogLine | LogsDropped) -> LogBuffer | None:
        """Put a line away; return the buffer that it went to."""
        buffer = self._buffers.get(change.key)
        if buffer is None:
            return None
        if isinstance(change, LogsDropped):
            buffer.dropped += change.count
        else:
            buffer.append(change)
        return buffer
