"""The first list, read before the SDK is there: the same as the SDK's, or none at all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from devenv.backends.docker.endpoint import Endpoint
from devenv.backends.docker.plain import list_plainly
from devenv.core.errors import ProjectError
from devenv.core.model import Connection, Snapshot, State
from fakes.docker_engine import FakeEngine
from tests.wire.reading import Reader

LIST = "/containers/json"


def test_it_holds_what_the_first_list_of_the_sdk_holds() -> None:
    with FakeEngine() as engine:
        engine.add("web-1", service="web", health="healthy")
        engine.add("db-1", service="db", state="exited", exit_code=3)
        listed = list_plainly(Endpoint(engine.host), "fake")
        reader = Reader(engine.environ, services=("web", "db")).start()
        try:
            reader.live(2)
            snapshot = next(record for record in reader.records if isinstance(record, Snapshot))
        finally:
            reader.stop()
    assert listed is not None
    assert {resource.key for resource in listed} == {resource.key for resource in snapshot.resources}
    assert {(r.name, r.state) for r in listed} == {("web-1", State.RUNNING), ("db-1", State.EXITED)}


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b"{}"), (200, b"<html>"), (200, b"[1]"), (200, b'{"message": "no"}'), (200, b"[" * 100_000), (404, b"[]")],
)
def test_any_other_answer_is_left_to_the_sdk(status: int, body: bytes) -> None:
    with FakeEngine() as engine:
        engine.faults[LIST] = (status, body)
        assert list_plainly(Endpoint(engine.host), "fake") is None


def test_no_engine_and_other_endpoints_are_left_to_the_sdk(tmp_path: Path) -> None:
    assert list_plainly(Endpoint(f"unix://{tmp_path}/nobody.sock"), "fake") is None
    assert list_plainly(Endpoint("ssh://somebody@example.invalid"), "fake") is None


def test_what_was_read_early_is_there_with_the_start_and_the_project_is_resolved_once() -> None:
    with FakeEngine() as engine:
        engine.add("web-1", service="web")
        reader = Reader(engine.environ, services=("web", "absent"))
        reader.backend.prefetch()
        reader.start()
        try:
            reader.until(lambda: len(reader.store.resources) == 2)
            reader.live(2)
        finally:
            reader.stop()
    firsts = [type(record) for record in reader.records if isinstance(record, Snapshot | Connection)]
    assert Snapshot in firsts
    assert reader.scopes == 1


def test_an_invalid_project_is_told_once_and_asked_for_again() -> None:
    with FakeEngine() as engine:
        reader = Reader(engine.environ, services=("web",))
        reader.scope_error = ProjectError("broken", "mend it")
        reader.backend.prefetch()
        reader.start()
        try:
            reader.until(lambda: reader.state() == "failed")
            assert reader.scopes == 1
            reader.scope_error = None
            reader.live(1)
        finally:
            reader.stop()
    assert reader.scopes == 2


def test_it_needs_no_sdk() -> None:
    with FakeEngine() as engine:
        engine.add("web-1", service="web")
        code = (
            "import json, sys\n"
            "from devenv.backends.docker.plain import list_plainly\n"
            "from devenv.backends.docker.endpoint import Endpoint\n"
            f"found = list_plainly(Endpoint({engine.host!r}), 'fake')\n"
            "heavy = [name for name in ('docker', 'requests', 'urllib3', 'http.client') if name in sys.modules]\n"
            "print(json.dumps([[resource.name for resource in found], heavy]))\n"
        )
        told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30)
    assert json.loads(told.stdout) == [["web-1"], []]
