"""The table's column of verdicts: read late and seldom, stale once the image or the configuration is another."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from msgspec.structs import replace

from devenv.core.model import Gone, Seen
from devenv.core.state import Store
from devenv.runs.criteria import TestResult, Verdict
from devenv.runs.identity import Commit, Machine
from devenv.runs.report import Report
from devenv.tui import verdicts
from devenv.verify.service_verdicts import CONFIG_HASH, ServiceVerdicts, Subject
from tests.terminal.cluster import cluster_opened, pod, workload
from tests.terminal.conftest import Opening
from tests.terminal.scripted import container

API = container("api", image_id="sha256:one", labels=((CONFIG_HASH, "c1"),))
WEB = container("web", image_id="sha256:two", labels=((CONFIG_HASH, "c2"),))
CONTENTS = {"sha256:one": "content one", "sha256:same": "content one", "sha256:two": "content two"}


def remember(run: str, at: float, *tests: TestResult, whole: bool = False, image: str = "content one") -> None:
    report = Report(
        run=run,
        began=at - 1,
        seconds=1.0,
        project="shop",
        target="compose",
        isolated=True,
        machine=Machine("m", "Linux", "p", 2, 2**30),
        commit=Commit("", dirty=False),
        measurements=(),
        tests=tests,
    )
    subjects = {"api": Subject(image, "c1"), "web": Subject("content two", "c2")}
    ServiceVerdicts().add(report, subjects, whole=whole)


def test(name: str, verdict: Verdict, *services: str) -> TestResult:
    return TestResult(f"t.py::{name}", "b", verdict, services=services)


test.__test__ = False  # type: ignore[attr-defined]  # for pytest: a helper whose name reads well here


@pytest.fixture(autouse=True)
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[frozenset[str]]:
    """Which images the engine was asked for; what they are made of is CONTENTS."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    found: list[frozenset[str]] = []

    def contents(ids: Iterable[str]) -> dict[str, str]:
        found.append(frozenset(ids))
        return {image: CONTENTS[image] for image in found[-1] if image in CONTENTS}

    monkeypatch.setattr(verdicts.Verdicts.read, "__defaults__", (contents,))
    return found


async def test_without_a_verdict_there_is_no_column_and_no_question(opened: Opening, asked: list[object]) -> None:
    async with opened() as terminal:
        await terminal.live(API, WEB)
        await terminal.until(terminal.knows_verdicts)
        assert "VERIFIED" not in terminal.text()
        assert asked == []


async def test_each_service_has_its_last_verdict_with_its_age(opened: Opening) -> None:
    now = time.time()
    remember("r1", now - 130, test("a", Verdict.PASSED, "api"), test("b", Verdict.FAILED, "web"))
    async with opened() as terminal:
        await terminal.live(API, WEB)
        await terminal.sees("VERIFIED", "✓ passed 2m", "✗ failed 2m")
        assert "✓ passed" in terminal.row("api")
        await terminal.sees("passed 2m ago, by 1 test of devenv verify")


async def test_another_image_or_configuration_makes_it_stale_and_the_same_content_does_not(
    opened: Opening, asked: list[frozenset[str]]
) -> None:
    remember("r1", time.time() - 130, test("a", Verdict.PASSED, "api", "web"))
    async with opened() as terminal:
        await terminal.live(API, WEB)
        await terminal.until(lambda: "✓ passed" in terminal.row("api"))
        terminal.backend.emit(Seen("docker", replace(API, image_id="sha256:same")))
        await terminal.until(lambda: frozenset({"sha256:same"}) in asked)
        await terminal.settle()
        assert "✓ passed" in terminal.row("api")
        terminal.backend.emit(Seen("docker", replace(API, image_id="sha256:unknown")))
        await terminal.until(lambda: "stale ✓" in terminal.row("api"))
        await terminal.sees("stale: the image has changed since")
        terminal.backend.emit(Seen("docker", replace(WEB, labels=((CONFIG_HASH, "other"),))))
        await terminal.until(lambda: "stale ✓" in terminal.row("web"))


