"""A mutation: a fault put into a copy of docsearch, and the smoke tests that must turn red because of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

COMPOSE = "compose/compose.yaml"
BACKEND = "compose/backend/docindexer"
FRONTEND = "compose/frontend/docfront"
SHARED = "compose/shared/docshared"

# These tests only build: whether the stack gets up is nothing to them.
ONLY_BUILD = frozenset(
    {"test_build_cache.py::test_second_build_is_a_no_op", "test_build_cache.py::test_a_change_rebuilds_one_image"}
)

Change = Callable[[Path], None]


@dataclass(frozen=True)
class Mutation:
    """`caught_by` names every test that it turns red, as FILE::TEST; None: the stack never gets up, and all are red but
    ONLY_BUILD.

    `alone`: it disturbs so much that no other mutation may share a run with it; nor may two of the same `place`.
    `quick`: `make test` runs it with the files of the tests that catch it.
    """

    name: str
    what: str
    changes: tuple[Change, ...]
    caught_by: frozenset[str] | None
    alone: bool = False
    place: str = ""
    quick: bool = False

    def apply(self, folder: Path) -> None:
        for change in self.changes:
            change(folder)


def replace(name: str, old: str, new: str) -> Change:
    """Replace text that is there exactly once: a mutation that no longer fits is an error, not a survivor."""

    def change(folder: Path) -> None:
        file = folder / name
        text = file.read_text("utf-8")
        assert text.count(old) == 1, f"{name} has {old!r} {text.count(old)} times"
        file.write_text(text.replace(old, new), "utf-8")

    return change


def replace_all(name: str, old: str, new: str, times: int) -> Change:
    """Replace text that is there that many times."""

    def change(folder: Path) -> None:
        file = folder / name
        text = file.read_text("utf-8")
        assert text.count(old) == times, f"{name} has {old!r} {text.count(old)} times"
        file.write_text(text.replace(old, new), "utf-8")

    return change


def of_service(service: str, lines: str) -> Change:
    """Add YAML to a service of the Compose file; a key replaces the one that comes from a merge."""

    def change(folder: Path) -> None:
        file = folder / COMPOSE
        text = file.read_text("utf-8")
        begin = f"  {service}:\n    <<: *hardened\n"
        assert text.count(begin) == 1
        file.write_text(text.replace(begin, begin + "".join(f"    {line}\n" for line in lines.splitlines())), "utf-8")

    return change


def batches(mutations: Iterable[Mutation]) -> Iterator[tuple[Mutation, ...]]:
    """Put mutations together that no test has in common, so that every red test has one cause in its run."""
    open_batches: list[list[Mutation]] = []
    for mutation in mutations:
        if mutation.alone or mutation.caught_by is None:
            yield (mutation,)
            continue
        for batch in open_batches:
            if not any(_collide(mutation, other) for other in batch):
                batch.append(mutation)
                break
        else:
            open_batches.append([mutation])
    yield from map(tuple, open_batches)


def _collide(one: Mutation, other: Mutation) -> bool:
    same_place = bool(one.place) and one.place == other.place
    return same_place or bool((one.caught_by or frozenset()) & (other.caught_by or frozenset()))
