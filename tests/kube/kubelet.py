"""A kubelet's port-forward and exec as the API server passes them on: WebSocket, v4.channel.k8s.io.

Frames of a port-forward as seen from Kubernetes 1.36 with containerd 2.1: two messages with the port, then data
on channel 0, or the reason why the port could not be reached on channel 1; at the end, also that of the pod, a close
frame with 1000. Of an exec (k8s.io/apimachinery/pkg/util/remotecommand): stdin on channel 0, stdout 1, stderr 2, and on
channel 3 how it ended; stdin cannot be closed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

from devenv.backends.kube.kinds import PODS
from fakes.api_server.handler import Handler

REFUSED = "error forwarding port 8000 to pod x, uid : dial tcp4 127.0.0.1:8000: connect: connection refused"
GOOD_BYE = b"\x88\x02\x03\xe8"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Kubelet:
    """Answers a pod's port-forward; `serve(pod, received)` returns the answer, None for an end without one."""

    def __init__(self, serve: Callable[[str, bytes], bytes | None]) -> None:
        self.serve = serve
        self.refusing: set[str] = set()  # pods whose port nobody listens on
        self.opened: list[str] = []
        self.open: dict[str, list[socket.socket]] = {}
        self._lock = threading.Lock()

    def answer(self, handler: Handler, path: str, body: bytes) -> None:
        """Speak until either side ends; for `ApiServer.on`."""
        *_, namespace, _, pod, _ = path.split("/")
        handler.api.operations.read(PODS, namespace, pod)  # refuses with 404, as the API server does
        _upgrade(handler)
        with self._lock:
            self.opened.append(pod)
            self.open.setdefault(pod, []).append(handler.connection)
        for channel in (0, 1):
            _send(handler, bytes([channel]) + struct.pack("<H", 8000))
        if pod in self.refusing:
            _send(handler, b"\1" + REFUSED.encode())
            handler.wfile.write(GOOD_BYE)
            return
        while (message := _receive(handler)) is not None:
            told = self.serve(pod, message[1:])
            if told is None:
                handler.wfile.write(GOOD_BYE)
                return
            _send(handler, b"\0" + told)

    def kill(self, pod: str) -> None:
        """End all connections to a pod, as its end does."""
        self._end(pod, GOOD_BYE)

    def cut(self, pod: str) -> None:
        """Break all connections to a pod without a word, as the end of an API server does."""
        self._end(pod, b"")

    def _end(self, pod: str, last: bytes) -> None:
        with self._lock:
            for connection in self.open.pop(pod, []):
                try:
                    connection.sendall(last)
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the other side was faster


class Exec:
    """Answers a pod's exec by running the command on this machine, where a test has put the pod's folders."""

    def __init__(self) -> None:
        self.commands: list[tuple[str, str, list[str]]] = []  # pod, container, words
        self.breaking = False  # the connection breaks before the command has ended

    def answer(self, handler: Handler, path: str, body: bytes) -> None:
        """Speak until the command ends; for `ApiServer.on`."""
        *_, namespace, _, pod, _ = path.split("/")
        handler.api.operations.read(PODS, namespace, pod)
        query = parse_qs(urlsplit(handler.path).query, keep_blank_values=True)
        command = query["command"]
        self.commands.append((pod, query["container"][0], command))
        _upgrade(handler)
        if self.breaking:
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        for channel in (1, 2, 3):
            _send(handler, bytes([channel]))
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
            )
        except FileNotFoundError:
            reason = f'exec: "{command[0]}": executable file not found in $PATH: unknown'
            self._end(handler, {"status": "Failure", "reason": "InternalError", "message": reason})
            return
        feeder = threading.Thread(target=self._feed, args=(handler, process), daemon=True)
        feeder.start()
        assert process.stdout is not None
        while chunk := process.stdout.read(4096):
            _send(handler, b"\1" + chunk)
        process.stdout.close()
        code = process.wait()
        cause = {"reason": "ExitCode", "message": str(code)}
        failure = {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": [cause]}}
        self._end(handler, failure if code else {"status": "Success"})
        feeder.join(10)  # what is sent is read to its end, else the connection would be reset

    @staticmethod
    def _feed(handler: Handler, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with suppress(OSError, ValueError), process.stdin:
            while (message := _receive(handler)) is not None:
                with suppress(BrokenPipeError):
                    process.stdin.write(message[1:])

    @staticmethod
    def _end(handler: Handler, status: dict[str, object]) -> None:
        _send(handler, b"\3" + json.dumps({"kind": "Status", "metadata": {}, **status}).encode())
        handler.wfile.write(GOOD_BYE)
        handler.wfile.flush()


def _upgrade(handler: Handler) -> None:
    key = handler.headers["Sec-WebSocket-Key"].encode()
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept}",
        "Sec-WebSocket-Protocol: v4.channel.k8s.io",
    ]
    handler.wfile.write("\r\n".join([*lines, "", ""]).encode())
    handler.wfile.flush()
    handler.close_connection = True


def _send(handler: Handler, data: bytes) -> None:
    size = len(data)
    if size < 126:
        head = bytes([0x82, size])
    elif size < 1 << 16:
        head = bytes([0x82, 126]) + struct.pack(">H", size)
    else:
        head = bytes([0x82, 127]) + struct.pack(">Q", size)
    handler.wfile.write(head + data)
    handler.wfile.flush()


def _receive(handler: Handler) -> bytes | None:
    head = handler.rfile.read(2)
    if len(head) < 2 or head[0] & 0x0F == 8:
        return None
    size = head[1] & 0x7F
    if size >= 126:
        size = int.from_bytes(handler.rfile.read(2 if size == 126 else 8), "big")
    mask = handler.rfile.read(4)
    data = handler.rfile.read(size)
    return bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))
