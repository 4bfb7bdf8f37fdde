"""What an engine says of itself, for the doctor."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from devenv.backends.docker.client import connect, engine_errors
from devenv.backends.docker.endpoint import resolve_endpoint
from devenv.core.text import sanitize

ANSWER_WITHIN = 10.0  # seconds
_PROJECT = "com.docker.compose.project"


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """An engine's own words. `published` maps (host port, protocol) to the Compose project or container holding it."""

    endpoint: str
    version: str
    system: str
    root: str  # where it keeps its data, a path on its own machine
    memory: int  # bytes
    cpus: int
    local: bool  # whether it runs on this machine, as far as its endpoint tells
    clock_skew: float | None = None  # seconds it is ahead of this machine
    published: Mapping[tuple[int, str], str] = field(default_factory=dict)


def read_engine(environ: Mapping[str, str]) -> EngineFacts:
    """Ask the engine that the docker CLI would use; raises EngineUnreachable."""
    endpoint = resolve_endpoint(environ)
    client = connect(endpoint, timeout=ANSWER_WITHIN)
    try:
        with engine_errors(endpoint):
            asked = time.time()
            info = client.info()
            answered = time.time()
            published = dict(_published(client.containers()))
    finally:
        client.close()
    return EngineFacts(
        endpoint=endpoint.label,
        version=sanitize(str(info.get("ServerVersion", "?"))),
        system=sanitize(str(info.get("OperatingSystem", "?"))),
        root=sanitize(str(info.get("DockerRootDir", ""))),
        memory=int(info.get("MemTotal") or 0),
        cpus=int(info.get("NCPU") or 0),
        local=endpoint.host.startswith("unix://") and "Docker Desktop" not in str(info.get("OperatingSystem")),
        clock_skew=_skew(str(info.get("SystemTime", "")), asked, answered),
        published=published,
    )


def _published(containers: Iterable[Mapping[str, Any]]) -> Iterator[tuple[tuple[int, str], str]]:
    for container in containers:
        labels = container.get("Labels") or {}
        owner = sanitize(labels.get(_PROJECT) or (container.get("Names") or ["?"])[0].lstrip("/"))
        for port in container.get("Ports") or ():
            if port.get("PublicPort"):
                yield (int(port["PublicPort"]), str(port.get("Type", "tcp"))), owner


def _skew(system_time: str, asked: float, answered: float) -> float | None:
    """Difference to the middle of the request: what the network cost must not look like a wrong clock."""
    try:
        engine = datetime.fromisoformat(system_time.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
    return engine - (asked + answered) / 2
