"""What Prometheus reads: right numbers, and a bounded number of series whatever is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from _backend import api_client
from docindexer import __version__
from docindexer.metrics import METHODS
from docindexer.settings import Settings
from docindexer.sqlite_store import SqliteStore
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from test_backend_api import add, create

DATABASE = "docs.db"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(SqliteStore(tmp_path / DATABASE), Settings(revision="abc123")) as client:
        yield client


async def scrape(api: httpx.AsyncClient) -> list[Sample]:
    answer = await api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]


def value(samples: list[Sample], name: str, **labels: str) -> float:
    (found,) = [sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items()]
    return found


async def test_requests_are_counted_by_template(api: httpx.AsyncClient) -> None:
    collection = await create(api, "c")
    for number in range(5):
        await api.get(f"/api/collections/{collection + number}")
    samples = await scrape(api)
    route = "/api/collections/{collection_id}"
    count = "docindexer_http_requests_total"
    assert value(samples, count, route=route, method="GET", status="200") == 1
    assert value(samples, count, route=route, method="GET", status="404") == 4
    assert value(samples, "docindexer_http_request_duration_seconds_count", route=route, method="GET") == 5


async def test_strange_requests_make_no_new_series(api: httpx.AsyncClient) -> None:
    for number in range(30):
        await api.get(f"/x{number}")
        await api.request(f"BREW{number}", "/health")
        await api.get(f"/api/collections/{number}/documents/{number}")
    requests = [sample.labels for sample in await scrape(api) if sample.name == "docindexer_http_requests_total"]
    assert len(requests) == 3
    assert {labels["method"] for labels in requests} <= METHODS | {"OTHER"}
    assert {"route": "unmatched", "method": "GET", "status": "404"} in requests


async def test_the_store_and_the_build_are_described(api: httpx.AsyncClient) -> None:
    collection = await create(api, "c")
    await add(api, collection, ("a", "x"), ("b", "x"))
    samples = await scrape(api)
    assert value(samples, "docindexer_collections") == 1
    assert value(samples, "docindexer_documents") == 2
    assert value(samples, "docindexer_store_up") == 1
    assert value(samples, "docindexer_build_info", version=__version__, revision="abc123") == 1


async def test_a_scrape_works_without_the_store(api: httpx.AsyncClient, tmp_path: Path) -> None:
    (tmp_path / DATABASE).unlink()
    samples = await scrape(api)
    assert value(samples, "docindexer_store_up") == 0
    documents = value(samples, "docindexer_documents")
    assert documents != documents, "NaN: not known is not zero"
