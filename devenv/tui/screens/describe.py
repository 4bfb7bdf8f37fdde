"""The object in sentences: what it is, its containers, its conditions and its events; secrets are masked."""

from __future__ import annotations

from devenv.core.errors import DevenvError
from devenv.core.model import Resource
from devenv.tui.screens.text import TextScreen
from devenv.tui.screens.view import Cluster
from devenv.tui.widgets.line import Part


class DescribeScreen(TextScreen):
    """Says what `kubectl describe` says, from the object and the events that are at hand."""

    def __init__(self, cluster: Cluster, resource: Resource) -> None:
        super().__init__(cluster, "DESCRIBE", resource)

    def read(self) -> list[Part]:
        """Return the sentences."""
        session = self.cluster.session
        if session is None:
            raise DevenvError("No cluster is open")
        from devenv.tui.kube.objects import describe_parts

        return describe_parts(session.read(self.resource))

    def parts(self, width: int) -> list[Part]:
        """Return what was read, and the events as they come."""
        from devenv.tui.kube.detail import events

        return super().parts(width) + events(self.cluster.store.happenings(self.resource.key))
