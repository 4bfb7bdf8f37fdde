"""The server itself: one port of the loopback interface, a store behind it, and the handle that tests hold."""

from __future__ import annotations

import base64
import json
import re
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from socket import SHUT_RDWR, socket
from types import TracebackType
from typing import Self

from devenv.backends.kube.kinds import NAMESPACES, NODES, Kind
from fakes.api_server.controllers import Controllers
from fakes.api_server.faults import Faults
from fakes.api_server.handler import Handler, Listener
from fakes.api_server.operations import Operations
from fakes.api_server.patches import merge
from fakes.api_server.samples import namespace_object, node_object
from fakes.api_server.served import Served
from fakes.api_server.status import Object
from fakes.api_server.store import Store
from fakes.api_server.streams import Logs, Watches

Route = Callable[[Handler, str, bytes], None]


class ApiServer:
    """An API server on 127.0.0.1. `certificate` (PEM, with its key): HTTPS; `client_ca`: clients need one too."""

    def __init__(
        self,
        *,
        certificate: Path | None = None,
        client_ca: Path | None = None,
        namespaces: Sequence[str] = ("default",),
    ) -> None:
        self.faults = Faults()
        self.served = Served()
        self.logs = Logs()
        self.watches = Watches()
        self.aggregated_discovery = True
        self.clock = time.monotonic
        self.requests: Counter[str] = Counter()
        self.queries: list[tuple[str, str, dict[str, str]]] = []
        self.connections: set[socket] = set()
        self.port = 0
        self._certificate = certificate
        self._client_ca = client_ca
        self._namespaces = tuple(namespaces)
        self._listener: Listener | None = None
        self._routes: list[tuple[str, re.Pattern[str], Route]] = []
        self._fill(1000)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.controllers.stop()
        self.stop()

    @property
    def url(self) -> str:
        return f"{'https' if self._certificate else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen; on the same port again after `stop`."""
        listener = Listener(("127.0.0.1", self.port), Handler)
        listener.api, listener.stopping = self, threading.Event()
        if self._certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificate)
            if self._client_ca is not None:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(self._client_ca)
            listener.socket = context.wrap_socket(listener.socket, server_side=True, do_handshake_on_connect=False)
        self.port = listener.server_address[1]
        self._listener = listener
        threading.Thread(target=listener.serve_forever, args=(0.02,), name="api-server", daemon=True).start()

    def stop(self) -> None:
        """Go away: nothing listens any more, and all connections are closed in the middle."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        listener.stopping.set()
        listener.shutdown()
        listener.server_close()
        for connection in tuple(self.connections):
            try:
                connection.shutdown(SHUT_RDWR)
            except OSError:
                continue  # its client was faster

    def restart(self) -> None:
        """Stop and start on the same port, with everything as it was."""
        self.stop()
        self.start()

    def new_cluster(self, *, breaking: bool = True) -> None:
        """Be another cluster at the same address: nothing of the old one, versions begin anew, connections break.

        With `breaking` False they stay, as where a proxy holds them: for a server that hangs.
        """
        if breaking:
            self.stop()
        self.controllers.stop()
        self._fill(1)
        if breaking:
            self.start()

    def kubeconfig(
        self, path: Path, context: str = "minikube", *, namespace: str = "", user: Object | None = None, ca: str = ""
    ) -> Path:
        """Write a kubeconfig with this server as its current context; `user` as in a kubeconfig, `ca` as PEM."""
        cluster: Object = {"server": self.url}
        if ca:
            cluster["certificate-authority-data"] = base64.b64encode(ca.encode()).decode()
        names: Object = {"cluster": context, "user": context}
        if namespace:
            names["namespace"] = namespace
        told = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "clusters": [{"name": context, "cluster": cluster}],
            "users": [{"name": context, "user": user or {}}],
            "contexts": [{"name": context, "context": names}],
        }
        path.write_text(json.dumps(told), encoding="utf-8")
        return path

    def put(self, *contents: Object) -> Object:
        """Create or replace objects as they are, status included, without checks; returns the last as it is stored."""
        stored: Object = {}
        for content in contents:
            kind = self.served.of(content)
            content = json.loads(json.dumps(content))
            if kind.namespaced:
                content["metadata"].setdefault("namespace", "default")
            stored = self.store.write(kind, content).content
        return json.loads(json.dumps(stored))  # type: ignore[no-any-return]  # an object of ours

    def change(self, kind: Kind | str, name: str, patch: Object, namespace: str = "default") -> Object:
        """Merge-patch an object as the cluster's own controllers would, status included."""
        found = self.served.named(kind)
        with self.store.changed:
            before = self.operations.read(found, namespace if found.namespaced else "", name)
            return self.store.write(found, merge(before, patch)).content

    def delete(self, kind: Kind | str, name: str, namespace: str = "default") -> None:
        """Take an object away with all that it owns."""
        found = self.served.named(kind)
        self.operations.remove(found, self.operations.read(found, namespace if found.namespaced else "", name))

    def get(self, kind: Kind | str, name: str, namespace: str = "default") -> Object | None:
        found = self.served.named(kind)
        entry = self.store.get(found, namespace if found.namespaced else "", name)
        return json.loads(entry.raw) if entry else None

    def objects(self, kind: Kind | str, namespace: str | None = None) -> list[Object]:
        """Return all objects of a kind, of one namespace or of all."""
        return [json.loads(entry.raw) for entry in self.store.all(self.served.named(kind), namespace)]

    def on(self, method: str, pattern: str, answer: Route) -> None:
        """Answer requests whose whole path matches with a function of the test's: answer(handler, path, body)."""
        self._routes.insert(0, (method, re.compile(pattern), answer))

    def route(self, method: str, path: str) -> Route | None:
        return next((do for verb, pattern, do in self._routes if verb == method and pattern.fullmatch(path)), None)

    def note(self, method: str, path: str, query: dict[str, str]) -> None:
        word = "WATCH" if query.get("watch") else method
        self.requests[f"{word} {path}"] += 1
        self.queries.append((word, path, query))

    def count(self, word: str = "", part: str = "") -> int:
        """How many requests came: of a method (or WATCH), with a part of the path."""
        return sum(
            number for key, number in self.requests.items() if key.startswith(word) and part in key.partition(" ")[2]
        )

    def _fill(self, version: int) -> None:
        self.store = Store(version)
        self.operations = Operations(self.store, self.served)
        self.controllers = Controllers(self)
        self.operations.admission.append(self.controllers.admit)
        for name in dict.fromkeys((*self._namespaces, "kube-system")):
            self.store.write(NAMESPACES, namespace_object(name))
        self.store.write(NODES, node_object("minikube"))

    def __repr__(self) -> str:
        return f"ApiServer({self.url})"
