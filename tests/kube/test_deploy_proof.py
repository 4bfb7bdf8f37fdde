"""The proof through the cluster: endpoints and data, with a real HTTP service where the port-forward would lead."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from devenv.backends.kube.client import KubeClient
from devenv.control.deploy.outcome import Check, Status
from devenv.core.verify_settings import (
    CallSettings,
    EndpointSettings,
    PersistenceSettings,
    ReadSettings,
    VerifySettings,
)
from devenv.verify import deploy_proof
from devenv.verify.deploy_proof import ClusterProver
from fakes.api_server import ApiServer
from tests.kube.deploying import application

SETTINGS = VerifySettings(
    endpoints=(EndpointSettings("web", "web", 80, "/health", "/ready"),),
    persistence=PersistenceSettings(
        write=CallSettings("web", "/notes", body='{"text": "{nonce}"}', status=201),
        read=ReadSettings("web", "/notes?q={nonce}", contains="{nonce}"),
    ),
)


class Notes(BaseHTTPRequestHandler):
    """Keeps what is posted; `health` is the status of its probes."""

    def do_GET(self) -> None:
        server: Any = self.server
        if self.path.startswith("/notes"):
            self._answer(200, "\n".join(server.notes))
        else:
            self._answer(server.health, "ok")

    def do_POST(self) -> None:
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
        server: Any = self.server
        if not server.refuses:
            server.notes.append(text)
        self._answer(503 if server.refuses else 201, "{}")

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Notes)
    server.notes, server.health, server.led_to, server.refuses = [], 200, [], False
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()

    class Led:
        """What a port-forward is to its user: a local port."""

        def __init__(self, client: KubeClient, kind: str, name: str, port: int | str, **rest: Any) -> None:
            server.led_to.append((kind, rest["namespace"], name, port))

        def start(self) -> int:
            port: int = server.server_address[1]
            return port

        def close(self) -> None:
            return

    monkeypatch.setattr(deploy_proof, "Forward", Led)
    monkeypatch.setattr(deploy_proof, "SERVED_WITHIN", 0.6)
    monkeypatch.setattr(deploy_proof, "PREPARE_WITHIN", 0.3)
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def prover(api: ApiServer, client: KubeClient, notes: Any) -> Iterator[ClusterProver]:
    made = ClusterProver(client, application(), "default", SETTINGS, {})
    yield made
    made.close()


def statuses(checks: tuple[Check, ...]) -> dict[str, Status]:
    return {check.name: check.status for check in checks}


def test_all_is_well(prover: ClusterProver, notes: Any) -> None:
    assert prover.prepare().status is Status.DONE
    found = statuses(prover.prove(application()))
    assert found == {"web": Status.DONE, "data kept": Status.DONE, "data": Status.DONE}
    assert notes.led_to == [("service", "default", "web", 80)]


def test_lost_data_is_a_failure(prover: ClusterProver, notes: Any) -> None:
    prover.prepare()
    notes.notes.clear()
    found = statuses(prover.prove(application()))
    assert found == {"web": Status.DONE, "data kept": Status.FAILED, "data": Status.DONE}


def test_an_endpoint_that_does_not_answer_is_a_failure_and_no_data_is_asked(prover: ClusterProver, notes: Any) -> None:
    notes.health = 503
    checks = prover.prove(application())
    assert statuses(checks) == {"web": Status.FAILED}
    assert "expected: web to answer GET /health with 2xx" in checks[0].text


def test_what_serves_badly_before_is_no_reason_not_to_deploy(prover: ClusterProver, notes: Any) -> None:
    notes.refuses = True
    check = prover.prepare()
    assert check.status is Status.SKIPPED
    assert "nothing could be written before the change" in check.text


def test_an_account_that_may_not_forward_proves_nothing(api: ApiServer, prover: ClusterProver) -> None:
    def deny(handler: Any, path: str, body: bytes) -> None:
        answer = json.dumps({"status": {"allowed": False}}).encode()
        handler.send_response(201)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(answer)))
        handler.end_headers()
        handler.wfile.write(answer)

    api.on("POST", r"/apis/authorization\.k8s\.io/v1/selfsubjectaccessreviews.*", deny)
    assert prover.prepare().status is Status.SKIPPED
    checks = prover.prove(application())
    assert statuses(checks) == {"endpoints": Status.INCONCLUSIVE}
    assert "create pods/portforward" in checks[0].text


def test_an_endpoint_without_a_service_is_inconclusive(api: ApiServer, client: KubeClient, notes: Any) -> None:
    settings = VerifySettings(endpoints=(EndpointSettings("api", "api", 80),))
    prover = ClusterProver(client, application(), "default", settings, {})
    assert statuses(prover.prove(application())) == {"api": Status.INCONCLUSIVE}
    renamed = ClusterProver(client, application(), "default", settings, {"api": "web"})
    assert statuses(renamed.prove(application())) == {"api": Status.DONE}
    renamed.close()
