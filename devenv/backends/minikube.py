"""minikube's profiles as its own JSON tells them: state, driver, addons, what the nodes have. Changes nothing.

`profile list` looks into each machine and takes a second a profile; with `light` it reads the files alone.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from devenv.backends.programs import BY_HAND, finish, last_words
from devenv.core.errors import DevenvError, ToolMissing
from devenv.core.text import sanitize

TIMEOUT: Final = 30.0  # seconds; a virtual machine that starts or stops answers slowly
_MEBI: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile; `cpus` and `memory` (bytes) are what each node was given, 0 where it does not say."""

    name: str
    status: str  # "Running", "OK", "Stopped", "Paused", "Unknown" ...; "Skipped" for a light list
    driver: str = ""
    runtime: str = ""
    version: str = ""
    cpus: int = 0
    memory: int = 0
    disk: int = 0
    nodes: tuple[str, ...] = ()
    addons: tuple[str, ...] = ()  # the enabled ones
    active: bool = False
    valid: bool = True


def find_minikube(environ: Mapping[str, str]) -> str:
    """Return the program's path, "" where it is not here: a context called minikube is no sign that it is."""
    return shutil.which("minikube", path=environ.get("PATH", "")) or ""


def read_profiles(environ: Mapping[str, str], *, light: bool = False) -> tuple[Profile, ...]:
    """Return all profiles, broken ones included. Raises ToolMissing, DevenvError."""
    told = _run(environ, "profile", "list", "--output", "json", *(["--light"] if light else []))
    if not isinstance(told, dict) or "error" in told:
        raise DevenvError("minikube cannot list its profiles", "See: minikube profile list")
    valid = [_profile(item, valid=True) for item in _objects(told.get("valid"))]
    return (*valid, *(_profile(item, valid=False) for item in _objects(told.get("invalid"))))


def _profile(item: Mapping[str, Any], *, valid: bool) -> Profile:
    config = item.get("Config")
    config = config if isinstance(config, dict) else {}
    kubernetes = config.get("KubernetesConfig")
    kubernetes = kubernetes if isinstance(kubernetes, dict) else {}
    addons = config.get("Addons")
    return Profile(
        name=_text(item.get("Name")),
        status=_text(item.get("Status")) if valid else "Invalid",
        driver=_text(config.get("Driver")),
        runtime=_text(kubernetes.get("ContainerRuntime")),
        version=_text(kubernetes.get("KubernetesVersion")),
        cpus=_number(config.get("CPUs")),
        memory=_number(config.get("Memory")) * _MEBI,
        disk=_number(config.get("DiskSize")) * _MEBI,
        nodes=tuple(_text(node.get("Name")) or _text(item.get("Name")) for node in _objects(config.get("Nodes"))),
        addons=tuple(sanitize(name) for name, on in sorted(addons.items()) if on is True)
        if isinstance(addons, dict)
        else (),
        active=item.get("Active") is True or item.get("ActiveKubeContext") is True,
        valid=valid,
    )


def _run(environ: Mapping[str, str], *arguments: str) -> Any:
    program = find_minikube(environ)
    if not program:
        raise ToolMissing("minikube is not installed, or not on PATH", "https://minikube.sigs.k8s.io/docs/start/")
    what = " ".join(("minikube", *(word for word in arguments if not word.startswith("-"))))
    done = finish([program, *arguments], environ, timeout=TIMEOUT, what=what)
    try:  # its errors are JSON too, with an exit code
        return json.loads(done.stdout)
    except ValueError as error:
        raise DevenvError(f"{what} failed: {last_words(done)}", BY_HAND) from error


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return sanitize(value) if isinstance(value, str) else ""


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
