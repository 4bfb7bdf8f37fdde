"""HTTPS: the kubeconfig's authority and no other, client certificates, names, and another cluster at the address."""

from __future__ import annotations

import base64
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.credentials import certificate_end
from devenv.backends.kube.errors import BadKubeconfig, Unauthorized, Unreachable
from devenv.backends.kube.kinds import NODES, PODS
from fakes.api_server import ApiServer, pod
from tests.kube.authority import Authority
from tests.kube.seen import Watched, wait_for

MakeClient = Callable[..., KubeClient]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Path:
    return authority.issue("server", "IP:127.0.0.1,DNS:cluster.example")


@pytest.fixture
def secure(certificate: Path) -> Iterator[ApiServer]:
    with ApiServer(certificate=certificate) as made:
        yield made


def connect(make_client: MakeClient, path: Path) -> KubeClient:
    return make_client(environ={"KUBECONFIG": str(path)})


def test_the_kubeconfigs_authority_is_trusted(
    secure: ApiServer, make_client: MakeClient, authority: Authority, tmp_path: Path
) -> None:
    client = connect(make_client, secure.kubeconfig(tmp_path / "c", ca=authority.pem))
    assert client.list(NODES)[0]
    with Watched(client) as seen:
        seen.live()
        secure.put(pod("web"))
        wait_for(lambda: seen.names == {"web"})


def test_another_authority_is_another_cluster(secure: ApiServer, make_client: MakeClient, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "other-ca")
    client = connect(make_client, secure.kubeconfig(tmp_path / "c", ca=other.pem))
    with pytest.raises(Unreachable, match="certificate is of another authority") as caught:
        client.list(NODES)
    assert "minikube update-context" in caught.value.hint


def test_no_authority_means_the_systems_own(secure: ApiServer, make_client: MakeClient, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="another authority"):
        connect(make_client, secure.kubeconfig(tmp_path / "c")).list(NODES)


def test_insecure_and_a_name_of_the_kubeconfigs_own(
    secure: ApiServer, make_client: MakeClient, authority: Authority, tmp_path: Path
) -> None:
    path = tmp_path / "c"
    for change, ca in (
        ('"insecure-skip-tls-verify": true', ""),
        ('"tls-server-name": "cluster.example"', authority.pem),
    ):
        secure.kubeconfig(path, ca=ca)
        path.write_text(path.read_text().replace('"server"', f'{change}, "server"', 1))
        assert connect(make_client, path).list(NODES)[0]
    secure.kubeconfig(path, ca=authority.pem)
    path.write_text(path.read_text().replace('"server"', '"tls-server-name": "another.example", "server"', 1))
    with pytest.raises(Unreachable, match="is for another name"):
        connect(make_client, path).list(NODES)


def test_a_client_certificate_as_data_and_as_a_file_that_is_replaced(
    certificate: Path, authority: Authority, make_client: MakeClient, tmp_path: Path
) -> None:
    signed = authority.issue("admin").read_bytes()
    stranger = Authority(tmp_path / "stranger").issue("admin").read_bytes()
    with ApiServer(certificate=certificate, client_ca=authority.path) as api:
        data = base64.b64encode(signed).decode()
        user = {"client-certificate-data": data, "client-key-data": data}
        assert connect(make_client, api.kubeconfig(tmp_path / "data", ca=authority.pem, user=user)).list(NODES)[0]

        file = tmp_path / "client.pem"
        file.write_bytes(stranger)
        user = {"client-certificate": "client.pem", "client-key": "client.pem"}
        client = connect(make_client, api.kubeconfig(tmp_path / "file", ca=authority.pem, user=user))
        with pytest.raises(Unreachable):
            client.list(NODES)
        file.write_bytes(signed)
        assert client.list(NODES)[0]


@pytest.mark.parametrize("asked_for", [True, False])
def test_an_expired_client_certificate_is_named_with_its_end(
    certificate: Path, authority: Authority, make_client: MakeClient, tmp_path: Path, asked_for: bool
) -> None:
    """A server that checks it breaks the connection; the API server only asks for one, and answers with 401."""
    old = base64.b64encode(authority.issue("late", expired=True).read_bytes()).decode()
    with ApiServer(certificate=certificate, client_ca=authority.path if asked_for else None) as api:
        api.faults.token = "another"
        user = {"client-certificate-data": old, "client-key-data": old}
        client = connect(make_client, api.kubeconfig(tmp_path / "c", ca=authority.pem, user=user))
        with pytest.raises(
            Unauthorized, match=r"client certificate of the user 'minikube' has expired: 20\d\d-"
        ) as caught:
            client.list(NODES)
    assert "minikube start" in caught.value.hint


def test_a_certificates_end_is_read_as_openssl_reads_it(authority: Authority, tmp_path: Path) -> None:
    for path in (authority.path, authority.issue("some"), authority.issue("late", expired=True)):
        told = subprocess.run(
            ["openssl", "x509", "-in", path, "-noout", "-enddate"], capture_output=True, text=True, check=True
        )
        assert certificate_end(path.read_text()) == ssl.cert_time_to_seconds(told.stdout.strip().partition("=")[2])
    assert certificate_end(authority.pem.replace("M", "A")) is None
    assert certificate_end("no certificate") is None


def test_certificates_that_are_none_name_the_field(secure: ApiServer, make_client: MakeClient, tmp_path: Path) -> None:
    with pytest.raises(BadKubeconfig, match="certificates cannot be used"):
        connect(make_client, secure.kubeconfig(tmp_path / "c", ca="no certificate")).list(NODES)
    user = {"client-certificate": "missing.pem", "client-key": "missing.pem"}
    with pytest.raises(BadKubeconfig, match=r"Cannot read client-certificate .*missing\.pem"):
        connect(make_client, secure.kubeconfig(tmp_path / "d", user=user)).list(NODES)


def test_a_server_without_tls_is_told(api: ApiServer, make_client: MakeClient, tmp_path: Path) -> None:
    path = api.kubeconfig(tmp_path / "c")
    path.write_text(path.read_text().replace("http://", "https://"))
    with pytest.raises(Unreachable, match=r"does not speak TLS|TLS with .* failed"):
        connect(make_client, path).list(NODES)


def test_a_stream_over_tls_is_closed_from_another_thread(
    secure: ApiServer, make_client: MakeClient, authority: Authority, tmp_path: Path
) -> None:
    client = connect(make_client, secure.kubeconfig(tmp_path / "c", ca=authority.pem))
    secure.put(pod("web"))
    secure.logs.write("web", "line")
    arrived = threading.Event()
    with client.stream(PODS.path("default", "web", "log"), {"follow": True}) as stream:
        reader = threading.Thread(target=lambda: [arrived.set() for _ in stream])
        reader.start()
        assert arrived.wait(30)
        stream.close()
        reader.join(30)
        assert not reader.is_alive()
