"""Verdicts about workloads in the table: kept for their place, stale once the pod template or the image is another."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from devenv.core.model import Resource
from devenv.runs.criteria import TestResult, Verdict
from devenv.runs.identity import Commit, Machine
from devenv.runs.report import Report
from devenv.verify.service_verdicts import CONFIG_HASH, ServiceVerdicts, Subject, place_of
from tests.terminal.cluster import cluster_opened, pod, workload
from tests.terminal.scripted import container

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
PLACE = place_of("minikube", "shop")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def remember(project: str, verdict: Verdict, subject: Subject, run: str = "r1") -> None:
    tests = (TestResult("t.py::test_it", "b", verdict, services=("web",)),)
    about = {"isolated": True, "machine": Machine("m", "Linux", "p", 2, 2**30), "commit": Commit("", dirty=False)}
    report = Report(run, time.time() - 131, 1.0, project, "all", measurements=(), tests=tests, **about)  # type: ignore[arg-type]  # a dict's values have one type
    ServiceVerdicts().add(report, {"web": subject}, whole=False)


def web(config: str = "c1") -> Resource:
    return workload("web", (1, 1), config_hash=config)


def running(image: str) -> Resource:
    return pod("web", image_id=f"registry.example.com/web@{image}")


async def test_a_workload_has_its_verdict_and_its_details_tell_it() -> None:
    remember(PLACE, Verdict.PASSED, Subject(ONE, "c1"))
    async with cluster_opened(size=(150, 40)) as terminal:
        terminal.cluster.live(web(), workload("other"), kind="deployments")
        terminal.cluster.live(running(ONE), pod("other"))
        await terminal.sees("VERIFIED", "✓ passed 2m")
        assert [line for line in terminal.lines() if "✓ passed" in line] == [terminal.row("▸ web")]
        await terminal.go("web")
        await terminal.sees("passed 2m ago, by 1 test of devenv verify --target")


async def test_another_template_or_image_makes_it_stale() -> None:
    remember(PLACE, Verdict.PASSED, Subject(ONE, "c1"))
    async with cluster_opened(size=(150, 40)) as terminal:
        terminal.cluster.live(web(), kind="deployments")
        terminal.cluster.live(running(ONE))
        await terminal.until(lambda: "✓ passed" in terminal.row("▸ web"))
        terminal.cluster.seen(replace(running(TWO), key="kubernetes:web-2", name="web-2"))
        await terminal.until(lambda: "stale ✓" in terminal.row("▸ web"))
        await terminal.go("web")
        await terminal.sees("stale: the image has changed since")
        terminal.cluster.gone("kubernetes:web-2")
        await terminal.until(lambda: "✓ passed" in terminal.row("▸ web"))
        terminal.cluster.seen(web("c2"), kind="deployments")
        await terminal.until(lambda: "stale ✓" in terminal.row("▸ web"))
        await terminal.sees("stale: the workload's pod template has changed since")


async def test_a_verdict_is_about_its_own_namespace_and_context() -> None:
    remember(place_of("minikube", "other"), Verdict.PASSED, Subject(ONE, "c1"), "r1")
    remember(place_of("prod", "shop"), Verdict.PASSED, Subject(ONE, "c1"), "r2")
    async with cluster_opened(size=(150, 40)) as terminal:
        terminal.cluster.live(web(), kind="deployments")
        await terminal.until(terminal.knows_verdicts)
        assert "VERIFIED" not in terminal.text()


async def test_a_joint_line_tells_the_worse_of_both_and_opened_each() -> None:
    remember("shop", Verdict.FAILED, Subject("", "c1"), "r1")
    remember(PLACE, Verdict.PASSED, Subject(ONE, "c1"), "r2")
    async with cluster_opened(size=(150, 40)) as terminal:
        terminal.backend.live(container("web", labels=((CONFIG_HASH, "c1"),)))
        terminal.cluster.live(web(), kind="deployments")
        terminal.cluster.live(running(ONE))
        await terminal.until(lambda: "✗" in terminal.row("▸ web"))
        await terminal.go("web")
        await terminal.press("right")
        await terminal.until(lambda: any("✓ passed 2m" in line for line in terminal.lines()))


async def test_the_pods_of_a_cluster_are_no_reason_to_read_again() -> None:
    remember(PLACE, Verdict.PASSED, Subject(ONE, "c1"))
    async with cluster_opened(size=(150, 40)) as terminal:
        terminal.cluster.live(web(), kind="deployments")
        terminal.cluster.live(running(ONE))
        await terminal.sees("✓ passed")
        reads = terminal.verdicts.reads
        terminal.cluster.seen(*(pod("web", number) for number in range(2, 30)))
        terminal.cluster.seen(web("c2"), kind="deployments")
        await terminal.until(lambda: "stale" in terminal.row("▸ web"))
        terminal.main.tick()
        assert terminal.verdicts.reads == reads
