"""Which cluster is meant: KUBECONFIG's merge rules, contexts, namespaces, flavours, in-cluster, proxies."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from devenv.backends.kube.connection import proxy_for, read_endpoint
from devenv.backends.kube.errors import BadKubeconfig
from devenv.backends.kube.kubeconfig import contexts, find_target, kubeconfig_stamp, load_kubeconfig
from devenv.core.errors import EXIT_NO_CLUSTER, UsageError
from devenv.core.kube_settings import KubeSettings
from fakes.api_server import ApiServer

INSECURE = "insecure-skip-tls-verify"


def config(path: Path, *names: str, current: str = "", **about: Any) -> Path:
    """Write a kubeconfig with a context, a cluster and a user of each name."""
    told = {
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in names],
        "clusters": [{"name": name, "cluster": {"server": f"https://{path.stem}-{name}:6443"}} for name in names],
        "users": [{"name": name, "user": {"tokenFile": "token"}} for name in names],
        **about,
    }
    if current:
        told["current-context"] = current
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told))
    return path


def test_several_files_are_merged_and_the_first_wins(tmp_path: Path) -> None:
    first = config(tmp_path / "a" / "first", "shared", "one")
    second = config(tmp_path / "b" / "second", "shared", "two", current="two")
    third = config(tmp_path / "c" / "third", "three", current="three")
    environ = {"KUBECONFIG": os.pathsep.join(map(str, (first, tmp_path / "missing", second, "", third)))}
    known = contexts(environ)
    assert [context.name for context in known.all] == ["shared", "one", "two", "three"]
    assert known.current == "two", "the first file that names a current context"
    shared = known.find("shared")
    assert shared is not None
    assert shared.server == "https://first-shared:6443"
    merged = load_kubeconfig(environ)
    assert merged.users["shared"]["tokenFile"] == str(tmp_path / "a" / "token"), "relative to its own file"
    assert merged.users["two"]["tokenFile"] == str(tmp_path / "b" / "token")


def test_without_kubeconfig_it_is_the_file_in_the_home(tmp_path: Path) -> None:
    config(tmp_path / ".kube" / "config", "home", current="home")
    assert find_target(KubeSettings(), {"HOME": str(tmp_path)}).context.name == "home"


def test_the_namespace_is_the_settings_then_the_contexts_then_default(tmp_path: Path) -> None:
    path = config(tmp_path / "c", "one", "two", current="one")
    environ = {"KUBECONFIG": str(path)}
    assert find_target(KubeSettings(), environ).namespace == "default"
    assert find_target(KubeSettings(context="two", namespace="prod"), environ).namespace == "prod"
    told = json.loads(path.read_text())
    told["contexts"][0]["context"]["namespace"] = "team"
    path.write_text(json.dumps(told))
    found = find_target(KubeSettings(), environ)
    assert (found.namespace, found.backend) == ("team", "kubernetes/one")


@pytest.mark.parametrize(
    ("name", "flavour"),
    [
        ("minikube", "minikube"),
        ("kind-dev", "kind"),
        ("k3d-dev", "k3d"),
        ("docker-desktop", "docker-desktop"),
        ("production", ""),
    ],
)
def test_flavours_by_their_contexts_names(tmp_path: Path, name: str, flavour: str) -> None:
    environ = {"KUBECONFIG": str(config(tmp_path / "c", name))}
    assert contexts(environ).all[0].flavour == flavour


def test_a_minikube_profile_of_another_name_is_known_by_its_extension(tmp_path: Path) -> None:
    # As minikube 1.35 writes it.
    extension = [{"extension": {"provider": "minikube.sigs.k8s.io", "version": "v1.35.0"}, "name": "context_info"}]
    entry = {"name": "work", "context": {"cluster": "work", "user": "work", "extensions": extension}}
    environ = {"KUBECONFIG": str(config(tmp_path / "c", contexts=[entry]))}
    assert contexts(environ).all[0].flavour == "minikube"


def test_a_context_that_is_not_there_is_told_with_near_names(tmp_path: Path) -> None:
    environ = {"KUBECONFIG": str(config(tmp_path / "c", "minikube", "production", current="gone"))}
    with pytest.raises(BadKubeconfig, match="no context 'minikub'") as caught:
        find_target(KubeSettings(context="minikub"), environ)
    assert caught.value.hint == "Did you mean minikube?"
    assert caught.value.exit_code == UsageError.exit_code
    with pytest.raises(BadKubeconfig, match="no context 'gone'") as caught:
        find_target(KubeSettings(), environ)
    assert caught.value.hint == "Choose one with --context: minikube, production"


def test_no_kubeconfig_at_all_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(BadKubeconfig, match="No cluster is configured") as caught:
        find_target(KubeSettings(), {"HOME": str(tmp_path)})
    assert "minikube start" in caught.value.hint
    assert str(tmp_path / ".kube" / "config") in caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1\nb: 2", "is not YAML, line 2"),
        ("- a list", "is not a kubeconfig"),
        ("contexts: 3", "contexts is not a list"),
        ("contexts: [{context: {}}]", "has no name"),
        ("\xff".encode("latin-1"), "Cannot read"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str | bytes, words: str) -> None:
    path = tmp_path / "broken"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(BadKubeconfig, match=words) as caught:
        contexts({"KUBECONFIG": str(path)})
    assert str(path) in caught.value.message


def test_an_empty_file_and_odd_names_are_fine(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    odd = tmp_path / "odd"
    odd.write_text(
        "current-context: 'yes'\n"
        "contexts: [{name: 'yes', context: {cluster: '12', user: ~}}, {name: 2024-01-01, context: }]"
    )
    known = contexts({"KUBECONFIG": f"{empty}{os.pathsep}{odd}"})
    assert [context.name for context in known.all] == ["yes", "2024-01-01"]
    assert (known.current, known.all[0].cluster) == ("yes", "12")


def test_a_change_of_the_files_is_noticed(tmp_path: Path) -> None:
    environ = {"KUBECONFIG": f"{tmp_path / 'a'}{os.pathsep}{tmp_path / 'b'}"}
    seen = {kubeconfig_stamp(environ)}
    config(tmp_path / "b", "one")
    seen.add(kubeconfig_stamp(environ))
    config(tmp_path / "b", "one", current="one")
    seen.add(kubeconfig_stamp(environ))
    (tmp_path / "b").unlink()
    assert kubeconfig_stamp(environ) in seen
    assert len(seen) == 3


def test_in_a_pod_its_service_account_is_the_context(tmp_path: Path) -> None:
    for name, text in (("token", "secret"), ("namespace", "team\n"), ("ca.crt", "PEM")):
        (tmp_path / name).write_text(text)
    environ = {"HOME": str(tmp_path), "KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    merged = load_kubeconfig(environ, service_account=tmp_path)
    assert merged.current == "in-cluster"
    assert merged.contexts["in-cluster"]["namespace"] == "team"
    endpoint = read_endpoint(merged.clusters["in-cluster"], environ)
    assert (endpoint.server, endpoint.ca_data) == ("https://[fd00::1]:443", "PEM")
    assert merged.users["in-cluster"] == {"tokenFile": str(tmp_path / "token")}
    config(tmp_path / ".kube" / "config", "own", current="own")
    assert load_kubeconfig(environ, service_account=tmp_path).current == "own", "a kubeconfig wins"


@pytest.mark.parametrize(
    ("server", "no_proxy", "proxied"),
    [
        ("https://10.1.2.3:6443", "", True),
        ("https://10.1.2.3:6443", "10.0.0.0/8", False),
        ("https://10.1.2.3:6443", "10.1.2.3:443", True),
        ("https://10.1.2.3:6443", "10.1.2.3:6443", False),
        ("https://api.corp.example", "corp.example", False),
        ("https://api.corp.example", ".corp.example", False),
        ("https://corp.example", ".corp.example", True),
        ("https://notcorp.example", "corp.example", True),
        ("https://api.corp.example", "a, *", False),
        ("https://[fd00::1]:6443", "fd00::/8", False),
        ("https://127.0.0.1:6443", "", False),
        ("https://localhost:6443", "", False),
        ("http://10.1.2.3", "", False),
    ],
)
def test_proxies_as_kubectl_reads_them(server: str, no_proxy: str, proxied: bool) -> None:
    # Cases of golang.org/x/net/http/httpproxy's own tests and documentation.
    environ = {"https_proxy": "proxy:3128", "NO_PROXY": no_proxy}
    assert proxy_for(server, environ) == ("http://proxy:3128" if proxied else "")


def test_a_clusters_own_proxy_is_used_before_the_environments() -> None:
    cluster = {"server": "https://10.1.2.3", "proxy-url": "http://own:1"}
    assert read_endpoint(cluster, {"HTTPS_PROXY": "http://other:2"}).proxy == "http://own:1"


def test_a_server_that_is_no_address_is_told() -> None:
    for server in (
        "cluster:6443/path",
        "ftp://cluster",
        "::1",
        "",
        "https://",
        "https://[bad",
        "https://cluster:port",
        "https://cluster:99999",
    ):
        with pytest.raises(BadKubeconfig, match=f"not an address: {re.escape(server.rstrip('/') or 'none')}"):
            read_endpoint({"server": server}, {})


@pytest.mark.parametrize("server", ["cluster:6443", "cluster", "10.1.2.3:6443/", "[fe80::1]:6443"])
def test_a_server_without_a_scheme_is_asked_over_http_as_kubectl_does(server: str) -> None:
    assert read_endpoint({"server": server}, {}).server == f"http://{server}".rstrip("/")


# What `kubectl version` said of each (1.36); None: it read the file.
UNQUOTED = {
    "12345": "a number", "1e5": "a number", "0x1F": "a number", "1_000": "a number", "089": "a number",
    ".inf": "a number", "0b11": "a number", "+12": "a number", "!!int 5": "a number", "1.": "a number",
    "yes": "true or false", "n": "true or false", "On": "true or false", "TRUE": "true or false",
    "[a]": "no text", "{a: 1}": "no text",
    "2026-01-01": None, "~": None, "null": None, "!!str 123": None, "'123'": None, "12:30:45": None, "1.2.3": None,
    "tRue": None, "nO": None, "0x": None, "1e": None, "1e400": None, "0x1FFFFFFFFFFFFFFFFF": None, "": None,
}  # fmt: skip


@pytest.mark.parametrize(("written", "is_told"), UNQUOTED.items())
def test_what_yaml_takes_for_no_text_is_refused_where_kubectl_refuses_it(
    tmp_path: Path, written: str, is_told: str | None
) -> None:
    path = tmp_path / "config"
    for key, line in (("token", "users: [{name: u, user: {token: %s}}]"), ("name", "contexts: [{name: %s}]"),
                      ("value", "users: [{name: u, user: {exec: {env: [{name: A, value: %s}]}}}]"),
                      ("args", "users: [{name: u, user: {exec: {args: [a, %s]}}}]"),
                      ("as-groups", "users: [{name: u, user: {as: me, as-groups: [%s]}}]"),
                      ("config", "users: [{name: u, user: {auth-provider: {name: oidc, config: {id: %s}}}}]"),
                      ("current-context", "current-context: %s")):  # fmt: skip
        path.write_text(line % written)
        if is_told:
            with pytest.raises(BadKubeconfig, match=f"config: {key} is {is_told} where kubectl wants a text"):
                load_kubeconfig({"KUBECONFIG": str(path)})
        elif key != "name" or written not in ("", "~", "null"):
            load_kubeconfig({"KUBECONFIG": str(path)})
    path.write_text(
        f"extensions: {written}\npreferences: {{colors: {written}}}\nusers: [{{name: u, unknown: {written}}}]"
    )
    load_kubeconfig({"KUBECONFIG": str(path)})


def test_null_is_none_and_a_switch_has_no_quotes(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(
        f"users: [{{name: u, user: {{token: null, as: ~}}}}]\nclusters: [{{name: c, cluster: {{{INSECURE}: yes}}}}]"
    )
    merged = load_kubeconfig({"KUBECONFIG": str(path)})
    assert (merged.users["u"]["token"], merged.clusters["c"]) == (None, {INSECURE: True})
    path.write_text(f"clusters: [{{name: c, cluster: {{{INSECURE}: 'true'}}}}]")
    with pytest.raises(BadKubeconfig, match=f"{INSECURE} is 'true', neither true nor false"):
        load_kubeconfig({"KUBECONFIG": str(path)})


def test_contexts_are_read_without_any_client(api: ApiServer, kubeconfig: Path) -> None:
    code = (
        "import os, sys; from devenv.backends.kube.kubeconfig import contexts; "
        "assert contexts(os.environ).current == 'minikube'; "
        "print(sorted({'kubernetes', 'urllib3', 'ssl', 'textual'} & set(sys.modules)))"
    )
    environ = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_exit_codes_are_what_the_readme_says() -> None:
    assert EXIT_NO_CLUSTER == 13
