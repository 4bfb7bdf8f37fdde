"""The endpoint is compared with what the docker CLI itself resolves."""

from __future__ import annotations

import contextlib
import json
import select
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from devenv.backends.docker.client import connect
from devenv.backends.docker.endpoint import Endpoint, TlsFiles, resolve_endpoint
from devenv.backends.docker.snapshot import EngineEvents, read_resources
from devenv.core.errors import EngineUnreachable, UsageError
from devenv.core.model import Project
from tests.wire.reading import Reader

pytestmark = pytest.mark.engine


def docker(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {"DOCKER_CONFIG": str(folder), "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), **variables}
    return subprocess.run(["docker", *arguments], env=environ, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    "host", ["unix:///run/user/1000/docker.sock", "tcp://127.0.0.1:23750", "ssh://me@box:2222", "tcp://127.0.0.1"]
)
def test_a_context_is_resolved_as_the_cli_does(tmp_path: Path, host: str) -> None:
    made = docker(tmp_path, "context", "create", "mine", "--docker", f"host={host}")
    assert made.returncode == 0, made.stderr
    assert docker(tmp_path, "context", "use", "mine").returncode == 0
    (told,) = json.loads(docker(tmp_path, "context", "inspect").stdout)
    found = resolve_endpoint({"DOCKER_CONFIG": str(tmp_path)})
    assert (found.host, found.context) == (told["Endpoints"]["docker"]["Host"], told["Name"])
    assert found.tls is None


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"DOCKER_HOST": "unix:///x.sock"},
        {"DOCKER_HOST": "tcp://127.0.0.1"},
        {"DOCKER_HOST": "127.0.0.1:99"},
        {"DOCKER_HOST": "unix:///x.sock", "DOCKER_CONTEXT": "mine"},
        {"DOCKER_CONTEXT": "mine"},
        {"DOCKER_CONTEXT": "default"},
    ],
)
def test_the_environment_is_weighed_as_the_cli_does(tmp_path: Path, variables: dict[str, str]) -> None:
    docker(tmp_path, "context", "create", "mine", "--docker", "host=unix:///mine.sock")
    docker(tmp_path, "context", "create", "other", "--docker", "host=unix:///other.sock")
    docker(tmp_path, "context", "use", "other")
    (told,) = json.loads(docker(tmp_path, "context", "inspect", **variables).stdout)
    found = resolve_endpoint({"DOCKER_CONFIG": str(tmp_path), **variables})
    assert (found.host, found.context) == (told["Endpoints"]["docker"]["Host"], told["Name"])


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A folder with ca.pem, cert.pem and key.pem for localhost, one self-signed certificate for both sides."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *files, *names]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    shutil.copy(folder / "cert.pem", folder / "ca.pem")
    return folder


@contextmanager
def tls_in_front_of(engine: Endpoint, certificates: Path) -> Iterator[int]:
    """Listen with TLS on a free port of this machine, for clients with our certificate, and pass all on."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")

    class Pump(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                contextlib.suppress(OSError),
                context.wrap_socket(self.request, server_side=True) as client,
                socket.socket(socket.AF_UNIX) as inside,
            ):
                inside.connect(engine.host.removeprefix("unix://"))
                while True:
                    # What TLS has decrypted already is not seen by select.
                    ready = [client] if client.pending() else select.select([client, inside], [], [])[0]
                    for end, other in ((client, inside), (inside, client)):
                        if end in ready:
                            data = end.recv(65_536)
                            if not data:
                                return
                            other.sendall(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Pump) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_the_certificates_of_a_context_are_those_of_the_cli_and_work(
    engine: Endpoint, tmp_path: Path, certificates: Path
) -> None:
    with tls_in_front_of(engine, certificates) as port:
        files = ",".join(f"{name}={certificates / name}.pem" for name in ("ca", "cert", "key"))
        made = docker(tmp_path, "context", "create", "safe", "--docker", f"host=tcp://127.0.0.1:{port},{files}")
        assert made.returncode == 0, made.stderr
        (told,) = json.loads(docker(tmp_path, "context", "inspect", "safe").stdout)
        environ = {"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "safe"}
        tls = resolve_endpoint(environ).tls
        assert tls is not None
        folder = Path(told["Storage"]["TLSPath"]) / "docker"
        assert {tls.ca, tls.cert, tls.key} == {str(folder / name) for name in told["TLSMaterial"]["docker"]}
        reader = Reader(environ, project="nothing-of-that-name", services=("web",)).start()
        try:
            reader.live(1)
        finally:
            began = time.monotonic()
            reader.stop()
        assert time.monotonic() - began < 20, "a TLS stream too is closed from outside"
        assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("docker-")]


def test_a_certificate_that_nobody_signed_is_refused(engine: Endpoint, tmp_path: Path, certificates: Path) -> None:
    with tls_in_front_of(engine, certificates) as port:
        # Without a CA of its own the machine's is asked, which does not know this one.
        docker(tmp_path, "context", "create", "strange", "--docker", f"host=tcp://127.0.0.1:{port}")
        found = resolve_endpoint({"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "strange"})
        strict = replace(found, tls=TlsFiles(None, str(certificates / "cert.pem"), str(certificates / "key.pem")))
        with pytest.raises(EngineUnreachable, match="certificate"):
            connect(strict)
        lax = replace(found, tls=TlsFiles(None, str(certificates / "cert.pem"), str(certificates / "key.pem"), False))
        connect(lax).close()


@pytest.mark.usefixtures("engine")
def test_what_the_cli_refuses_is_refused(tmp_path: Path) -> None:
    for variables in ({"DOCKER_CONTEXT": "nope"}, {"DOCKER_TLS_VERIFY": "1"}, {"DOCKER_HOST": "gopher://x"}):
        assert docker(tmp_path, "ps", **variables).returncode != 0
        with pytest.raises(UsageError):
            resolve_endpoint({"DOCKER_CONFIG": str(tmp_path), **variables})


def test_ssh_through_the_real_dial_stdio(engine: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A program that stands for ssh: it runs here what ssh would run on the other machine.
    program = tmp_path / "ssh"
    program.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift 2\nexec "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/local/bin:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_HOST", engine.host)  # what the other machine's docker uses
    endpoint = resolve_endpoint({"DOCKER_HOST": "ssh://me@box", "DOCKER_CONFIG": str(tmp_path)})
    client = connect(endpoint)
    try:
        assert client.version()["ApiVersion"] == client.api_version
        assert read_resources(Project("nothing-of-that-name", "/", (), ()), endpoint, client) == ()
    finally:
        client.close()
    with EngineEvents(endpoint, "nothing-of-that-name") as events:
        assert events.events(0.1) == []
