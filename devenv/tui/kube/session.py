"""What the terminal asks of a cluster beyond the protocols of all runtimes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from devenv.backends.protocol import Backend
from devenv.control.protocol import Control, Plan
from devenv.core.model import Resource

if TYPE_CHECKING:
    from devenv.backends.kube.kinds import Kind
    from devenv.backends.kube.kubeconfig import Contexts, Target
    from devenv.control.kube.forward import ForwardStats


class ClusterBackend(Backend, Protocol):
    """A backend that reads a cluster."""

    def watch_kinds(self, kinds: Collection[Kind], namespace: str | None) -> None:
        """Watch exactly these kinds from now on, in one namespace or (None) in all."""
        ...

    def switch(self, target: Target) -> None:
        """Read another context or namespace: everything of the one before is gone."""
        ...


class Forwarding(Protocol):
    """A local port that leads to pods."""

    def stats(self) -> ForwardStats:
        """Return what went through."""
        ...

    def close(self) -> None:
        """Close it with its connections."""
        ...


class ClusterSession(Protocol):
    """One cluster and namespace at a time. What blocks says so: it is called in a thread."""

    @property
    def target(self) -> Target:
        """The cluster and the namespace."""
        ...

    @property
    def backend(self) -> ClusterBackend:
        """What reads it."""
        ...

    @property
    def control(self) -> Control:
        """What changes it."""
        ...

    @property
    def may_change(self) -> bool:
        """Whether the context is on the allow-list and devenv is not read-only."""
        ...

    def move(self, target: Target) -> None:
        """Go to another context or namespace."""
        ...

    def kinds(self) -> tuple[Kind, ...]:
        """Return all kinds that the cluster serves; blocks, raises KubeError."""
        ...

    def namespaces(self) -> tuple[str, ...]:
        """Return the names of all namespaces; blocks, raises KubeError."""
        ...

    def read(self, resource: Resource) -> Mapping[str, Any]:
        """Return the whole object; blocks, raises KubeError."""
        ...

    def compose_service(self, name: str) -> Mapping[str, Any]:
        """Return a service of Compose's canonical document; blocks, raises ProjectError and ToolMissing."""
        ...

    def config_map(self, namespace: str, name: str) -> Mapping[str, str]:
        """Return a ConfigMap's data; blocks, raises KubeError."""
        ...

    def previous_log(self, pod: Resource) -> str:
        """Return what the containers before the present ones wrote; blocks, raises KubeError."""
        ...

    def forward(self, resource: Resource, port: str, local_port: int) -> Forwarding:
        """Open a port-forward; blocks, raises DevenvError."""
        ...

    def plan(self, verb: str, resource: Resource, argument: str = "") -> Plan:
        """Weigh a change; raises DevenvError. `argument` is what the verb needs: replicas, a revision."""
        ...

    def kubectl(self, namespace: str, *arguments: str) -> list[str]:
        """Return a command line of kubectl for this context; raises ToolMissing."""
        ...

    def hand_over(self, plan: Plan, command: list[str]) -> int:
        """Let the guard pass the plan, run the command in this terminal and return its exit code; raises Refused."""
        ...


class Connector(Protocol):
    """Makes a session; called after the first paint. `alone`: there is no project beside it."""

    alone: bool

    def connect(self) -> ClusterSession | None:
        """Return the cluster to show, None where none is to be shown unasked; blocks, raises DevenvError."""
        ...

    def contexts(self) -> Contexts:
        """Return all contexts of the kubeconfig; reads files, raises BadKubeconfig."""
        ...

    def may_change(self, context: str) -> bool:
        """Return whether that context is on the allow-list."""
        ...

    def target(self, context: str) -> Target:
        """Return the place that a context names; reads files, raises BadKubeconfig."""
        ...

    def open(self, context: str) -> ClusterSession:
        """Return a session of that context; blocks, raises DevenvError."""
        ...

    def stamp(self) -> object:
        """Return what differs after the kubeconfig was changed; reads no more than the files' times."""
        ...

    def current(self) -> str:
        """Return the kubeconfig's current context; reads files, raises BadKubeconfig."""
        ...
