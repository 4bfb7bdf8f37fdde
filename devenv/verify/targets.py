"""Which tests are for which runtime, and whether the one that is asked for is there."""

from __future__ import annotations

from typing import Final

import pytest

COMPOSE: Final = "compose"
KUBERNETES: Final = "kubernetes"
MARKER: Final = "targets"


def targets_of(node: pytest.Item | pytest.Function) -> tuple[str, ...]:
    """Return what a test is for: what its marker `targets` says, Compose without one. Raises UsageError."""
    marker = node.get_closest_marker(MARKER)
    names = tuple(str(name) for name in marker.args) if marker is not None else (COMPOSE,)
    if not names or set(names) - {COMPOSE, KUBERNETES}:
        raise pytest.UsageError(f"{node.nodeid}: targets{names!r}: there are {COMPOSE!r} and {KUBERNETES!r}")
    return names


def runtime_of(item: pytest.Item) -> str:
    """Return the runtime that a test ran on; "" for one that is for both and was not told which with `all`."""
    chosen = str(item.config.option.devenv_target)
    if chosen != "all":
        return chosen
    callspec = getattr(item, "callspec", None)
    if callspec is not None and "target" in callspec.params:
        return str(callspec.params["target"])
    names = targets_of(item)
    return names[0] if len(names) == 1 else ""


def suffix_of(node: pytest.Item, target: str) -> str:
    """Return what a criterion's name gets on Kubernetes: values of one test on two runtimes are never compared."""
    return f".{KUBERNETES}" if target == KUBERNETES and COMPOSE in targets_of(node) else ""
