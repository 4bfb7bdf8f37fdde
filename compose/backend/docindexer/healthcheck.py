"""Ask the service for one URL: `python -m docindexer.healthcheck http://127.0.0.1:8000/ready [SECONDS]`.

Exit code 0 when the status is 200, 1 otherwise, 2 for a wrong call. A plain socket instead of an HTTP library, because
a container engine starts this every few seconds and imports are most of what it costs.
"""

from __future__ import annotations

import socket
import sys

MAX_ANSWER = 65536  # bytes; enough to show why the answer is bad


def fetch(url: str, timeout: float) -> tuple[int, str]:
    """GET an http:// URL and return its status and the beginning of its body; raises OSError or ValueError."""
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    host, _, port = authority.rpartition(":") if ":" in authority.rpartition("]")[2] else (authority, "", "80")
    if scheme != "http" or not host or not port.isdigit():
        raise ValueError(f"{url!r} is not a URL like http://host:port/path")
    request = (
        f"GET /{path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: docindexer-healthcheck\r\nConnection: close\r\n\r\n"
    )
    answer = b""
    with socket.create_connection((host.strip("[]"), int(port)), timeout) as connection:
        connection.sendall(request.encode())
        while len(answer) < MAX_ANSWER and (chunk := connection.recv(MAX_ANSWER)):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise ValueError("the answer is not HTTP")
    return int(words[1]), body.decode(errors="replace")


def main(arguments: list[str]) -> int:
    """Run the check and print one line: the end of it is what `docker inspect` shows for an unhealthy container."""
    if not 1 <= len(arguments) <= 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        status, body = fetch(arguments[0], float(arguments[1]) if len(arguments) == 2 else 3.0)
    except (OSError, ValueError) as error:
        print(f"{arguments[0]}: {error}")
        return 1
    print(f"{status} {' '.join(body.split())[:300]}")
    return 0 if status == 200 else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
