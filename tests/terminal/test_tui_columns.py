"""What the table keeps where there is little room: names that can be told apart, states and ages before the rest."""

from __future__ import annotations

import time

import pytest
from msgspec.structs import replace

from devenv.core.model import Action, ConnectionState, Gone, Health, Phase, Port, Resource, Seen, State
from devenv.tui.safe_text import fit_ends
from devenv.tui.table.columns import COLUMNS, place
from tests.terminal.cluster import cluster_opened, pod
from tests.terminal.conftest import Opening
from tests.terminal.scripted import connection, container

FACTS = (
    *(("node", "minikube"), ("ip", "10.244.0.44"), ("qos", "Burstable"), ("containers", "frontend")),
    *(("cpu request", "100m"), ("cpu limit", "500m"), ("memory request", "128 MiB"), ("memory limit", "256 MiB")),
)
NAMES = ("payments-api-gateway", "payments-api-worker", "payments-api-scheduler", "documents-index-frontend")


def replicas(namespace: str = "shop") -> list[Resource]:
    """Three pods of one Deployment: one is ready, one is not, one crashes."""
    now = time.time()
    made = []
    for suffix, status, state, why, restarts in (
        ("x7k2p", "Running", State.RUNNING, "", 0),
        ("q9vbn", "Running", State.RUNNING, "frontend is not ready; readiness probe failed: HTTP 503", 3),
        ("zz8lm", "CrashLoopBackOff", State.RESTARTING, "frontend: crash loop, exit code 3", 7),
    ):
        ready = (0, 1) if why else (1, 1)
        known = {"namespace": namespace, "status": status, "why": why, "restarts": restarts, "ready": ready}
        made.append(
            replace(
                pod("frontend", 1, state, facts=FACTS, **known),
                name=f"frontend-6f6b9b6d5c-{suffix}",
                key=f"kubernetes:{namespace}-{suffix}",
                created_at=now - 300 * 86400,
                restarted_at=now - 320 if restarts else None,
            )
        )
    return made


@pytest.mark.parametrize(
    ("size", "extra"),
    [
        ((80, 24), ()),
        ((200, 60), ("CPU", "MEMORY", "NODE", "IP", "10.244.0.44", "QOS", "WHY", "probe failed: HTTP 503")),
    ],
)
async def test_pods_can_be_told_apart(size: tuple[int, int], extra: tuple[str, ...]) -> None:
    async with cluster_opened(size=size) as terminal:
        terminal.cluster.live(*replicas())
        await terminal.order("pods")
        await terminal.sees("NAME", "READY", "STATE", "RESTARTS", "AGE", *extra)
        await terminal.until(lambda: terminal.row("frontend-6f6b9b6d5c-zz8lm"))
        rows = [terminal.row(f"frontend-6f6b9b6d5c-{suffix}") for suffix in ("x7k2p", "q9vbn", "zz8lm")]
        for row, words in zip(
            rows,
            ("1/1 ● running 0 300d", "0/1 ◐ running 3 (5m ago) 300d", "0/1 ↻ CrashLoopBackOff 7 (5m ago) 300d"),
            strict=True,
        ):
            assert all(word in row.split() for word in words.split()), row
        assert ("QOS" in terminal.text()) is bool(extra)


async def test_pods_of_all_namespaces_show_theirs() -> None:
    async with cluster_opened(size=(80, 24)) as terminal:
        terminal.cluster.live(*replicas(), *replicas("docsearch-production"))
        await terminal.order("pods all")
        await terminal.sees("NAMESPACE", "READY", "AGE", "docsearch…oduction")
        assert len([line for line in terminal.lines() if "frontend-6f6b9b6d5c-x7k2p" in line and "300d" in line]) == 2


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_services_keep_their_names_and_the_table_its_rows(opened: Opening, size: tuple[int, int]) -> None:
    ports = (Port(8000, "tcp", 8000, "127.0.0.1"),)
    others = [container(f"s{number}") for number in range(8)]
    async with opened(size=size) as terminal:
        await terminal.live(*(container(name, health=Health.HEALTHY, ports=ports) for name in NAMES), *others)
        await terminal.sees(*NAMES, "PORTS", "8000→8000", "s7")
        assert len(terminal.main.table.visible_rows) == 12, "no log line takes the place of a service"
        head = next(line for line in terminal.lines() if "SERVICE" in line)
        assert head.index("HEALTH") - head.index("STATE") < 14, "columns are as wide as what they show"


async def test_a_banner_keeps_its_hint(opened: Opening) -> None:
    async with opened(size=(80, 24)) as terminal:
        await terminal.live(container("web"))
        message = "The engine does not answer: " + "permission denied while trying to connect " * 9
        hint = "Add yourself to the group: sudo usermod -aG docker $USER"
        terminal.backend.emit(connection(ConnectionState.FAILED, message=message, hint=hint))
        await terminal.sees("The engine does not answer", "…", "→ Add yourself")
        await terminal.pilot.resize_terminal(60, 24)
        await terminal.sees("The engine does not answer", "…", "→ Add yourself", "$USER")


async def test_a_failed_change_keeps_its_hint(opened: Opening) -> None:
    async with opened(size=(80, 24)) as terminal:
        await terminal.live(container("web"))
        detail = "\n".join(f"line {number} of what Compose said" for number in range(30))
        terminal.control.emit(Action(1, "up", (), Phase.FAILED, time.time(), detail, "Free the port.", 6))
        await terminal.sees("up project failed (exit code 6)", "line 0", "…", "→ Free the port.")


def test_spare_columns_go_before_a_name_is_cut() -> None:
    names = {placed.column.name: placed.width for placed in place(80, {"service": 30, "state": 9, "ports": 60})}
    assert "ports" not in names
    assert names["service"] == 30
    long = {placed.column.name: placed.width for placed in place(80, {"service": 90, "state": 9})}
    assert long.keys() == {column.name for column in COLUMNS if not column.spare}, "no other column goes for a name"
    assert sum(long.values()) + len(long) - 1 == 78


@pytest.mark.parametrize(
    ("name", "width", "shown"),
    [
        ("frontend-6f6b9b6d5c-x7k2p", 25, "frontend-6f6b9b6d5c-x7k2p"),
        ("frontend-6f6b9b6d5c-x7k2p", 16, "frontend…c-x7k2p"),
        ("支払い処理サービス", 9, "支払…ビス"),
        ("ab", 4, "ab  "),
        ("abcdef", 2, "a…"),
    ],
)
def test_a_name_that_is_cut_keeps_both_ends(name: str, width: int, shown: str) -> None:
    assert fit_ends(name, width) == shown


async def test_a_long_name_that_goes_gives_its_room_back(opened: Opening) -> None:
    async with opened(size=(80, 24)) as terminal:
        await terminal.live(container("web", ports=(Port(8000, "tcp", 8000, "127.0.0.1"),)))
        await terminal.sees("PORTS", "8000→8000")
        long = container("", name="shop-a-task-with-a-very-long-name-run-1f2e3d", key="docker/run", one_off=True)
        terminal.backend.emit(Seen("docker", long))
        await terminal.sees("1f2e3d (one-off)")
        assert "PORTS" not in terminal.text()
        terminal.backend.emit(Gone("docker", "docker/run"))
        await terminal.sees("PORTS", "8000→8000")
