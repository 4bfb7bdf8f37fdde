"""The endpoint is the one that the docker CLI would use; broken settings name their file."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest

from devenv.backends.docker.endpoint import DEFAULT_HOST, TlsFiles, config_problem, known_contexts, resolve_endpoint
from devenv.core.errors import UsageError


def context(folder: Path, name: str, meta: object, *tls: str) -> Path:
    digest = hashlib.sha256(name.encode()).hexdigest()
    path = folder / "contexts" / "meta" / digest / "meta.json"
    path.parent.mkdir(parents=True)
    path.write_text(meta if isinstance(meta, str) else json.dumps(meta))
    for file in tls:
        certificate = folder / "contexts" / "tls" / digest / "docker" / file
        certificate.parent.mkdir(parents=True, exist_ok=True)
        certificate.touch()
    return path


def docker(host: object, **more: object) -> dict[str, object]:
    return {"Name": "x", "Metadata": {}, "Endpoints": {"docker": {"Host": host, **more}}}


def environ(folder: Path, **more: str) -> dict[str, str]:
    return {"DOCKER_CONFIG": str(folder), **more}


def test_the_default(tmp_path: Path) -> None:
    found = resolve_endpoint({"HOME": str(tmp_path)})
    assert (found.host, found.context, found.tls, found.source) == (DEFAULT_HOST, "default", None, "default")


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("unix:///run/x.sock", "unix:///run/x.sock"),
        ("unix://", "unix:///var/run/docker.sock"),
        ("tcp://box", "tcp://box:2375"),
        ("tcp://box:99", "tcp://box:99"),
        ("tcp://box/sub/path", "tcp://box:2375/sub/path"),
        ("tcp://:99", "tcp://localhost:99"),
        ("tcp://[::1]:99", "tcp://[::1]:99"),
        ("10.0.0.1", "tcp://10.0.0.1:2375"),
        ("10.0.0.1:77", "tcp://10.0.0.1:77"),
        (" unix:///x ", "unix:///x"),
        ("ssh://me@box:22/run/x.sock", "ssh://me@box:22/run/x.sock"),
    ],
)
def test_docker_host_is_completed_as_the_cli_does(tmp_path: Path, value: str, host: str) -> None:
    found = resolve_endpoint(environ(tmp_path, DOCKER_HOST=value, DOCKER_CONTEXT="ignored"))
    assert (found.host, found.source) == (host, "DOCKER_HOST")


BAD_HOSTS = (
    *("ftp://x", "unix:/", "://", "fd://3", "tcp://\x1b[31m", "a b://c"),
    *("tcp://box:99999", "tcp://[::1", "tcp://[bad]:1", "http://box:99999", "ssh://box:99999", "tcp://[::1]:1]"),
)


@pytest.mark.parametrize("value", BAD_HOSTS)
def test_docker_host_that_is_no_address(tmp_path: Path, value: str) -> None:
    with pytest.raises(UsageError, match="DOCKER_HOST") as caught:
        resolve_endpoint(environ(tmp_path, DOCKER_HOST=value))
    assert "\x1b" not in caught.value.message
    assert "unix:///" in caught.value.hint


@pytest.mark.skipif(sys.platform == "win32", reason="there the pipe exists")
@pytest.mark.parametrize("value", ["npipe:////./pipe/docker_engine", "npipe://", "npipe://x"])
def test_a_pipe_of_windows_is_refused_elsewhere(tmp_path: Path, value: str) -> None:
    with pytest.raises(UsageError, match=r"DOCKER_HOST: .*named pipe of Windows") as caught:
        resolve_endpoint(environ(tmp_path, DOCKER_HOST=value))
    assert "npipe" not in caught.value.hint
    context(tmp_path, "desktop", docker(value))
    with pytest.raises(UsageError, match="named pipe of Windows"):
        resolve_endpoint(environ(tmp_path, DOCKER_CONTEXT="desktop"))


def test_tls_of_the_environment(tmp_path: Path) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).touch()
    files = TlsFiles(*(str(tmp_path / name) for name in ("ca.pem", "cert.pem", "key.pem")))
    found = resolve_endpoint(
        {"DOCKER_HOST": "tcp://box", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path), "HOME": "/nowhere"}
    )
    assert (found.host, found.tls) == ("tcp://box:2376", files)
    unverified = resolve_endpoint(environ(tmp_path, DOCKER_HOST="tcp://box", DOCKER_TLS="1"))
    assert unverified.tls == TlsFiles(files.ca, files.cert, files.key, verify=False)
    assert resolve_endpoint(environ(tmp_path, DOCKER_HOST="unix:///x", DOCKER_TLS_VERIFY="1")).tls is None


def test_tls_without_certificates_names_the_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"DOCKER_TLS_VERIFY.*ca\.pem"):
        resolve_endpoint(environ(tmp_path, DOCKER_HOST="tcp://box", DOCKER_TLS_VERIFY="1"))


def test_the_current_context(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"currentContext": "colima", "auths": {}}')
    context(tmp_path, "colima", docker("unix:///home/me/.colima/default/docker.sock"))
    context(tmp_path, "desktop-linux", docker("unix:///home/me/.docker/desktop/docker.sock"))
    found = resolve_endpoint(environ(tmp_path))
    assert (found.host, found.context) == ("unix:///home/me/.colima/default/docker.sock", "colima")
    assert found.source == str(tmp_path / "config.json")
    assert found.label == "unix:///home/me/.colima/default/docker.sock (context colima)"
    other = resolve_endpoint(environ(tmp_path, DOCKER_CONTEXT="desktop-linux"))
    assert (other.host, other.source) == ("unix:///home/me/.docker/desktop/docker.sock", "DOCKER_CONTEXT")
    default = resolve_endpoint(environ(tmp_path, DOCKER_CONTEXT="default"))
    assert (default.host, default.context) == (DEFAULT_HOST, "default")


def test_tls_of_a_context(tmp_path: Path) -> None:
    context(tmp_path, "safe", docker("tcp://box:2376"), "ca.pem", "cert.pem", "key.pem")
    context(tmp_path, "lax", docker("tcp://box:2376", SkipTLSVerify=True))
    context(tmp_path, "plain", docker("tcp://box:2375", SkipTLSVerify=False))
    context(tmp_path, "empty", docker(None))
    safe = resolve_endpoint(environ(tmp_path, DOCKER_CONTEXT="safe")).tls
    assert safe is not None
    assert safe.verify
    assert all(path and Path(path).is_file() for path in (safe.ca, safe.cert, safe.key))
    assert resolve_endpoint(environ(tmp_path, DOCKER_CONTEXT="lax")).tls == TlsFiles(verify=False)
    assert resolve_endpoint(environ(tmp_path, DOCKER_CONTEXT="plain")).tls is None
    assert resolve_endpoint(environ(tmp_path, DOCKER_CONTEXT="empty")).host == DEFAULT_HOST


@pytest.mark.parametrize("text", ["{", "[]", "7", '{"currentContext": 7}', "[" * 99_999, "\x00"])
def test_a_broken_config_means_the_defaults_and_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert resolve_endpoint(environ(tmp_path)).host == DEFAULT_HOST
    assert str(tmp_path / "config.json") in config_problem(environ(tmp_path))


@pytest.mark.parametrize("part", ['"auths": []', '"credHelpers": "x"', '"HttpHeaders": 7', '"credsStore": {}'])
def test_a_part_of_a_wrong_type_leaves_the_context(tmp_path: Path, part: str) -> None:
    context(tmp_path, "colima", docker("unix:///colima.sock"))
    (tmp_path / "config.json").write_text(f'{{{part}, "currentContext": "colima"}}')
    assert resolve_endpoint(environ(tmp_path)).host == "unix:///colima.sock"
    assert part.split('"')[1] in config_problem(environ(tmp_path))


def test_a_config_that_is_a_folder_means_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    assert resolve_endpoint(environ(tmp_path)).host == DEFAULT_HOST
    assert "cannot be read" in config_problem(environ(tmp_path))


@pytest.mark.parametrize("text", ["", "{}", '{"auths": {}}', '{"currentContext": ""}', '{"currentContext": null}'])
def test_a_config_without_context_means_the_default(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert resolve_endpoint(environ(tmp_path)).host == DEFAULT_HOST
    assert config_problem(environ(tmp_path)) == ""


@pytest.mark.parametrize(
    "meta",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"Endpoints": []}',
        '{"Endpoints": {"docker": null}}',
        '{"Endpoints": {"docker": {"Host": 7}}}',
        '{"Endpoints": {"docker": {"Host": "gopher://x"}}}',
        '{"Endpoints": {"kubernetes": {"Host": "x"}}}',
        "[" * 99_999,
    ],
)
def test_a_hostile_context_is_named(tmp_path: Path, meta: str) -> None:
    path = context(tmp_path, "evil", meta)
    with pytest.raises(UsageError, match=r"meta\.json") as caught:
        resolve_endpoint(environ(tmp_path, DOCKER_CONTEXT="evil"))
    assert str(path) in caught.value.message


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    context(tmp_path, "evil", "").write_bytes(b"\xff\xfe{")
    with pytest.raises(UsageError, match=r"meta\.json"):
        resolve_endpoint(environ(tmp_path, DOCKER_CONTEXT="evil"))


@pytest.mark.parametrize("name", ["nope", "../../etc", "x/y", "[/foo]\x1b[1m", "\ud800"])
def test_a_context_that_does_not_exist(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="does not exist") as caught:
        resolve_endpoint(environ(tmp_path, DOCKER_CONTEXT=name))
    assert "docker context ls" in caught.value.hint
    assert caught.value.message.isprintable()


def test_contexts_are_listed_without_those_that_cannot_be_read(tmp_path: Path) -> None:
    context(tmp_path, "far", docker("ssh://me@far") | {"Name": "far"})
    context(tmp_path, "broken", "{")
    assert known_contexts(environ(tmp_path)) == (("default", DEFAULT_HOST), ("far", "ssh://me@far"))
