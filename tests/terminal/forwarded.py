"""A port-forward that stands, without a connection behind it."""

from __future__ import annotations

from dataclasses import dataclass

from devenv.control.kube.forward import ForwardStats


@dataclass
class Forwarded:
    target: str
    port: str
    local: int
    closed: bool = False

    def stats(self) -> ForwardStats:
        return ForwardStats(
            target=f"{self.target}:{self.port}",
            namespace="shop",
            local_port=self.local or 40123,
            pod="web-1",
            pod_port=8000,
            seconds=12.0,
            open=1,
            connections=3,
            failed=0,
            sent=2048,
            received=1024**2 * 3,
            replacements=2,
        )

    def close(self) -> None:
        self.closed = True
