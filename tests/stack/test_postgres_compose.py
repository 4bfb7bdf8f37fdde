"""PostgreSQL in Compose, as Compose understands the two files. Nothing is started."""

from __future__ import annotations

import json
from typing import Any

import pytest
from test_compose_file import COMPOSE_DIR, compose, seconds


def services(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(compose(*arguments, "config", "--format", "json"))["services"]
    return found


@pytest.fixture(scope="module")
def with_postgres() -> dict[str, Any]:
    return services("-f", str(COMPOSE_DIR / "compose.postgres.yaml"))


def test_it_is_there_with_its_profile_only() -> None:
    assert sorted(services()) == ["backend", "frontend"]
    assert sorted(services("--profile", "postgres")) == ["backend", "frontend", "postgres"]
    assert "DATABASE_URL" not in services("--profile", "postgres")["backend"]["environment"]


def test_the_second_file_makes_the_backend_use_it(with_postgres: dict[str, Any]) -> None:
    assert sorted(with_postgres) == ["backend", "frontend", "postgres"]
    backend = with_postgres["backend"]
    assert backend["environment"]["DATABASE_URL"] == "postgresql://docsearch@postgres:5432/docsearch"
    assert backend["depends_on"]["postgres"]["condition"] == "service_healthy"
    drain = int(backend["environment"]["DRAIN_TIMEOUT"])
    assert seconds(backend["stop_grace_period"]) > drain + 8


def test_the_password_is_a_file_that_git_ignores(with_postgres: dict[str, Any]) -> None:
    for name, variable in (("backend", "DATABASE_PASSWORD_FILE"), ("postgres", "POSTGRES_PASSWORD_FILE")):
        service = with_postgres[name]
        (secret,) = service["secrets"]
        assert service["environment"][variable] == secret["target"] == "/run/secrets/database-password"
        assert not [key for key in service["environment"] if key.endswith("PASSWORD")]
    parsed = json.loads(compose("-f", str(COMPOSE_DIR / "compose.postgres.yaml"), "config", "--format", "json"))
    file = parsed["secrets"]["database-password"]["file"]
    assert file == str(COMPOSE_DIR / "secrets" / "database-password")
    assert "compose/secrets/" in (COMPOSE_DIR.parent / ".gitignore").read_text().splitlines()


def test_the_database_is_hardened_as_the_services_are(with_postgres: dict[str, Any]) -> None:
    service = with_postgres["postgres"]
    assert service["user"] == "999:999"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "ports" not in service, "the backend alone reaches it"
    assert service["stop_signal"] == "SIGINT"
    (volume,) = service["volumes"]
    assert (volume["type"], volume["source"], volume["target"]) == ("volume", "postgres", "/var/lib/postgresql/data")
    assert service["environment"]["PGDATA"].startswith(volume["target"] + "/")
    assert service["healthcheck"]["test"][1] == "pg_isready"
    limits = service["deploy"]["resources"]["limits"]
    assert int(limits["memory"]) <= 2**30
    assert limits["pids"] <= 512
