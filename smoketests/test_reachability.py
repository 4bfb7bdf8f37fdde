"""What the host reaches: the page, through it the backend, and a search that finds what was written."""

from __future__ import annotations

import uuid

import pytest

pytestmark = [pytest.mark.behaviour("reachability"), pytest.mark.targets("compose", "kubernetes")]


@pytest.mark.parametrize("name", ["backend", "frontend"])
def test_health_endpoints(endpoint, name: str) -> None:
    """Both services are alive and ready."""
    service = endpoint(name)
    assert service.get(service.health).status_code == 200
    assert service.get(service.ready).json() == {"status": "ready"}


def test_page(endpoint) -> None:
    """The page and what it loads."""
    answer = endpoint("frontend").get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert endpoint("frontend").get("/app.js").status_code == 200


def test_search_finds_what_was_written(endpoint, measure) -> None:
    """Host -> frontend -> backend: an acknowledged document is found by the very next search."""
    frontend, word = endpoint("frontend"), f"word{uuid.uuid4().hex}"
    made = frontend.post("/api/collections", json={"name": f"reachability {word}"})
    assert made.status_code == 201, made.text
    collection = f"/api/collections/{made.json()['id']}"
    try:
        written = frontend.post(
            f"{collection}/documents", json={"title": "reachability", "text": f"before {word} after"}
        )
        assert written.status_code == 201, written.text
        with measure.timing("search"):
            answer = frontend.get("/api/search", params={"q": word})
        assert answer.status_code == 200, answer.text
        assert answer.json()["total"] == 1
        assert word in answer.json()["results"][0]["snippet"]
        assert endpoint("backend").get("/api/search", params={"q": word}).json() == answer.json()
    finally:
        assert frontend.request("DELETE", collection).status_code == 204
