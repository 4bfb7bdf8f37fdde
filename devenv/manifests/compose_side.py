"""What Compose says about the services that also run in Kubernetes, for the rules that compare the two."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devenv.backends.compose import ComposeOptions, canonical
from devenv.manifests import access

_URL_PATH = re.compile(r"https?://[^/\s\"']+(/[^\s\"'?]*)")


@dataclass(frozen=True, slots=True)
class ComposeService:
    """One service, reduced to what a manifest states too. None: Compose leaves it to the image."""

    name: str
    ports: frozenset[int]
    environment: frozenset[str]
    health_paths: frozenset[str]
    user: str | None
    memory: float | None
    cpus: float | None


def read_services(options: ComposeOptions, environ: Mapping[str, str] | None = None) -> dict[str, ComposeService]:
    """Ask Compose for the services of a project, those of every profile included.

    Raises ProjectError (invalid files), ToolMissing, EngineUnreachable (broken docker context).
    """
    return parse_services(canonical(options, environ))


def parse_services(document: object) -> dict[str, ComposeService]:
    """Read Compose's canonical form of a project."""
    return {name: _service(name, body) for name, body in access.mapping(document, "services").items()}


def _service(name: str, body: Any) -> ComposeService:
    limits = access.mapping(body, "deploy", "resources", "limits")
    targets = {access.whole(port, "target") for _, port in access.mappings(body, "ports")}
    numbers = (str(port).partition("/")[0] for port in access.sequence(body, "expose"))
    exposed = {int(port) for port in numbers if port.isdigit()}
    user = access.get(body, "user")
    test = access.get(body, "healthcheck", "test")
    words = test if isinstance(test, list) else [test]
    return ComposeService(
        name=name,
        ports=frozenset({port for port in targets if port is not None} | exposed),
        environment=frozenset(access.mapping(body, "environment")),
        health_paths=frozenset(path for word in words if isinstance(word, str) for path in _URL_PATH.findall(word)),
        user=str(user) if user is not None else None,
        memory=access.quantity(access.get(limits, "memory") or access.get(body, "mem_limit")),
        cpus=access.quantity(access.get(limits, "cpus") or access.get(body, "cpus")),
    )
