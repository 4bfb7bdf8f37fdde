"""A rolling restart under constant load: no request fails, on new connections nor on kept ones."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from devenv.verify.http import new_nonce
from devenv.verify.kube.load import Call, constant_load

pytestmark = [pytest.mark.behaviour("rolling restart"), pytest.mark.targets("kubernetes")]

RATE = 12.0  # requests a second: what a laptop's node serves beside five pods that start
BEFORE = 30  # answers before the restart, and again after it
WITHIN = 180.0
KEPT = 8  # connections that are used again in turn
CONNECTIONS = pytest.mark.parametrize("kept", [0, KEPT], ids=["new", "kept"])


def calls(collection: int) -> list[Call]:
    """Writes, a search and a list, as the search page sends them."""
    documents = f"/api/collections/{collection}/documents"
    return [
        Call("POST", documents, json.dumps({"title": "{n}", "text": "needle"})),
        Call("GET", "/api/search?q=needle&limit=5"),
        Call("GET", documents),
    ]


def new_collection(stack) -> int:
    """A collection of the test's own."""
    made = stack.endpoint("backend").post("/api/collections", json={"name": f"rolling {new_nonce()}"})
    assert made.status_code == 201, made.text
    return made.json()["id"]


def titles(stack, collection: int) -> Counter[str]:
    """The titles of all documents of the collection."""
    found: list[str] = []
    while True:
        path = f"/api/collections/{collection}/documents?limit=100&offset={len(found)}"
        page = stack.endpoint("backend").get(path).json()["documents"]
        found += [item["title"] for item in page]
        if not page:
            return Counter(found)


def judge(measure, name: str, result, seconds: float) -> None:
    """No failure is a proof on any node; failures on a node that has no time for anything are none."""
    name = f"failed_requests.{name}"
    if result.failures and result.busy:
        measure.inconclusive(name, f"{result.busy}, and {result.failures} of {result.sent} failed")
    stages = {"sent": result.sent, "connections": result.opened, "slowest s": result.slowest, "rollout s": seconds}
    measure(name, result.failures, stages=stages)


@CONNECTIONS
@pytest.mark.parametrize("service", ["frontend", "backend"])
def test_nothing_fails_while_a_service_rolls(rolling_stack, caller, measure, service: str, kept: int) -> None:
    """Staging: each pod of the service is replaced, every request is answered, every document is there once."""
    cluster, pod = rolling_stack.engine, caller(rolling_stack)
    collection = new_collection(rolling_stack)
    url = "http://frontend:3000"
    with constant_load(cluster, pod, url, calls(collection), rate=RATE, kept=kept) as load:
        load.more(BEFORE)
        seconds = rolling_stack.replace_pods(service, WITHIN)
        load.more(BEFORE)
    result = load.finish()
    judge(measure, f"{service}.{'kept' if kept else 'new'}", result, seconds)
    assert titles(rolling_stack, collection) == Counter(result.acknowledged), "lost, or stored twice"


@CONNECTIONS
def test_nothing_fails_while_the_frontend_rolls_in_dev(isolated_stack, caller, measure, kept: int) -> None:
    """dev: one replica, and still a new one is ready before the old one goes."""
    cluster, pod = isolated_stack.engine, caller(isolated_stack)
    page = [Call("GET", "/"), Call("GET", "/api/collections")]
    with constant_load(cluster, pod, "http://frontend:3000", page, rate=RATE, kept=kept) as load:
        load.more(BEFORE)
        seconds = isolated_stack.replace_pods("frontend", WITHIN)
        load.more(BEFORE)
    judge(measure, f"dev.{'kept' if kept else 'new'}", load.finish(), seconds)


def test_the_gap_of_a_backend_that_is_recreated_in_dev(isolated_stack, caller, measure) -> None:
    """dev: SQLite has one process, so an update is a gap. It ends, it is measured, and nothing acknowledged is lost."""
    cluster, pod = isolated_stack.engine, caller(isolated_stack)
    collection = new_collection(isolated_stack)
    with constant_load(cluster, pod, "http://backend:8000", calls(collection), rate=RATE) as load:
        load.more(BEFORE)
        isolated_stack.replace_pods("backend", WITHIN)
        load.wait("answers again", lambda seen: not seen.failing, 30.0)
        load.more(BEFORE)
    result = load.finish()
    missing = Counter(result.acknowledged) - titles(isolated_stack, collection)
    assert result.failures, "an update without a gap: two processes had the same file"
    assert not missing, f"acknowledged and lost: {sorted(missing)[:5]}"
    measure("update_gap.backend", result.gap, stages={"sent": result.sent, "failed": result.failures})
