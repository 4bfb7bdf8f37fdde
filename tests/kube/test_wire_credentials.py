"""Signing in: plugins, passwords, and what is said when it does not work."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.credentials import Credentials, CredentialSource
from devenv.backends.kube.errors import BadKubeconfig, Forbidden, Unauthorized, Unreachable
from devenv.backends.kube.kinds import NODES
from devenv.backends.kube.kubeconfig import contexts, find_target
from devenv.control.kube.websocket import endpoint_of
from devenv.core.kube_settings import KubeSettings
from fakes.api_server import ApiServer
from fakes.api_server.handler import Handler
from fakes.api_server.status import Refusal

MakeClient = Callable[..., KubeClient]
EXEC_API = "client.authentication.k8s.io/v1"


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A credential plugin that prints what is in `answer`, and notes each call with what it was told."""
    path = tmp_path / "plugin.sh"
    path.write_text(
        f'#!/bin/sh\necho "$KUBERNETES_EXEC_INFO $1 $EXTRA" >> {tmp_path}/calls\n'
        f"[ -f {tmp_path}/answer ] || {{ echo 'token=hunter2hunter2 is out of date' >&2; exit 3; }}\n"
        f"cat {tmp_path}/answer\n"
    )
    path.chmod(0o755)
    return path


def answer(tmp_path: Path, **status: Any) -> None:
    told = {"apiVersion": EXEC_API, "kind": "ExecCredential", "status": status}
    (tmp_path / "answer").write_text(json.dumps(told))


def calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "calls").read_text().splitlines()


def user(**more: Any) -> dict[str, Any]:
    return {
        "exec": {"apiVersion": EXEC_API, "interactiveMode": "Never", "command": "./plugin.sh", "args": ["get"], **more}
    }


def connect(api: ApiServer, make_client: MakeClient, tmp_path: Path, who: dict[str, Any]) -> KubeClient:
    path = api.kubeconfig(tmp_path / "with-user", user=who)
    return make_client(environ={"KUBECONFIG": str(path), "PATH": "/usr/bin:/bin"})


def test_who_acts_as_somebody_else_does_so_in_every_request(
    api: ApiServer, make_client: MakeClient, tmp_path: Path
) -> None:
    heard: list[list[tuple[str, str]]] = []

    def note(handler: Handler, path: str, body: bytes) -> None:
        heard.append([(name, value) for name, value in handler.headers.items() if name.startswith("Impersonate-")])
        handler.json({"kind": "NodeList", "apiVersion": "v1", "metadata": {}, "items": []})

    api.on("GET", r"/api/v1/nodes", note)
    who = {"as": "jane", "as-uid": "7", "as-groups": ["readers", "night shift"], "as-user-extra": {"Why/x": ["a", "b"]}}
    asked = [
        ("Impersonate-User", "jane"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "readers"),
        ("Impersonate-Group", "night shift"),
        ("Impersonate-Extra-why%2Fx", "a"),
        ("Impersonate-Extra-why%2Fx", "b"),
    ]
    client = connect(api, make_client, tmp_path, {"token": "mine", **who})
    client.list(NODES)
    client.list(NODES)
    assert heard == [asked, asked]
    assert list(endpoint_of(client).impersonation) == asked, "forwards and shells too"


def test_a_request_that_nobody_signs_says_so_where_anonymous_ones_are_taken(
    api: ApiServer, make_client: MakeClient, tmp_path: Path
) -> None:
    def refuse(handler: Handler, path: str, body: bytes) -> None:
        raise Refusal(403, 'nodes is forbidden: User "system:anonymous" cannot list resource "nodes"')

    api.on("GET", r"/api/v1/nodes", refuse)
    with pytest.raises(Unauthorized, match=r'Nobody signs in: .*"system:anonymous"') as caught:
        connect(api, make_client, tmp_path, {}).list(NODES)
    assert "names no user" in caught.value.hint
    with pytest.raises(Forbidden, match="cannot list"):
        connect(api, make_client, tmp_path, {"token": "known"}).list(NODES)


