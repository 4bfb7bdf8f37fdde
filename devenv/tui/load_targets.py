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
    """Return the targets, and which of them the selection means: of a service of both runtimes, Compose."""
    place = main.controller.cluster_place()
    if place is None:
        return [LoadTarget("compose")], 0
    target, is_meant = place
    return [LoadTarget("compose"), LoadTarget("kubernetes", target.context.name, target.namespace)], int(is_meant)
