"""The order of the table's lines where that is not the one of their names: by what a column says."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from devenv.core.state import Store
from devenv.tui.table.columns import FIGURES

Value = tuple[int, float, str]  # figures stand before words
Path = tuple[str, ...]
_SIZES: Final = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "m": 1e-3, "%": 1e-2}
_FIGURE: Final = re.compile(r"(?P<number>-?\d+(?:\.\d+)?)\s*(?P<unit>[KMGT]iB|[m%])?(?![\w.])")


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