def test_a_plugins_token_is_kept_until_it_is_refused(
    api: ApiServer, make_client: MakeClient, tmp_path: Path, plugin: Path
) -> None:
    api.faults.token = "first"
    answer(tmp_path, token="first")
    client = connect(
        api, make_client, tmp_path, user(env=[{"name": "EXTRA", "value": "more"}], provideClusterInfo=True)
    )
    for _ in range(3):
        assert client.list(NODES)[0]
    assert len(calls(tmp_path)) == 1
    info, argument, extra = calls(tmp_path)[0].rsplit(" ", 2)
    assert (argument, extra) == ("get", "more")
    assert json.loads(info)["spec"] == {"interactive": False, "cluster": {"server": api.url}}
    api.faults.token = "second"
    answer(tmp_path, token="second")
    assert client.list(NODES)[0], "401, the plugin is asked again, and the request is repeated"
    assert len(calls(tmp_path)) == 2


def test_a_token_that_ends_is_renewed_before_it_does(tmp_path: Path, plugin: Path) -> None:
    now = 1_800_000_000.0
    source = CredentialSource(
        {"exec": {"apiVersion": EXEC_API, "command": str(plugin), "args": []}},
        {},
        {"PATH": "/usr/bin:/bin"},
        clock=lambda: now,
    )
    answer(tmp_path, token="short", expirationTimestamp="2027-01-15T08:10:00Z")  # ten minutes after `now`
    assert source.current().authorization == "Bearer short"
    now += 580
    source.current()
    assert len(calls(tmp_path)) == 1
    now += 15
    answer(tmp_path, token="next", expirationTimestamp="2027-01-15T09:10:00Z")
    assert source.current().authorization == "Bearer next"


