"""Changed configuration rolls out by itself: a generated ConfigMap's name is a hash of what is in it."""

from __future__ import annotations

import copy

import pytest

from devenv.control.kube.apply import apply

pytestmark = [pytest.mark.behaviour("configuration"), pytest.mark.targets("kubernetes")]

CHANGED = {"LOG_LEVEL": "debug"}


def renamed(value, old: str, new: str):
    """The same with every occurrence of a name replaced."""
    if isinstance(value, dict):
        return {key: renamed(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [renamed(item, old, new) for item in value]
    return new if value == old else value


def test_a_changed_config_map_rolls(isolated_stack, measure) -> None:
    """Another value in frontend-config: new pods with it, and the old ones serve until then."""
    cluster = isolated_stack.engine
    before = cluster.container("frontend")
    assert cluster.exec("frontend", "printenv", "LOG_LEVEL").strip() != CHANGED["LOG_LEVEL"]
    config = next(
        item
        for item in isolated_stack.objects
        if item["kind"] == "ConfigMap" and item["metadata"]["name"].startswith("frontend-config-")
    )
    old, new = config["metadata"]["name"], "frontend-config-changed"
    objects = renamed(copy.deepcopy([config, isolated_stack.services["frontend"]]), old, new)
    objects[0]["data"] |= CHANGED
    try:
        with measure.timing("configuration_rollout"):
            apply(isolated_stack.client, objects, force_conflicts=True)
            isolated_stack.wait_rolled_out(None, "frontend")
        after = cluster.container("frontend")
        assert after.container_id != before.container_id
        assert cluster.exec("frontend", "printenv", "LOG_LEVEL").strip() == CHANGED["LOG_LEVEL"]
        isolated_stack.endpoint("frontend").wait_served(30.0)
    finally:
        isolated_stack.up()
    assert cluster.exec("frontend", "printenv", "LOG_LEVEL").strip() != CHANGED["LOG_LEVEL"]
