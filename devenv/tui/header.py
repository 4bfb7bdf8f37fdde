"""What the first line says: the project, its connection, how many of its containers run. Nothing of it is Textual's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from devenv.core.model import Connection, ConnectionState, Happening, Health, Resource, State, WatchStatus
from devenv.core.text import human_age
from devenv.tui.safe_text import Part, parts_width, safe
from devenv.tui.table.cells import stopped_on_purpose

HappeningsOf = Callable[[str], Iterable[Happening]]  # of a resource, by its key
NO_WATCH: Final = WatchStatus()
_CONNECTIONS = {
    ConnectionState.CONNECTING: ("◌ connecting…", "$warning"),
    ConnectionState.LIVE: ("● live", "$success"),
    ConnectionState.STALE: ("◍ stale", "$warning"),
    ConnectionState.RETRYING: ("↻ retrying", "$warning"),
    ConnectionState.FAILED: ("✗ failed", "$error bold"),
}


def connection_words(connection: Connection | None, now: float) -> Part:
    """Return the state of the connection in words."""
    if connection is None:
        return _CONNECTIONS[ConnectionState.CONNECTING]
    word, style = _CONNECTIONS[connection.state]
    if connection.state is ConnectionState.RETRYING and connection.retry_in is not None:
        left = min(connection.since + connection.retry_in - now, connection.retry_in)  # a clock may be set back
        word += f" in {left:.0f} s" if left >= 0.5 else " now"
    if connection.state not in (ConnectionState.LIVE, ConnectionState.CONNECTING) and connection.last_live:
        word += f", data of {human_age(now - connection.last_live)} ago"
    return word, style


def count_words(resources: Iterable[Resource], happenings: HappeningsOf) -> list[Part]:
    """Return how many run and how many do not do well."""
    known = [resource for resource in resources if not resource.one_off]
    if not known:
        return []
    bad = sum(has_crashed(resource, happenings) for resource in known)
    counts = (
        (sum(resource.state is State.RUNNING for resource in known), "running", "$success"),
        (
            sum(resource.state.is_up and resource.health is Health.UNHEALTHY for resource in known),
            "unhealthy",
            "$error",
        ),
        (bad, "crashed", "$error"),
        (sum(resource.state is State.ABSENT and resource.beyond is None for resource in known), "absent", "$quiet"),
    )
    parts: list[Part] = []
    for count, word, style in counts:
        if count or word == "running":
            if parts:
                parts.append((" · ", "$quiet"))
            parts.append((f"{count} {word}", style))
    return parts


def has_crashed(resource: Resource, happenings: HappeningsOf) -> bool:
    """Whether it ended, or ends again and again, by a fault of its own.

    137 is none where somebody stopped what does not heed SIGTERM: the engine kills it when its time to stop is over.
    """
    if resource.state in (State.DEAD, State.RESTARTING):
        return True
    if resource.state is not State.EXITED or resource.exit_code in (0, None, 130, 143):
        return False
    return resource.exit_code != 137 or resource.oom_killed or not stopped_on_purpose(happenings(resource.key))


def filled(left: list[Part], extras: Iterable[str], right: list[Part], width: int) -> list[Part]:
    """Return one line of that width: the last counts on the right give way, extras stand where there is room."""
    while len(right) > 2 and parts_width(left) + 1 + parts_width(right) > width:
        del right[-3:-1]  # the last count and the dot before it
    room = width - parts_width(left) - parts_width(right)
    for extra in filter(None, extras):
        part = (f"  {safe(extra)}", "$quiet")
        if parts_width([part]) + 2 <= room:
            left.append(part)
            room -= parts_width([part])
    return [*left, (" " * max(1, room), ""), *right]


def header_parts(
    project: str,
    connection: Connection | None,
    resources: Iterable[Resource],
    now: float,
    width: int,
    watch: WatchStatus = NO_WATCH,
    happenings: HappeningsOf = lambda _: (),
) -> list[Part]:
    """Return the line in that width; what matters least gives way first."""
    left: list[Part] = [(" devenv ", "bold reverse"), (f" {safe(project)}", "bold"), ("  ", "")]
    left.append(connection_words(connection, now))
    if watch.word:
        left.append((f"  ▲ {watch.word}", "$warning") if watch.trouble else (f"  ⟳ {watch.word}", "$success"))
    right = [*count_words(resources, happenings), (" ", "")]
    extras: tuple[str, ...] = ()
    if connection is not None:
        version = f"{connection.backend} {connection.version}" if connection.version else ""
        extras = (version, connection.endpoint)
    return filled(left, extras, right, width)
