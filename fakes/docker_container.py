"""A container as the fake engine keeps it, and the engine's JSON of it."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

PROJECT = "fake"


def rfc3339(nanoseconds: int) -> str:
    """Write a time as the engine does: always nine digits of the second."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


@dataclass
class FakeContainer:
    """One container; all fields may be changed at any time, `more` is merged over what inspect answers."""

    name: str
    service: str = ""
    project: str = PROJECT
    state: str = "running"
    status: str = "Up 2 seconds"
    health: str = ""
    exit_code: int = 0
    image: str = "img:1"
    command: tuple[str, ...] = ("sleep", "inf")
    labels: dict[str, str] = field(default_factory=dict)
    ports: list[dict[str, Any]] = field(default_factory=list)
    restarts: int = 0
    tty: bool = False
    checks: list[dict[str, Any]] = field(default_factory=list)
    check_interval: float = 30.0
    oom_killed: bool = False
    number: int = 1
    one_off: bool = False
    more: dict[str, Any] = field(default_factory=dict)
    started_ns: int = field(default_factory=time.time_ns)
    finished_ns: int = 0
    log: list[tuple[int, int, bytes]] = field(default_factory=list)  # time in ns, stream, line with its end
    id: str = ""

    def __post_init__(self) -> None:
        self.id = self.id or hashlib.sha256(f"{self.project}/{self.name}".encode()).hexdigest()

    @property
    def key(self) -> str:
        """The key of its resource in devenv."""
        return f"docker/{self.id}"

    @property
    def all_labels(self) -> dict[str, str]:
        """Its own labels and Compose's."""
        compose = {
            "com.docker.compose.project": self.project,
            "com.docker.compose.service": self.service or self.name,
            "com.docker.compose.container-number": str(self.number),
            "com.docker.compose.oneoff": str(self.one_off),
        }
        return compose | self.labels

    def listed(self) -> dict[str, Any]:
        """Its entry in GET /containers/json."""
        sentence = self.status
        if self.health and self.state == "running":
            sentence += f" (health: {self.health})" if self.health == "starting" else f" ({self.health})"
        return {
            "Id": self.id,
            "Names": [f"/{self.name}"],
            "Image": self.image,
            "ImageID": "sha256:" + "0" * 64,
            "Command": " ".join(self.command),
            "Created": self.started_ns // 1_000_000_000,
            "Ports": self.ports,
            "Labels": self.all_labels,
            "State": self.state,
            "Status": sentence,
        }

    def inspected(self) -> dict[str, Any]:
        """The answer of GET /containers/{id}/json."""
        state: dict[str, Any] = {
            "Status": self.state,
            "Running": self.state == "running",
            "OOMKilled": self.oom_killed,
            "Pid": 4711 if self.state == "running" else 0,
            "ExitCode": self.exit_code,
            "Error": "",
            "StartedAt": rfc3339(self.started_ns),
            "FinishedAt": rfc3339(self.finished_ns) if self.finished_ns else "0001-01-01T00:00:00Z",
        }
        config: dict[str, Any] = {"Image": self.image, "Tty": self.tty, "Labels": self.all_labels}
        if self.health:
            state["Health"] = {"Status": self.health, "FailingStreak": 0, "Log": self.checks}
            config["Healthcheck"] = {"Test": ["CMD", "true"], "Interval": int(self.check_interval * 1e9)}
        answer = {
            "Id": self.id,
            "Created": rfc3339(self.started_ns),
            "Path": self.command[0],
            "Args": list(self.command[1:]),
            "State": state,
            "Image": "sha256:" + "0" * 64,
            "Name": f"/{self.name}",
            "RestartCount": self.restarts,
            "Config": config,
            "NetworkSettings": {"Ports": {}},
        }
        return answer | self.more

    def log_since(self, since: float, tail: str, until: float = float("inf")) -> list[tuple[int, int, bytes]]:
        """The part of its log that a request asks for."""
        lines = [entry for entry in self.log if since * 1e9 <= entry[0] <= until * 1e9]
        return lines if tail in ("", "all") else lines[len(lines) - min(int(tail), len(lines)) :]
