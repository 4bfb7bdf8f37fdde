"""What a change of a Compose project takes, exactly: read from the engine before anybody is asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping

from msgspec.structs import replace

from devenv.backends.docker.snapshot import Belongings, read_belongings
from devenv.control.protocol import Plan
from devenv.control.verbs import VERBS
from devenv.core.model import Beyond, Project, Resource
from devenv.core.text import counted, human_bytes


def beyond(container: Resource, declared: Collection[str]) -> Beyond:
    """Say why a container belongs to no active service; `declared` are the services of all profiles."""
    if container.one_off:
        return Beyond.ONE_OFF
    return Beyond.INACTIVE if container.service in declared else Beyond.ORPHAN


def reach(
    plan: Plan, project: Project, inactive: Callable[[], Collection[str]], environ: Mapping[str, str] | None = None
) -> Plan:
    """Return the plan with what exactly it takes; what takes nothing needs no confirmation.

    `inactive` tells the services that only inactive profiles have. Raises EngineUnreachable, EngineForbidden.
    """
    if not plan.allowed:
        return plan
    volumes = plan.losses if plan.volumes else ()
    known = read_belongings(project.name, os.environ if environ is None else environ, volumes)
    services = {service.name for service in project.services}
    taken, left = _taken(plan, known.containers, services)
    sentences = list(plan.sentences)
    if not taken and plan.verb != "down":
        return replace(plan, needs_confirmation=False)
    if plan.verb == "down":
        sentences[1:2] = [_left(left, services | set(inactive()))] if left else []
    parts = [counted(len(taken), "container")]
    if plan.volumes and known.volumes:
        sizes = [size for size in known.volumes.values() if size is not None]
        parts.append(f"{counted(len(known.volumes), 'volume')} with {human_bytes(sum(sizes))}")
    if plan.verb == "down" and not plan.targets and known.networks:
        parts.append(counted(len(known.networks), "network"))
    names = f": {', '.join(sorted(item.name for item in taken))}" if taken else ""
    loses = "What they wrote into no volume is lost." if VERBS[plan.verb].removes and taken else ""
    verb = "Takes" if VERBS[plan.verb].removes or plan.verb == "scale" else "Hits"
    sentences[1:1] = [f"{verb} {', '.join(parts)}{names}.", *([loses] if loses else [])]
    return replace(plan, sentences=tuple(sentences), losses=_sized(plan.losses, known))


def _taken(
    plan: Plan, containers: Iterable[Resource], services: Collection[str]
) -> tuple[list[Resource], list[Resource]]:
    """Return the containers that the plan takes, and for a whole project those that it leaves."""
    taken, left = [], []
    replicas = plan.option("replicas")
    every = bool(plan.option("all"))
    for item in containers:
        if plan.targets:
            ours = item.service in plan.targets and not item.one_off
            goes = ours and (not replicas or item.number > int(replicas))
            goes = goes and not (plan.option("stopped") and item.state.is_up)
        else:
            ours = True
            goes = every or (item.service in services and not item.one_off)
        if goes and (plan.verb != "kill" or item.state.is_up):
            taken.append(item)
        elif ours:
            left.append(item)
    return taken, left


def _left(left: Iterable[Resource], declared: Collection[str]) -> str:
    named = ", ".join(f"{item.name} ({beyond(item, declared)})" for item in sorted(left, key=lambda item: item.name))
    return f"Leaves {named}: to take them too, --all."


def _sized(losses: tuple[str, ...], known: Belongings) -> tuple[str, ...]:
    sizes = {name: f" with {human_bytes(size)}" for name, size in known.volumes.items() if size is not None}
    return tuple(f"{name}{sizes.get(name, '')}" for name in losses)
