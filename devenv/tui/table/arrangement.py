"""In which order the lines of the table stand. Pure.

Services stand by name, as the tree of what they depend on, or by profile; any lines by what a column says.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, Literal, NamedTuple

from devenv.core.model import Health, Resource, State
from devenv.core.state import Store
from devenv.tui.table.columns import FIGURES

Arrangement = Literal["", "tree", "profile"]
# In the order in which a key goes through them; "": by name.
ARRANGEMENTS: Final[tuple[Arrangement, ...]] = ("", "tree", "profile")
_STOPPED: Final = (0, 130, 137, 143)  # exit codes of what ended well, or was stopped
Value = tuple[int, float, str]  # figures stand before words
Path = tuple[str, ...]
_SIZES: Final = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "m": 1e-3, "%": 1e-2}
_FIGURE: Final = re.compile(r"(?P<number>-?\d+(?:\.\d+)?)\s*(?P<unit>[KMGT]iB|[m%])?(?![\w.])")


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
    placed: dict[str, Place] = {}
    # What is in a circle has nobody on top; it is still shown.
    tops = sorted(depends_on.keys() - needed)
    todo = [(name, 0) for name in reversed((*tops, *sorted(depends_on.keys() & needed)))]
    while todo:
        name, depth = todo.pop()
        if name in placed or name not in depends_on:
            continue
        placed[name] = Place(len(placed), depth)
        todo += [(other, depth + 1) for other in sorted(depends_on[name], reverse=True)]
    return placed


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


class Order(NamedTuple):
    """A column, and whether its largest stands first."""

    column: str
    falling: bool


def next_order(now: Order | None, columns: Iterable[str]) -> Order | None:
    """Return the order by the column after the one that holds; None, by name, after the last."""
    names = list(columns)[1:]
    index = names.index(now.column) + 1 if now is not None and now.column in names else 0
    return None if index >= len(names) else begun(names[index])


def begun(column: str) -> Order:
    """Return the order that a column begins with: by a figure the largest first, by age the youngest."""
    return Order(column, column in FIGURES and column != "age")


def turned(now: Order | None, columns: Iterable[str]) -> Order | None:
    """Return the same order the other way; by name where there was none."""
    name = next(iter(columns), "service")
    if now == Order(name, True):
        return None
    return Order(now.column, not now.falling) if now is not None else Order(name, True)


def in_order(paths: Iterable[Path], value: Callable[[Path], Value | None], *, falling: bool) -> list[Path]:
    """Return the lines by their values; equal ones as they stood, those without a value last."""
    known = [(value(path), path) for path in paths]
    with_value = [(key, path) for key, path in known if key is not None]
    with_value.sort(key=lambda pair: pair[0], reverse=falling)
    return [path for _, path in with_value] + [path for key, path in known if key is None]


def figure(column: str, store: Store, keys: Iterable[str]) -> Value | None:
    """Return one of `FIGURES` of these resources together: the sum, of ages the oldest."""
    keys = list(keys)
    if column in ("cpu", "memory"):
        samples = [sample for key in keys if (sample := store.sample(key)) is not None]
        used = [sample.cpu if column == "cpu" else sample.memory for sample in samples]
        known: list[float] = [one for one in used if one is not None]
        return (0, sum(known), "") if known else None
    resources = [resource for key in keys if (resource := store.resource(key)) is not None]
    if column == "restarts":
        known = [one.restarts for one in resources if one.restarts is not None]
        return (0, sum(known), "") if known else None
    known = [one.created_at for one in resources if one.created_at is not None]
    return (0, time.time() - min(known), "") if known else None


def word(text: str) -> Value | None:
    """Return what a cell says, without the sign before it: a number with its unit, or a word; None of an empty one."""
    plain = text.strip().lstrip("●■✗↻◌○▲◇‖? ▸▾").strip()
    if plain in ("", "–"):
        return None
    number = _FIGURE.match(plain)
    if number is None:
        return (1, 0.0, plain.casefold())
    return (0, float(number["number"]) * _SIZES.get(number["unit"], 1), plain.casefold())
