"""Services of both runtimes in one table: lines that open, what they say, what they cost."""

from __future__ import annotations

import time

from devenv.core.model import ConnectionState, Health, LogLine, Sample, State
from tests.terminal.cluster import cluster_opened, connected, pod, replica_set, workload
from tests.terminal.scripted import container


async def test_a_service_in_both_runtimes_is_one_line_that_opens() -> None:
    async with cluster_opened() as terminal:
        terminal.backend.live(container("web", health=Health.HEALTHY), container("mail"))
        terminal.cluster.live(workload("web", (2, 2)), kind="deployments")
        terminal.cluster.live(pod("web", 1), pod("web", 2))
        await terminal.until(lambda: terminal.rows == ["mail", "▸ web"])
        assert "● compose ● 2/2 k8s" in terminal.row("▸ web")
        await terminal.go("web")
        await terminal.press("right")
        await terminal.until(lambda: len(terminal.rows) == 6)
        assert terminal.rows[1:4] == ["▾ web", "compose web", "deployment web"]
        assert terminal.rows[4:] == ["web-7d9-00001", "web-7d9-00002"]
        await terminal.sees("deployment web", "web-7d9-00002")
        await terminal.press("down", "down", "left")
        await terminal.until(lambda: terminal.rows == ["mail", "▸ web"])
        assert terminal.main.table.selected is not None
        assert terminal.main.table.selected.title == "web"


async def test_the_cursor_stays_on_a_service_that_becomes_joint_and_the_details_follow() -> None:
    async with cluster_opened() as terminal:
        terminal.backend.live(container("web", health=Health.HEALTHY))
        await terminal.go("web")
        await terminal.sees("shop-web-1")
        terminal.session.services["web"] = {"image": "web:1", "environment": {"LEVEL": "debug"}}
        terminal.session.objects["web"] = deployment_object()
        terminal.cluster.live(workload("web"), kind="deployments")
        await terminal.sees("web, in both runtimes", "DIFFERENCES", "environment LEVEL", "memory limit", "256Mi")
        assert terminal.shows("image", "web:2", "environment MODE", "cluster", "environment DB_PASSWORD", "••••")
        await terminal.until(lambda: terminal.cluster.logs == {"kubernetes:deployment-web"})
        assert terminal.backend.logs == {"docker/web-1"}
        terminal.cluster.emit(LogLine("kubernetes:deployment-web", time.time(), "stdout", "from the cluster"))
        terminal.backend.emit(LogLine("docker/web-1", time.time(), "stdout", "from the engine"))
        await terminal.sees("k8s │ from the cluster", "compose │ from the engine")
        await terminal.press("right", "down")
        await terminal.until(
            lambda: terminal.main.table.selected and terminal.main.table.selected.key == "docker/web-1"
        )
        await terminal.until(lambda: "  from the engine" in terminal.text() and not terminal.shows("from the cluster"))


async def test_lines_of_pods_are_merged_into_the_log_of_their_workload() -> None:
    async with cluster_opened() as terminal:
        terminal.cluster.live(workload("web", (2, 2)), kind="deployments")
        terminal.cluster.live(pod("web", 1), pod("web", 2), pod("api", 1))
        await terminal.go("web")
        await terminal.until(lambda: "kubernetes:deployment-web" in terminal.cluster.logs)
        for service, number in (("web", 1), ("web", 2), ("api", 1)):
            key = f"kubernetes:{service}-7d9-{number:05d}"
            terminal.cluster.emit(LogLine(key, time.time(), "stdout", f"hello of {service} {number}"))
        await terminal.sees("7d9-00001 │ hello of web 1", "7d9-00002 │ hello of web 2")
        assert not terminal.shows("hello of api")


def deployment_object() -> dict[str, object]:
    container = {
        "name": "web",
        "image": "web:2",
        "env": [{"name": "LEVEL", "value": "info"}, {"name": "DB_PASSWORD", "value": "hunter2"}],
        "envFrom": [{"configMapRef": {"name": "web-config"}}],
        "resources": {"limits": {"memory": "256Mi"}},
    }
    return {"kind": "Deployment", "spec": {"template": {"spec": {"containers": [container]}}}}


async def test_a_workload_alone_opens_into_its_pods_and_says_why_it_waits() -> None:
    async with cluster_opened() as terminal:
        stuck = pod("api", 2, State.CREATED, status="ImagePullBackOff", why="image not found: api:nope")
        waits = workload("api", (1, 2), why="1 of 2 pods waits: image not found", health=Health.UNHEALTHY)
        terminal.cluster.live(waits, kind="deployments")
        terminal.cluster.live(pod("api", 1), stuck)
        await terminal.sees("▸ api", "◐ 1/2 ready", "✗ unhealthy", "image not found")
        await terminal.press("right")
        await terminal.sees("◌ ImagePullBackOff", "api-7d9-00002")
        assert "2 pods · 1 ready · 1 pending" in terminal.lines()[1]


