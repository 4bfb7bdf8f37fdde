"""A port-forward keeps its local port, finds the next pod, counts, and never hides a broken answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import NotFound
from devenv.control.kube.forward import Forward, listen
from devenv.core.errors import PortTaken, UsageError
from fakes.api_server import ApiServer, Refusal, deployment, pod
from fakes.api_server.handler import Handler
from tests.kube.kubelet import Kubelet


@pytest.fixture
def kubelet(api: ApiServer) -> Kubelet:
    made = Kubelet(lambda name, data: f"{name}:".encode() + data)
    api.on("GET", r"/api/v1/namespaces/[^/]+/pods/[^/]+/portforward", made.answer)
    return made


@pytest.fixture
def open_forward(client: KubeClient) -> Iterator[Callable[..., Forward]]:
    made: list[Forward] = []

    def build(*arguments: Any, **options: Any) -> Forward:
        made.append(Forward(client, *arguments, **options))
        made[-1].start()
        return made[-1]

    yield build
    for forward in made:
        forward.close()


def named_port(name: str, app: str = "web") -> dict[str, Any]:
    made = pod(name, labels={"app": app})
    made["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": 8000}]
    return made


def ask(port: int, text: bytes = b"hello") -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(text)
        return connection.recv(1000)


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.01)


@pytest.mark.usefixtures("kubelet")
def test_bytes_go_both_ways_and_are_counted(api: ApiServer, open_forward: Callable[..., Forward]) -> None:
    api.put(deployment("web"), named_port("web-1"))
    forward = open_forward("deployment", "web", "http")
    port = forward.stats().local_port
    assert ask(port) == b"web-1:hello"
    until(lambda: forward.stats().open == 0, "the connection stays open")
    stats = forward.stats()
    assert (stats.connections, stats.sent, stats.received, stats.failed) == (1, 5, 11, 0)
    assert (stats.pod, stats.pod_port, stats.target) == ("web-1", 8000, "deployment/web:http")


def test_an_answer_in_two_pieces_is_not_held_back() -> None:
    with listen(0) as listener, socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_client_that_only_closes_its_sending_side_still_gets_the_answer(
    api: ApiServer, kubelet: Kubelet, open_forward: Callable[..., Forward]
) -> None:
    asked, go = threading.Event(), threading.Event()

    def slow(name: str, data: bytes) -> bytes:
        asked.set()
        go.wait(10)
        return b"late"

    kubelet.serve = slow
    api.put(deployment("web"), named_port("web-1"))
    with socket.create_connection(("127.0.0.1", open_forward("deployment", "web", 8000).stats().local_port)) as line:
        line.settimeout(10)
        line.sendall(b"x")
        line.shutdown(socket.SHUT_WR)
        assert asked.wait(10)
        assert not go.wait(0.5)  # longer than a client is waited for that has its answer
        go.set()
        assert line.recv(100) == b"late"


@pytest.mark.usefixtures("kubelet")
def test_a_large_message_arrives_whole(api: ApiServer, open_forward: Callable[..., Forward]) -> None:
    api.put(deployment("web"), named_port("web-1"))
    wanted = bytes(range(256)) * 2000
    with socket.create_connection(("127.0.0.1", open_forward("deployment", "web", 8000).stats().local_port)) as line:
        sender = threading.Thread(target=line.sendall, args=(wanted,))
        sender.start()
        got = b""
        while len(got.replace(b"web-1:", b"")) < len(wanted):
            got += line.recv(100_000)
        sender.join()
    assert got.replace(b"web-1:", b"") == wanted


def test_a_replaced_pod_is_followed_on_the_same_local_port(
    api: ApiServer, kubelet: Kubelet, open_forward: Callable[..., Forward]
) -> None:
    api.put(deployment("web"), named_port("web-1"))
    said: list[str] = []
    forward = open_forward("deployment", "web", 8000, tell=said.append)
    port = forward.stats().local_port
    with socket.create_connection(("127.0.0.1", port)) as kept:
        kept.sendall(b"a")
        assert kept.recv(100) == b"web-1:a"
        api.delete("pods", "web-1")
        kubelet.kill("web-1")
        assert kept.recv(100) == b""
    answers: list[bytes] = []
    waiting = threading.Thread(target=lambda: answers.append(ask(port)))
    waiting.start()
    until(lambda: "no pods" in forward.stats().waiting, "nothing says that no pod is there")
    api.put(named_port("web-2"))
    waiting.join(10)
    assert answers == [b"web-2:hello"]
    stats = forward.stats()
    assert (stats.pod, stats.replacements, stats.local_port, stats.waiting) == ("web-2", 1, port, "")
    assert said == ["deployment/web:8000 now leads to pod web-2; it was web-1"]


def test_a_stream_that_is_cut_after_a_part_of_the_answer_does_not_look_like_its_end(
    api: ApiServer, kubelet: Kubelet, open_forward: Callable[..., Forward]
) -> None:
    api.put(deployment("web"), named_port("web-1"))
    forward = open_forward("deployment", "web", 8000)
    with socket.create_connection(("127.0.0.1", forward.stats().local_port), timeout=10) as kept:
        kept.sendall(b"a")
        assert kept.recv(100) == b"web-1:a"
        kubelet.cut("web-1")
        with pytest.raises(ConnectionResetError):
            kept.recv(100)
    until(lambda: forward.stats().failed == 1, "the failure is not counted")


def test_a_connection_that_breaks_after_data_is_reset_and_not_tried_again(
    api: ApiServer, kubelet: Kubelet, open_forward: Callable[..., Forward]
) -> None:
    kubelet.serve = lambda name, data: None
    api.put(deployment("web"), named_port("web-1"))
    forward = open_forward("deployment", "web", 8000)
    with pytest.raises(ConnectionResetError):
        ask(forward.stats().local_port)
    until(lambda: forward.stats().failed == 1, "the failure is not counted")
    assert kubelet.opened == ["web-1"]
    assert "without an answer" in forward.stats().error


def test_a_port_that_nobody_listens_on_yet_is_tried_again_with_nothing_lost(
    api: ApiServer, kubelet: Kubelet, open_forward: Callable[..., Forward]
) -> None:
    api.put(deployment("web"), named_port("web-1"))
    kubelet.refusing.add("web-1")
    forward = open_forward("deployment", "web", 8000)
    answers: list[bytes] = []
    waiting = threading.Thread(target=lambda: answers.append(ask(forward.stats().local_port)))
    waiting.start()
    until(lambda: len(kubelet.opened) > 1, "it is not tried again")
    kubelet.refusing.clear()
    waiting.join(10)
    assert answers == [b"web-1:hello"]


def test_a_forbidden_forward_is_not_tried_for_long(api: ApiServer, open_forward: Callable[..., Forward]) -> None:
    def refuse(handler: Handler, path: str, body: bytes) -> None:
        raise Refusal(403, 'pods "web-1" is forbidden: User "viewer" cannot create resource "pods/portforward"')

    api.on("GET", r"/api/v1/namespaces/[^/]+/pods/[^/]+/portforward", refuse)
    api.put(deployment("web"), named_port("web-1"))
    forward = open_forward("deployment", "web", 8000, patience=60.0)
    with pytest.raises(ConnectionResetError):
        ask(forward.stats().local_port)
    assert "pods/portforward" in forward.stats().error


def test_patience_ends_with_a_reset_and_the_reason(
    api: ApiServer, kubelet: Kubelet, open_forward: Callable[..., Forward]
) -> None:
    api.put(deployment("web"), named_port("web-1"))
    kubelet.refusing.add("web-1")
    forward = open_forward("deployment", "web", 8000, patience=0.3)
    with pytest.raises(ConnectionResetError):
        ask(forward.stats().local_port)
    assert "connection refused" in forward.stats().error


@pytest.mark.usefixtures("kubelet")
def test_a_service_leads_to_its_ready_endpoints_only_and_spreads(
    api: ApiServer, open_forward: Callable[..., Forward]
) -> None:
    def endpoint(name: str, *, ready: bool) -> dict[str, Any]:
        uid = api.put(named_port(name))["metadata"]["uid"]
        return {"targetRef": {"kind": "Pod", "name": name, "uid": uid}, "conditions": {"ready": ready}}

    ports = [{"port": 80, "name": "web", "targetPort": "http"}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": ports}}
    slices = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-x", "labels": {"kubernetes.io/service-name": "web"}},
        "ports": [{"name": "web", "port": 8000}],
        "endpoints": [endpoint("a", ready=True), endpoint("b", ready=False), endpoint("c", ready=True)],
    }
    api.put(service, slices)
    spread = open_forward("service", "web", 80, spread=True)
    got = {ask(spread.stats().local_port).split(b":")[0] for _ in range(6)}
    assert got == {b"a", b"c"}
    sticky = open_forward("svc", "web", "web")
    assert len({ask(sticky.stats().local_port).split(b":")[0] for _ in range(6)}) == 1
    with pytest.raises(UsageError, match="has no port 81") as caught:
        open_forward("service", "web", 81)
    assert caught.value.hint == "It has: 80 web"


@pytest.mark.usefixtures("kubelet")
def test_a_pod_that_is_replaced_is_followed_to_the_one_of_its_workload(
    api: ApiServer, open_forward: Callable[..., Forward]
) -> None:
    owner = api.put(deployment("web"))
    replica_set = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "web-abc", "ownerReferences": [_reference(owner)]},
        "spec": {"selector": {"matchLabels": {"app": "web"}}},
    }
    stored = api.put(replica_set)
    for name in ("web-1",):
        api.put(
            {**named_port(name), "metadata": {**named_port(name)["metadata"], "ownerReferences": [_reference(stored)]}}
        )
    forward = open_forward("pod", "web-1", 8000)
    port = forward.stats().local_port
    assert ask(port) == b"web-1:hello"
    api.delete("pods", "web-1")
    api.put(named_port("web-2"))
    until(lambda: ask(port).startswith(b"web-2"), "the successor is not found")


def test_what_is_not_there_is_told_at_once_and_no_pod_yet_is_no_error(
    api: ApiServer, client: KubeClient, open_forward: Callable[..., Forward]
) -> None:
    with pytest.raises(NotFound):
        open_forward("deployment", "absent", 80)
    api.put(deployment("web"))
    assert "has no pods" in open_forward("deployment", "web", 80).stats().waiting
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortTaken):
        Forward(client, "deployment", "web", 80, taken.getsockname()[1]).start()


@pytest.mark.usefixtures("kubelet")
def test_closing_ends_connections_and_frees_the_port(api: ApiServer, open_forward: Callable[..., Forward]) -> None:
    api.put(deployment("web"), named_port("web-1"))
    forward = open_forward("deployment", "web", 8000)
    port = forward.stats().local_port
    with socket.create_connection(("127.0.0.1", port), timeout=10) as kept:
        kept.sendall(b"a")
        assert kept.recv(100) == b"web-1:a"
        forward.close()
        assert kept.recv(100) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)
    forward.close()


def _reference(owner: dict[str, Any]) -> dict[str, Any]:
    about = owner["metadata"]
    return {"kind": owner["kind"], "name": about["name"], "uid": about["uid"], "controller": True}
