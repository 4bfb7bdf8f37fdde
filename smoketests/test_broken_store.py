"""A store that is away: readiness says so and why, the processes live on, and its return is noticed."""

from __future__ import annotations

import pytest

from devenv.verify.http import new_nonce

pytestmark = [pytest.mark.behaviour("broken store"), pytest.mark.targets("compose", "kubernetes")]

NOTICED_WITHIN = 20.0  # seconds
HEALTH_WITHIN = 60.0
STORE = "/data/docsearch.db"


def test_store_goes_away_and_comes_back(isolated_stack, target, measure, wait_for) -> None:
    """The database file is moved away and put back, under a service that runs."""
    engine, word = isolated_stack.engine, new_nonce()
    backend, frontend = isolated_stack.endpoint("backend"), isolated_stack.endpoint("frontend")
    assert isolated_stack.persistence.write(word)
    started = {item.container_id: item.started_at for item in engine.containers()}
    broken_at = engine.now()
    engine.exec("backend", "mv", STORE, f"{STORE}.away")
    try:
        wait_for("/ready of the backend to be 503", lambda: backend.probe(backend.ready).status == 503, NOTICED_WITHIN)
        reason = backend.get(backend.ready).json()["reason"]
        assert STORE in reason
        answer = wait_for("the frontend's to follow", lambda: unready(frontend), NOTICED_WITHIN)
        assert reason in answer["reason"]
        assert backend.get(backend.health).status_code == 200
        assert frontend.get(frontend.health).status_code == 200
        assert backend.get("/api/collections").status_code == 503
        unhealthy = engine.wait_health("backend", healthy=False, since=broken_at, timeout=HEALTH_WITHIN)
        assert backend.get(backend.health).status_code == 200
        if target == "compose":  # a health check is about the process; Kubernetes' readiness is about what it needs too
            assert STORE in engine.container("backend").checks[-1].output, "the health check does not say why"
            assert engine.container("frontend").health == "healthy"
    finally:
        repaired_at = engine.now()
        engine.exec("backend", "mv", f"{STORE}.away", STORE)
    for service in (backend, frontend):
        wait_for(f"/ready of {service.name} to be 200", lambda: service.probe(service.ready).ok, NOTICED_WITHIN)  # noqa: B023 - waited for within the loop
    healthy = engine.wait_health("backend", healthy=True, since=repaired_at, timeout=HEALTH_WITHIN)
    assert {item.container_id: item.started_at for item in engine.containers()} == started, "something was restarted"
    assert isolated_stack.persistence.read(word)
    measure("store_detection", unhealthy - broken_at)
    measure("store_recovery", healthy - repaired_at)


def unready(service) -> dict[str, str]:
    """The answer of /ready, once it is 503."""
    answer = service.get(service.ready)
    return answer.json() if answer.status_code == 503 else {}
