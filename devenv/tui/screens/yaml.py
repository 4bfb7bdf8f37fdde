"""The whole object as YAML; values of secrets are masked."""

from __future__ import annotations

from devenv.core.errors import DevenvError
from devenv.core.model import Resource
from devenv.tui.screens.text import TextScreen
from devenv.tui.screens.view import Cluster
from devenv.tui.widgets.line import Part


class YamlScreen(TextScreen):
    """Shows what the API server has, without what only it and other clients write for themselves."""

    def __init__(self, cluster: Cluster, resource: Resource) -> None:
        super().__init__(cluster, "YAML of", resource)

    def read(self) -> list[Part]:
        """Return the YAML, coloured by keys."""
        session = self.cluster.session
        if session is None:
            raise DevenvError("No cluster is open")
        from devenv.tui.kube.objects import yaml_parts

        return yaml_parts(session.read(self.resource))
