"""A fake engine for each test, and a backend on it that is always stopped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fakes.docker_engine import FakeEngine
from tests.wire.reading import Reader


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as made:
        yield made


@pytest.fixture
def reader(engine: FakeEngine) -> Iterator[Reader]:
    made = Reader(engine.environ)
    yield made
    made.stop()
