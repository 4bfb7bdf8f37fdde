"""`python -m docfront.healthcheck URL`: exit 0 when the address answers 200, else 1 and a line why.

A bare socket: an engine starts this every few seconds, and importing an HTTP library is most of what it would cost.
"""

from __future__ import annotations

import socket
import sys
import time

# Below the time limit of the health check in compose.yaml, so that the reason is printed and kept by the engine.
TIMEOUT = 2.0
MAX_ANSWER = 16 * 1024


def check(url: str, timeout: float = TIMEOUT) -> str | None:
    """Ask `url` once, `timeout` seconds in all; returns None when it answers 200, else the reason."""
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    host, _, port = authority.rpartition(":")
    if scheme != "http" or not host or not port.isdigit():
        return f"{url!r} is not an address like http://127.0.0.1:3000/health"
    try:
        answer = _get(host.strip("[]"), int(port), authority, f"/{path}", time.monotonic() + timeout)
    except OSError as error:
        return f"{url}: {error}"
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/"):
        return f"{url}: the answer is not HTTP"
    if words[1] == b"200":
        return None
    return f"{url}: {words[1].decode(errors='replace')} {' '.join(body.decode(errors='replace').split())[:300]}"


def _get(host: str, port: int, authority: str, path: str, deadline: float) -> bytes:
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: docfront-healthcheck\r\nConnection: close\r\n\r\n"
    )
    answer = b""
    with socket.create_connection((host, port), deadline - time.monotonic()) as connection:
        connection.sendall(request.encode())
        while len(answer) < MAX_ANSWER:
            # One deadline for all: a server that trickles would pass a limit on each step.
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            connection.settimeout(left)
            chunk = connection.recv(MAX_ANSWER)
            if not chunk:
                break
            answer += chunk
    return answer


def main(arguments: list[str]) -> int:
    """Check the one address given; exit code 2 is reserved by the engine and not used."""
    if len(arguments) != 1:
        print("usage: python -m docfront.healthcheck URL")
        return 1
    reason = check(arguments[0])
    print(reason or "ok")
    return 0 if reason is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
