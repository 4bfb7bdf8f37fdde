"""Are the ports that the project publishes free, or held by the project itself?"""

from __future__ import annotations

from devenv.backends.listeners import find_listener
from devenv.doctor.context import Context
from devenv.doctor.report import Finding, Level


def check(context: Context) -> Finding:
    """Every fixed published port; one that a container of this project publishes already is fine."""
    project = context.project()
    facts = context.engine()
    wanted = [(service.name, port) for service in project.services for port in service.ports if port.host]
    if not facts.local:
        return Finding("ports", Level.UNKNOWN, "The engine is not on this machine: its ports cannot be looked at")
    taken = []
    for service, port in wanted:
        assert port.host is not None
        owner = facts.published.get((port.host, port.protocol))
        if owner == project.name:
            continue
        if owner is not None:
            taken.append(f"{port.host}/{port.protocol} of {service}: Compose project or container {owner}")
            continue
        listener = find_listener(port.host, port.protocol, port.host_ip)
        if listener is not None:
            taken.append(f"{port.host}/{port.protocol} of {service}: {listener}")
    if taken:
        return Finding(
            "ports",
            Level.FAILED,
            f"In use: {'; '.join(taken)}",
            "Stop what holds the port, or publish another one in the Compose file or .env.",
        )
    return Finding("ports", Level.OK, f"{len(wanted)} published ports are free or this project's own")
