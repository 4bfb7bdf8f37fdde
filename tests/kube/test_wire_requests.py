"""Single requests: errors in words, 401 and a new token, 429, broken answers, bodies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import (
    Conflict,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)
from devenv.backends.kube.kinds import DEPLOYMENTS, NODES, PDBS, PODS, SECRETS
from devenv.core.errors import EXIT_NO_CLUSTER, EXIT_NO_PERMISSION
from fakes.api_server import ApiServer, deployment, pod

MakeClient = Callable[..., KubeClient]
APPLY = "application/apply-patch+yaml"


def test_reading_writing_and_deleting(client: KubeClient) -> None:
    path = DEPLOYMENTS.path("default")
    made = client.request("POST", path, body=deployment("web"))
    assert made["metadata"]["generation"] == 1
    patch = {"spec": {"replicas": 3}}
    client.request("PATCH", f"{path}/web", body=patch, content_type="application/merge-patch+json")
    assert client.get(f"{path}/web")["spec"]["replicas"] == 3
    client.request("DELETE", f"{path}/web", body={"propagationPolicy": "Foreground"})
    with pytest.raises(NotFound, match=r'deployments.apps "web" not found'):
        client.get(f"{path}/web")


def test_conflicts_name_who_owns_which_field(client: KubeClient) -> None:
    path = DEPLOYMENTS.path("default", "web")
    query = {"fieldManager": "devenv"}
    client.request("PATCH", path, query=query, body=json.dumps(deployment("web")), content_type=APPLY)
    with pytest.raises(Conflict) as caught:
        client.request("PATCH", path, query={"fieldManager": "x"}, body=deployment("web", "web:2"), content_type=APPLY)
    field = '.spec.template.spec.containers[name="main"].image'
    assert caught.value.causes == (("devenv", field),)


def test_a_stale_version_is_a_conflict_and_an_invalid_object_names_the_field(client: KubeClient) -> None:
    made = client.request("POST", DEPLOYMENTS.path("default"), body=deployment("web"))
    stale = made | {"metadata": made["metadata"] | {"resourceVersion": "1"}}
    with pytest.raises(Conflict, match="has been modified"):
        client.request("PUT", DEPLOYMENTS.path("default", "web"), body=stale)
    wrong = deployment("other")
    wrong["spec"]["replicas"] = -1
    with pytest.raises(Invalid) as caught:
        client.request("POST", DEPLOYMENTS.path("default"), body=wrong)
    assert caught.value.causes[0][0] == "spec.replicas"


def test_403_says_what_may_not_be_done(api: ApiServer, client: KubeClient) -> None:
    api.faults.forbidden = {"secrets", "default/pods"}
    with pytest.raises(Forbidden, match=r'cannot list resource "secrets".* at the cluster scope') as caught:
        client.list(SECRETS)
    assert caught.value.exit_code == EXIT_NO_PERMISSION
    with pytest.raises(Forbidden, match='in the namespace "default"'):
        client.list(PODS, "default")
    assert client.list(PODS, "kube-system")[0] == []


def test_a_rotated_token_file_is_used_at_the_next_request(
    api: ApiServer, make_client: MakeClient, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    api.faults.token = "first"
    path = api.kubeconfig(tmp_path / "other", user={"tokenFile": "token"})
    client = make_client(environ={"KUBECONFIG": str(path)})
    assert client.list(NODES)[0]
    api.faults.token = "second"
    with pytest.raises(Unauthorized) as caught:
        client.list(NODES)
    assert caught.value.exit_code == EXIT_NO_PERMISSION
    token.write_text("second\n")
    assert client.list(NODES)[0]


def test_a_token_written_into_the_kubeconfig_is_used(api: ApiServer, make_client: MakeClient, tmp_path: Path) -> None:
    api.faults.token = "new"
    path = api.kubeconfig(tmp_path / "other", user={"token": "old"})
    client = make_client(environ={"KUBECONFIG": str(path)})
    with pytest.raises(Unauthorized):
        client.list(NODES)
    before = client.generation
    api.kubeconfig(path, user={"token": "new-"[:3]})
    assert client.list(NODES)[0]
    assert client.generation == before + 1


def test_a_busy_server_is_asked_again_after_its_pause(api: ApiServer, client: KubeClient) -> None:
    api.faults.busy, api.faults.retry_after = 2, 1
    began = time.monotonic()
    assert client.list(NODES)[0]
    assert 1.9 <= time.monotonic() - began < 20
    assert api.count("GET", "/nodes") == 3


def test_a_server_that_stays_busy_is_told_with_its_pause(api: ApiServer, client: KubeClient) -> None:
    api.faults.busy, api.faults.retry_after = 99, 60
    with pytest.raises(TooManyRequests) as caught:
        client.list(NODES)
    assert caught.value.retry_after == 60
    assert api.count("GET", "/nodes") == 1, "a minute's pause is the caller's to take"


def test_closing_ends_the_pause_of_a_busy_server(api: ApiServer, client: KubeClient) -> None:
    api.faults.busy, api.faults.retry_after = 99, 10
    threading.Timer(0.2, client.close).start()
    began = time.monotonic()
    with pytest.raises(TooManyRequests):
        client.list(NODES)
    assert time.monotonic() - began < 9


def test_an_eviction_that_a_budget_forbids_is_not_tried_again(api: ApiServer, client: KubeClient) -> None:
    budget = {"apiVersion": PDBS.api, "kind": PDBS.name, "metadata": {"name": "web"}}
    api.put(pod("web-1"), budget | {"spec": {"selector": {"matchLabels": {"app": "web-1"}}}, "status": {}})
    api.put(pod("web-1", labels={"app": "web-1"}))
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web-1"}}
    with pytest.raises(TooManyRequests, match="disruption budget") as caught:
        client.request("POST", PODS.path("default", "web-1", "eviction"), body=body)
    assert caught.value.blocked_by_budget
    assert "PodDisruptionBudget" in caught.value.hint
    assert api.count("POST", "/eviction") == 1


def test_nothing_listening_is_unreachable_with_a_hint(api: ApiServer, client: KubeClient) -> None:
    api.stop()
    with pytest.raises(Unreachable, match=r"Nothing listens at http://127.0.0.1") as caught:
        client.get("/version")
    assert caught.value.exit_code == EXIT_NO_CLUSTER
    assert not caught.value.broke
    assert "minikube status" in caught.value.hint


def test_a_server_that_does_not_answer_ends_with_the_timeout(api: ApiServer, client: KubeClient) -> None:
    api.faults.hang()
    with pytest.raises(Unreachable, match="does not answer"):
        client.request("GET", "/version", timeout=0.3)
    api.faults.flow()
    assert client.get("/version")["gitVersion"] == "v1.36.2"


def test_a_restart_between_two_requests_is_not_noticed(api: ApiServer, client: KubeClient) -> None:
    client.get("/version")
    api.restart()
    assert client.get("/version")["gitVersion"] == "v1.36.2"


def test_answers_of_others_than_the_api_server_are_errors_too(api: ApiServer, client: KubeClient) -> None:
    api.faults.failing = {"/apis/metrics.k8s.io": 503}
    with pytest.raises(KubeError, match="upstream failure") as caught:
        client.get("/apis/metrics.k8s.io/v1beta1/nodes")
    assert caught.value.status == 503
    for number, broken in enumerate((b"<html>", b'{"items": [', b'"\xff"', b"")):
        api.on("GET", f"/broken{number}", lambda handler, path, body, broken=broken: handler.reply(broken))
        with pytest.raises(KubeError, match="is not JSON"):
            client.get(f"/broken{number}")


def test_the_first_request_imports_the_client_and_nothing_of_its_kinds(api: ApiServer, kubeconfig: Path) -> None:
    code = (
        "import os, sys\n"
        "from devenv.backends.kube.kubeconfig import find_target\n"
        "from devenv.backends.kube.backend import KubeBackend\n"
        "from devenv.core.kube_settings import KubeSettings\n"
        "backend = KubeBackend(find_target(KubeSettings(), os.environ))\n"
        "assert not [name for name in sys.modules if name.startswith('kubernetes')]\n"
        "backend.client.get('/version')\n"
        "kinds = ('kubernetes.client.models.', 'kubernetes.client.api.')\n"
        "print('kubernetes.client.api_client' in sys.modules, [name for name in sys.modules if name.startswith(kinds)])"
    )
    environ = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True []"


def test_a_redirect_is_an_error_and_the_credentials_do_not_follow_it(
    api: ApiServer, make_client: MakeClient, tmp_path: Path
) -> None:
    asked: list[str] = []
    api.on("GET", "/elsewhere", lambda handler, path, body: asked.append(path))
    moved = {"Location": f"{api.url}/elsewhere"}
    api.on("GET", "/moved", lambda handler, path, body: handler.reply(b"<html>Sign in", 302, "text/html", moved))
    path = api.kubeconfig(tmp_path / "other", user={"token": "secret"})
    with pytest.raises(KubeError, match="<html>Sign in") as caught:
        make_client(environ={"KUBECONFIG": str(path)}).get("/moved")
    assert caught.value.status == 302
    assert asked == []


def test_a_servers_words_cannot_reach_the_terminal_as_commands(api: ApiServer, client: KubeClient) -> None:
    evil = json.dumps({"kind": "Status", "code": 403, "message": "no\x1b]0;owned\x07 \x1b[31mway"}).encode()
    api.on("GET", "/evil", lambda handler, path, body: handler.reply(evil, 403))
    with pytest.raises(Forbidden) as caught:
        client.get("/evil")
    assert caught.value.message == "no way"


def test_text_is_returned_as_text(api: ApiServer, client: KubeClient) -> None:
    api.put(pod("web"))
    api.logs.write("web", "first", "second")
    assert client.get(PODS.path("default", "web", "log"), tailLines=1) == "second\n"


def test_a_followed_log_is_read_as_it_comes_and_closed_from_outside(api: ApiServer, client: KubeClient) -> None:
    api.put(pod("web"))
    api.logs.write("web", "first")
    got: list[bytes] = []
    arrived = threading.Event()

    def read() -> None:
        for chunk in stream:
            got.append(chunk)
            arrived.set()

    with client.stream(PODS.path("default", "web", "log"), {"follow": True}) as stream:
        reader = threading.Thread(target=read)
        reader.start()
        assert arrived.wait(30)
        arrived.clear()
        api.logs.write("web", "second")
        assert arrived.wait(30)
        stream.close()
        reader.join(30)
        assert not reader.is_alive()
    assert b"".join(got) == b"first\nsecond\n"


def test_a_log_that_breaks_is_told_and_one_that_ends_is_not(api: ApiServer, client: KubeClient) -> None:
    api.put(pod("web"))
    api.logs.write("web", "last words")
    with client.stream(PODS.path("default", "web", "log"), {"follow": True}) as stream:
        chunks = iter(stream)
        assert next(chunks) == b"last words\n"
        api.logs.end("web")
        assert list(chunks) == []
    api.logs.restart("web")
    api.logs.write("web", "anew")
    with client.stream(PODS.path("default", "web", "log"), {"follow": True}) as stream:
        chunks = iter(stream)
        assert next(chunks) == b"anew\n"
        api.stop()
        with pytest.raises(Unreachable) as caught:
            list(chunks)
        assert caught.value.broke
