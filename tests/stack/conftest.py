"""Makes the services of compose/ importable for their tests: they are no installed packages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _postgres import Postgres

COMPOSE = Path(__file__).resolve().parents[2] / "compose"
for folder in (COMPOSE / "backend", COMPOSE / "frontend"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """One PostgreSQL for all tests that do it no harm; each takes a schema of its own."""
    from _postgres import postgres

    with postgres() as server:
        yield server
