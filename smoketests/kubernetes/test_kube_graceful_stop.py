"""A pod that goes finishes what it has begun: a request in flight is answered and kept."""

from __future__ import annotations

import json

import pytest

from devenv.backends.kube.kinds import PODS
from devenv.verify.http import new_nonce

pytestmark = [pytest.mark.behaviour("graceful stop"), pytest.mark.targets("kubernetes")]

WITHIN = 60.0
SLOW = 3.0  # seconds that the request takes after its pod was deleted
# Sends half a document to a pod, and the rest when it is told to; then says what was answered.
HALVES = """
import json, socket, sys
address, port, path, body = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4].encode()
lines = [f"POST {path} HTTP/1.1", "Host: pod", "Content-Type: application/json", f"Content-Length: {len(body)}"]
head = "\\r\\n".join([*lines, "", ""])
with socket.create_connection((address, port), 10) as connection:
    connection.sendall(head.encode() + body[:10])
    print("half", flush=True)
    sys.stdin.readline()
    connection.sendall(body[10:])
    print("answer", connection.recv(4096).split()[1].decode(), flush=True)
"""
REFUSES = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).close()
    print("accepts")
except OSError:
    print("refuses")
"""


@pytest.mark.parametrize(("service", "port"), [("frontend", 3000), ("backend", 8000)])
def test_request_in_flight_finishes(isolated_stack, caller, wait_for, service: str, port: int) -> None:
    """Half a document is sent, the pod is deleted and takes no new connections, the other half is sent."""
    cluster, client = isolated_stack.engine, caller(isolated_stack)
    made = isolated_stack.endpoint("backend").post("/api/collections", json={"name": f"in flight {new_nonce()}"})
    path = f"/api/collections/{made.json()['id']}/documents"
    word, pod = new_nonce(), cluster.container(service)
    body = json.dumps({"title": "in flight", "text": word})
    with cluster.converse(client, "python3", "-c", HALVES, pod.ip, str(port), path, body) as talk:
        talk.hear("half", WITHIN)
        cluster.delete(PODS, pod.name)
        deleted = cluster.now()

        def refuses() -> bool:
            return "refuses" in cluster.exec_in(client, "python3", "-c", REFUSES, pod.ip, str(port))

        wait_for(f"{service} to take no new connections", refuses, WITHIN, every=0.2)
        wait_for("the request to have taken long", lambda: cluster.now() - deleted > SLOW, 2 * SLOW)
        talk.tell("go on")
        assert talk.hear("answer", WITHIN) == "201"
    isolated_stack.wait_healthy()
    assert isolated_stack.persistence.read(word)
