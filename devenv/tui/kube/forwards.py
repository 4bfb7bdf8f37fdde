"""The open port-forwards: where they lead, and what goes through them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from devenv.core.text import human_age, human_bytes
from devenv.tui.kube.view import Cluster, ClusterView
from devenv.tui.shown import fit, shown
from devenv.tui.widgets.line import Part

if TYPE_CHECKING:
    from devenv.tui.kube.session import Forwarding


class ForwardsScreen(ClusterView):
    """One entry a port; the marked one can be closed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "step(-1)", "up", show=False, priority=True, id="forwards.up"),
        Binding("down,j", "step(1)", "down", show=False, priority=True, id="forwards.down"),
        Binding("x", "close", "close it", id="forwards.close"),
    ]

    def __init__(self, cluster: Cluster, forwards: Sequence[Forwarding], close: Callable[[int], None]) -> None:
        super().__init__(cluster, "PORT-FORWARDS")
        self._forwards = forwards
        self._close = close
        self._at = 0

    def action_step(self, step: int) -> None:
        """Mark another one."""
        self._at = max(0, min(self._at + step, len(self._forwards) - 1))
        self.show()

    def action_close(self) -> None:
        """Close the marked one."""
        self._close(self._at)
        self.action_step(0)

    def parts(self, width: int) -> list[Part]:
        """Return the list with its traffic."""
        if not self._forwards:
            return [("none is open; f on a pod, workload or service opens one\n", "$quiet")]
        parts: list[Part] = [
            (f"  {'LOCAL':<17}{'LEADS TO':<30}{'SENT':>9}{'RECEIVED':>10}  OPEN  ALL\n", "bold $quiet")
        ]
        for index, forward in enumerate(self._forwards):
            stats = forward.stats()
            place = f"127.0.0.1:{stats.local_port}"
            mark = "▌ " if index == self._at else "  "
            parts.append((mark, "$primary"))
            parts.append((f"{place:<17}{fit(shown(stats.target), 28)}  ", "bold"))
            parts.append((f"{human_bytes(stats.sent):>9}{human_bytes(stats.received):>10}", "$foreground"))
            parts.append((f"{stats.open:>6}{stats.connections:>5}\n", "$foreground"))
            pod = f"pod {stats.pod}:{stats.pod_port}" if stats.pod else "no pod"
            again = f", made again {stats.replacements}×" if stats.replacements else ""
            failed = f", {stats.failed} failed" if stats.failed else ""
            age = human_age(stats.seconds)
            parts.append((f"    {shown(stats.namespace)}  {shown(pod)}{again}{failed}, since {age}\n", "$quiet"))
            if stats.waiting:
                parts.append((f"    waits: {shown(stats.waiting)}\n", "$warning"))
            if stats.error:
                parts.append((f"    last error: {shown(stats.error)}\n", "$warning"))
        return parts
