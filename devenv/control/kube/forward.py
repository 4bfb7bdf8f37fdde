"""A port-forward that keeps its local port: each connection is led to a pod that is ready at that moment.

`kubectl port-forward` ends, or goes on refusing, when its pod is replaced (kubernetes/kubectl#686). Here a listener of
our own takes each connection, holds it while no pod is ready, and opens a stream of its own to the pod: the API's
WebSocket form (v4.channel.k8s.io; kubelet, pkg/kubelet/server/portforward). It cannot tell the pod that a client
closed only its sending side.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import NotFound, Unreachable
from devenv.backends.kube.kinds import PODS
from devenv.control.kube.endpoint import endpoint_of
from devenv.control.kube.forward_pods import NoPod, PodFinder, PodPort
from devenv.control.kube.forward_pump import Broken, NotReached, Pump
from devenv.control.kube.forward_stats import ForwardStats, Traffic
from devenv.control.kube.websocket import HandshakeRefused, WebSocket, connect
from devenv.core.errors import DevenvError, PortTaken

PATIENCE = 10.0  # seconds that a connection is held while no pod takes it
FRESH = 1.0  # seconds that a found pod is taken for the right one without asking again
MOST = 512  # connections at a time
_OPEN_TIMEOUT = 5.0  # seconds for one handshake with the API server
_PAUSE = 0.2  # seconds between two tries
_PROTOCOL = "v4.channel.k8s.io"


class Forward:
    """Leads a local port to `port` (number or name) of a service, workload or pod.

    `spread`: each connection goes to the next ready pod in turn, else all to one as long as it is ready.
    `unready`: of a workload or pod, one that runs will do where none is ready: to ask it why it is not.
    `tell` is called from a thread with a sentence when the pod changes or none is there.
    """

    def __init__(
        self,
        client: KubeClient,
        kind: str,
        name: str,
        port: int | str,
        local_port: int = 0,
        *,
        namespace: str = "",
        spread: bool = False,
        unready: bool = False,
        patience: float = PATIENCE,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._client = client
        self._finder = PodFinder(client, kind, name, port, namespace or client.target.namespace, unready=unready)
        self._local_port = local_port
        self._spread = spread
        self._patience = patience
        self._tell = tell
        self._traffic = Traffic()
        self._found: list[PodPort] = []
        self._found_at = 0.0
        self._turn = 0
        self._current: PodPort | None = None
        self._finding: asyncio.Lock | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> int:
        """Begin to listen on 127.0.0.1 and return the local port; no ready pod yet is no error.

        Raises PortTaken, UsageError for a port that the target does not have, NotFound and other KubeErrors.
        """
        try:
            self._take(self._finder.find())
        except NoPod as error:
            self._traffic.waiting(error.message)
        listener = listen(self._local_port)
        self._local_port = listener.getsockname()[1]
        started: Future[None] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listener, started)), name=f"forward-{self._local_port}", daemon=True
        )
        self._thread.start()
        started.result()
        return self._local_port

    def stats(self) -> ForwardStats:
        """Return what it leads to now and what went through; from any thread."""
        return self._traffic.snapshot(self._finder.title, self._finder.namespace, self._local_port, self._current)

    def close(self) -> None:
        """Close the port and all its connections, and wait for that; safe to call twice and before `start`."""
        loop, stop, thread = self._loop, self._stop, self._thread
        if loop is None or stop is None or thread is None or not thread.is_alive():
            return
        loop.call_soon_threadsafe(stop.set)
        thread.join(5.0)

    def __enter__(self) -> Forward:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _serve(self, listener: socket.socket, started: Future[None]) -> None:
        self._loop, self._stop, self._finding = asyncio.get_running_loop(), asyncio.Event(), asyncio.Lock()
        tasks: set[asyncio.Task[None]] = set()

        def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._connection(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(take, sock=listener)
        started.set_result(None)
        await self._stop.wait()
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._traffic.opened() > MOST:
            self._traffic.failed(f"more than {MOST} connections at a time")
            _reset(writer)
            self._traffic.closed()
            return
        try:
            await self._lead(reader, writer)
        except (OSError, DevenvError) as error:
            self._traffic.failed(_text(error))
            _reset(writer)
        finally:
            self._traffic.closed()
            writer.close()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        deadline = time.monotonic() + self._patience
        kept = bytearray()
        while True:
            try:
                stream = await self._open()
                try:
                    await Pump(stream, reader, writer, kept, self._traffic).run()
                finally:
                    await stream.close()
                return
            except (OSError, NoPod, HandshakeRefused, NotReached, Unreachable, NotFound) as error:
                self._found_at = 0.0
                refused = isinstance(error, HandshakeRefused) and error.status == 403
                if refused or time.monotonic() >= deadline:
                    raise
                self._traffic.waiting(_text(error))
                await asyncio.sleep(_PAUSE)
            except Broken:
                self._found_at = 0.0  # the pod may be gone: the next connection looks anew
                raise

    async def _open(self) -> WebSocket:
        assert self._finding is not None
        async with self._finding:  # many connections at once cost one look
            if not self._found or time.monotonic() - self._found_at > FRESH:
                self._take(await asyncio.to_thread(self._finder.find))
        target = self._choose()
        endpoint = await asyncio.to_thread(endpoint_of, self._client)
        path = f"{PODS.path(target.namespace, target.pod, 'portforward')}?ports={target.port}"
        stream = await connect(endpoint, path, _PROTOCOL, _OPEN_TIMEOUT)
        self._traffic.ready()
        return stream

    def _choose(self) -> PodPort:
        if self._spread:
            self._turn += 1
            return self._found[self._turn % len(self._found)]
        assert self._current is not None
        return self._current

    def _take(self, found: list[PodPort]) -> None:
        self._found, self._found_at = found, time.monotonic()
        before = self._current
        if before is not None and any(item.uid == before.uid for item in found):
            return
        self._current = found[0]
        if before is not None:
            self._traffic.replaced()
            self._tell(f"{self._finder.title} now leads to pod {found[0].pod}; it was {before.pod}")


def listen(port: int) -> socket.socket:
    """Return a listening socket on the loopback interface, 0 for any free port; raises PortTaken.

    Its connections send at once (TCP_NODELAY). asyncio sets that only where a socket names its protocol, and
    create_server's does not: the second piece of an answer waits until the first is acknowledged (40 ms, measured).
    """
    try:
        listener = socket.create_server(("127.0.0.1", port), backlog=128)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        why = "in use" if error.errno == errno.EADDRINUSE else "not for this user (below 1024)"
        raise PortTaken(
            f"The local port {port} is {why}", "Choose another one, or none: a free one is taken."
        ) from error
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _text(error: OSError | DevenvError) -> str:
    return error.message if isinstance(error, DevenvError) else str(error) or type(error).__name__


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the client sees a reset, and not an end that looks like a whole answer."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
