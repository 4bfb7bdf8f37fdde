"""Where a load test can go from this terminal: the Compose project, and the cluster that is shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from devenv.load.live.process import LoadWish

if TYPE_CHECKING:
    from devenv.tui.screens.main import MainScreen


@dataclass(frozen=True, slots=True)
class LoadTarget:
    """A target, as `--target` names it."""

    name: str
    context: str = ""
    namespace: str = ""

    @property
    def words(self) -> str:
        """How it is called in a form."""
        return f"{self.name} {self.context}/{self.namespace}" if self.context else self.name

    def of(self, wish: LoadWish) -> LoadWish:
        """Return the wish for this target."""
        return replace(wish, target=self.name, context=self.context, namespace=self.namespace)


def load_targets(main: MainScreen) -> tuple[list[LoadTarget], int]:
    """Return the targets, and which of them the selection means."""
    from devenv.tui.screens.joint import JointScreen

    found = [LoadTarget("compose")]
    chosen = 0
    if isinstance(main, JointScreen) and main.session is not None:
        place = main.session.target
        found.append(LoadTarget("kubernetes", place.context.name, place.namespace))
        # A service of both runtimes means Compose: that is the nearer one.
        chosen = int(main.selected is not None and main.selected_cluster is not None)
    return found, chosen