async def test_use_of_both_runtimes_is_added_up() -> None:
    async with cluster_opened() as terminal:
        terminal.backend.live(container("web"))
        terminal.cluster.live(workload("web"), kind="deployments")
        await terminal.until(lambda: "kubernetes:deployment-web" in terminal.cluster.stats)
        assert terminal.backend.stats == {"docker/web-1"}
        now = time.time()
        terminal.backend.emit(Sample("docker/web-1", now, 0.25, 100 * 1024**2, None))
        terminal.cluster.emit(Sample("kubernetes:deployment-web", now, 0.5, 28 * 1024**2, None, 15.0))
        await terminal.until(lambda: "75%" in terminal.row("▸ web") and "128 MiB" in terminal.row("▸ web"))


async def test_what_comes_and_goes_keeps_the_lines_right() -> None:
    async with cluster_opened() as terminal:
        terminal.cluster.live(pod("web", 1))
        await terminal.until(lambda: terminal.rows == ["web-7d9-00001"])
        terminal.cluster.seen(workload("web"), kind="deployments")
        await terminal.until(lambda: terminal.rows == ["▸ web"])
        terminal.backend.live(container("web"))
        await terminal.until(lambda: "compose" in terminal.row("▸ web"))
        terminal.cluster.gone("kubernetes:deployment-web", kind="deployments")
        await terminal.until(lambda: "compose" in terminal.row("▸ web"))
        terminal.cluster.gone("kubernetes:web-7d9-00001")
        await terminal.until(lambda: terminal.rows == ["web"])
        terminal.cluster.seen(replica_set("old", owner=""), kind="replicasets")
        await terminal.until(lambda: len(terminal.rows) == 2)


async def test_the_filter_finds_pods_in_closed_services() -> None:
    async with cluster_opened() as terminal:
        terminal.cluster.live(workload("web"), workload("api"), kind="deployments")
        terminal.cluster.live(*(pod("web", number) for number in range(3)), pod("api", 7))
        await terminal.until(lambda: terminal.rows == ["▸ api", "▸ web"])
        await terminal.press("slash", *"00007")
        await terminal.until(lambda: terminal.rows == ["▾ api", "api-7d9-00007"])
        terminal.cluster.seen(pod("web", 10007))
        await terminal.until(lambda: len(terminal.rows) == 2 or "web-7d9-10007" in terminal.rows)
        await terminal.press("escape")
        await terminal.until(lambda: terminal.rows == ["▸ api", "▸ web"])


async def test_both_connections_are_told_each_with_its_state_and_age() -> None:
    async with cluster_opened() as terminal:
        terminal.backend.live(container("web"))
        terminal.cluster.live(pod("web"))
        await terminal.sees("⎈ minikube/shop", "v1.36.2")
        assert all("● live" in line for line in terminal.lines()[:2])
        lost = connected(
            ConnectionState.RETRYING,
            message="the API server does not answer",
            hint="Is the cluster running?",
            retry_in=8.0,
            last_live=time.time() - 90,
        )
        terminal.cluster.emit(lost)
        await terminal.sees("↻ retrying in", "data of 1m ago", "the API server does not answer", "→ Is the cluster")
        assert "● live" in terminal.lines()[0]
        terminal.cluster.emit(connected())
        await terminal.until(lambda: not terminal.shows("the API server does not answer"))


async def test_a_read_only_context_says_so_and_refuses_with_the_reason() -> None:
    async with cluster_opened(name="prod", allowed=False) as terminal:
        terminal.cluster.live(workload("web"), kind="deployments")
        await terminal.sees("⎈ prod/shop", "READ-ONLY")
        assert terminal.controller.cluster_bar.has_class("-read-only")
        await terminal.go("web")
        await terminal.press("r")
        await terminal.sees("restart was refused", "is not on the list", "devenv.toml")
        assert not terminal.session.control.requested


async def test_a_changed_pod_costs_the_same_among_7000() -> None:
    async with cluster_opened() as terminal:
        terminal.cluster.live(workload("web", (7000, 7000)), kind="deployments")
        terminal.cluster.live(*(pod("web", number) for number in range(7000)))
        await terminal.sees("7,000 pods")
        await terminal.press("right")
        table, lines = terminal.main.table, terminal.controller.board.services
        await terminal.until(lambda: len(table.rows) == 7001)
        await terminal.settle()
        drawn, built = table.lines_drawn, lines.rows_built
        terminal.cluster.seen(pod("web", 3, restarts=2), pod("web", 6500, restarts=1), pod("web", 7001))
        await terminal.until(lambda: len(table.rows) == 7002)
        await terminal.settle()
        assert lines.rows_built - built < 4 * table.size.height
        assert table.lines_drawn - drawn < 8 * table.size.height


async def test_a_compose_service_that_was_never_created_is_no_service_of_the_cluster() -> None:
    async with cluster_opened() as terminal:
        terminal.backend.live(container("api", state=State.ABSENT, kind="service"))
        await terminal.sees("nothing was created yet, so there is no log")
