"""What devenv itself does on the wire, counted where it is done: whole numbers, read by who looks at devenv itself.

A count costs less than a microsecond. Nothing is locked for it: of two calls in the same moment one may go uncounted.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

calls: Final[Counter[str]] = Counter()  # requests by kind: "list containers", "watch pods"
streams: Final[dict[int, str]] = {}  # what is open now, by the identity of who reads it
reconnects: Final[Counter[str]] = Counter()  # by the name of the stream
dropped: Final[Counter[str]] = Counter()  # log lines that nobody took in time, by their source


def called_engine(method: str, path: str) -> None:
    """Count a request to the Docker Engine; `path` may have a version and a query."""
    parts = path.partition("?")[0].strip("/").split("/")
    if parts[0].startswith("v1."):
        del parts[0]
    what, last = parts[0] if parts else "", parts[-1] if parts else ""
    if method == "DELETE":
        verb = "remove"
    elif last == "json":
        verb = "list" if len(parts) == 2 else "inspect"
    else:
        verb = last if len(parts) > 2 or last in ("create", "prune") else "get"
    calls[f"{verb} {what}"] += 1


def called_cluster(method: str, path: str, *, watch: bool) -> None:
    """Count a request to an API server: the verb of the API and its resource."""
    parts = path.partition("?")[0].strip("/").split("/")
    parts = parts[3:] if parts[0] == "apis" else parts[2:]
    if len(parts) > 2 and parts[0] == "namespaces":
        del parts[:2]
    if not parts:
        calls[f"{method.lower()} API"] += 1
        return
    verb = "watch" if watch else method.lower() if method != "GET" else "get" if len(parts) > 1 else "list"
    calls[f"{verb} {'/'.join((parts[0], *parts[2:3]))}"] += 1
