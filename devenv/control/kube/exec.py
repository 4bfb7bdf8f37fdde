"""A command in a container of a pod, as `kubectl exec` and `kubectl cp` do it: the API's WebSocket form.

Each message begins with its channel: 0 stdin, 1 stdout, 2 stderr, 3 how it ended, as a Status
(v4.channel.k8s.io; k8s.io/apimachinery/pkg/util/remotecommand). This form cannot close stdin alone: a command that
reads must know where its input ends.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Final
from urllib.parse import urlencode

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError, NotFound, Unreachable
from devenv.backends.kube.kinds import PODS
from devenv.control.kube.websocket import HandshakeRefused, WebSocket, connect, endpoint_of
from devenv.core.text import sanitize

_PROTOCOL: Final = "v4.channel.k8s.io"
_CONNECT_WITHIN: Final = 10.0  # seconds
_CHUNK: Final = 1 << 17
_OUTPUT: Final = 1 << 20  # bytes of what a command writes that are kept, the newest
_STDIN, _STDOUT, _STDERR, _END = (bytes([channel]) for channel in range(4))


def run_in_pod(
    client: KubeClient,
    namespace: str,
    pod: str,
    container: str,
    command: Sequence[str],
    *,
    stdin: IO[bytes] | None = None,
    within: float = 600.0,
) -> tuple[int, bytes]:
    """Run a command and return its exit code and what it wrote on both streams; `stdin` is sent to its end.

    Blocks for at most `within` seconds. Raises NotFound for a pod that is gone, Unreachable, and KubeError for what
    the cluster refuses: 126 and 127 are the codes of a command that is not there, as a shell has them.
    """
    query = [("command", word) for word in command] + [("container", container), ("stdout", "1"), ("stderr", "1")]
    query += [("stdin", "1")] if stdin is not None else []
    path = f"{PODS.path(namespace, pod)}/exec?{urlencode(query)}"
    try:
        return asyncio.run(asyncio.wait_for(_converse(client, path, stdin), within))
    except HandshakeRefused as error:
        kind = NotFound if error.status == 404 else KubeError
        raise kind(f"pod {sanitize(pod)}: {error.message}", status=error.status) from error
    except TimeoutError as error:
        raise KubeError(f"{sanitize(command[0])} in pod {sanitize(pod)} did not end within {within:g} s") from error
    except OSError as error:
        raise Unreachable(f"The connection to pod {sanitize(pod)} broke: {sanitize(str(error))}") from error


async def _converse(client: KubeClient, path: str, stdin: IO[bytes] | None) -> tuple[int, bytes]:
    socket = await connect(endpoint_of(client), path, _PROTOCOL, _CONNECT_WITHIN)
    sending = asyncio.create_task(_send(socket, stdin)) if stdin is not None else None
    output, end = bytearray(), b""
    try:
        while (message := await socket.receive()) is not None:
            if message[:1] in (_STDOUT, _STDERR):
                output += message[1:]
                del output[:-_OUTPUT]
            elif message[:1] == _END:
                end += message[1:]
    finally:
        if sending is not None:
            sending.cancel()
            with suppress(asyncio.CancelledError, OSError):  # a command that ended early reads no more
                await sending
        await socket.close()
    return _code(end), bytes(output)


async def _send(socket: WebSocket, stdin: IO[bytes]) -> None:
    while chunk := stdin.read(_CHUNK):
        await socket.send(_STDIN + chunk)


def _code(end: bytes) -> int:
    """Read how it ended: metav1.Status with the cause ExitCode; what could not be started has none."""
    try:
        status = json.loads(end)
        if status["status"] == "Success":
            return 0
        causes = (status.get("details") or {}).get("causes") or ()
        code = next((int(item["message"]) for item in causes if item.get("reason") == "ExitCode"), None)
        message = str(status.get("message", ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unreachable("The connection ended before the command did") from error
    if code is not None:
        return code
    if "not found" in message or "no such file" in message:
        return 127
    raise KubeError(sanitize(message) or "The command could not be run")