async def test_a_run_that_ends_elsewhere_is_seen(opened: Opening) -> None:
    remember("r1", time.time() - 130, test("a", Verdict.PASSED, "api"))
    async with opened() as terminal:
        await terminal.live(API, WEB)
        await terminal.until(lambda: "✓ passed" in terminal.row("api"))
        remember("r2", time.time(), test("a", Verdict.ERROR, "api"))
        await terminal.until(lambda: "✗ error" in terminal.row("api"))


async def test_nothing_is_read_or_drawn_while_nothing_changes(opened: Opening, asked: list[object]) -> None:
    remember("r1", time.time() - 7300, test("a", Verdict.PASSED, "api"))
    async with opened() as terminal:
        old = time.time() - 9000
        await terminal.live(replace(API, started_at=old), replace(WEB, started_at=old))
        await terminal.until(lambda: "✓ passed 2h" in terminal.row("api"))
        await terminal.settle()
        watch, drawn, questions = terminal.verdicts, terminal.main.table.lines_drawn, len(asked)
        reads = watch.reads
        for _ in range(3):
            terminal.main.tick()  # what the clock does each second
            await terminal.settle()
        assert (watch.reads, terminal.main.table.lines_drawn, len(asked)) == (reads, drawn, questions)


@pytest.mark.parametrize(("width", "there"), [(60, False), (120, True)])
async def test_the_width_decides(opened: Opening, width: int, there: bool) -> None:
    remember("r1", time.time() - 130, test("a", Verdict.PASSED, "api"))
    async with opened(size=(width, 40)) as terminal:
        await terminal.live(API, WEB)
        await terminal.until(lambda: terminal.main.board.services.columns[-1].name == "verdict")
        await terminal.settle()
        assert ("VERIFIED" in terminal.text()) is there


async def test_names_that_are_no_text_have_no_verdict_and_break_nothing(opened: Opening, asked: list[object]) -> None:
    remember("r1", time.time() - 130, test("a", Verdict.PASSED, "api"))
    async with opened() as terminal:
        await terminal.live(replace(API, image_id="sha256:\udcff\ud800"))
        await terminal.sees("stale ✓ 2m")
        assert asked == []
    async with opened() as terminal:
        terminal.backend.live(replace(API, project="shop\udcff\ud800"))
        await terminal.until(terminal.knows_verdicts)
        assert "VERIFIED" not in terminal.text()


async def test_a_broken_history_is_told_once(opened: Opening, tmp_path: Path) -> None:
    (tmp_path / "state" / "devenv").mkdir(parents=True)
    (tmp_path / "state" / "devenv" / "history.sqlite3").write_text("this is no database " * 200)
    async with opened() as terminal:
        await terminal.live(API, WEB)
        await terminal.sees("no verdicts", "cannot", "used", "database")  # a long path breaks the sentence anywhere


async def test_with_a_cluster_a_joint_line_says_it_open_or_closed() -> None:
    remember("r1", time.time() - 130, test("a", Verdict.PASSED, "api"), test("b", Verdict.FAILED, "web"))
    async with cluster_opened(size=(150, 40)) as terminal:
        terminal.backend.live(API, WEB)
        terminal.cluster.live(workload("api"), workload("alone"), kind="deployments")
        terminal.cluster.live(pod("api"), pod("alone"))
        await terminal.sees("VERIFIED", "▸ api", "✓ passed 2m", "✗ failed 2m")
        lines = terminal.lines()
        assert [line for line in lines if "✓ passed" in line] == [line for line in lines if "▸ api" in line]
        assert [line for line in lines if "✗ failed" in line] == [line for line in lines if line[2:].startswith("web ")]
        await terminal.go("api")
        await terminal.sees("in both runtimes", "passed 2m ago, by 1 test of devenv verify")
        await terminal.press("right")
        await terminal.until(lambda: sum("✓ passed 2m" in line for line in terminal.lines()) == 2)
        terminal.backend.emit(Seen("docker", replace(API, labels=((CONFIG_HASH, "other"),))))
        await terminal.until(lambda: sum("stale ✓ 2m" in line for line in terminal.lines()) == 2)
        await terminal.sees("stale: the service's configuration has changed since")


