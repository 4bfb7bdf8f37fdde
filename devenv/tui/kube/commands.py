"""The palette of a cluster: every key's command that makes sense for the selection, and the orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, cast

from textual.actions import parse as parse_action
from textual.binding import Binding

from devenv.tui.kube.orders import parse
from devenv.tui.palette import Command, Commands, act
from devenv.tui.screens.cluster import ClusterScreen
from devenv.tui.shown import shown

ORDERS: Final = ("pods", "deploy", "svc", "nodes", "hpa", "ingresses", "pvc", "cm", "events", "ns", "ctx", "compose")


class ClusterCommands(Commands):
    """What the keys and the command line do, by name; with the same in kubectl."""

    def commands(self) -> Iterator[Command]:
        """Give what the keys do to the selection first."""
        screen = cast(ClusterScreen, self.screen)
        selected = screen.selected_cluster
        title = f" {shown(selected.kind)} {shown(selected.name)}" if selected is not None else ""
        for binding in ClusterScreen.BINDINGS:
            if isinstance(binding, Binding) and screen.check_action(*parse_action(binding.action)[1:]):
                own = binding.action not in ("order", "forwards", "events")
                yield f"{binding.description}{title if own else ''}", binding.tooltip, act(screen, binding.action)
        for order in ORDERS:
            yield f":{order}", "", _order(screen, order)


def _order(screen: ClusterScreen, text: str) -> Callable[[], None]:
    return lambda: screen.obey(parse(text))
