"""The kubeconfig files, merged as kubectl merges them; needs no Kubernetes client.

Rules: https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/ - KUBECONFIG lists files,
missing ones are skipped, the first file that sets a value or has a name wins, paths are relative to their own file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from devenv.backends.kube.errors import BadKubeconfig
from devenv.core.text import sanitize

IN_CLUSTER: Final = "in-cluster"
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_PATHS: Final = {
    "clusters": ("certificate-authority",),
    "users": ("client-certificate", "client-key", "tokenFile"),
}

Entries = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """All files as one; every scalar is text, paths are absolute, `files` are the ones that were read."""

    current: str = ""
    contexts: Entries = field(default_factory=dict)
    clusters: Entries = field(default_factory=dict)
    users: Entries = field(default_factory=dict)
    files: tuple[Path, ...] = ()


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
        told = _read(path)
        if told is None:
            continue
        read.append(path)
        current = current or _text(told.get("current-context"))
        for section, entries in merged.items():
            for name, values in _entries(path, section, told):
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
        raise BadKubeconfig(f"Cannot read {sanitize(str(path))}: {error}", "Correct its permissions.") from error
    try:
        # Every scalar as text: a context called `yes` or a token of digits is meant as it is written.
        told = yaml.load(text, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except (yaml.YAMLError, RecursionError) as error:
        what = sanitize(str(getattr(error, "problem", None) or error))
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise BadKubeconfig(f"{sanitize(str(path))} is not YAML{where}: {what}", "Correct or remove it.") from error
    if told is None or told == "":
        return {}
    if not isinstance(told, dict):
        raise BadKubeconfig(f"{sanitize(str(path))} is not a kubeconfig", "Correct or remove it.")
    return told


def _entries(path: Path, section: str, told: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (name, values) of one section, with paths made absolute."""
    entries = told.get(section) or []
    if not isinstance(entries, list):
        raise BadKubeconfig(f"{sanitize(str(path))}: {section} is not a list", "Correct it.")
    for entry in entries:
        values = entry.get(section[:-1]) if isinstance(entry, dict) else None
        name = _text(entry.get("name")) if isinstance(entry, dict) else ""
        if not name:
            raise BadKubeconfig(f"{sanitize(str(path))}: an entry of {section} has no name", "Correct it.")
        values = dict(values) if isinstance(values, dict) else {}
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
