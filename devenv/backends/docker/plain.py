"""One plain HTTP/1.0 request on the engine's unix socket, for what must be there before the SDK can be imported."""

from __future__ import annotations

import socket
from typing import Final

ANSWER_WITHIN: Final = 2.0  # seconds; later than that, the SDK's answer is as early
LARGEST: Final = 16 * 1024 * 1024  # bytes of an answer


def ask(path: str, query: str) -> bytes:
    """Return the body of what the engine at this socket answers; raises OSError, ValueError for any other answer."""
    request = f"GET {query} HTTP/1.0\r\nHost: docker\r\nConnection: close\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as engine:
        engine.settimeout(ANSWER_WITHIN)
        engine.connect(path)
        engine.sendall(request.encode())
        answer = bytearray()
        while data := engine.recv(65536):
            answer += data
            if len(answer) > LARGEST:
                raise ValueError("too large")
    head, separator, body = bytes(answer).partition(b"\r\n\r\n")
    if not separator or b" 200 " not in head.split(b"\r\n")[0] + b" " or b"chunked" in head.lower():
        raise ValueError("not the answer that was asked for")
    return body
