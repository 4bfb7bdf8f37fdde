"""Texts that are read once from the cluster, to scroll through: YAML, description, and the log of the run before."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.binding import Binding, BindingType

from devenv.core.errors import DevenvError
from devenv.core.model import Resource
from devenv.core.text import mask_secrets
from devenv.tui.kube.session import ClusterSession
from devenv.tui.kube.view import Cluster, ClusterView
from devenv.tui.shown import shown, shown_lines
from devenv.tui.widgets.line import Part

Read = Callable[[ClusterSession, Resource], list[Part]]  # blocks, raises DevenvError


class TextScreen(ClusterView):
    """Reads in a thread; r reads again. `with_events` puts what happens to the object below, as it comes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("r", "read", "read again", id="text.read")]

    def __init__(
        self, cluster: Cluster, title: str, resource: Resource, read: Read, *, with_events: bool = False
    ) -> None:
        super().__init__(cluster, f"{title} {resource.kind} {resource.name}")
        self._resource = resource
        self._read = read
        self._with_events = with_events
        self._parts: list[Part] = [("reading…\n", "$quiet")]

    def on_mount(self) -> None:
        """Begin to read."""
        self.action_read()

    def action_read(self) -> None:
        """Read it, or read it again."""
        self.run_worker(self._work, thread=True, exclusive=True)

    def _work(self) -> None:
        try:
            if self.cluster.session is None:
                raise DevenvError("No cluster is open")
            found = self._read(self.cluster.session, self._resource)
        except DevenvError as error:
            found = [(f"✗ {shown(error.message)}\n", "$error"), (f"→ {shown(error.hint)}\n" if error.hint else "", "")]
        self.app.call_from_thread(self._take, found)

    def _take(self, found: list[Part]) -> None:
        self._parts = found
        self.show()

    def parts(self, width: int) -> list[Part]:
        """Return what was read."""
        if not self._with_events:
            return self._parts
        from devenv.tui.kube.detail import events

        return self._parts + events(self.cluster.store.happenings(self._resource.key))


def read_yaml(session: ClusterSession, resource: Resource) -> list[Part]:
    """Return what the API server has, without what only it and other clients write for themselves; secrets masked."""
    from devenv.tui.kube.objects import yaml_parts

    return yaml_parts(session.read(resource))


def read_description(session: ClusterSession, resource: Resource) -> list[Part]:
    """Return what `kubectl describe` says without the events; values of secrets are masked."""
    from devenv.tui.kube.objects import describe_parts

    return describe_parts(session.read(resource))


def read_previous_log(session: ClusterSession, pod: Resource) -> list[Part]:
    """Return what the containers of a pod wrote in their run before the present one."""
    lines = shown_lines(mask_secrets(session.previous_log(pod)))
    return [(f"{line}\n", "bold" if line.startswith("── ") else "$foreground") for line in lines]
