"""The screens about one object of a cluster, by the names of their actions; each is loaded when it is first opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from devenv.core.model import Resource
    from devenv.tui.screens.view import Cluster, ClusterView

VIEWS: Final = ("yaml", "describe", "previous", "owners", "rollout", "hpa")


def view_of(name: str, cluster: Cluster, resource: Resource) -> ClusterView:
    """Return the view of that name; raises KeyError for another one."""
    match name:
        case "yaml":
            from devenv.tui.screens.yaml import YamlScreen

            return YamlScreen(cluster, resource)
        case "describe":
            from devenv.tui.screens.describe import DescribeScreen

            return DescribeScreen(cluster, resource)
        case "previous":
            from devenv.tui.screens.previous import PreviousScreen

            return PreviousScreen(cluster, resource)
        case "owners":
            from devenv.tui.screens.owners import OwnersScreen

            return OwnersScreen(cluster, resource)
        case "rollout":
            from devenv.tui.screens.rollout import RolloutScreen

            return RolloutScreen(cluster, resource)
        case "hpa":
            from devenv.tui.screens.hpa import HpaScreen

            return HpaScreen(cluster, resource)
    raise KeyError(name)
