"""What the official client lacks, which is why devenv has it on top: where one of these fails, ours may go."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client as official
from kubernetes import config, watch
from kubernetes.stream import portforward
from urllib3.exceptions import HTTPError

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.connection import InFlight
from devenv.backends.kube.errors import Unauthorized, Unreachable
from devenv.backends.kube.kinds import NODES
from devenv.backends.kube.kubeconfig import contexts
from devenv.control.kube.forward import Forward
from fakes.api_server import ApiServer, pod
from tests.kube.authority import Authority
from tests.kube.kubelet import Kubelet

MakeClient = Callable[..., KubeClient]


def loaded(path: Path) -> official.ApiClient:
    """The official client of that kubeconfig, as its own loader makes it; it asks once."""
    settings = official.Configuration(retries=False)
    config.load_kube_config(str(path), client_configuration=settings, persist_config=False)
    return official.ApiClient(settings)


def ask(client: official.ApiClient) -> int:
    """Return the status of a request for the nodes, signed in."""
    call = client.param_serialize("GET", NODES.path(), auth_settings=["BearerToken"])
    return client.call_api(*call, _request_timeout=30).status


def ours(make_client: MakeClient, path: Path) -> KubeClient:
    return make_client(environ={"KUBECONFIG": str(path), "PATH": "/usr/bin:/bin"})


def test_of_several_kubeconfigs_it_takes_the_last_current_context(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).write_text(
            f"current-context: {name}\ncontexts: [{{name: {name}, context: {{cluster: {name}}}}}]\n"
            f"clusters: [{{name: {name}, cluster: {{server: 'https://{name}'}}}}]\n"
        )
    files = f"{tmp_path / 'first'}{os.pathsep}{tmp_path / 'second'}"
    assert config.list_kube_config_contexts(files)[1]["name"] == "second"
    assert contexts({"KUBECONFIG": files}).current == "first", "as kubectl"


def test_an_exec_plugin_that_fails_is_only_logged(api: ApiServer, make_client: MakeClient, tmp_path: Path) -> None:
    api.faults.token = "secret"
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/false", "interactiveMode": "Never"}
    path = api.kubeconfig(tmp_path / "c", user={"exec": plugin})
    assert ask(loaded(path)) == 401, "it goes on without credentials"
    with pytest.raises(Unauthorized, match="/bin/false failed with 1"):
        ours(make_client, path).list(NODES)


def test_a_token_file_is_read_once(api: ApiServer, make_client: MakeClient, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    path = api.kubeconfig(tmp_path / "c", user={"tokenFile": "token"})
    theirs, mine = loaded(path), ours(make_client, path)
    api.faults.token = "new"
    token.write_text("new")
    assert ask(theirs) == 401
    assert mine.list(NODES)[0]


def test_a_watch_from_a_version_that_is_too_old_is_an_error_and_no_new_list(api: ApiServer, kubeconfig: Path) -> None:
    api.put(pod("web"))
    gone = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n'
    api.on("GET", "/api/v1/pods", lambda handler, path, body: handler.reply(gone))
    core = official.CoreV1Api(loaded(kubeconfig))
    answered = watch.Watch().stream(core.list_pod_for_all_namespaces, resource_version="1")
    with pytest.raises(official.ApiException) as caught:
        next(answered)
    assert caught.value.status == 410


def test_closing_it_does_not_end_a_request_that_waits(
    api: ApiServer, make_client: MakeClient, kubeconfig: Path
) -> None:
    api.faults.hang()
    theirs, mine, flight = loaded(kubeconfig), ours(make_client, kubeconfig), InFlight()
    ended: dict[str, Any] = {"theirs": threading.Event(), "mine": threading.Event()}

    def wait(who: str, request: Callable[[], object], errors: tuple[type[Exception], ...]) -> None:
        with pytest.raises(errors):
            request()
        ended[who].set()

    threads = [
        threading.Thread(target=wait, args=("theirs", lambda: ask(theirs), (HTTPError,))),
        threading.Thread(
            target=wait, args=("mine", lambda: mine.request("GET", "/version", flight=flight), (Unreachable,))
        ),
    ]
    for thread in threads:
        thread.start()
    assert not ended["mine"].wait(0.5)
    theirs.rest_client.close()
    flight.close()
    assert ended["mine"].wait(30)
    assert not ended["theirs"].is_set()
    api.stop()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_an_authority_that_is_an_intermediate_is_not_trusted(make_client: MakeClient, tmp_path: Path) -> None:
    """No setting of it reaches OpenSSL's flags; Python 3.13 adds the strict ones, which minikube's CA fails."""
    root = Authority(tmp_path / "root", "root")
    middle = tmp_path / "root" / "middle.ext"
    middle.write_text("basicConstraints=CA:TRUE\n")
    inner = Authority(tmp_path / "inner", "inner")
    inner.openssl("req", "-new", "-key", "ca.key", "-subj", "/CN=inner", "-out", "ca.csr")
    inner.openssl(
        "x509", "-req", "-in", "ca.csr", "-CA", str(root.path), "-CAkey", str(root.folder / "ca.key"),
        "-CAcreateserial", "-days", "2", "-extfile", str(middle), "-out", "ca.crt",
    )  # fmt: skip
    with ApiServer(certificate=inner.issue("server", "IP:127.0.0.1")) as api:
        path = api.kubeconfig(tmp_path / "c", ca=inner.pem)
        with pytest.raises(official.ApiException, match="CERTIFICATE_VERIFY_FAILED"):
            ask(loaded(path))
        assert ours(make_client, path).list(NODES)[0]


def test_a_forward_loses_the_answer_when_the_asking_side_is_closed(
    api: ApiServer, client: KubeClient, kubeconfig: Path
) -> None:
    api.put(pod("web"))
    asked = threading.Event()

    def serve(name: str, data: bytes) -> bytes:
        asked.wait(0.5)  # the other side is closed meanwhile
        return b"late"

    api.on("GET", r"/api/v1/namespaces/[^/]+/pods/[^/]+/portforward", Kubelet(serve).answer)

    def answer(line: socket.socket) -> bytes:
        line.settimeout(10)
        line.sendall(b"x")
        line.shutdown(socket.SHUT_WR)
        return line.recv(100)

    core = official.CoreV1Api(loaded(kubeconfig))
    theirs = portforward(core.connect_get_namespaced_pod_portforward, "web", "default", ports="8000")
    try:
        assert answer(theirs.socket(8000)) == b""
    finally:
        theirs.close()
    forward = Forward(client, "pod", "web", 8000)
    forward.start()
    try:
        with socket.create_connection(("127.0.0.1", forward.stats().local_port)) as line:
            assert answer(line) == b"late"
    finally:
        forward.close()
