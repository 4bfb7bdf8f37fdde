"""The mutations of the whole suite take half an hour: they run where `-m mutation` asks for them (make mutations)."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "mutation" in config.option.markexpr:
        return
    kept = [item for item in items if item.get_closest_marker("mutation") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept
