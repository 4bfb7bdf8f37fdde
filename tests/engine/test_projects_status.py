"""A project with includes, several files, profiles and replicas: status lists exactly what Compose lists."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from program import PROJECTS, Program, program

pytestmark = pytest.mark.engine

FILES = ("-f", "compose.yaml", "-f", "compose.extra.yaml", "--env-file", "shop.env")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, base_image: str) -> Iterator[Program]:
    """The shop, brought up once for all tests here: the verdict of that start is `shop_up`."""
    with program("shop", tmp_path_factory.mktemp("state"), base_image, *FILES) as made:
        yield made


@pytest.fixture(scope="module")
def shop_up(shop: Program) -> str:
    done = shop.run("--profile", "report", "up", "--wait", "--timeout", "50")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[/foo] building" not in done.stdout, "stdout is for the verdict"
    return done.stdout


def services(shop: Program, *options: str) -> set[str]:
    return set(shop.compose(*options, "config", "--services").split())


def test_before_the_start_everything_is_absent(shop: Program) -> None:
    if shop.compose("ps", "-aq"):
        pytest.fail("this test must run before the ones that start the project")
    assert shop.states() == dict.fromkeys(services(shop), "absent")


def test_the_verdict_of_the_start(shop_up: str) -> None:
    rows = {line.split()[0]: line.split()[1] for line in shop_up.splitlines()[1:] if line}
    assert rows == {
        "cache": "ready",
        "db": "ready",
        "migrate": "completed",
        "queue": "ready",
        "report": "completed",
        "web": "ready",
    }


@pytest.mark.usefixtures("shop_up")
def test_status_lists_exactly_the_services_of_the_active_profiles(shop: Program) -> None:
    for options in (("--profile", "report"), (), ("--profile", "tools", "--profile", "report"), ("--profile", "*")):
        assert set(shop.states(*options)) == services(shop, *options)


@pytest.mark.usefixtures("shop_up")
def test_status_of_one_service_as_yaml_and_wide(shop: Program) -> None:
    found = yaml.safe_load(shop.run("status", "web", "-o", "yaml").stdout)
    assert [service["name"] for service in found["services"]] == ["web"]
    whole = {service["name"]: service for service in shop.status()["services"]}
    assert found["services"][0]["containers"] == whole["web"]["containers"]
    head, *rows = shop.run("status", "-o", "wide", "db").stdout.splitlines()
    assert "IMAGE" in head
    assert all(row.startswith("db") for row in rows)
    wrong = shop.run("status", "wbe")
    assert wrong.returncode == 2
    assert "web" in wrong.stderr


@pytest.mark.usefixtures("shop_up")
def test_every_service_has_its_right_state(shop: Program) -> None:
    assert shop.states("--profile", "*") == {
        "cache": "healthy",  # its health check is the image's own
        "db": "healthy",
        "migrate": "completed",
        "queue": "running",
        "report": "completed",
        "tools": "absent",
        "web": "running",
    }


@pytest.mark.usefixtures("shop_up")
def test_replicas_ports_and_exit_codes(shop: Program) -> None:
    found = {service["name"]: service for service in shop.status()["services"]}
    assert found["web"]["replicas"] == {"declared": 3, "existing": 3, "running": 3, "healthy": 0}
    assert [item["number"] for item in found["web"]["containers"]] == [1, 2, 3]
    (migrate,) = found["migrate"]["containers"]
    assert (migrate["state"], migrate["exit_code"], migrate["restarts"]) == ("exited", 0, 0)
    (cache,) = found["cache"]["containers"]
    (port,) = cache["ports"]
    assert (port["container"], port["host_ip"]) == (6379, "127.0.0.1")
    assert port["host"] > 0
    assert cache["started_at"] > cache["created_at"]


@pytest.mark.usefixtures("shop_up")
def test_containers_of_an_inactive_profile_are_no_services_of_the_project(shop: Program) -> None:
    found = shop.status()
    assert [item["service"] for item in found["orphans"]] == ["report"]
    assert "report (inactive profile)" in shop.run("status").stdout


@pytest.mark.usefixtures("shop_up")
def test_the_same_project_from_a_folder_below_by_environment_alone(shop: Program, base_image: str) -> None:
    folder = PROJECTS / "shop"
    below = Program(
        shop.name,
        folder / "cache",
        shop.state,
        base_image,
        variables={"COMPOSE_FILE": "../compose.yaml:../compose.extra.yaml", "COMPOSE_ENV_FILES": "../shop.env"},
    )
    assert below.states() == shop.states()


@pytest.mark.usefixtures("shop_up")
def test_the_same_project_by_the_env_file_of_a_parent_folder(shop: Program, tmp_path: Path) -> None:
    """`.env` with COMPOSE_FILE, which Compose itself reads only when started beside it."""
    folder = PROJECTS / "shop"
    lines = [f"COMPOSE_FILE={folder}/compose.yaml:{folder}/compose.extra.yaml", "GREETING=hello"]
    (tmp_path / ".env").write_text("\n".join(lines))
    (tmp_path / "deep").mkdir()
    below = replace(shop, folder=tmp_path / "deep", options=())
    assert set(below.states()) == services(shop)


@pytest.mark.usefixtures("shop_up")
def test_logs_are_the_containers_words_alone_on_stdout(shop: Program) -> None:
    done = shop.run("logs", "--tail", "1", "migrate")
    assert done.returncode == 0
    assert done.stdout == "migrate-1  | [/foo] migrated\n"
    assert done.stderr == ""


@pytest.mark.usefixtures("shop_up")
def test_the_table_shows_every_service_once_a_container(shop: Program) -> None:
    lines = shop.run("--profile", "tools", "status").stdout.splitlines()
    assert lines[0].split() == ["SERVICE", "CONTAINER", "STATE", "HEALTH", "RESTARTS", "EXIT", "PORTS", "AGE", "WHY"]
    assert sum(line.startswith("web ") for line in lines) == 3
    assert any(line.split() == ["tools", "absent"] for line in lines)


@pytest.mark.usefixtures("shop_up")
def test_stop_start_restart_and_an_untouched_second_up(shop: Program) -> None:
    ids = {item["id"] for service in shop.status()["services"] for item in service["containers"]}
    assert shop.run("stop", "queue", "-t", "0").returncode == 0
    assert shop.states()["queue"] == "stopped"
    assert shop.run("start", "queue").returncode == 0
    assert shop.states()["queue"] == "running"
    assert shop.run("restart", "queue", "-t", "0").returncode == 0
    again = shop.run("up", "--wait", "queue")
    assert again.returncode == 0, again.stderr
    assert [line.split()[0] for line in again.stdout.splitlines()] == ["SERVICE", "queue"]
    assert {item["id"] for service in shop.status()["services"] for item in service["containers"]} == ids


@pytest.mark.usefixtures("shop_up")
def test_status_that_is_watched_comes_anew_when_something_changes(shop: Program) -> None:
    watching = shop.start("status", "--watch", "db")
    lines: list[str] = []
    reader = threading.Thread(target=lambda: [lines.append(line) for line in watching.stdout or ()], daemon=True)
    reader.start()

    def tables() -> int:
        return sum(line.startswith("SERVICE") for line in lines)

    def wait(least: int) -> None:
        deadline = time.monotonic() + 60
        while tables() < least and time.monotonic() < deadline:
            time.sleep(0.1)

    try:
        wait(1)
        assert tables() == 1, lines
        restarted = shop.run("restart", "db", "-t", "0")
        assert restarted.returncode == 0, restarted.stderr
        wait(2)
        assert tables() >= 2, f"another table, with what changed: {lines}"
    finally:
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 130
        reader.join(10)
        for stream in (watching.stdout, watching.stderr):
            if stream is not None:
                stream.close()


def test_without_a_terminal_down_with_volumes_needs_yes_and_loses_nothing(shop: Program, shop_up: str) -> None:
    assert shop_up
    before = shop.status()["services"]
    refused = shop.run("down", "-v")
    assert refused.returncode == 10
    assert f"{shop.name}_jobs" in refused.stderr
    assert "--yes" in refused.stderr
    assert [item["containers"] for item in shop.status()["services"]] == [item["containers"] for item in before]
    volumes = ("volume", "ls", "-q", "--filter", f"label=com.docker.compose.project={shop.name}")
    assert docker(*volumes) == [f"{shop.name}_jobs"]

    left = shop.run("down")
    assert left.returncode == 1, "it must not end as if everything were gone"
    assert f"{shop.name}-report-1 (inactive profile)" in left.stderr
    assert "devenv down --all" in left.stderr
    assert shop.run("down", "--all", "-v", "--yes").returncode == 0
    assert docker(*volumes) == []
    assert set(shop.states().values()) == {"absent"}
    events = [(record["event"], record["verb"]) for record in shop.audit()]
    assert ("refused", "down") in events
    assert events[-2:] == [("allowed", "down"), ("finished", "down")]


def docker(*arguments: str) -> list[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.split()
