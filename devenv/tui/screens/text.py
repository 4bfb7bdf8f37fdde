"""A text that is read once from the cluster, to scroll through."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from textual.binding import Binding, BindingType

from devenv.core.errors import DevenvError
from devenv.core.model import Resource
from devenv.tui.screens.view import Cluster, ClusterView
from devenv.tui.shown import shown
from devenv.tui.widgets.line import Part


class TextScreen(ClusterView):
    """Reads in a thread; r reads again."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("r", "read", "read again", id="text.read")]

    def __init__(self, cluster: Cluster, title: str, resource: Resource) -> None:
        super().__init__(cluster, f"{title} {resource.kind} {resource.name}")
        self.resource = resource
        self._parts: list[Part] = [("reading…\n", "$quiet")]

    @abstractmethod
    def read(self) -> list[Part]:
        """Return the text; blocks, raises DevenvError."""

    def on_mount(self) -> None:
        """Begin to read."""
        self.action_read()

    def action_read(self) -> None:
        """Read it, or read it again."""
        self.run_worker(self._work, thread=True, exclusive=True)

    def _work(self) -> None:
        try:
            found = self.read()
        except DevenvError as error:
            found = [(f"✗ {shown(error.message)}\n", "$error"), (f"→ {shown(error.hint)}\n" if error.hint else "", "")]
        self.app.call_from_thread(self._take, found)

    def _take(self, found: list[Part]) -> None:
        self._parts = found
        self.show()

    def parts(self, width: int) -> list[Part]:
        """Return what was read."""
        return self._parts
