"""Where a context leads now: the server and its authority, and the cluster's own uid."""

from __future__ import annotations

import hashlib

from devenv.backends.kube.client import KubeClient
from devenv.control.guard import Place


def place_now(client: KubeClient, namespace: str = "", *, ask: bool = False) -> Place:
    """Return where the client's context leads, from the kubeconfig alone; with `ask` the cluster tells its uid too.

    Raises BadKubeconfig, and with `ask` any KubeError.
    """
    endpoint = client.endpoint()
    authority = hashlib.sha256(endpoint.ca_data.encode()).hexdigest()[:12] if endpoint.ca_data else "none"
    return Place(
        context=client.target.context.name,
        namespace=namespace or client.target.namespace,
        cluster=f"{endpoint.server} (authority {authority})",
        cluster_uid=client.identity() if ask else "",
    )
