"""A stop loses nothing: requests in flight finish, and every service ends by itself within its grace period."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from devenv.verify.http import new_nonce

pytestmark = pytest.mark.behaviour("graceful stop")

WITHIN = 30.0  # seconds until a test gives up; the budget is the criterion's
SLOW = 3.0  # seconds that a request in flight takes after the stop has begun, and that every grace period leaves it
# Hot reload lets no open request hold up the new source, and cuts them after 1 s; what is deployed runs without.
AS_DEPLOYED = {"services": {name: {"environment": {"RELOAD": "0"}} for name in ("backend", "frontend")}}


@pytest.mark.targets("compose", "kubernetes")
def test_every_service_ends_by_itself(isolated_stack, measure) -> None:
    """Exit code 0 before the engine, or the kubelet, would kill."""
    for service in ("frontend", "backend"):
        grace = isolated_stack.engine.grace(service)
        assert grace > SLOW, f"{service} is killed after {grace:g} s, whatever it still does"
        with measure.timing(f"graceful_stop.{service}", budget=grace):
            stopped = isolated_stack.engine.stop(service)
        assert stopped.exit_code == 0
    isolated_stack.up()


def test_requests_in_flight_finish(fresh_stack, wait_for) -> None:
    """A document whose second half is sent after SIGTERM is acknowledged, kept and found."""
    stack = fresh_stack(override=AS_DEPLOYED)
    made = stack.endpoint("backend").post("/api/collections", json={"name": "in flight"})
    path = f"/api/collections/{made.json()['id']}/documents"
    words = [stopped_in_flight(stack, wait_for, service, path) for service in ("frontend", "backend")]
    stack.start()
    stack.wait_healthy()
    assert [word for word in words if not stack.persistence.read(word)] == []


def stopped_in_flight(stack, wait_for, service: str, path: str) -> str:
    """Stop the service while it reads a document, and return the word in it."""
    engine, endpoint, word = stack.engine, stack.endpoint(service), new_nonce()
    body = json.dumps({"title": "in flight", "text": word}).encode()
    sent, told = threading.Event(), threading.Event()

    def halves() -> Iterator[bytes]:
        yield body[:10]
        sent.set()
        assert told.wait(WITHIN), "nobody said that the service is being stopped"
        yield body[10:]

    headers = {"Content-Type": "application/json"}
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(endpoint.post, path, content=halves(), headers=headers, timeout=WITHIN)
        assert sent.wait(WITHIN)
        # Half a body on its way is not yet a request that the service has begun: another answer comes after it.
        assert endpoint.get(endpoint.health).status_code == 200
        address, began = endpoint.url, engine.now()
        stopping = pool.submit(engine.stop, service)
        told_to_stop = engine.wait_event("kill", service, since=began, timeout=WITHIN).at
        wait_for(f"{service} to take no new connections", lambda: refuses(address), WITHIN)
        wait_for("the request to have taken long", lambda: engine.now() - told_to_stop > SLOW, 2 * SLOW)
        told.set()
        assert answer.result(WITHIN).status_code == 201, answer.result().text
        assert stopping.result(WITHIN).exit_code == 0
    return word


def refuses(address: str) -> bool:
    """Whether nobody accepts connections there."""
    try:
        httpx.get(f"{address}/health", timeout=2.0, trust_env=False)
    except httpx.TransportError:
        return True
    return False
