"""Puts a cluster beside the Compose project: the screen for both, and what both read and change by."""

from __future__ import annotations

from collections.abc import Callable

from devenv.backends.joined import JoinedBackend
from devenv.backends.protocol import Backend
from devenv.control.joined import JoinedControl
from devenv.control.protocol import Control
from devenv.tui.kube.session import Connector
from devenv.tui.screens.cluster import ClusterScreen


def cluster_screen(
    backend: Backend, control: Control, title: str, connector: Connector, *, wake: Callable[[], None] | None = None
) -> tuple[ClusterScreen, Backend, Control]:
    """Return the screen with the joined backend and control; nothing of the cluster is read before it is painted.

    `wake` is given where both were started already, with that function.
    """
    readers, changers = JoinedBackend(backend, wake=wake), JoinedControl(control, wake=wake)
    return ClusterScreen(readers, changers, title, connector), readers, changers
