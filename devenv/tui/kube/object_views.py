"""The screens about one object of a cluster, by the names of their actions; each is loaded when it is first opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from devenv.core.model import Resource
    from devenv.tui.kube.view import Cluster, ClusterView

VIEWS: Final = ("yaml", "describe", "previous", "owners", "rollout", "hpa")


def view_of(name: str, cluster: Cluster, resource: Resource) -> ClusterView:
    """Return the view of that name; raises KeyError for another one."""
    match name:
        case "yaml":
            from devenv.tui.kube.text import TextScreen, read_yaml

            return TextScreen(cluster, "YAML of", resource, read_yaml)
        case "describe":
            from devenv.tui.kube.text import TextScreen, read_description

            return TextScreen(cluster, "DESCRIBE", resource, read_description, with_events=True)
        case "previous":
            from devenv.tui.kube.text import TextScreen, read_previous_log

            return TextScreen(cluster, "PREVIOUS LOG of", resource, read_previous_log)
        case "owners":
            from devenv.tui.kube.owners import OwnersScreen

            return OwnersScreen(cluster, resource)
        case "rollout":
            from devenv.tui.kube.rollout import RolloutScreen

            return RolloutScreen(cluster, resource)
        case "hpa":
            from devenv.tui.kube.hpa import HpaScreen

            return HpaScreen(cluster, resource)
    raise KeyError(name)
