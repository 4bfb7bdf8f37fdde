"""What `--target compose|kubernetes|URL` and `--host` mean: where requests go, and what is watched meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from devenv.backends.docker.endpoint import resolve_endpoint
from devenv.backends.docker.snapshot import read_resources
from devenv.core.errors import DevenvError, Refused, UsageError
from devenv.core.load_settings import LoadSettings
from devenv.core.settings import Config
from devenv.core.verify_settings import EndpointSettings
from devenv.verify.environment import locate
from devenv.verify.http import Endpoint

ANSWER_WITHIN = 10.0  # seconds for the first answer


@dataclass(slots=True)
class Target:
    """A target. `project` is what history calls it; `limits` maps a service to its CPU (cores) and memory (bytes)."""

    kind: str  # "compose", "kubernetes" or "url"
    url: str
    project: str
    host_header: str = ""
    service: str = ""
    context: str = ""
    namespace: str = ""
    limits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    close: Callable[[], None] = lambda: None

    def to_data(self) -> dict[str, Any]:
        """Return what a recording keeps of it."""
        data = {key: value for key, value in asdict(self).items() if key != "close"}
        return data | {"notes": list(self.notes)}


def find_target(
    target: str, host: str, host_header: str, folder: Path, config: Config, environ: Mapping[str, str]
) -> Target:
    """Resolve what was asked for; with a host, requests go there and `target` says only what is watched.

    Raises UsageError for an unknown word, Refused in read-only mode and for a context that is not on the allow-list,
    and whatever an absent engine, cluster or project becomes.
    """
    if config.read_only:
        raise Refused("devenv is in read-only mode, and load tests write into their target", "Unset read_only.")
    if host and not target:
        return _of_url(host, host_header)
    if urlsplit(target).scheme in ("http", "https"):
        return _of_url(host or target, host_header)
    if target in ("", "compose"):
        made = _compose(config, folder, environ, host)
    elif target == "kubernetes":
        made = _kubernetes(config, folder, environ, host)
    else:
        raise UsageError(f"--target {target!r} is not known", "Say compose, kubernetes, or a URL like http://host:80.")
    made.host_header = host_header or made.host_header
    return made


def check(target: Target, path: str) -> None:
    """Ask the target once; raises DevenvError when it does not answer 2xx, or a mere URL with a server's error."""
    headers = {"Host": target.host_header} if target.host_header else {}
    try:
        with httpx.Client(trust_env=False, timeout=ANSWER_WITHIN, verify=False) as client:
            answer = client.get(target.url.rstrip("/") + path, headers=headers)
    except httpx.HTTPError as error:
        raise DevenvError(f"{target.url} does not answer: {error or type(error).__name__}", _hint(target)) from error
    if answer.is_server_error or (target.kind != "url" and not answer.is_success):
        raise DevenvError(f"GET {target.url.rstrip('/')}{path} answers {answer.status_code}", _hint(target))


def _hint(target: Target) -> str:
    if target.kind == "compose":
        return "Is it up? devenv up --wait brings it up, devenv status shows it."
    return "Is it deployed, and is its host name right (--host-header)?" if target.kind == "kubernetes" else ""


def _of_url(url: str, host_header: str) -> Target:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{url!r} is not a URL of a target", "Write for example http://127.0.0.1:3000.")
    return Target("url", url.rstrip("/"), parts.hostname, host_header)


def _compose(config: Config, folder: Path, environ: Mapping[str, str], host: str) -> Target:
    settings, source = config.load, locate(folder, config, environ)
    service = settings.service or _only_published(source.document)
    services = source.document.get("services") or {}
    if service not in services:
        raise UsageError(
            f"[load].service: {service!r} is not a service of the project", f"There are: {', '.join(services)}."
        )
    resources = read_resources(source.project, resolve_endpoint(environ))
    running = [item for item in resources if item.service == service and not item.one_off]

    def container(_: str) -> Any:
        if not running:
            raise DevenvError(f"{service} does not run", "devenv up --wait brings it up.")
        return running[0]

    address = EndpointSettings(service, port=settings.port)
    url = host
    if not host:
        endpoint = Endpoint(address, container, lambda probe: None, environ)
        try:
            url = endpoint.url
        finally:
            endpoint.close()
    limits = {name: _limits(body) for name, body in services.items()}
    return Target("compose", url, source.project.name, service=service, limits=limits)


def _only_published(document: Mapping[str, Any]) -> str:
    services = document.get("services") or {}
    published = [name for name, body in services.items() if body.get("ports")]
    if len(published) != 1:
        raise UsageError(
            "devenv does not know which service to send the load to", "Name it in devenv.toml: [load] service."
        )
    return str(published[0])


def _limits(body: Mapping[str, Any]) -> dict[str, float]:
    given = ((body.get("deploy") or {}).get("resources") or {}).get("limits") or {}
    cpu, memory = given.get("cpus") or body.get("cpus"), given.get("memory") or body.get("mem_limit")
    return {key: float(value) for key, value in (("cpu", cpu), ("memory", memory)) if value}


def _kubernetes(config: Config, folder: Path, environ: Mapping[str, str], host: str) -> Target:
    from devenv.backends.kube.client import KubeClient
    from devenv.backends.kube.kinds import SERVICES
    from devenv.backends.kube.kubeconfig import find_target as find_cluster

    settings = config.load
    cluster = find_cluster(config.kubernetes, environ)
    name = cluster.context.name
    if not config.kubernetes.may_change(name):
        raise Refused(
            f"the context {name} is not one that load tests may write into",
            f'Choose another with DEVENV_CONTEXT, or allow it in devenv.toml: [kubernetes] allow = ["{name}"].',
        )
    if not settings.service:
        raise UsageError(
            "devenv does not know which service to send the load to", "Name it in devenv.toml: [load] service."
        )
    client = KubeClient(cluster, environ)
    try:
        client.get(SERVICES.path(cluster.namespace, settings.service))  # its errors say what is wrong better than ours
    finally:
        client.close()
    made = Target(
        kind="kubernetes",
        url=host,
        project=locate(folder, config, environ).project.name,  # all measurements of a project are kept under it,
        service=settings.service,
        context=name,
        namespace=cluster.namespace,
    )
    if not host:
        _forward(made, settings, environ)
    return made


def _forward(target: Target, settings: LoadSettings, environ: Mapping[str, str]) -> None:
    """Let a process of its own carry the connections: inside the generator it would take from the generator's core."""
    command = [sys.executable, "-m", "devenv.load.forwarding", target.context, target.namespace, target.service]
    helper = subprocess.Popen(
        [*command, str(settings.port or "")],
        stdin=subprocess.PIPE,  # it ends when this end closes, however the run ends
        stdout=subprocess.PIPE,
        env={**os.environ, **environ},
        text=True,
        start_new_session=True,  # ctrl-c is for the generator, which still needs the way to clean up
    )
    assert helper.stdout is not None
    assert helper.stdin is not None
    line = helper.stdout.readline()
    answer: dict[str, Any] = json.loads(line) if line else {"error": "the port-forward ended at once", "hint": ""}
    if "error" in answer:
        helper.wait()
        raise DevenvError(answer["error"], answer["hint"])
    pipe = helper.stdin

    def close() -> None:
        pipe.close()
        helper.wait(10)

    target.url = answer["url"]
    target.notes = (*target.notes, *answer["notes"])
    target.close = close
