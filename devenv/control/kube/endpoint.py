"""How to open a WebSocket to the cluster that a KubeClient talks to."""

from __future__ import annotations

from functools import lru_cache
from ssl import SSLContext

from devenv import __version__
from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.connection import Endpoint as Server
from devenv.backends.kube.connection import tls_context
from devenv.backends.kube.credentials import Credentials
from devenv.control.kube.websocket import Endpoint


def endpoint_of(client: KubeClient) -> Endpoint:
    """Return the API server's address with the credentials as they are now; may run a credential plugin.

    Raises BadKubeconfig and Unauthorized.
    """
    server, credentials = client.access()
    headers = {"User-Agent": f"devenv/{__version__}"}
    if credentials.authorization:
        headers["Authorization"] = credentials.authorization
    secure = server.server.startswith("https://")
    tls = _tls(server, credentials.certificate, credentials.key) if secure else None
    return Endpoint(server.server, headers, tls, server.server_name, server.proxy)


@lru_cache(maxsize=8)  # a context costs some milliseconds and two files; a forward needs one for each connection
def _tls(server: Server, certificate: str, key: str) -> SSLContext:
    return tls_context(server, Credentials("", certificate, key))
