"""The second line where there is a cluster: which one, how fresh, what may be done, and how its pods are."""

from __future__ import annotations

from collections.abc import Mapping

from devenv.core.model import Connection
from devenv.tui.shown import shown
from devenv.tui.widgets.header import connection_words
from devenv.tui.widgets.line import Line, Part, cells

_STYLES = {
    "ready": "$success",
    "not ready": "$warning",
    "pending": "$warning",
    "crashing": "$error",
    "terminating": "$quiet",
    "ended": "$quiet",
}


class ClusterBar(Line):
    """Read-only contexts are told by a word and by another colour of the whole line."""

    DEFAULT_CSS = """
    ClusterBar { background: $bar; }
    ClusterBar.-read-only { background: $warning 30%; }
    ClusterBar.-read-only:ansi { background: ansi_yellow; color: ansi_black; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.display = False
        self._told: tuple[str, str, Connection | None, dict[str, int], bool, str, float] | None = None

    def on_resize(self) -> None:
        """Choose again what fits."""
        if self._told is not None:
            self.tell(*self._told)

    def tell(
        self,
        context: str,
        namespace: str,
        connection: Connection | None,
        counts: Mapping[str, int],
        may_change: bool,
        view: str,
        now: float,
    ) -> None:
        """Show this state of affairs; `view` names what the table shows, "" for the services."""
        self._told = (context, namespace, connection, dict(counts), may_change, view, now)
        self.display = True
        self.set_class(not may_change, "-read-only")
        left: list[Part] = [(" ⎈ ", "bold"), (f"{shown(context)}/{shown(namespace)}", "bold"), ("  ", "")]
        if not may_change:
            left.append((" READ-ONLY ", "bold reverse"))
            left.append(("  ", ""))
        left.append(connection_words(connection, now))
        if view:
            left.append((f"  :{shown(view)}", "bold $accent"))
        right: list[Part] = []
        total = sum(counts.values())
        if total:
            right = [(f"{total:,} pod{'' if total == 1 else 's'}", "")]
            for word, style in _STYLES.items():
                if counts.get(word) and (word != "ready" or counts[word] != total):
                    right += [(" · ", "$quiet"), (f"{counts[word]:,} {word}", style)]
        right.append((" ", ""))
        while len(right) > 2 and cells(left) + 1 + cells(right) > self.size.width:
            del right[-3:-1]
        room = self.size.width - cells(left) - cells(right)
        if connection is not None:
            for extra in (connection.version, connection.endpoint):
                text = f"  {shown(extra)}"
                if extra and cells([(text, "")]) + 2 <= room:
                    left.append((text, "$quiet"))
                    room -= cells([(text, "")])
        self.say(*left, (" " * max(1, room), ""), *right)
