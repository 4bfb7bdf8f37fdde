"""A port-forward that keeps its local port: each connection is led to a pod that is ready at that moment.

`kubectl port-forward` ends, or goes on refusing, when its pod is replaced (kubernetes/kubectl#686). Here a listener of
our own takes each connection, holds it while no pod is ready, and opens a stream of its own to the pod: the API's
WebSocket form (v4.channel.k8s.io; kubelet, pkg/kubelet/server/portforward). It cannot tell the pod that a client
closed only its sending side.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import NotFound, Unreachable
from devenv.backends.kube.kinds import PODS
from devenv.control.kube.forward_pods import NoPod, PodFinder, PodPort
from devenv.control.kube.websocket import HandshakeRefused, WebSocket, connect, endpoint_of
from devenv.core.errors import DevenvError, PortTaken
from devenv.core.text import sanitize


@dataclass(frozen=True, slots=True)
class ForwardStats:
    """One port-forward now. Bytes are those of the connections' contents; `seconds` since it began.

    `waiting` says why no pod takes connections, "" while one does; `error` is the last connection that failed.
    """

    target: str  # "service/web:80"
    namespace: str
    local_port: int
    pod: str
    pod_port: int
    seconds: float
    open: int
    connections: int
    failed: int
    sent: int
    received: int
    replacements: int  # how often another pod took the place of the one before
    waiting: str = ""
    error: str = ""


class Traffic:
    """Counts; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._open = self._connections = self._failed = self._sent = self._received = self._replacements = 0
        self._waiting = self._error = ""

    def opened(self) -> int:
        """Count a new connection; return how many are open."""
        with self._lock:
            self._open += 1
            self._connections += 1
            return self._open

    def closed(self) -> None:
        """Count one less that is open."""
        with self._lock:
            self._open -= 1

    def failed(self, why: str) -> None:
        """Count a connection that broke or was never made."""
        with self._lock:
            self._failed += 1
            self._error = why

    def sent(self, size: int) -> None:
        """Count bytes towards the pod."""
        with self._lock:
            self._sent += size

    def received(self, size: int) -> None:
        """Count bytes from the pod."""
        with self._lock:
            self._received += size

    def replaced(self) -> None:
        """Count a change of the pod."""
        with self._lock:
            self._replacements += 1

    def waiting(self, why: str) -> None:
        """Remember why connections have to wait."""
        with self._lock:
            self._waiting = why

    def ready(self) -> None:
        """Forget why connections had to wait."""
        with self._lock:
            self._waiting = ""

    def snapshot(self, target: str, namespace: str, local_port: int, pod: PodPort | None) -> ForwardStats:
        """Return all of it at one moment."""
        with self._lock:
            return ForwardStats(
                target=target,
                namespace=namespace,
                local_port=local_port,
                pod=pod.pod if pod else "",
                pod_port=pod.port if pod else 0,
                seconds=time.monotonic() - self._began,
                open=self._open,
                connections=self._connections,
                failed=self._failed,
                sent=self._sent,
                received=self._received,
                replacements=self._replacements,
                waiting=self._waiting,
                error=self._error,
            )


# Seconds of silence from the pod after which a client that stopped sending is taken for gone. A client may close its
# sending side alone and wait: it does so for an answer that has not come yet.
LINGER_ANSWERED = 0.1
LINGER_WAITING = 5.0
_KEPT = 64 << 10  # bytes of a client that are kept to be sent again, when the pod could not be reached at all
_CHUNK = 32 << 10
_DATA, _ERROR = b"\0", b"\1"
# What container runtimes say when they could not connect to the port inside the pod (containerd, CRI-O, cri-dockerd).
_UNREACHED = re.compile(r"refused|failed to (?:dial|connect|find)|not running|not found|is closed|no such", re.I)


class NotReached(DevenvError):
    """The pod's port could not be reached, and nothing of the client arrived there: another try is safe."""