def test_a_plugin_that_fails_says_why_without_its_secrets(
    api: ApiServer, make_client: MakeClient, tmp_path: Path, plugin: Path
) -> None:
    client = connect(api, make_client, tmp_path, user())
    with pytest.raises(Unauthorized, match=r"plugin .*plugin\.sh failed with 3: .* is out of date") as caught:
        client.list(NODES)
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        (
            {"command": "no-such-plugin", "installHint": "brew install it"},
            BadKubeconfig,
            "plugin no-such-plugin is not",
        ),
        ({"command": "/etc/passwd"}, BadKubeconfig, "plugin /etc/passwd could not be started: Permission denied"),
        ({"interactiveMode": "Always"}, Unauthorized, "wants a terminal of its own"),
        ({"command": "/bin/true"}, Unauthorized, "printed no ExecCredential"),
        (
            {"apiVersion": f"{EXEC_API}alpha1"},
            BadKubeconfig,
            "has apiVersion client.authentication.k8s.io/v1alpha1, not",
        ),
        ({"apiVersion": ""}, BadKubeconfig, "has apiVersion none, not"),
        ({"interactiveMode": ""}, BadKubeconfig, "has interactiveMode none, not Never or IfAvailable or Always"),
        ({"command": ""}, BadKubeconfig, "names no command"),
    ],
)
def test_plugins_that_cannot_be_used(
    api: ApiServer,
    make_client: MakeClient,
    tmp_path: Path,
    settings: dict[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    client = connect(api, make_client, tmp_path, user(**settings))
    with pytest.raises(error, match=words):
        client.list(NODES)


def test_a_plugin_that_speaks_another_version_is_refused_as_kubectl_does(
    api: ApiServer, make_client: MakeClient, tmp_path: Path, plugin: Path
) -> None:
    answer(tmp_path, token="first")
    beta = f"{EXEC_API}beta1"
    client = connect(api, make_client, tmp_path, {"exec": {"apiVersion": beta, "command": "./plugin.sh"}})
    with pytest.raises(Unauthorized, match=f"answers with {EXEC_API} ExecCredential, not {beta}"):
        client.list(NODES)


BASE64 = base64.b64encode(b"pem").decode()


@pytest.mark.parametrize(
    ("cluster", "who", "words"),
    [
        ({"certificate-authority": "ca", "certificate-authority-data": BASE64}, {}, "certificate-authority-data"),
        ({"certificate-authority-data": BASE64, "insecure-skip-tls-verify": True}, {}, "insecure-skip-tls-verify"),
        ({"certificate-authority": "ca", "insecure-skip-tls-verify": True}, {}, "insecure-skip-tls-verify"),
        ({}, {"client-certificate": "c", "client-certificate-data": BASE64, "client-key": "k"}, "client-certificate"),
        ({}, {"client-certificate": "c", "client-key": "k", "client-key-data": BASE64}, "client-key-data"),
        ({}, {"client-certificate-data": BASE64}, "without client-key"),
        ({}, {"token": "one", "username": "me", "password": "two"}, "a token and a password"),
        ({}, {"exec": {"apiVersion": EXEC_API, "command": "a"}, "auth-provider": {"name": "oidc"}}, "auth-provider"),
        ({}, {"auth-provider": {"name": "gcp"}}, "auth-provider gcp: only oidc is left"),
        ({}, {"as-groups": ["admins"]}, "as-groups .* without as"),
    ],
)
def test_what_kubectl_refuses_is_refused_and_marked(
    api: ApiServer, make_client: MakeClient, tmp_path: Path, cluster: dict[str, Any], who: dict[str, Any], words: str
) -> None:
    path = api.kubeconfig(tmp_path / "refused", user=who)
    told = json.loads(path.read_text())
    told["clusters"][0]["cluster"] |= cluster
    path.write_text(json.dumps(told))
    environ = {"KUBECONFIG": str(path)}
    with pytest.raises(BadKubeconfig, match=f"context 'minikube' cannot be used: .*{words}"):
        make_client(environ=environ).list(NODES)
    assert re.search(words, contexts(environ).all[0].problem)


@pytest.mark.parametrize(
    ("server", "signs"), [("http://api.example:80", False), ("api.example", False), ("https://api.example", True)]
)
def test_over_plain_http_nobody_signs_in_but_to_this_machine(tmp_path: Path, server: str, signs: bool) -> None:
    """Source: `kubectl -v9` (1.36) sends no Authorization to an http server."""
    told = {
        "contexts": [{"name": "dev", "context": {"cluster": "dev", "user": "dev"}}],
        "clusters": [{"name": "dev", "cluster": {"server": server}}],
        "users": [{"name": "dev", "user": {"token": "secret", "as": "me"}}],
    }
    (tmp_path / "config").write_text(json.dumps(told))
    environ = {"KUBECONFIG": str(tmp_path / "config")}
    client = KubeClient(find_target(KubeSettings(context="dev"), environ), environ)
    signed = Credentials("Bearer secret", impersonation=(("Impersonate-User", "me"),))
    assert client.access()[1] == (signed if signs else Credentials())


@pytest.mark.parametrize(("field", "value"), [("kind", "Pod"), ("apiVersion", "v2")])
def test_a_file_of_another_kind_is_no_kubeconfig(api: ApiServer, tmp_path: Path, field: str, value: str) -> None:
    path = api.kubeconfig(tmp_path / "other")
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {field: value}))
    with pytest.raises(BadKubeconfig, match=r"other is a .*, not a v1 Config"):
        contexts({"KUBECONFIG": str(path)})
    del told["kind"], told["apiVersion"]  # both may be left out
    path.write_text(json.dumps(told))
    assert contexts({"KUBECONFIG": str(path)}).current == "minikube"


@pytest.mark.parametrize("key", ["certificate-authority-data", "client-certificate-data", "client-key-data"])
@pytest.mark.parametrize("data", ["no base64!", "cGVt*", base64.b64encode(b"\xff\xfe").decode()])
def test_data_that_is_not_base64_names_file_entry_and_field(
    api: ApiServer, tmp_path: Path, key: str, data: str
) -> None:
    path = api.kubeconfig(tmp_path / "refused")
    told = json.loads(path.read_text())
    section, entry = ("clusters", "cluster") if key.startswith("certificate") else ("users", "user")
    told[section].append({"name": "other", entry: {key: data}})
    path.write_text(json.dumps(told))
    with pytest.raises(BadKubeconfig, match=f"refused: {entry} other: {key} is not base64 of a PEM text"):
        contexts({"KUBECONFIG": str(path)})


@pytest.mark.parametrize("section", ["clusters", "users", "contexts"])
def test_a_name_twice_in_one_file_is_refused_and_in_two_files_the_first_is_meant(
    api: ApiServer, tmp_path: Path, section: str
) -> None:
    path = api.kubeconfig(tmp_path / "first", namespace="mine")
    api.kubeconfig(tmp_path / "second", namespace="yours")
    both = contexts({"KUBECONFIG": f"{path}:{tmp_path / 'second'}"})
    assert [info.namespace for info in both.all] == ["mine"]
    told = json.loads(path.read_text())
    told[section] *= 2
    path.write_text(json.dumps(told))
    with pytest.raises(BadKubeconfig, match=f"first: {section} has the name minikube twice"):
        contexts({"KUBECONFIG": str(path)})


