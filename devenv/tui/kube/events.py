"""What happened in the cluster, as a line of time: of the selected service, or of everything that is watched."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import ClassVar

from textual.binding import Binding, BindingType

from devenv.core.model import Happening, Runtime
from devenv.core.state import Delta
from devenv.core.text import mask_secrets
from devenv.tui.kube.view import Cluster, ClusterView
from devenv.tui.shown import shown
from devenv.tui.widgets.detail_text import BARS, clock
from devenv.tui.widgets.line import Part

KEPT = 400  # lines
SPAN = 3600.0  # seconds that the line of time covers: as long as the API keeps events (--event-ttl)


class EventsScreen(ClusterView):
    """Newest first, warnings marked; a line of time above shows when it was lively."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "warnings", "warnings only", id="events.warnings"),
        Binding("a", "everything", "all/selected", id="events.all"),
    ]

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, "EVENTS")
        self._only_warnings = False
        self._everything = cluster.selected_service == ("", "")
        self._service = cluster.selected_service
        self._eventful: dict[str, None] = {}  # keys of what something happened to, a few of all that there is

    def begin(self) -> None:
        """Find what something happened to."""
        store = self.cluster.store
        self._eventful = dict.fromkeys(key for key in store.resources if store.happenings(key))

    def learn(self, delta: Delta) -> None:
        """Note what something happened to, also what is not there yet."""
        for key in delta.removed:
            self._eventful.pop(key, None)
        self._eventful.update((happening.key, None) for happening in delta.happenings)

    @property
    def heading(self) -> list[Part]:
        """Whose events these are."""
        whose = "of everything watched" if self._everything else f"of {shown(self._service[1])}"
        parts: list[Part] = [(" EVENTS ", "bold"), (f"{whose} ", "bold $primary")]
        return [*parts, (" warnings only", "$warning")] if self._only_warnings else parts

    def action_warnings(self) -> None:
        """Show warnings only, or all."""
        self._only_warnings = not self._only_warnings
        self.show()

    def action_everything(self) -> None:
        """Show the events of everything, or of the selected service."""
        self._everything = not self._everything or self._service == ("", "")
        self.show()

    def parts(self, width: int) -> list[Part]:
        """Return the line of time and the events below it."""
        found = list(self._happenings())
        if self._only_warnings:
            found = [item for item in found if _is_warning(item[0])]
        if not found:
            return [("no events; the API keeps them for an hour\n", "$quiet")]
        found.sort(key=lambda item: item[0].at, reverse=True)
        parts = _time_line([happening for happening, _ in found], width)
        for happening, name in found[:KEPT]:
            warning = _is_warning(happening)
            count = dict(happening.attributes).get("count", "")
            parts.append((f"{clock(happening.at)} ", "$quiet"))
            parts.append((f"{'▲' if warning else '·'} {shown(happening.action)}", "$warning" if warning else "bold"))
            parts.append((f" ×{shown(count)}" if count not in ("", "1") else "", "$accent"))
            parts.append((f"  {shown(name)}", "$primary"))
            parts.append((f"  {shown(mask_secrets(happening.text))}\n", "$foreground"))
        if len(found) > KEPT:
            parts.append((f"… {len(found) - KEPT:,} older ones\n", "$quiet"))
        return parts

    def _happenings(self) -> Iterator[tuple[Happening, str]]:
        store = self.cluster.store
        for key in tuple(self._eventful):
            resource = store.resource(key)
            if resource is None or resource.runtime is not Runtime.KUBERNETES:
                continue
            if self._everything or (resource.namespace, resource.service or resource.name) == self._service:
                for happening in store.happenings(key):
                    yield happening, f"{resource.kind}/{resource.name}"


def _is_warning(happening: Happening) -> bool:
    return dict(happening.attributes).get("type") == "Warning"


def _time_line(happenings: list[Happening], width: int) -> list[Part]:
    now = time.time()
    room = max(10, min(width, 120) - 12)
    counts, warned = [0] * room, [False] * room
    for happening in happenings:
        age = now - happening.at
        if 0 <= age < SPAN:
            place = room - 1 - int(age / SPAN * room)
            counts[place] += 1
            warned[place] |= _is_warning(happening)
    top = max((*counts, 1))
    parts: list[Part] = [("-1 h ", "$quiet")]
    for count, warning in zip(counts, warned, strict=True):
        bar = BARS[min(7, count * 8 // (top + 1))] if count else "·"
        parts.append((bar, "$warning" if warning else "$primary" if count else "$quiet"))
    parts.append((" now\n\n", "$quiet"))
    return parts
