"""compose.yaml as Compose understands it: hardening, health, documented variables. Nothing is built or started."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

COMPOSE_DIR = Path(__file__).resolve().parents[2] / "compose"
SERVICES = ["backend", "frontend"]


def compose(*arguments: str, file: Path = COMPOSE_DIR / "compose.yaml", **environ: str) -> str:
    """Run Compose without the developer's own variables and .env file."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        ["docker", "compose", "-f", str(file), "--env-file", os.devnull, *arguments],
        env={**kept, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(compose("config", "--format", "json"))
    return parsed


def seconds(duration: str) -> float:
    """Return a Compose duration such as 1m30s in seconds."""
    parts = re.findall(r"(\d+)(h|m|s)", duration)
    assert "".join(number + unit for number, unit in parts) == duration
    return sum(int(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in parts)


def test_services_and_volume(project: dict[str, Any]) -> None:
    assert project["name"] == "docsearch"
    assert sorted(project["services"]) == SERVICES
    assert list(project["volumes"]) == ["data"]


def variables() -> dict[str, str]:
    """Return the variables of compose.yaml and their defaults, as Compose lists them."""
    lines = compose("config", "--variables").splitlines()
    assert lines[0].split()[0] == "NAME"
    found = {}
    for line in lines[1:]:
        name, required, *default = line.split()
        assert required == "false", f"{name} has no default"
        assert len(default) == 1, f"{name} has an empty default"
        found[name] = default[0]
    return found


def documented() -> dict[str, str]:
    """Return the lines of .env.example that set something; each must follow a comment."""
    found: dict[str, str] = {}
    before = ""
    for line in (COMPOSE_DIR / ".env.example").read_text().splitlines():
        if line and not line.startswith("#"):
            name, value = line.split("=", 1)
            assert before.startswith("#"), f"{name} is not explained"
            assert name not in found, f"{name} is there twice"
            found[name] = value
        before = line
    return found


def test_every_variable_is_documented_with_its_default() -> None:
    assert documented() == variables()


def test_variables_reach_their_place() -> None:
    chosen = {
        "PYTHON_IMAGE": "localhost/base:1",
        "IMAGE_TAG": "tagged",
        "FRONTEND_PORT": "31000",
        "BACKEND_PORT": "31001",
        "RELOAD": "0",
        "LOG_LEVEL": "debug",
        "MAX_BODY_BYTES": "2048",
        "POSTGRES_IMAGE": "localhost/postgres:1",
    }
    assert set(chosen) == set(variables())
    services = json.loads(compose("--profile", "postgres", "config", "--format", "json", **chosen))["services"]
    assert services["postgres"]["image"] == "localhost/postgres:1"
    for name, port in (("frontend", "31000"), ("backend", "31001")):
        assert services[name]["image"] == f"docsearch-{name}:tagged"
        assert services[name]["build"]["args"] == {"PYTHON_IMAGE": "localhost/base:1"}
        assert [entry["published"] for entry in services[name]["ports"]] == [port]
        assert services[name]["environment"]["RELOAD"] == "0"
        assert services[name]["environment"]["LOG_LEVEL"] == "debug"
    assert services["backend"]["environment"]["MAX_BODY_BYTES"] == "2048"


def test_dotenv_beside_the_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text((COMPOSE_DIR / "compose.yaml").read_text())
    (tmp_path / ".env").write_text("PYTHON_IMAGE=localhost/from-dotenv:1\n")
    done = subprocess.run(
        ["docker", "compose", "-f", str(tmp_path / "compose.yaml"), "config", "--format", "json"],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )
    services = json.loads(done.stdout)["services"]
    assert {service["build"]["args"]["PYTHON_IMAGE"] for service in services.values()} == {"localhost/from-dotenv:1"}


@pytest.mark.parametrize("name", SERVICES)
class TestService:
    """What holds for each service."""

    @pytest.fixture
    def service(self, project: dict[str, Any], name: str) -> dict[str, Any]:
        found: dict[str, Any] = project["services"][name]
        return found

    def test_ports_are_on_loopback_only(self, service: dict[str, Any]) -> None:
        assert [port["host_ip"] for port in service["ports"]] == ["127.0.0.1"]
        assert service.get("network_mode") is None

    def test_runs_without_privileges(self, service: dict[str, Any]) -> None:
        assert service["user"] == "10001:10001"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        for forbidden in ("privileged", "cap_add", "pid", "ipc", "devices", "group_add", "userns_mode"):
            assert not service.get(forbidden), forbidden
        assert [entry.split(":")[0] for entry in service["tmpfs"]] == ["/tmp"]
        assert "size=" in service["tmpfs"][0]

    def test_resources_are_bounded(self, service: dict[str, Any]) -> None:
        limits = service["deploy"]["resources"]["limits"]
        assert 0 < float(limits["cpus"]) <= 2
        assert 64 * 2**20 <= int(limits["memory"]) <= 2**30
        assert 16 <= limits["pids"] <= 512
        assert int(service["deploy"]["resources"]["reservations"]["memory"]) < int(limits["memory"])
        assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}

    def test_restarts_and_stops_in_order(self, service: dict[str, Any]) -> None:
        assert service["restart"] == "unless-stopped"
        assert seconds(service["stop_grace_period"]) > 8

    def test_health_check_gives_up_before_the_engine_does(self, service: dict[str, Any], name: str) -> None:
        check = service["healthcheck"]
        url = {"backend": "http://127.0.0.1:8000/ready", "frontend": "http://127.0.0.1:3000/health"}[name]
        assert (check["test"][0], check["test"][-1]) == ("CMD", url)
        assert check["retries"] == 3
        assert seconds(check["timeout"]) > 3
        assert seconds(check["interval"]) >= seconds(check["timeout"])
        assert seconds(check["start_period"]) > 5 * seconds(check["start_interval"])

    def test_source_is_mounted_read_only_and_nothing_else(self, service: dict[str, Any], name: str) -> None:
        binds = [volume for volume in service["volumes"] if volume["type"] == "bind"]
        package = {"backend": "docindexer", "frontend": "docfront"}[name]
        assert [(bind["source"], bind["target"]) for bind in binds] == [
            (str(COMPOSE_DIR / name / package), f"/app/{package}")
        ]
        assert (COMPOSE_DIR / name / package / "__main__.py").is_file()
        assert binds[0]["read_only"] is True
        assert binds[0]["bind"]["create_host_path"] is False

    def test_what_the_image_is_made_from_is_watched(self, service: dict[str, Any], name: str) -> None:
        watched = {(entry["action"], entry["path"]) for entry in service["develop"]["watch"]}
        folder = COMPOSE_DIR / name
        package = COMPOSE_DIR / "shared" / "docshared"
        assert watched == {
            ("rebuild", str(path)) for path in (folder / "requirements.lock", folder / "Dockerfile", package)
        }
        assert all(Path(path).exists() for _, path in watched)

    def test_image_is_built_from_the_lock(self, service: dict[str, Any], name: str) -> None:
        assert service["pull_policy"] == "never", "a start would first ask a registry for an image that is only here"
        text = (COMPOSE_DIR / name / "Dockerfile").read_text()
        assert text.count("ARG PYTHON_IMAGE=python:3.12-slim") == 1
        assert "# syntax=" not in text
        assert "--require-hashes" in text
        assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
        assert "--mount=type=cache" in text


def test_start_order_and_data(project: dict[str, Any]) -> None:
    services = project["services"]
    assert services["frontend"]["depends_on"]["backend"]["condition"] == "service_healthy"
    assert services["frontend"]["environment"]["BACKEND_URL"] == "http://backend:8000"
    volumes = [volume for volume in services["backend"]["volumes"] if volume["type"] == "volume"]
    assert [(volume["source"], volume["target"]) for volume in volumes] == [("data", "/data")]
    assert not any(volume["type"] == "volume" for volume in services["frontend"]["volumes"])
