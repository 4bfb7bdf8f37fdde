"""How services stand beside each other: by name, as the tree of what they depend on, or by profile. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, Literal, NamedTuple

from devenv.core.model import Health, Resource, State

Arrangement = Literal["", "tree", "profile"]
# In the order in which a key goes through them; "": by name.
ARRANGEMENTS: Final[tuple[Arrangement, ...]] = ("", "tree", "profile")
_STOPPED: Final = (0, 130, 137, 143)  # exit codes of what ended well, or was stopped


class Place(NamedTuple):
    """Where a service stands: its rank among all, how far in, and the profile that it is listed under."""

    rank: int
    depth: int = 0
    profile: str = ""


def places(arrangement: Arrangement, services: Mapping[str, Resource]) -> dict[str, Place]:
    """Return the place of each service; `services` are their containers, of several replicas one."""
    if arrangement == "tree":
        return tree({name: one.depends_on for name, one in services.items()})
    if arrangement == "profile":
        profiles = {name: ", ".join(one.profiles) for name, one in services.items()}
        ranked = sorted(services, key=lambda name: (profiles[name], name))
        return {name: Place(rank, profile=profiles[name]) for rank, name in enumerate(ranked)}
    return {}


def tree(depends_on: Mapping[str, Collection[str]]) -> dict[str, Place]:
    """Put what a service needs below it, once: at the first place where it is needed.

    On top are the services that nobody needs, by name.
    """
    needed = {name for names in depends_on.values() for name in names}
    found: dict[str, Place] = {}
    # What is in a circle has nobody on top; it is still shown.
    tops = sorted(depends_on.keys() - needed)
    todo = [(name, 0) for name in reversed((*tops, *sorted(depends_on.keys() & needed)))]
    while todo:
        name, depth = todo.pop()
        if name in found or name not in depends_on:
            continue
        found[name] = Place(len(found), depth)
        todo += [(other, depth + 1) for other in sorted(depends_on[name], reverse=True)]
    return found


def held_up(services: Mapping[str, Iterable[Resource]]) -> dict[str, list[str]]:
    """Return the services that others wait for, each with those: what is not ready though it should be."""
    known = {name: list(replicas) for name, replicas in services.items()}
    ready = {name: any(map(_is_ready, replicas)) for name, replicas in known.items()}
    waiting: dict[str, list[str]] = {}
    for name, replicas in known.items():
        if not ready[name] and any(map(_is_late, replicas)):
            others = sorted(_above(name, known, lambda other: not ready[other]))
            if others:
                waiting[name] = others
    return waiting


def _above(name: str, services: Mapping[str, list[Resource]], passes: Callable[[str], bool]) -> set[str]:
    """Return all that needs the service, also by way of others, as far as it passes."""
    above: set[str] = set()
    todo = [name]
    while todo:
        below = todo.pop()
        for other, replicas in services.items():
            needs = any(below in one.depends_on for one in replicas)
            if needs and other not in above and other != name and passes(other):
                above.add(other)
                todo.append(other)
    return above


def _is_ready(resource: Resource) -> bool:
    if resource.state is State.EXITED:
        return resource.exit_code == 0  # a step that was done
    return resource.state is State.PROVIDED or (
        resource.state is State.RUNNING and resource.health in (Health.NONE, Health.HEALTHY)
    )


def _is_late(resource: Resource) -> bool:
    if resource.state is State.EXITED:
        return resource.exit_code not in _STOPPED
    return resource.state not in (State.ABSENT, State.PROVIDED)
