"""Ask a service for one URL: `python -m docshared.healthcheck http://127.0.0.1:8000/ready [SECONDS]`.

Exit code 0 when the status is 200, else 1 and a line why; 2 is reserved by the engine and not used. A bare socket: an
engine starts this every few seconds, and importing an HTTP library is most of what it would cost.
"""

from __future__ import annotations

import socket
import sys
import time

AGENT = "docsearch-healthcheck"
# Below the time limit of the health checks in compose.yaml, so that the reason is printed and kept by the engine.
TIMEOUT = 3.0
MAX_ANSWER = 65536  # bytes; enough to show why the answer is bad


def fetch(url: str, timeout: float = TIMEOUT) -> tuple[int, str]:
    """GET an http:// URL, `timeout` seconds in all; return its status and the beginning of its body.

    Raises OSError, and ValueError for what is no such URL or no answer of HTTP.
    """
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    host, _, port = authority.rpartition(":") if ":" in authority.rpartition("]")[2] else (authority, "", "80")
    if scheme != "http" or not host or not port.isdecimal():
        raise ValueError("it is not an address like http://127.0.0.1:3000/health")
    answer = _get(host.strip("[]"), int(port), authority, f"/{path}", time.monotonic() + timeout)
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise ValueError("the answer is not HTTP")
    return int(words[1]), body.decode(errors="replace")


def _get(host: str, port: int, authority: str, path: str, deadline: float) -> bytes:
    request = f"GET {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {AGENT}\r\nConnection: close\r\n\r\n"
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
    """Run the check and print one line: the end of it is what `docker inspect` shows for an unhealthy container."""
    if not 1 <= len(arguments) <= 2:
        print("usage: python -m docshared.healthcheck URL [SECONDS]")
        return 1
    try:
        status, body = fetch(arguments[0], float(arguments[1]) if len(arguments) == 2 else TIMEOUT)
    except (OSError, ValueError) as error:
        print(f"{arguments[0]}: {error}")
        return 1
    print(f"{status} {' '.join(body.split())[:300]}")
    return 0 if status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
