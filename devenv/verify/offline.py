"""A build that failed because something outside of the project could not be reached: that says nothing about it."""

from __future__ import annotations

import re
from typing import Final

from devenv.core.errors import DevenvError

# What resolvers, sockets and package managers say when nobody answers: glibc's and musl's words for EAI_AGAIN and
# EAI_NONAME, connect(2)'s errors, pip's and urllib3's, npm's codes, apt's, apk's, Go's and Cargo's.
_UNREACHABLE: Final = re.compile(
    r"Temporary failure in name resolution|Name or service not known|Temporary failure resolving|bad address '"
    r"|Could not resolve (?:host|proxy)|Name does not resolve|no such host|Network is unreachable|No route to host"
    r"|Failed to establish a new connection|Connection timed out|ConnectTimeoutError|ReadTimeoutError"
    r"|\bE(?:AI_AGAIN|NOTFOUND|NETUNREACH|HOSTUNREACH|TIMEDOUT|CONNREFUSED)\b"
    r"|DNS: transient error|dial tcp .*(?:i/o timeout|connection refused)|Could not connect to \S+:\d+"
)


class Unmeasurable(DevenvError):
    """What is wrong is not the project's: a test that meets it is inconclusive."""


def unmeasurable(error: DevenvError) -> Unmeasurable | None:
    """Return the error that says so where a build's error tells of something unreachable; None for any other."""
    found = _UNREACHABLE.search(error.message)
    if found is None:
        return None
    step = next((line.strip() for line in error.message.splitlines() if "Dockerfile line" in line), "")
    said = next(line.strip() for line in error.message.splitlines() if found.group() in line)
    where = f" ({step})" if step else ""
    return Unmeasurable(
        f"the build could not reach what it downloads{where}: {said[:300]}",
        "Is this machine online, and the package index or its proxy reachable from a build?",
    )
