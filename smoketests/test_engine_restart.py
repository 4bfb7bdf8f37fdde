"""The engine is restarted under the stack, as an update of it does; a second engine, so that nobody else notices."""

from __future__ import annotations

import time

import pytest

pytestmark = pytest.mark.behaviour("engine restart")

WITHIN = 60.0  # seconds until this test gives up; the budget is the criterion's
ACKNOWLEDGED = 20


def test_engine_restarted(own_engine, writer, measure, wait_for) -> None:
    """Every service comes back by itself, healthy, and no acknowledged write is lost."""
    engine, stack = own_engine
    with engine.network():
        stack.up()
        written = writer(stack)
        wait_for("writes to be acknowledged", lambda: len(written.acknowledged) >= ACKNOWLEDGED, WITHIN)
    before = {item.service: item.started_at for item in stack.engine.containers()}
    began = time.monotonic()
    with measure.timing("engine_recovery") as stages:
        engine.restart()
        stages["engine"] = time.monotonic() - began

        def started_anew() -> bool:
            found = {item.service: item.started_at for item in stack.engine.containers()}
            return all(found[service] != at for service, at in before.items())

        wait_for("every service to be started by the engine", started_anew, WITHIN)
        stack.wait_healthy(WITHIN)
    written.stop()
    with engine.network():
        for endpoint in stack.endpoints.values():
            endpoint.wait_served(WITHIN)
        measure("lost_writes", len(written.lost()), stages={"acknowledged": len(written.acknowledged)})
