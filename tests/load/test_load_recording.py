"""Recordings: what is written, what is read back, and what is said about gaps, clocks and broken lines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from devenv.core.errors import DevenvError
from devenv.core.model import (
    Change,
    Connection,
    ConnectionState,
    Gone,
    Happening,
    Health,
    Resource,
    Runtime,
    Sample,
    Scaling,
    ScalingMetric,
    Seen,
    Snapshot,
    State,
)
from devenv.load.cluster_facts import parse_probes
from devenv.load.recorder import Encoder, Machine, Recorder
from devenv.load.recording import BASE, LOAD, WATCHED, read_recording
from devenv.load.report import find_knee, is_saturated
from devenv.runs.lines import Lines, Tail
from tests.load.synthetic import Story


def container(key: str = "docker/1", health: Health = Health.HEALTHY, state: State = State.RUNNING) -> Resource:
    return Resource(key, Runtime.COMPOSE, "container", "shop-web-1", "web", state, health)


class Scripted:
    """A backend that tells what the test puts into it."""

    name = "scripted"

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.watched: list[tuple[str, ...]] = []
        self.stopped = False

    def start(self, wake: Callable[[], None]) -> None:
        wake()

    def stop(self) -> None:
        self.stopped = True

    def drain(self) -> list[Change]:
        changes, self.changes = self.changes, []
        return changes

    def watch_stats(self, keys: Collection[str]) -> None:
        self.watched.append(tuple(keys))

    def follow_logs(self, keys: Collection[str], tail: int = 500) -> None: ...

    def watch_detail(self, key: str | None) -> None: ...


def test_a_recorder_writes_what_changed_and_samples_what_runs(tmp_path: Path) -> None:
    backend = Scripted()
    recorder = Recorder(backend, Lines(tmp_path / WATCHED, time.monotonic()))
    recorder.start()
    backend.changes = [
        Connection("scripted", ConnectionState.LIVE),
        Snapshot("scripted", (container(), container("docker/2", state=State.EXITED))),
        Happening("docker/1", time.time(), "exec_create", "a health check"),
    ]
    recorder.tick()
    backend.changes = [Seen("scripted", container()), Sample("docker/1", time.time(), 0.5, 10, 20)]
    recorder.tick()
    backend.changes = [
        Seen("scripted", container(health=Health.UNHEALTHY)),
        Gone("scripted", "docker/2"),
        Happening("docker/1", time.time(), "oom", "out of memory"),
    ]
    recorder.stop()
    lines = list(Tail(tmp_path / WATCHED).read())
    kinds = [line["type"] for line in lines]
    assert kinds == [
        *("begin", "link", "resource", "resource", "tick"),
        *("sample", "tick", "resource", "gone", "event", "tick", "end"),
    ]
    assert lines[5] | {"t": 0, "at": 0, "of": 0} == {
        "t": 0, "at": 0, "type": "sample", "key": "docker/1", "name": "shop-web-1", "service": "web", "of": 0,
        "cpu": 0.5, "memory": 10, "limit": 20, "window": None,
    }  # fmt: skip
    assert backend.watched == [("docker/1",)]
    assert backend.stopped


def test_a_new_snapshot_tells_what_is_gone_and_only_of_its_own_list() -> None:
    encoder = Encoder()
    encoder.take(Snapshot("k#pods", (container("a"), container("b"))))
    encoder.take(Snapshot("k#hpas", (container("c"),)))
    lines = encoder.take(Snapshot("k#pods", (container("b"),)))
    assert lines == [("gone", {"key": "a"})]


def test_scaling_is_told_with_metrics_and_conditions() -> None:
    condition = ("ScalingActive", "True", "ValidMetricFound", "fine")
    record = Scaling("h", 5.0, "Deployment/web", 1, 5, 1, 3, (ScalingMetric("cpu", "%", 190.0, 70.0),), (condition,))
    ((kind, told),) = Encoder().take(record)
    assert (kind, told["desired"], told["conditions"]) == ("scaling", 3, [list(condition)])
    assert told["metrics"] == [{"name": "cpu", "unit": "%", "current": 190.0, "target": 70.0}]


def test_a_tail_leaves_a_line_that_is_not_whole_and_counts_broken_ones(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    tail = Tail(path)
    assert list(tail.read()) == []
    path.write_text('{"t":1,"type":"a"}\nnonsense\n{"t":2,"ty')
    assert [line["t"] for line in tail.read()] == [1.0]
    with path.open("a") as file:
        file.write('pe":"b"}\n')
    assert [line["type"] for line in tail.read()] == ["b"]
    assert tail.broken == 1


def test_probe_counters_are_read_by_pod_container_type_and_result() -> None:
    lines = ["# TYPE prober_probe_total counter"]
    for namespace, kind, result, value in (
        ("shop", "Readiness", "failed", "3"),
        ("shop", "Liveness", "successful", "1.2e+01"),
        ("other", "Liveness", "failed", "9"),
    ):
        labels = (
            f'container="web",namespace="{namespace}",pod="web-1",pod_uid="u",probe_type="{kind}",result="{result}"'
        )
        lines.append(f"prober_probe_total{{{labels}}} {value}")
    text = "\n".join(lines)
    assert parse_probes(text, "shop") == {"web-1/web/readiness/failed": 3, "web-1/web/liveness/successful": 12}


def test_the_machine_is_read_from_proc_stat_and_where_there_is_none_nothing_is_said(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu 100 0 100 800 0 0 0 0 0 0\ncpu0 1\n")
    machine = Machine(stat)
    machine.cores = 2
    stat.write_text("cpu 150 0 150 900 0 0 0 0 0 0\ncpu0 1\n")
    assert machine.read() == 1.0
    assert Machine(tmp_path / "absent").read() is None


def saved(story: Story, folder: Path) -> Path:
    run = dict(story.recording().run)
    (folder / BASE).write_text(json.dumps(run))
    for name, lines in ((LOAD, story.load), (WATCHED, story.watched)):
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_gaps_and_steps_of_the_clock_are_found(tmp_path: Path) -> None:
    story = Story()
    story.ticks(0, 20, "steady")
    story.ticks(30, 40, "steady")
    story.tell(1.0, "link", backend="docker", state="live", why="")
    story.tell(35.0, "link", backend="docker", state="stale", why="the engine went away")
    for line in story.load:
        if line["t"] > 10:
            line["at"] -= 3600
    found = read_recording(saved(story, tmp_path))
    assert [(gap.since, gap.until, gap.what) for gap in found.gaps] == [
        (20.0, 31.0, "the load was not recorded"),
        (20.0, 31.0, "the target was not recorded"),
        (35.0, 40.0, "docker: the engine went away"),
    ]
    assert found.steps == [(11, -3600)]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 99}'])
def test_a_folder_without_a_readable_recording_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(DevenvError, match="has no recording"):
        read_recording(tmp_path)
    (tmp_path / BASE).write_text(content)
    with pytest.raises(DevenvError, match=r"run\.json"):
        read_recording(tmp_path)


def steps(*answered: int, ms: tuple[int, ...] = (), cpu: float = 0.97) -> Story:
    """Steps of ten seconds that offer 10, 20, 30 ... requests a second."""
    story = Story(kind="compose", options={"shape": "step"}, limits={"frontend": {"cpu": 1.0}})
    story.tell(0.0, "begin", pid=1, cores=2)
    for number, rps in enumerate(answered):
        begin = number * 10
        story.tell(float(begin), "phase", name=f"step {number + 1}")
        story.ticks(begin, begin + 10, f"step {number + 1}", users=10 * (number + 1), ms=ms[number] if ms else 20)
        for line in story.load[-10:]:
            line["names"]["search"] |= {"n": rps, "times": {str(ms[number] if ms else 20): rps}}
        for t in range(begin, begin + 10, 2):
            story.sample(t + 1.0, "frontend-1", min(cpu, 0.3 * (number + 1)), lag=0.0, window=None)
    return story


def test_the_knee_is_the_last_step_that_was_followed_and_the_full_resource_is_named() -> None:
    found = find_knee(steps(10, 20, 30, 31, 31).recording(), 1.0)
    assert found.at is not None
    assert found.beyond is not None
    assert (found.at.name, found.at.rps, found.beyond.name) == ("step 3", 30.0, "step 4")
    assert found.beyond.problem == "31 of 40 requests a second were answered"
    assert found.resource == "CPU of frontend-1 (97% of its limit of 1 cores)"
    assert is_saturated(steps(10, 20, 30, 31, 31).recording(), 1.0)


def test_a_step_that_is_slow_or_fails_is_beyond_the_knee_too() -> None:
    slow = find_knee(steps(10, 20, 30, ms=(20, 25, 400), cpu=0.5).recording(), 1.0)
    assert slow.beyond is not None
    assert slow.beyond.problem == "p95 was 400 ms, 20 times that of the first step"
    assert slow.resource == (
        "none that was measured: a lock, a pool or a disk; nearest to its limit: "
        "CPU of frontend-1 (50% of its limit of 1 cores)"
    )
    story = steps(10, 20)
    for line in story.load:
        if line.get("phase") == "step 2":
            line["names"]["search"]["failed"] = 5
    failing = find_knee(story.recording(), 1.0)
    assert failing.beyond is not None
    assert failing.beyond.problem == "25.0% of the requests failed"


def test_a_target_that_follows_every_step_has_no_knee_and_the_closed_model_looks_at_the_throughput() -> None:
    assert find_knee(steps(10, 20, 30).recording(), 1.0).beyond is None
    closed = find_knee(steps(10, 20, 21).recording(), None)
    assert closed.beyond is not None
    assert closed.beyond.problem == "30 users got no more through than 20 did"
