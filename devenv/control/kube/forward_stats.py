"""What a port-forward leads to and what went through it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from devenv.control.kube.forward_pods import PodPort


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
