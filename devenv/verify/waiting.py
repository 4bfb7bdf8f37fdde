"""Waiting for a condition with a deadline, and the errors that say what was expected, seen, or cannot be measured."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final, TypeVar

from devenv.core.errors import DevenvError, ProjectError, ToolMissing, UsageError

EVERY = 0.05  # seconds between two looks
SETTLED = 5.0  # seconds that what is hopeless stays so: one look may come between two states
T = TypeVar("T")


class VerificationFailed(AssertionError):
    """What was expected did not come; the plugin adds what the stack showed at that moment."""

    def __init__(self, expected: str, seen: str) -> None:
        super().__init__(f"expected: {expected}\nseen:     {seen}")
        self.expected = expected
        self.seen = seen


class Never(DevenvError):
    """What is waited for can never come; it ends a wait at once."""


class Absent(DevenvError):
    """What is asked about is not there; nobody makes it while it is waited for."""


# A probe that raises one of these raises it at each try. NameError: the probe itself is misspelt.
_SAME_AGAIN = (Never, UsageError, ProjectError, ToolMissing, NameError)


class Lasting:
    """Ends a wait when there was a reason why it is in vain for a while, in whatever words."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None

    def look(self, why: str, allowed: float = SETTLED) -> None:
        """Take the reason of now, "" for none; raises Never when there was one for `allowed` seconds."""
        now = self._clock()
        self._since = None if not why else self._since if self._since is not None else now
        if self._since is not None and now - self._since >= allowed:
            raise Never(why)


def wait_until(
    what: str,
    probe: Callable[[], T],
    timeout: float,
    accept: Callable[[T], object] = bool,
    *,
    every: float = EVERY,
) -> T:
    """Ask until the answer is accepted, and return it; raises VerificationFailed with the last answer or exception.

    A Never that the probe raises passes, and what it would raise at every try.
    """
    __tracebackhide__ = True  # pytest: the caller's line is what a reader looks for
    began = time.monotonic()
    seen = "nothing: there was no time to look"
    tries = 0
    while True:
        tries += 1
        try:
            answer = probe()
        except _SAME_AGAIN:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a probe raises is an answer; the last one is reported
            seen = f"{type(error).__name__}: {error}"
        else:
            if accept(answer):
                return answer
            seen = str(answer) if type(answer).__str__ is not object.__str__ else repr(answer)
        if time.monotonic() - began >= timeout:
            raise VerificationFailed(f"{what} within {timeout:g} s", f"{seen[:1000]} (after {tries} tries)")
        time.sleep(every)


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
    match = _UNREACHABLE.search(error.message)
    if match is None:
        return None
    step = next((line.strip() for line in error.message.splitlines() if "Dockerfile line" in line), "")
    said = next(line.strip() for line in error.message.splitlines() if match.group() in line)
    where = f" ({step})" if step else ""
    return Unmeasurable(
        f"the build could not reach what it downloads{where}: {said[:300]}",
        "Is this machine online, and the package index or its proxy reachable from a build?",
    )
