"""What of a run thresholds are judged by: all of it, or what comes after the warm-up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from devenv.load.figures import Figures, parse_all
from devenv.load.session import Plan, Session
from devenv.load.target import Target

GENERATOR = {"cpu": [1.0], "arrivals": 0, "late": 0, "dropped": 0}
FAILED_AT_ONCE = {"search": Figures(10, 5, 1.0, {5: 10})}
FINE_AFTERWARDS = {"search": Figures(100, 5, 2.0, {5: 100})}


class NoCollections(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), NoCollections) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, warm_up: float) -> Iterator[Session]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    thresholds = parse_all(["failures<=0"], ["search"])
    made = Session(Plan(Target("url", url, "nobody"), thresholds, warm_up, folder=str(tmp_path / "load")))
    made.prepare()
    made.begin()
    yield made
    made.end(lambda text: None)


@pytest.mark.parametrize("warm_up", [0.0])
def test_without_a_warm_up_the_first_second_counts(session: Session) -> None:
    session.tick(FAILED_AT_ONCE, 1, "", GENERATOR)
    session.tick(FINE_AFTERWARDS, 1, "", GENERATOR)
    assert [item.holds for item in session.judge(5, 0, 1).findings] == [False]
    assert session.figures()["search"].requests == 100


@pytest.mark.parametrize("warm_up", [1e-9])
def test_what_is_before_the_end_of_the_warm_up_does_not_count(session: Session) -> None:
    session.tick(FAILED_AT_ONCE, 1, "", GENERATOR)
    session.tick(FINE_AFTERWARDS, 1, "", GENERATOR)
    assert [item.holds for item in session.judge(5, 0, 1).findings] == [True]
    assert session.figures()["search"].requests == 90
