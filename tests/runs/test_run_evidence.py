"""Evidence: every record comes back as it was, also from a file that was cut, and as a backend of the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.core.errors import Refused, UsageError
from devenv.core.model import (
    AutoscalerFacts,
    Connection,
    ConnectionState,
    Gone,
    Happening,
    Health,
    HealthCheck,
    KindFacts,
    LogLine,
    PodFacts,
    Port,
    Resource,
    Runtime,
    Sample,
    Seen,
    ServiceFacts,
    Snapshot,
    State,
    WorkloadFacts,
)
from devenv.runs.evidence import (
    SCHEMA,
    EvidenceFile,
    Header,
    Mark,
    Probe,
    ReadOnlyControl,
    Record,
    ReplayBackend,
    choose_file,
    read_evidence,
)

HEADER = Header(SCHEMA, "r1", "shop", ("web",), 100.0)
WEB = Resource(
    key="docker/1",
    runtime=Runtime.COMPOSE,
    kind="container",
    name="shop-web-1",
    service="web",
    state=State.RUNNING,
    health=Health.HEALTHY,
    ports=(Port(80, "tcp", 8080, "127.0.0.1"),),
    checks=(HealthCheck(1.0, 2.0, 0, "ok\n"),),
    labels=(("a", "b"),),
    started_at=99.5,
)
RECORDS: list[Record] = [
    HEADER,
    Connection("docker", ConnectionState.LIVE, since=1.0),
    Snapshot("docker", (WEB,)),
    Happening("docker/1", 101.0, "start", "started", (("exitCode", "0"),)),
    LogLine("docker/1", 102.0, "stdout", "hello [/b] \x00é"),
    Sample("docker/1", 102.5, None, 10, None),
    Probe(103.0, "web", "GET", "http://x/", 503, 0.01, "", "no"),
    Mark(104.0, "failure", "test_x: it failed"),
    LogLine("docker/1", 105.0, "stderr", "after"),
    Seen("docker", WEB),
    Mark(106.0, "cleanup", "clean-up begins"),
    Gone("docker", "docker/1"),
]


def written(folder: Path, records: list[Record]) -> Path:
    file = EvidenceFile(folder / "evidence.jsonl")
    file.write(records)
    file.close()
    return file.path


def test_every_record_comes_back(tmp_path: Path) -> None:
    assert list(read_evidence(written(tmp_path, RECORDS))) == RECORDS


@pytest.mark.parametrize(
    "facts",
    [PodFacts("n1", "Job"), WorkloadFacts(True, 2), ServiceFacts("app=web"), AutoscalerFacts("Deployment", "w")],
)
def test_what_is_decided_by_of_a_cluster_s_object_comes_back_as_its_kind(tmp_path: Path, facts: KindFacts) -> None:
    pod = Resource("kubernetes:1", Runtime.KUBERNETES, "pod", "web-1", "web", State.RUNNING, kind_facts=facts)
    records: list[Record] = [HEADER, Seen("kubernetes/x", pod)]
    assert list(read_evidence(written(tmp_path, records))) == records


def test_a_file_that_was_cut_anywhere_is_read_to_its_last_whole_line(tmp_path: Path) -> None:
    path = written(tmp_path, RECORDS)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in range(len(lines[0]), len(whole), 37):
        path.write_bytes(whole[:cut])
        complete = whole[:cut].count(b"\n")
        found = list(read_evidence(path))
        assert found[:complete] == RECORDS[:complete]
        assert len(found) <= complete + 1  # the last line may be whole but for its end


def test_secrets_in_logs_are_masked(tmp_path: Path) -> None:
    line = LogLine("docker/1", 1.0, "stdout", "password=hunter2 in the log")
    path = written(tmp_path, [HEADER, line])
    assert "hunter2" not in path.read_text()


def test_kinds_of_a_later_version_are_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, [HEADER])
    with path.open("a") as file:
        file.write('{"kind": "Something", "x": 1}\n')
    assert list(read_evidence(path)) == [HEADER]


@pytest.mark.parametrize("text", ["nonsense\n", '{"kind": "Mark", "at": 1, "kind_of": "x", "text": "y"}\n', "[]\n"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    with pytest.raises(UsageError, match="not evidence of devenv"):
        list(read_evidence(path))


def test_the_replay_shows_the_last_state_before_the_clean_up(tmp_path: Path) -> None:
    backend = ReplayBackend(written(tmp_path, RECORDS))
    woken: list[int] = []
    backend.start(lambda: woken.append(1))
    connection, snapshot, *rest = backend.drain()
    assert woken == [1]
    assert isinstance(connection, Connection)
    assert (connection.state, connection.message) == (ConnectionState.STALE, "test_x: it failed")
    assert snapshot == Snapshot("docker", (WEB,))
    assert [type(item).__name__ for item in rest] == ["Happening", "Sample"]
    assert backend.drain() == []


def test_the_failure_is_a_mark_in_the_log_at_its_time(tmp_path: Path) -> None:
    backend = ReplayBackend(written(tmp_path, RECORDS))
    backend.follow_logs(["docker/1"])
    lines = [item for item in backend.drain() if isinstance(item, LogLine)]
    assert [line.stream for line in lines] == ["stdout", "devenv", "devenv", "stderr", "devenv"]
    assert "503" in lines[1].text
    assert "FAILED" in lines[2].text
    assert lines[2].text.endswith("test_x: it failed")
    assert [line.text for line in lines if line.stream == "stderr"] == ["after"]


def test_the_replay_refuses_changes() -> None:
    control = ReadOnlyControl()
    plan = control.plan("restart", ("web",))
    assert not plan.allowed
    with pytest.raises(Refused, match="over"):
        control.request(plan)


def test_of_a_folder_the_evidence_with_a_failure_is_chosen(tmp_path: Path) -> None:
    bad = written(tmp_path / "a", RECORDS)
    written(tmp_path / "b", [HEADER])
    assert choose_file(tmp_path) == bad
    (tmp_path / "c").mkdir()
    with pytest.raises(UsageError, match="no evidence"):
        choose_file(tmp_path / "c")
