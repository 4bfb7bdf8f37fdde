"""`w`: what is saved is in the containers at once. Header, row, log and failures; the watch itself is scripted."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import cast

from devenv.backends.kube.kubeconfig import Target
from devenv.core.errors import Refused
from devenv.core.model import WatchStatus
from devenv.watch.background import BackgroundWatch
from devenv.watch.report import Counts, Report
from devenv.watch.session import Session
from tests.terminal.cluster import cluster_opened, pod, workload
from tests.terminal.conftest import Opening
from tests.terminal.driving import Driver
from tests.terminal.scripted import container, log

WEB = container("web")
SYNCED = Report(
    "synced",
    "web",
    at=time.time(),
    counts=Counts(1, 0, 812, 1, ("views.py",)),
    steps={"noticed": 0.002, "synced": 0.071},
    keys=(WEB.key,),
)


class Script:
    """A session that reports what a test wants."""

    def __init__(self) -> None:
        self.waiting: queue.SimpleQueue[Report | None] = queue.SimpleQueue()
        self.error: Refused | None = None
        self.closed = threading.Event()

    @contextmanager
    def open(self) -> Iterator[Session]:
        if self.error is not None:
            raise self.error
        self.closed.clear()
        try:
            yield cast("Session", self)
        finally:
            self.closed.set()

    def tell(self, *reports: Report) -> None:
        for report in reports:
            self.waiting.put(report)

    def reports(self) -> Iterator[Report]:
        yield Report("ready", text="in 0.21 s: web, 3 rules, by inotify")
        while (report := self.waiting.get()) is not None:
            yield report

    def stop(self) -> None:
        self.waiting.put(None)


def header(terminal: Driver) -> str:
    return terminal.lines()[0]


def line(terminal: Driver, name: str) -> str:
    """The line of the table with that name, after whatever mark it has."""
    return next((line for line in terminal.lines()[2:14] if f" {name} " in line), "")


async def test_w_begins_and_ends_it_and_the_header_says_so(opened: Opening) -> None:
    script = Script()
    async with opened(size=(240, 40), watch=lambda: BackgroundWatch(script.open)) as terminal:
        await terminal.live(WEB)
        assert "watch" not in header(terminal)
        await terminal.sees("w watch")
        await terminal.press("w")
        await terminal.until(lambda: "⟳ watching" in header(terminal))
        await terminal.press("w")
        await terminal.until(lambda: "watch" not in header(terminal))
        assert script.closed.wait(10)
        await terminal.press("w")
        await terminal.until(lambda: "⟳ watching" in header(terminal))


async def test_a_reload_is_in_the_row_the_details_and_between_the_lines_of_the_log(opened: Opening) -> None:
    script = Script()
    async with opened(size=(200, 40), watch=lambda: BackgroundWatch(script.open)) as terminal:
        await terminal.live(WEB, container("db"))
        await terminal.select("web")
        await terminal.until(lambda: WEB.key in terminal.backend.logs)
        terminal.backend.emit(log(WEB.key, "GET /old"))
        await terminal.sees("GET /old")
        await terminal.press("w")
        script.tell(SYNCED)
        await terminal.sees("watch: synced 1 file, 812 B (views.py): saved -> noticed 2 ms -> synced 71 ms")
        assert "0.07 s" in terminal.row("web")
        served = Report("served", "web", at=time.time(), steps={**SYNCED.steps, "served": 0.312}, keys=(WEB.key,))
        script.tell(served)
        await terminal.until(lambda: "● running ⟳ " in terminal.row("web") and "0.31 s" in terminal.row("web"))
        terminal.backend.emit(log(WEB.key, "GET /new"))
        await terminal.sees("GET /new", "served 0.31 s after it was saved")
        lines = [line.text for line in terminal.main.log_pane.view.buffer.lines]
        assert [line.partition(":")[0] for line in lines] == ["GET /old", "watch", "watch", "GET /new"]
        assert "⟳" not in terminal.row("db")


async def test_a_line_between_those_of_the_log_loses_nothing_where_it_wraps(opened: Opening) -> None:
    script = Script()
    async with opened(size=(80, 30), watch=lambda: BackgroundWatch(script.open)) as terminal:
        await terminal.live(WEB)
        await terminal.press("w")
        text = "0123456789" * 20
        script.tell(Report("attached", "web", text, at=time.time(), keys=(WEB.key,)))
        await terminal.sees("watch: attached")
        rows = [line.strip("─ ") for line in terminal.lines() if line.startswith("─")]
        assert "".join(rows) == f"watch: attached {text}"


async def test_a_failure_is_told_until_the_next_save_works(opened: Opening) -> None:
    script = Script()
    async with opened(watch=lambda: BackgroundWatch(script.open)) as terminal:
        await terminal.live(WEB)
        await terminal.press("w")
        script.tell(Report("failed", "web", "/app is read-only", "Mount a volume.", time.time(), keys=(WEB.key,)))
        await terminal.sees("▲ watching", "web: /app is read-only", "Mount a volume.")
        assert "▲ running, reload failed" in terminal.row("web")
        script.tell(Report("failed", text="no Docker Engine answers", at=time.time()))
        await terminal.sees("no Docker Engine answers")
        script.tell(SYNCED)
        await terminal.until(lambda: "⟳ watching" in header(terminal))
        assert "● running ⟳ " in terminal.row("web")


async def test_what_cannot_begin_says_why(opened: Opening) -> None:
    script = Script()
    script.error = Refused("Project shop is being watched already by process 4711", "Wait for it, or end it.")
    async with opened(watch=lambda: BackgroundWatch(script.open)) as terminal:
        await terminal.live(WEB)
        await terminal.press("w")
        await terminal.sees("watch is not possible", "process 4711", "→ Wait for it, or end it.")
        assert "watch" not in header(terminal)
        script.error = None
        await terminal.press("w")
        await terminal.until(lambda: "⟳ watching" in header(terminal))


async def test_on_a_line_of_the_cluster_it_is_the_pods_of_the_namespace_that_is_shown() -> None:
    script, places = Script(), list[Target]()

    def pods_of(place: Target) -> AbstractContextManager[Session]:
        places.append(place)
        return script.open()

    one = pod("api")
    async with cluster_opened(size=(120, 40), watch=lambda: BackgroundWatch(Script().open, pods_of)) as terminal:
        terminal.cluster.live(workload("api"), kind="deployments")
        terminal.cluster.live(one)
        await terminal.go("api")
        await terminal.until(lambda: " w watch " in terminal.lines()[-1])
        await terminal.press("w")
        await terminal.until(lambda: "⟳ watching pods of shop" in header(terminal))
        assert [(place.context.name, place.namespace) for place in places] == [("minikube", "shop")]
        script.tell(replace(SYNCED, service="api", keys=(one.key,)))
        await terminal.sees("watch: synced 1 file, 812 B (views.py)")
        await terminal.until(lambda: "0.07 s" in line(terminal, "api"))
        assert "● 1/1 ready ⟳ " in line(terminal, "api")
        await terminal.press("right")
        await terminal.until(lambda: terminal.text().count(" ⟳ ") == 3)  # header, workload, pod
        script.tell(Report("failed", "api", "pods/exec is forbidden", at=time.time(), keys=(one.key,)))
        await terminal.sees("▲ watching pods of shop", "api: pods/exec is forbidden")
        assert "▲ 1/1 ready, reload failed" in line(terminal, "api")
        await terminal.press("w")
        await terminal.until(lambda: "watch" not in header(terminal))
        assert script.closed.wait(10)


def test_it_ends_with_the_terminal() -> None:
    script = Script()
    watch = BackgroundWatch(script.open)
    watch.toggle()
    deadline = time.monotonic() + 10
    while not watch.drain():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    watch.stop()
    assert script.closed.is_set()
    assert [record.word for record in watch.drain() if isinstance(record, WatchStatus)][-1] == ""
