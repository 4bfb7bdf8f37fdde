"""A load test's phases in the logs: once each, between the lines of before and after, whatever feeds a log."""

from __future__ import annotations

from devenv.logs.buffer import LogBuffer
from devenv.tui.logs.buffers import MARKS_KEPT, LogShelf
from devenv.tui.runs.load_form import LoadTarget, load_targets
from devenv.tui.table.lines import GroupKey
from tests.terminal.cluster import cluster_opened, pod, workload
from tests.terminal.scripted import container, log

WEB = ("web", "", "0", "shop", "1")


def texts(buffer: LogBuffer) -> list[str]:
    named = ((buffer.names.get(line.key, ""), line.text) for line in buffer.lines)
    return [f"{name} │ {text}" if name else text for name, text in named]


def test_a_mark_stands_between_the_lines_of_before_and_after() -> None:
    shelf = LogShelf()
    buffer = shelf.select(WEB, "a", 0.0)
    shelf.mark(5.0, "older than all lines")
    shelf.take(log("a", "first", at=10.0))
    shelf.mark(11.0, "phase")
    shelf.take(log("a", "late", at=10.5))
    assert texts(buffer) == ["first", "late"], "a line from before the mark still came"
    shelf.take(log("a", "after", at=12.0))
    assert texts(buffer) == ["first", "late", "phase", "after"]


def test_a_mark_is_told_when_no_later_line_comes_and_only_once() -> None:
    shelf = LogShelf()
    buffer = shelf.select(WEB, "a", 0.0)
    shelf.take(log("a", "first", at=10.0))
    shelf.mark(11.0, "phase")
    assert not shelf.settle(10.5)
    assert shelf.settle(11.5)
    assert not shelf.settle(12.0)
    shelf.take(log("a", "after", at=13.0))
    assert texts(buffer) == ["first", "phase", "after"]


def test_the_log_of_a_container_that_was_made_anew_has_each_mark_once() -> None:
    shelf = LogShelf()
    shelf.select(WEB, "old", 0.0)
    shelf.take(log("old", "first", at=10.0))
    shelf.mark(11.0, "phase")
    shelf.settle(12.0)
    buffer = shelf.select(WEB, "new", 13.0)
    shelf.take(log("new", "after", at=14.0))
    assert texts(buffer) == ["first", "phase", "container was re-created", "after"]


def test_more_marks_than_are_kept_leave_out_the_oldest() -> None:
    shelf = LogShelf()
    buffer = shelf.select(WEB, "a", 0.0)
    shelf.take(log("a", "first", at=0.0))
    for number in range(MARKS_KEPT + 5):
        shelf.mark(1.0 + number, f"phase {number}")
    shelf.settle(1e6)
    assert texts(buffer)[:2] == ["first", "phase 5"]
    assert len(buffer.lines) == MARKS_KEPT + 1


def test_a_log_of_two_sources_has_each_mark_once_and_in_its_place() -> None:
    shelf, service = LogShelf(), GroupKey("web", "")
    shelf.select(WEB, "a", 0.0)
    shelf.take(log("a", "first", at=10.0))
    shelf.mark(11.0, "phase")
    shelf.take(log("a", "after", at=12.0))
    both = shelf.select(("web", ""), service, 13.0)
    shelf.feed(service, {"a": "compose", "b": "k8s"})
    shelf.take(log("b", "other", at=14.0))
    assert texts(both) == ["compose │ first", "phase", "compose │ after", "k8s │ other"]


async def test_a_load_test_can_go_where_the_selection_is() -> None:
    async with cluster_opened() as terminal:
        terminal.backend.live(container("api"))
        terminal.cluster.live(workload("web", (1, 1)), kind="deployments")
        terminal.cluster.live(pod("web"))
        targets = [LoadTarget("compose"), LoadTarget("kubernetes", "minikube", "shop")]
        await terminal.go("web")
        assert load_targets(terminal.main.controller.cluster_place()) == (targets, 1)
        await terminal.go("api")
        assert load_targets(terminal.main.controller.cluster_place()) == (targets, 0)
