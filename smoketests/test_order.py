"""Services start when what they need is ready."""

from __future__ import annotations

import pytest

# Compose alone: in Kubernetes nothing is started in an order, and readiness says who may get work.
pytestmark = [pytest.mark.behaviour("order"), pytest.mark.targets("compose")]


def test_frontend_starts_after_the_backend_was_healthy(isolated_stack, measure) -> None:
    """The frontend's first start is not before the backend's first healthy, by the engine's own timestamps."""
    engine = isolated_stack.engine
    healthy = engine.events(service="backend", action="health_status")[0]
    assert "is healthy" in healthy.text, "the backend was never healthy at first"
    start = engine.events(service="frontend", action="start")[0]
    measure("start_order", start.at - healthy.at)