class Broken(DevenvError):
    """The connection broke after something may have arrived: only the client knows whether to try again."""


class Pump:
    """Carries one connection. `kept` is what the client sent so far, as long as nothing came back."""

    def __init__(
        self,
        stream: WebSocket,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        kept: bytearray,
        traffic: Traffic,
    ) -> None:
        self._stream = stream
        self._reader = reader
        self._writer = writer
        self._kept = kept
        self._traffic = traffic
        self._answered = False
        self._overfull = len(kept) > _KEPT
        self._heard = self._said = time.monotonic()

    async def run(self) -> None:
        """Carry until one side ends. Raises NotReached and Broken."""
        up, down = asyncio.ensure_future(self._up()), asyncio.ensure_future(self._down())
        try:
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            if up.done() and up.exception() is None:
                await self._linger(down)
            for task in (down, up):
                if task.done():
                    task.result()
        except OSError as error:
            raise self._failure(str(error) or type(error).__name__) from error
        finally:
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _linger(self, down: asyncio.Task[None]) -> None:
        ended = time.monotonic()
        while not down.done():
            patience = LINGER_ANSWERED if self._heard > self._said else LINGER_WAITING
            left = max(ended, self._heard) + patience - time.monotonic()
            if left <= 0:
                return
            await asyncio.wait((down,), timeout=left)

    async def _up(self) -> None:
        if self._kept:
            await self._stream.send(_DATA + bytes(self._kept))
        while True:
            try:
                data = await self._reader.read(_CHUNK)
            except ConnectionError:
                return  # the client is gone
            if not data:
                return
            if not self._answered:
                self._kept += data
                self._overfull = len(self._kept) > _KEPT
            self._traffic.sent(len(data))
            self._said = time.monotonic()
            await self._stream.send(_DATA + data)

    async def _down(self) -> None:
        named: set[bytes] = set()  # the first message of each channel is the port's number
        while (message := await self._stream.receive()) is not None:
            channel, data = message[:1], message[1:]
            if channel not in named:
                named.add(channel)
                data = data[2:]
            if not data:
                continue
            if channel == _ERROR:
                raise self._failure(sanitize(data).strip(), unreached=bool(_UNREACHED.search(sanitize(data))))
            self._answered = True
            self._kept.clear()
            self._heard = time.monotonic()
            self._traffic.received(len(data))
            try:
                self._writer.write(data)
                await self._writer.drain()
            except ConnectionError:
                return  # the client is gone
        if not self._answered and self._kept:
            raise self._failure("the pod closed the connection without an answer")

    def _failure(self, message: str, *, unreached: bool = False) -> DevenvError:
        if self._answered or self._overfull or (self._kept and not unreached):
            return Broken(message)
        return NotReached(message)


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
        self._pods: list[PodPort] = []
        self._looked_at = 0.0
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
                self._looked_at = 0.0
                refused = isinstance(error, HandshakeRefused) and error.status == 403
                if refused or time.monotonic() >= deadline:
                    raise
                self._traffic.waiting(_text(error))
                await asyncio.sleep(_PAUSE)
            except Broken:
                self._looked_at = 0.0  # the pod may be gone: the next connection looks anew
                raise

    async def _open(self) -> WebSocket:
        assert self._finding is not None
        async with self._finding:  # many connections at once cost one look
            if not self._pods or time.monotonic() - self._looked_at > FRESH:
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
            return self._pods[self._turn % len(self._pods)]
        assert self._current is not None
        return self._current

    def _take(self, pods: list[PodPort]) -> None:
        self._pods, self._looked_at = pods, time.monotonic()
        before = self._current
        if before is not None and any(item.uid == before.uid for item in pods):
            return
        self._current = pods[0]
        if before is not None:
            self._traffic.replaced()
            self._tell(f"{self._finder.title} now leads to pod {pods[0].pod}; it was {before.pod}")


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