def test_a_context_that_names_what_is_not_there_is_marked(api: ApiServer, tmp_path: Path) -> None:
    path = api.kubeconfig(tmp_path / "dangling")
    told = json.loads(path.read_text())
    told["contexts"] += [
        {"name": "no-cluster", "context": {"cluster": "gone", "user": "minikube"}},
        {"name": "no-user", "context": {"cluster": "minikube", "user": "gone"}},
        {"name": "nobody", "context": {"cluster": "minikube"}},
    ]
    path.write_text(json.dumps(told))
    problems = {info.name: info.problem for info in contexts({"KUBECONFIG": str(path)}).all}
    assert problems == {
        "minikube": "",
        "no-cluster": "the kubeconfig has no cluster 'gone'",
        "no-user": "the kubeconfig has no user 'gone'",
        "nobody": "",
    }


@pytest.mark.parametrize("own", [True, False])
def test_a_proxy_that_fails_is_named_without_its_password_and_with_the_setting_that_names_it(
    api: ApiServer, make_client: MakeClient, tmp_path: Path, own: bool
) -> None:
    proxy = "http://me:hunter2@127.0.0.1:1"
    path = api.kubeconfig(tmp_path / "proxied")
    told = json.loads(path.read_text())
    told["clusters"][0]["cluster"] = {"server": "https://10.255.255.1:6443"} | ({"proxy-url": proxy} if own else {})
    path.write_text(json.dumps(told))
    environ = {"KUBECONFIG": str(path)} | ({} if own else {"HTTPS_PROXY": proxy})
    with pytest.raises(Unreachable, match=r"The proxy http://127\.0\.0\.1:1 to https://10\.255\.255\.1:6443") as caught:
        make_client(environ=environ).list(NODES)
    assert ("proxy-url" if own else "HTTPS_PROXY") in caught.value.hint
    assert "hunter2" not in caught.value.message


def test_an_install_hint_is_the_hint(api: ApiServer, make_client: MakeClient, tmp_path: Path) -> None:
    client = connect(api, make_client, tmp_path, user(command="no-such-plugin", installHint="brew install it"))
    with pytest.raises(BadKubeconfig) as caught:
        client.list(NODES)
    assert caught.value.hint == "brew install it"


def test_a_user_that_is_not_accepted_is_told_after_one_more_try(
    api: ApiServer, make_client: MakeClient, tmp_path: Path, plugin: Path
) -> None:
    api.faults.token = "another"
    answer(tmp_path, token="wrong")
    client = connect(api, make_client, tmp_path, user())
    with pytest.raises(Unauthorized) as caught:
        client.list(NODES)
    assert "Sign in again" in caught.value.hint
    assert len(calls(tmp_path)) == 2
    assert api.count("GET", "/nodes") == 2


def test_an_expired_oidc_token_says_who_renews_it(api: ApiServer, make_client: MakeClient, tmp_path: Path) -> None:
    api.faults.token = "fresh"
    who = {"auth-provider": {"name": "oidc", "config": {"id-token": "stale"}}}
    client = connect(api, make_client, tmp_path, who)
    with pytest.raises(Unauthorized) as caught:
        client.list(NODES)
    assert "kubectl" in caught.value.hint


def test_a_name_and_a_password_and_a_token_file_before_a_token(tmp_path: Path) -> None:
    basic = CredentialSource({"username": "me", "password": "word"}, {}, {}).current()
    assert basic.authorization == "Basic " + base64.b64encode(b"me:word").decode()
    (tmp_path / "token").write_text("from-file")
    source = CredentialSource({"token": "inline", "tokenFile": str(tmp_path / "token")}, {}, {})
    assert source.current().authorization == "Bearer from-file"
    assert "from-file" not in repr(source.current())
    (tmp_path / "token").unlink()
    with pytest.raises(BadKubeconfig, match="Cannot read the token file"):
        source.current()
