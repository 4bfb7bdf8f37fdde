"""Probes: whether the kubelet and the Services learn in time what a container can do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from devenv.core.manifest_settings import ProbeSettings
from devenv.manifests import access
from devenv.manifests.model import Problem
from devenv.manifests.registry import ERROR, Check, rule
from devenv.manifests.rendering import Container, Rendering

KINDS = ("startupProbe", "livenessProbe", "readinessProbe")


def _probes(rendering: Rendering) -> Iterator[tuple[Container, str, dict[str, object]]]:
    for container in rendering.containers:
        for kind in KINDS:
            probe = access.mapping(container.data, kind)
            if probe:
                yield container, kind, probe


def _missing(kind: str, why: str) -> Check:
    def check(rendering: Rendering) -> Iterator[Problem]:
        for container in rendering.main_containers:
            if not access.mapping(container.data, kind):
                yield Problem(container.manifest, container.path, f"container {container.name} has no {kind}")

    check.__doc__ = why
    return check


_need: Callable[[str], str] = "Add a {} that asks the container itself.".format
rule("probe-startup", source="issue: probes, startup", fix=_need("startupProbe"))(
    _missing("startupProbe", "Without a startup probe, a slow start is killed by liveness or waited for by nobody.")
)
rule("probe-liveness", source="Polaris livenessProbeMissing", fix=_need("livenessProbe"))(
    _missing("livenessProbe", "Without a liveness probe, a process that hangs stays until a person notices.")
)
rule("probe-readiness", source="Polaris readinessProbeMissing", fix=_need("readinessProbe"))(
    _missing("readinessProbe", "Without a readiness probe, a pod gets requests before it can answer them.")
)


@rule(
    "probe-port",
    source="kube-linter liveness-port, readiness-port, startup-port",
    fix="Name a port of the container's own ports.",
    severity=ERROR,
)
def probe_port(rendering: Rendering) -> Iterator[Problem]:
    """A probe of a port by a name that the container does not have is refused. A number need not be declared."""
    for container, kind, probe in _probes(rendering):
        for handler in ("httpGet", "tcpSocket", "grpc"):
            port = access.get(probe, handler, "port")
            names = {access.text(item, "name") for _, item in access.mappings(container.data, "ports")}
            if isinstance(port, str) and not port.isdigit() and port not in names:
                message = f"{kind} of container {container.name} asks port {port}, which the container does not declare"
                path = access.path_to(container.path, kind, handler, "port")
                yield Problem(container.manifest, path, message, doubt=rendering.part)


@rule(
    "probe-liveness-own",
    source="issue: liveness never depends on another service",
    fix="Let liveness ask for the process alone (/health); what depends on others belongs to readiness (/ready).",
    severity=ERROR,
)
def probe_liveness_own(rendering: Rendering) -> Iterator[Problem]:
    """Liveness that asks another service restarts every pod when that service is away, and helps nobody."""
    names = {service.name for service in rendering.services if service.name}
    for container, kind, probe in _probes(rendering):
        if kind != "livenessProbe":
            continue
        base = access.path_to(container.path, kind)
        host = access.text(probe, "httpGet", "host") or access.text(probe, "tcpSocket", "host")
        path = access.get(probe, "httpGet", "path")
        words = " ".join(word for word in access.sequence(probe, "exec", "command") if isinstance(word, str))
        others = [name for name in names if re.search(rf"(?:@|//|[\s=]){re.escape(name)}(?:[:./\s]|$)", words)]
        if host and host not in ("localhost", "127.0.0.1", "::1"):
            yield Problem(container.manifest, base, f"liveness of container {container.name} asks the host {host}")
        elif path is not None and _as_impatient(container, path):
            message = f"liveness and readiness of container {container.name} ask the same path {path}"
            doubt = "right only where it asks nobody else; then let liveness fail later, by failureThreshold"
            yield Problem(container.manifest, (*base, "httpGet", "path"), message, doubt=doubt)
        elif others and words.split()[0] not in others:
            message = f"liveness of container {container.name} asks the service {others[0]}"
            yield Problem(container.manifest, (*base, "exec", "command"), message)


def _as_impatient(container: Container, path: object) -> bool:
    """Say whether readiness asks the same path and gives up no sooner than liveness.

    https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/ names the same path with a
    higher failureThreshold as a common pattern.
    """
    if path != access.get(container.data, "readinessProbe", "httpGet", "path"):
        return False
    live, ready = (access.whole(container.data, kind, "failureThreshold") or 3 for kind in KINDS[1:])
    return live <= ready


@rule(
    "probe-settings",
    source="issue: liveness GET /health (30 s, 10 s, 3), readiness GET /ready (5 s, 5 s, 3)",
    fix="Correct the probe, or [manifests.probes] in devenv.toml if the team's agreement has changed.",
)
def probe_settings(rendering: Rendering) -> Iterator[Problem]:
    """The team has agreed on paths and times in devenv.toml; another value is slower to notice, or kills too early."""
    for container, kind, probe in _probes(rendering):
        declared = rendering.settings.probes.get(kind.removesuffix("Probe"))
        if declared is None or "httpGet" not in probe or container.init:
            continue
        for key, wanted, found in _differences(declared, probe):
            message = f"{kind} of container {container.name} has {'.'.join(key)} {found}, declared is {wanted}"
            yield Problem(container.manifest, (*container.path, kind, *key), message)


def _differences(declared: ProbeSettings, probe: dict[str, object]) -> Iterator[tuple[tuple[str, ...], object, object]]:
    # The defaults are the API's: k8s.io/api/core/v1, Probe.
    numbers = (
        ("initialDelaySeconds", declared.initial_delay, 0),
        ("periodSeconds", declared.period, 10),
        ("failureThreshold", declared.failures, 3),
    )
    path = access.text(probe, "httpGet", "path") or "/"
    if declared.path and declared.path != path:
        yield ("httpGet", "path"), declared.path, path
    for key, wanted, default in numbers:
        found = access.whole(probe, key)
        found = default if found is None else found
        if wanted is not None and wanted != found:
            yield (key,), f"{wanted:g}", found
