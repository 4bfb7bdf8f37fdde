"""The first line: which project, which engine, how fresh the data are, and how many run."""

from __future__ import annotations

from collections.abc import Iterable

from devenv.core.model import Connection, ConnectionState, Health, Resource, State
from devenv.core.text import human_age
from devenv.tui.shown import shown
from devenv.tui.widgets.line import Line, Part, cells

_WORDS = {
    ConnectionState.CONNECTING: ("◌ connecting…", "$warning"),
    ConnectionState.LIVE: ("● live", "$success"),
    ConnectionState.STALE: ("◍ stale", "$warning"),
    ConnectionState.RETRYING: ("↻ retrying", "$warning"),
    ConnectionState.FAILED: ("✗ failed", "$error bold"),
}


def connection_words(connection: Connection | None, now: float) -> Part:
    """Return the state of the connection in words."""
    if connection is None:
        return _WORDS[ConnectionState.CONNECTING]
    word, style = _WORDS[connection.state]
    if connection.state is ConnectionState.RETRYING and connection.retry_in is not None:
        left = connection.since + connection.retry_in - now
        word += f" in {left:.0f} s" if left >= 0.5 else " now"
    if connection.state not in (ConnectionState.LIVE, ConnectionState.CONNECTING) and connection.last_live:
        word += f", data of {human_age(now - connection.last_live)} ago"
    return word, style


def count_words(resources: Iterable[Resource]) -> list[Part]:
    """Return how many run and how many do not do well."""
    known = [resource for resource in resources if not resource.one_off]
    if not known:
        return []
    bad = sum(resource.state in (State.DEAD, State.RESTARTING) or _crashed(resource) for resource in known)
    counts = (
        (sum(resource.state is State.RUNNING for resource in known), "running", "$success"),
        (
            sum(resource.state.is_up and resource.health is Health.UNHEALTHY for resource in known),
            "unhealthy",
            "$error",
        ),
        (bad, "crashed", "$error"),
        (sum(resource.state is State.ABSENT for resource in known), "absent", "$quiet"),
    )
    parts: list[Part] = []
    for count, word, style in counts:
        if count or word == "running":
            if parts:
                parts.append((" · ", "$quiet"))
            parts.append((f"{count} {word}", style))
    return parts


def _crashed(resource: Resource) -> bool:
    return resource.state is State.EXITED and resource.exit_code not in (0, None, 130, 143)


class HeaderBar(Line):
    """Puts together what fits; what matters least gives way first."""

    _told: tuple[str, Connection | None, Iterable[Resource], float] | None = None

    def on_resize(self) -> None:
        """Choose again what fits."""
        if self._told is not None:
            self.tell(*self._told)

    def tell(self, project: str, connection: Connection | None, resources: Iterable[Resource], now: float) -> None:
        """Show this state of affairs."""
        self._told = (project, connection, resources, now)
        left: list[Part] = [(" devenv ", "bold reverse"), (f" {shown(project)}", "bold"), ("  ", "")]
        left.append(connection_words(connection, now))
        right = [*count_words(resources), (" ", "")]
        width = self.size.width or self.app.size.width  # it spans the screen, also before its first layout
        while len(right) > 2 and cells(left) + 1 + cells(right) > width:
            del right[-3:-1]  # the last count and the dot before it
        room = width - cells(left) - cells(right)
        if connection is not None:
            version = f"{connection.backend} {connection.version}" if connection.version else ""
            for extra in (version, connection.endpoint):
                text = f"  {shown(extra)}"
                if extra and cells([(text, "")]) + 2 <= room:
                    left.append((text, "$quiet"))
                    room -= cells([(text, "")])
        self.say(*left, (" " * max(1, room), ""), *right)
