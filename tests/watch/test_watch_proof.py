"""When new content counts as served: a server that is told what to answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from devenv.watch.proof import Proof


class Server:
    """Answers with `status` and `text`; `count` makes each answer another."""

    def __init__(self) -> None:
        self.status, self.text, self.count, self.asked = 200, "old", False, 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                self.send_response(outer.status)
                self.end_headers()
                self.wfile.write(f"{outer.text}{outer.asked if outer.count else ''}".encode())

            def log_message(self, *arguments: object) -> None:
                return

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever, daemon=True)
    thread.start()
    yield made
    made.http.shutdown()
    made.http.server_close()
    thread.join()


@pytest.fixture
def proof(server: Server) -> Iterator[Proof]:
    made = Proof(lambda: server.url, patience=0.5)
    made.remember()
    yield made
    made.close()


def test_new_content_is_waited_for(server: Server, proof: Proof) -> None:
    timer = threading.Timer(0.2, lambda: setattr(server, "text", "new"))
    timer.start()
    outcome = proof.wait(lambda: False)
    timer.join()
    assert (outcome.event, outcome.text) == ("served", "")
    unchanged = proof.wait(lambda: False)
    assert unchanged.event == "unchanged"
    assert "answers the same as before within 0.5 s" in unchanged.text


def test_a_server_that_reloads_before_the_first_save_is_not_new_when_it_answers_again(server: Server) -> None:
    server.status = 500
    timer = threading.Timer(0.2, lambda: setattr(server, "status", 200))
    timer.start()
    proof = Proof(lambda: server.url, patience=0.5)
    proof.remember()
    timer.join()
    assert proof.wait(lambda: False).event == "unchanged"
    proof.close()


def test_an_error_is_told_and_its_end_is_new_even_with_the_old_text(server: Server, proof: Proof) -> None:
    server.status = 500
    broken = proof.wait(lambda: False)
    assert broken.event == "unserved"
    assert "HTTP 500" in broken.text
    server.status = 200
    assert proof.wait(lambda: False).event == "served"


def test_the_next_save_ends_the_waiting(server: Server, proof: Proof) -> None:
    asked = server.asked
    assert proof.wait(lambda: server.asked > asked + 1).event == ""


def test_an_answer_that_changes_by_itself_proves_only_that_it_answers(server: Server) -> None:
    server.count = True
    proof = Proof(lambda: server.url, patience=0.5)
    proof.remember()
    outcome = proof.wait(lambda: False)
    proof.close()
    assert (outcome.event, outcome.text) == ("served", "its answer changes by itself: it answers again")


def test_nobody_answers() -> None:
    def unpublished() -> str:
        raise LookupError("no port of web is published")

    for url, told in ((unpublished, "no port of web is published"), (lambda: "http://127.0.0.1:1/", "ConnectError")):
        proof = Proof(url, patience=0.1)
        proof.remember()
        outcome = proof.wait(lambda: False)
        proof.close()
        assert outcome.event == "unserved"
        assert told in outcome.text
