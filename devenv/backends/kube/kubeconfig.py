"""The kubeconfig files, merged as kubectl merges them, and which cluster and namespace they lead to; no network.

Rules: https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/ - KUBECONFIG lists files,
missing ones are skipped, the first file that sets a value or has a name wins, paths are relative to their own file.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from math import isinf
from pathlib import Path
from typing import Any, Final

from devenv.backends.kube.errors import BadKubeconfig
from devenv.core.kube_settings import KubeSettings
from devenv.core.text import MOST_YAML, nested_too_deeply, sanitize

IN_CLUSTER: Final = "in-cluster"
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_PATHS: Final = {
    "clusters": ("certificate-authority",),
    "users": ("client-certificate", "client-key", "tokenFile"),
}

_DATA: Final = {
    "clusters": ("certificate-authority-data",),
    "users": ("client-certificate-data", "client-key-data"),
}
# k8s.io/client-go/plugin/pkg/client/auth/exec: what a plugin may be asked for and may answer with.
EXEC_VERSIONS: Final = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
# What kubectl takes no number and no word as `yes` for, unless it is in quotes, and what it takes nothing else for
# (client-go's tools/clientcmd/api/v1/types.go).
_TEXTS: Final = {
    "contexts": ("cluster", "user", "namespace"),
    "clusters": ("server", "tls-server-name", "proxy-url", *_PATHS["clusters"], *_DATA["clusters"]),
    "users": ("token", "as", "as-uid", "username", "password", *_PATHS["users"], *_DATA["users"]),
    "exec": ("command", "apiVersion", "installHint", "interactiveMode"),
    "env": ("name", "value"),
    "auth-provider": ("name",),
    "file": ("apiVersion", "kind", "current-context"),
    "entry": ("name",),
}
_LISTS: Final = {"users": ("as-groups",), "exec": ("args", "env"), "auth-provider": ("config",)}  # of such texts
_SWITCHES: Final = ("insecure-skip-tls-verify", "disable-compression", "provideClusterInfo")
_IMPERSONATED: Final = ("as-uid", "as-groups", "as-user-extra")
_INTERACTIVE: Final = ("Never", "IfAvailable", "Always")

Entries = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """All files as one; every scalar is text or a switch, paths are absolute, `files` are the ones that were read."""

    current: str = ""
    contexts: Entries = field(default_factory=dict)
    clusters: Entries = field(default_factory=dict)
    users: Entries = field(default_factory=dict)
    files: tuple[Path, ...] = ()

    def dangling(self, context: str) -> str:
        """Say which cluster or user a context names that is not there; "" where both are."""
        values = self.contexts.get(context, {})
        cluster, user = _text(values.get("cluster")), _text(values.get("user"))
        if cluster not in self.clusters:
            return f"the kubeconfig has no cluster {sanitize(cluster)!r}"
        return f"the kubeconfig has no user {sanitize(user)!r}" if user and user not in self.users else ""

    def refusal(self, context: str) -> str:
        """Say why kubectl would refuse what a context names; "" where it can be used.

        Source: client-go's tools/clientcmd/validation.go, transport.TLSConfigFor and its exec plugin.
        """
        values = self.contexts.get(context, {})
        cluster, user = self.clusters.get(_text(values.get("cluster"))), self.users.get(_text(values.get("user")))
        return _cluster_problem(cluster or {}) or _user_problem(user or {})


def decoded(data: str, key: str) -> str:
    """Return the text of a kubeconfig's base64 field; raises BadKubeconfig that names the field."""
    try:
        # As Go: line breaks may stand in it, anything else that is no base64 may not.
        plain = data.replace("\n", "").replace("\r", "")
        return base64.b64decode(plain, validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise BadKubeconfig(f"The kubeconfig's {key} is not base64 of a PEM text", "Write it again.") from error


def reason_of(error: OSError | UnicodeDecodeError) -> str:
    """Say why a file that the kubeconfig names cannot be read; the caller names the file."""
    return sanitize(getattr(error, "strerror", None) or str(error))


def _cluster_problem(cluster: Mapping[str, Any]) -> str:
    authority, data = cluster.get("certificate-authority"), cluster.get("certificate-authority-data")
    if authority and data:
        return "its cluster has certificate-authority and certificate-authority-data: only one of both is allowed"
    if (authority or data) and cluster.get("insecure-skip-tls-verify"):
        return "its cluster has a certificate authority and insecure-skip-tls-verify: only one of both is allowed"
    return ""


def _user_problem(user: Mapping[str, Any]) -> str:
    for key in ("client-certificate", "client-key"):
        if user.get(key) and user.get(f"{key}-data"):
            return f"its user has {key} and {key}-data: only one of both is allowed"
    if _either(user, "client-certificate") and not _either(user, "client-key"):
        return "its user has a client certificate without client-key or client-key-data"
    if user.get("token") and (user.get("username") or user.get("password")):
        return "its user has a token and a password: only one of both is allowed"
    if not user.get("as") and any(user.get(key) for key in _IMPERSONATED):
        return f"its user has {' or '.join(_IMPERSONATED)} without as"
    provider, plugin = user.get("auth-provider"), user.get("exec")
    if isinstance(provider, dict) and _text(provider.get("name")) != "oidc":  # Kubernetes 1.26 removed the others
        return f"its user has auth-provider {sanitize(_text(provider.get('name'))) or 'none'}: only oidc is left"
    if not isinstance(plugin, dict):
        return ""
    if isinstance(provider, dict):
        return "its user has exec and auth-provider: only one of both is allowed"
    if not plugin.get("command"):
        return "its user's exec names no command"
    version, mode = _text(plugin.get("apiVersion")), _text(plugin.get("interactiveMode"))
    if version not in EXEC_VERSIONS:
        return f"its user's exec has apiVersion {sanitize(version) or 'none'}, not {' or '.join(EXEC_VERSIONS)}"
    if mode not in _INTERACTIVE and (mode or version == EXEC_VERSIONS[0]):
        return f"its user's exec has interactiveMode {sanitize(mode) or 'none'}, not {' or '.join(_INTERACTIVE)}"
    return ""


def _either(user: Mapping[str, Any], key: str) -> object:
    return user.get(key) or user.get(f"{key}-data")


def kubeconfig_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the files that KUBECONFIG names, or ~/.kube/config; they need not exist."""
    named = [part for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    if named:
        return tuple(dict.fromkeys(Path(part) for part in named))  # KUBECONFIG=~/x:~/y has its ~ from the shell
    home = environ.get("HOME") or environ.get("USERPROFILE") or str(Path.home())
    return (Path(home) / ".kube" / "config",)


def kubeconfig_stamp(environ: Mapping[str, str]) -> tuple[tuple[str, int, int], ...]:
    """Return a value that changes when a file appears, goes or is written: file, time in ns, size."""
    return tuple(_stamps(environ))


def load_kubeconfig(environ: Mapping[str, str], *, service_account: Path = SERVICE_ACCOUNT) -> Kubeconfig:
    """Read and merge the files; without any context, a pod's own service account is the one named "in-cluster".

    Raises BadKubeconfig that names the file that cannot be read.
    """
    merged: dict[str, Entries] = {"contexts": {}, "clusters": {}, "users": {}}
    current = ""
    read: list[Path] = []
    for path in kubeconfig_files(environ):
        content = _read(path)
        if content is None:
            continue
        read.append(path)
        current = current or _text(content.get("current-context"))
        for section, entries in merged.items():
            for name, values in _entries(path, section, content):
                entries.setdefault(name, values)
    if not merged["contexts"] and not merged["clusters"]:
        inside = _in_cluster(environ, service_account)
        if inside is not None:
            return inside
    return Kubeconfig(current, merged["contexts"], merged["clusters"], merged["users"], tuple(read))


def _stamps(environ: Mapping[str, str]) -> Iterator[tuple[str, int, int]]:
    for path in kubeconfig_files(environ):
        try:
            status = path.stat()
        except OSError:
            yield (str(path), 0, -1)
        else:
            yield (str(path), status.st_mtime_ns, status.st_size)


def _read(path: Path) -> dict[str, Any] | None:
    import yaml  # deferred: many commands read no kubeconfig

    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise BadKubeconfig(
            f"Cannot read {sanitize(str(path))}: {reason_of(error)}", "Correct its permissions."
        ) from error
    if len(text) > MOST_YAML or nested_too_deeply(text):
        raise BadKubeconfig(f"{sanitize(str(path))} is too large, or nested too deeply", "Correct or remove it.")
    try:
        content = yaml.load(text, Loader=_loader())
    except (yaml.YAMLError, RecursionError) as error:
        what = sanitize(str(getattr(error, "problem", None) or error))
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise BadKubeconfig(f"{sanitize(str(path))} is not YAML{where}: {what}", "Correct or remove it.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise BadKubeconfig(f"{sanitize(str(path))} is not a kubeconfig", "Correct or remove it.")
    _check(path, "file", content)
    version, kind = _text(content.get("apiVersion")) or "v1", _text(content.get("kind")) or "Config"
    if (version, kind) != ("v1", "Config"):
        what = sanitize(f"{version} {kind}")
        raise BadKubeconfig(f"{sanitize(str(path))} is a {what}, not a v1 Config", "Correct or remove it.")
    return content


@cache
def _loader() -> Any:
    """Return a loader that tells texts, numbers, YAML 1.1's booleans and null apart as kubectl's does."""
    import yaml

    class Loader(getattr(yaml, "CBaseLoader", yaml.BaseLoader)):  # type: ignore[misc]  # both have the same methods
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
                if isinstance(key, yaml.ScalarNode):
                    key.tag = "tag:yaml.org,2002:str"
            return super().construct_mapping(node, deep)

    for name, (pattern, constructor) in _SCALARS.items():
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{name}", pattern, None)
        Loader.add_constructor(f"tag:yaml.org,2002:{name}", constructor)
    return Loader


def _number(_: object, node: Any) -> object:
    try:
        return node.value if isinf(float(node.value)) else 0  # 5e12345678 is none for kubectl either
    except (ValueError, TypeError):  # 0x1f, .inf: its value is of no interest
        return 0


# What sigs.k8s.io/yaml takes for something else than a text, unless it is in quotes.
_SCALARS: Final[Mapping[str, tuple[re.Pattern[str], Callable[[Any, Any], object]]]] = {
    "int": (
        re.compile(
            r"^(?:[-+]?(?:0[xX][0-9a-fA-F_]{1,16}|0[oO][0-7_]+|0[bB][01_]{1,64}"
            r"|(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN))$"
        ),
        _number,
    ),
    "bool": (
        re.compile(r"^(?:[yYnN]|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$"),
        lambda _, node: str(node.value).lower() in ("y", "yes", "true", "on") if isinstance(node.value, str) else False,
    ),
    "null": (re.compile(r"^(?:~|null|Null|NULL|)$"), lambda *_: None),
}


def _check(path: Path, section: str, values: Mapping[str, Any]) -> None:
    """Raise BadKubeconfig that names the first field of an entry that kubectl does not read."""
    for key, value in values.items():
        several = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for text in several if key in _LISTS.get(section, ()) else (value,) if key in _TEXTS[section] else ():
            if key == "env" and isinstance(text, dict):
                _check(path, "env", text)
            elif not isinstance(text, str | None):
                kind = {bool: "true or false", int: "a number"}.get(type(text), "no text")
                what = f"{sanitize(str(path))}: {key} is {kind} where kubectl wants a text"
                raise BadKubeconfig(what, "Put it in quotes." if isinstance(text, int) else "Correct it.")
        if key in _SWITCHES and not isinstance(value, bool | None):
            shown = f"{sanitize(value)!r}" if isinstance(value, str) else "something else"
            what = f"{sanitize(str(path))}: {key} is {shown}, neither true nor false"
            raise BadKubeconfig(what, "Write true or false, without quotes.")
        if section == "users" and key in ("exec", "auth-provider") and isinstance(value, dict):
            _check(path, key, value)


def _entries(path: Path, section: str, content: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (name, values) of one section, with paths made absolute."""
    entries = content.get(section)
    entries = [] if entries is None else entries
    if not isinstance(entries, list):
        raise BadKubeconfig(f"{sanitize(str(path))}: {section} is not a list", "Correct it.")
    names: set[str] = set()
    whole: dict[int, dict[str, Any]] = {}  # what an anchor gives to many entries is read once
    for entry in entries:
        values = entry.get(section[:-1]) if isinstance(entry, dict) else None
        _check(path, "entry", entry if isinstance(entry, dict) else {})
        name = _text(entry.get("name")) if isinstance(entry, dict) else ""
        if not name:
            raise BadKubeconfig(f"{sanitize(str(path))}: an entry of {section} has no name", "Correct it.")
        if name in names:  # in one file; over several files the first one counts
            what = f"{sanitize(str(path))}: {section} has the name {sanitize(name)} twice"
            raise BadKubeconfig(what, "Remove one of them: kubectl reads neither.")
        names.add(name)
        if (read := whole.get(id(values))) is not None:
            yield name, read
            continue
        given, values = values, dict(values) if isinstance(values, dict) else {}
        whole[id(given)] = values
        _check(path, section, values)
        for key in _DATA.get(section, ()):
            if _text(values.get(key)):
                try:
                    decoded(values[key], key)
                except BadKubeconfig as error:
                    where = f"{sanitize(str(path))}: {section[:-1]} {sanitize(name)}: {key}"
                    raise BadKubeconfig(f"{where} is not base64 of a PEM text", error.hint) from error
        for key in _PATHS.get(section, ()):
            if _text(values.get(key)):
                values[key] = str((path.parent / values[key]).absolute())
        command = values.get("exec")
        if isinstance(command, dict) and "/" in _text(command.get("command")):
            # As client-go: a path is relative to the kubeconfig, a bare word is looked up on PATH.
            values["exec"] = command | {"command": str((path.parent / command["command"]).absolute())}
        yield name, values


def _in_cluster(environ: Mapping[str, str], folder: Path) -> Kubeconfig | None:
    """Return the service account of the pod that this runs in (client-go's rest.InClusterConfig), or None."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "")
    token = folder / "token"
    if not host or not port or not token.exists():
        return None
    address = f"[{host}]" if ":" in host else host
    try:
        namespace = (folder / "namespace").read_text(encoding="utf-8").strip()
    except OSError:
        namespace = ""  # kubectl falls back to the default namespace too
    return Kubeconfig(
        IN_CLUSTER,
        {IN_CLUSTER: {"cluster": IN_CLUSTER, "user": IN_CLUSTER, "namespace": namespace}},
        {IN_CLUSTER: {"server": f"https://{address}:{port}", "certificate-authority": str(folder / "ca.crt")}},
        {IN_CLUSTER: {"tokenFile": str(token)}},
        (),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


_SHOWN: Final = 8  # contexts named in a hint; people with more have a tool that lists them


@dataclass(frozen=True, slots=True)
class ContextInfo:
    """One context; `flavour` is "minikube", "kind", "k3d", "docker-desktop" or "" by its names alone.

    `problem` says why it cannot be used: what it names is not there, or kubectl refuses it; "" where nothing is wrong.
    """

    name: str
    cluster: str = ""
    server: str = ""
    user: str = ""
    namespace: str = ""
    flavour: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Contexts:
    """All contexts in the order of the files, and the name of the current one ("" where none is set)."""

    all: tuple[ContextInfo, ...] = ()
    current: str = ""

    def find(self, name: str) -> ContextInfo | None:
        """Return the context of that name, or None."""
        return next((context for context in self.all if context.name == name), None)


@dataclass(frozen=True, slots=True)
class Target:
    """The cluster and the namespace that are in use."""

    context: ContextInfo
    namespace: str = field(default="default")

    @property
    def backend(self) -> str:
        """The backend's name in records: "kubernetes/<context>"."""
        return f"kubernetes/{self.context.name}"


def contexts(environ: Mapping[str, str]) -> Contexts:
    """Return what the kubeconfig files tell; nothing where there are none. Raises BadKubeconfig."""
    merged = load_kubeconfig(environ)
    return Contexts(tuple(_info(name, merged) for name in merged.contexts), merged.current)


def find_target(settings: KubeSettings, environ: Mapping[str, str]) -> Target:
    """Return the cluster and namespace that devenv's settings and the kubeconfig name; raises BadKubeconfig."""
    known = contexts(environ)
    chosen = settings.context or known.current
    if not known.all:
        files = ", ".join(sanitize(str(path)) for path in kubeconfig_files(environ))
        hint = "Start a cluster (`minikube start`), or name its kubeconfig in KUBECONFIG."
        raise BadKubeconfig(f"No cluster is configured: {files} has no context", hint)
    names = [context.name for context in known.all]
    choice = "Choose one with --context: " + ", ".join(sanitize(name) for name in names[:_SHOWN])
    if len(names) > _SHOWN:
        choice += f" and {len(names) - _SHOWN} more"
    if not chosen:
        raise BadKubeconfig("The kubeconfig has no current context", choice)
    context = known.find(chosen)
    if context is None:
        near = get_close_matches(chosen, names, n=3)
        hint = f"Did you mean {' or '.join(sanitize(name) for name in near)}?" if near else choice
        raise BadKubeconfig(f"The kubeconfig has no context {sanitize(chosen)!r}", hint)
    return Target(context, settings.namespace or context.namespace or "default")


def _info(name: str, merged: Kubeconfig) -> ContextInfo:
    values = merged.contexts[name]
    cluster = str(values.get("cluster") or "")
    server = str(merged.clusters.get(cluster, {}).get("server") or "")
    user = str(values.get("user") or "")
    namespace, flavour = str(values.get("namespace") or ""), _flavour(name, merged, cluster)
    return ContextInfo(name, cluster, server, user, namespace, flavour, merged.dangling(name) or merged.refusal(name))


def _flavour(name: str, merged: Kubeconfig, cluster: str) -> str:
    """Tell which tool made the cluster: kind and k3d name contexts after themselves, minikube signs its entries."""
    for flavour in ("kind", "k3d"):
        if name.startswith(f"{flavour}-"):
            return flavour
    if name in ("docker-desktop", "docker-for-desktop"):
        return "docker-desktop"
    if name == "minikube":
        return "minikube"
    # A profile of another name: minikube writes an extension with its provider into each entry (since 1.17).
    for entry in (merged.contexts[name], merged.clusters.get(cluster, {})):
        extensions = entry.get("extensions") or ()
        for item in extensions if isinstance(extensions, list) else ():
            extension = item.get("extension") if isinstance(item, dict) else None
            if isinstance(extension, dict) and extension.get("provider") == "minikube.sigs.k8s.io":
                return "minikube"
    return ""
