"""What the containers of a pod wrote in their run before the present one."""

from __future__ import annotations

from devenv.core.errors import DevenvError
from devenv.core.model import Resource
from devenv.core.text import mask_secrets
from devenv.tui.screens.text import TextScreen
from devenv.tui.screens.view import Cluster
from devenv.tui.shown import shown_lines
from devenv.tui.widgets.line import Part


class PreviousScreen(TextScreen):
    """Shows the last words of what was restarted."""

    def __init__(self, cluster: Cluster, resource: Resource) -> None:
        super().__init__(cluster, "PREVIOUS LOG of", resource)

    def read(self) -> list[Part]:
        """Return the log."""
        session = self.cluster.session
        if session is None:
            raise DevenvError("No cluster is open")
        lines = shown_lines(mask_secrets(session.previous_log(self.resource)))
        return [(f"{line}\n", "bold" if line.startswith("── ") else "$foreground") for line in lines]