async def test_a_verdict_that_comes_while_one_kind_is_shown_is_there_afterwards() -> None:
    async with cluster_opened(size=(150, 40)) as terminal:
        terminal.backend.live(API)
        terminal.cluster.live(pod("web"))
        await terminal.until(lambda: len(terminal.main.table.rows) == 2)
        await terminal.order("pods")
        await terminal.sees("NODE")
        remember("r1", time.time() - 130, test("a", Verdict.PASSED, "api"))
        await terminal.until(lambda: terminal.main.board.services.columns[-1].name == "verdict")
        assert "VERIFIED" not in terminal.text()
        await terminal.press("escape")
        await terminal.sees("VERIFIED", "✓ passed 2m")


async def test_a_look_costs_the_same_with_7000_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    remember("r1", time.time() - 130, test("a", Verdict.PASSED, "api"))
    async with cluster_opened(size=(150, 40)) as terminal:
        terminal.backend.live(API)
        terminal.cluster.live(*(pod("web", number) for number in range(7000)))
        await terminal.until(lambda: len(terminal.main.table.rows) == 7001)
        await terminal.sees("✓ passed 2m")
        watch, walks = terminal.verdicts, []
        own = Store.resources.fget
        assert own is not None
        monkeypatch.setattr(Store, "resources", property(lambda store: walks.append(1) or own(store)))
        reads = watch.reads
        for _ in range(10):
            watch.look()
        assert (walks, watch.reads, len(watch.containers)) == ([], reads, 1)
        terminal.backend.emit(Gone("docker", API.key))
        await terminal.until(lambda: not watch.containers)


def test_the_newest_result_of_each_test_counts_back_to_the_last_whole_run() -> None:
    history = ServiceVerdicts()
    remember("old", 1000.0, test("gone", Verdict.ERROR, "api"))
    remember("all", 2000.0, test("a", Verdict.FAILED, "api"), test("b", Verdict.PASSED, "api"), whole=True)
    assert (history.of("shop")["api"].verdict, history.of("shop")["api"].tests) == (Verdict.FAILED, 2)
    remember("some", 3000.0, test("b", Verdict.PASSED, "api"))
    assert history.of("shop")["api"].verdict is Verdict.FAILED, "what was not run again has not got better"
    assert history.of("shop")["api"].at == 2000.0
    remember("again", 4000.0, test("a", Verdict.PASSED, "api"))
    assert (history.of("shop")["api"].verdict, history.of("shop")["api"].at) == (Verdict.PASSED, 4000.0)


def test_results_of_another_image_do_not_count() -> None:
    remember("before", 1000.0, test("a", Verdict.FAILED, "api"), image="older")
    remember("after", 2000.0, test("b", Verdict.PASSED, "api"))
    found = ServiceVerdicts().of("shop")["api"]
    assert (found.verdict, found.tests, found.subject.image) == (Verdict.PASSED, 1, "content one")


def test_a_test_that_touched_nothing_is_about_all_services() -> None:
    remember("r1", 1000.0, test("start", Verdict.ERROR))
    assert {name: item.verdict for name, item in ServiceVerdicts().of("shop").items()} == {
        "api": Verdict.ERROR,
        "web": Verdict.ERROR,
    }


def test_a_service_that_the_last_whole_run_did_not_touch_has_no_verdict() -> None:
    remember("old", 1000.0, test("a", Verdict.FAILED, "api"), test("b", Verdict.PASSED, "web"), whole=True)
    remember("all", 2000.0, test("b", Verdict.PASSED, "web"), whole=True)
    assert list(ServiceVerdicts().of("shop")) == ["web"]
