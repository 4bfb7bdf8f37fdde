"""Pods and their containers: probes, rolling updates and shutdown, Jobs, volumes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import cast

from devenv.core.manifest_settings import ProbeName, ProbeSettings
from devenv.manifests.access import get, mapping, mappings, sequence, text, whole
from devenv.manifests.model import Problem
from devenv.manifests.registry import SERVED, error, warning
from devenv.manifests.rendering import Container, Rendering, Workload

PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
_STRATEGY = ("spec", "strategy")
_DEFAULT_GRACE = 30  # seconds, k8s.io/api/core/v1: PodSpec.terminationGracePeriodSeconds
_SINGLE_NODE = {"ReadWriteOnce", "ReadWriteOncePod"}
_TTL = "ttlSecondsAfterFinished"

# Probes: whether the kubelet and the Services learn in time what a container can do.


def _lacks(probe: str) -> Callable[[Container], str | bool]:
    return lambda container: not mapping(container.data, probe) and f"has no {probe}"


for _probe, _why, _source in (
    (
        "startupProbe",
        "Without a startup probe, a slow start is killed by liveness or waited for by nobody.",
        "issue: probes, startup",
    ),
    (
        "livenessProbe",
        "Without a liveness probe, a process that hangs stays until a person notices.",
        "Polaris livenessProbeMissing",
    ),
    (
        "readinessProbe",
        "Without a readiness probe, a pod gets requests before it can answer them.",
        "Polaris readinessProbeMissing",
    ),
):
    warning.each(
        f"probe-{_probe.removesuffix('Probe')}",
        _why,
        lambda rendering: rendering.main_containers,
        _lacks(_probe),
        source=_source,
        fix=f"Add a {_probe} that asks the container itself.",
    )


def _probes(rendering: Rendering) -> Iterator[tuple[Container, str, dict[str, object]]]:
    for container in rendering.containers:
        for kind in PROBES:
            probe = mapping(container.data, kind)
            if probe:
                yield container, kind, probe


@error(
    "probe-port",
    source="kube-linter liveness-port, readiness-port, startup-port",
    fix="Name a port of the container's own ports.",
)
def probe_port(rendering: Rendering) -> Iterator[Problem]:
    """A probe of a port by a name that the container does not have is refused. A number need not be declared."""
    for container, kind, probe in _probes(rendering):
        for handler in ("httpGet", "tcpSocket", "grpc"):
            port = get(probe, handler, "port")
            names = {text(item, "name") for _, item in mappings(container.data, "ports")}
            if isinstance(port, str) and not port.isdigit() and port not in names:
                message = f"{kind} of container {container.name} asks port {port}, which the container does not declare"
                path = (*container.path, kind, handler, "port")
                yield container.manifest.problem(message, *path, inconclusive=rendering.part)


@error(
    "probe-liveness-own",
    source="issue: liveness never depends on another service",
    fix="Let liveness ask for the process alone (/health); what depends on others belongs to readiness (/ready).",
)
def probe_liveness_own(rendering: Rendering) -> Iterator[Problem]:
    """Liveness that asks another service restarts every pod when that service is away, and helps nobody."""
    names = {service.name for service in rendering.services if service.name}
    for container, kind, probe in _probes(rendering):
        if kind != "livenessProbe":
            continue
        yielding, base = container.manifest.problem, (*container.path, kind)
        host = text(probe, "httpGet", "host") or text(probe, "tcpSocket", "host")
        path = get(probe, "httpGet", "path")
        words = " ".join(word for word in sequence(probe, "exec", "command") if isinstance(word, str))
        others = [name for name in names if re.search(rf"(?:@|//|[\s=]){re.escape(name)}(?:[:./\s]|$)", words)]
        if host and host not in ("localhost", "127.0.0.1", "::1"):
            yield yielding(f"liveness of container {container.name} asks the host {host}", *base)
        elif path is not None and _as_impatient(container, path):
            message = f"liveness and readiness of container {container.name} ask the same path {path}"
            unless = "right only where it asks nobody else; then let liveness fail later, by failureThreshold"
            yield yielding(message, *base, "httpGet", "path", inconclusive=unless)
        elif others and words.split()[0] not in others:
            message = f"liveness of container {container.name} asks the service {others[0]}"
            yield yielding(message, *base, "exec", "command")


def _as_impatient(container: Container, path: object) -> bool:
    """Say whether readiness asks the same path and gives up no sooner than liveness.

    https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/ names the same path with a
    higher failureThreshold as a common pattern.
    """
    if path != get(container.data, "readinessProbe", "httpGet", "path"):
        return False
    live, ready = (whole(container.data, kind, "failureThreshold") or 3 for kind in PROBES[1:])
    return live <= ready


@warning(
    "probe-settings",
    source="issue: liveness GET /health (30 s, 10 s, 3), readiness GET /ready (5 s, 5 s, 3)",
    fix="Correct the probe, or [manifests.probes] in devenv.toml if the team's agreement has changed.",
)
def probe_settings(rendering: Rendering) -> Iterator[Problem]:
    """The team has agreed on paths and times in devenv.toml; another value is slower to notice, or kills too early."""
    for container, kind, probe in _probes(rendering):
        declared = rendering.settings.probes.get(cast(ProbeName, kind.removesuffix("Probe")))
        if declared is None or "httpGet" not in probe or container.init:
            continue
        for key, agreed, stated in _differences(declared, probe):
            message = f"{kind} of container {container.name} has {'.'.join(key)} {stated}, declared is {agreed}"
            yield container.manifest.problem(message, *container.path, kind, *key)


def _differences(declared: ProbeSettings, probe: dict[str, object]) -> Iterator[tuple[tuple[str, ...], object, object]]:
    # The defaults are the API's: k8s.io/api/core/v1, Probe.
    numbers = (
        ("initialDelaySeconds", declared.initial_delay, 0),
        ("periodSeconds", declared.period, 10),
        ("failureThreshold", declared.failures, 3),
    )
    path = text(probe, "httpGet", "path") or "/"
    if declared.path and declared.path != path:
        yield ("httpGet", "path"), declared.path, path
    for key, agreed, default in numbers:
        stated = whole(probe, key)
        stated = default if stated is None else stated
        if agreed is not None and agreed != stated:
            yield (key,), f"{agreed:g}", stated


# Rolling updates and shutdown: whether a new version costs a request.


def _deployments(rendering: Rendering) -> list[Workload]:
    return rendering.workloads_of("Deployment")


def _none(value: object) -> bool:
    return value in (0, "0", "0%") and value is not False


@warning(
    "rollout-unavailable",
    source="issue: staging and production roll with maxUnavailable 0",
    fix="strategy: RollingUpdate with maxUnavailable: 0 and maxSurge: 1.",
    environments=SERVED,
)
def rollout_unavailable(rendering: Rendering) -> Iterator[Problem]:
    """A rollout that first takes a pod away serves with fewer, or with none, until the new one is ready."""
    for workload in _deployments(rendering):
        manifest, strategy = workload.manifest, mapping(workload.manifest.data, *_STRATEGY)
        if text(strategy, "type") == "Recreate":
            yield manifest.problem("Recreate stops every pod before a new one starts", *_STRATEGY, "type")
        elif not _none(get(strategy, "rollingUpdate", "maxUnavailable")):
            message = "pods may be taken away before their successors are ready"
            yield manifest.problem(message, *_STRATEGY, "rollingUpdate", "maxUnavailable")


@error(
    "rollout-possible",
    source="k8s.io/api/apps/v1, RollingUpdateDeployment: maxSurge and maxUnavailable cannot both be 0",
    fix="Set maxSurge to 1.",
)
def rollout_possible(rendering: Rendering) -> Iterator[Problem]:
    """A rollout that may neither add a pod nor take one away cannot begin; the API server refuses it."""
    for workload in _deployments(rendering):
        rolling = mapping(workload.manifest.data, *_STRATEGY, "rollingUpdate")
        if _none(rolling.get("maxSurge")) and _none(rolling.get("maxUnavailable")):
            yield workload.manifest.problem("maxSurge and maxUnavailable are both 0", *_STRATEGY, "rollingUpdate")


@error(
    "rollout-exclusive-volume",
    source="issue: SQLite on the PVC with strategy Recreate; Kubernetes: persistent volumes, access modes",
    fix="Use strategy Recreate with one replica, or a store that several pods share.",
)
def rollout_exclusive_volume(rendering: Rendering) -> Iterator[Problem]:
    """A volume for one node, under two pods at once: the second waits for ever, or both write the same file."""
    for workload in _deployments(rendering):
        for index, volume in mappings(workload.pod, "volumes"):
            name = text(volume, "persistentVolumeClaim", "claimName")
            claim = rendering.find("", "PersistentVolumeClaim", workload.manifest.namespace, name) if name else None
            if claim is None or not set(map(str, sequence(claim.data, "spec", "accessModes"))) <= _SINGLE_NODE:
                continue
            recreated = text(workload.manifest.data, *_STRATEGY, "type") == "Recreate"
            if not recreated or workload.replicas > 1 or rendering.autoscaler(workload):
                message = f"the volume claim {name} is for one node, and two pods would use it at the same time"
                yield workload.problem(message, "volumes", index)


@warning(
    "shutdown-prestop",
    source="issue: preStop sleep (native); Kubernetes: pod termination flow",
    fix="lifecycle: preStop: sleep: seconds: 5 (native since Kubernetes 1.30).",
)
def shutdown_prestop(rendering: Rendering) -> Iterator[Problem]:
    """Proxies hear of a removed pod a moment after it is told to stop: without a pause, their requests are refused."""
    for workload in _deployments(rendering):
        for container in workload.containers(main=True) if id(workload.manifest) in rendering.served else ():
            if sequence(container.data, "ports") and not mapping(container.data, "lifecycle", "preStop"):
                yield container.problem("takes requests and has no preStop pause")


@error(
    "shutdown-grace",
    source="issue: terminationGracePeriod that fits the preStop sleep; Kubernetes: container lifecycle hooks",
    fix="Set terminationGracePeriodSeconds well above the sleep and the program's own shutdown time.",
)
def shutdown_grace(rendering: Rendering) -> Iterator[Problem]:
    """The grace period counts from before preStop: a sleep as long as it leaves the process no time to end."""
    field = "terminationGracePeriodSeconds"
    for workload in rendering.workloads:
        grace = whole(workload.pod, field)
        grace = _DEFAULT_GRACE if grace is None else grace
        for container in workload.containers():
            pause = _pause(container)
            if pause and pause >= grace:
                message = f"sleeps {pause:g} s before it stops, and is killed after {grace} s"
                yield workload.problem(f"container {container.name} {message}", field)


def _pause(container: Container) -> float:
    hook = mapping(container.data, "lifecycle", "preStop")
    seconds = whole(hook, "sleep", "seconds")
    if seconds is not None:
        return seconds
    words = " ".join(word for word in sequence(hook, "exec", "command") if isinstance(word, str))
    sleep = re.search(r"\bsleep\s+(\d{1,6})\b", words)
    return int(sleep[1]) if sleep else 0


# Jobs: that they end, and that they leave nothing behind.


@warning(
    "job-ttl",
    source="kube-linter job-ttl-seconds-after-finished",
    fix="Set ttlSecondsAfterFinished on a Job; leave it out of a CronJob, whose history limits do the same.",
)
def job_ttl(rendering: Rendering) -> Iterator[Problem]:
    """A finished Job stays with its pods until somebody deletes it; a CronJob already has limits that would clash."""
    for job in rendering.of("batch", "Job"):
        if get(job.data, "spec", _TTL) is None:
            yield job.problem("stays for ever after it has finished", "spec")
    for job in rendering.of("batch", "CronJob"):
        if get(job.data, "spec", "jobTemplate", "spec", _TTL) is not None:
            message = "has a time to live beside the CronJob's history limits"
            yield job.problem(message, "spec", "jobTemplate", "spec", _TTL)


@error(
    "job-restart-policy",
    source="Kubernetes: Jobs, pod template: only Never or OnFailure",
    fix="restartPolicy: Never, or OnFailure.",
)
def job_restart_policy(rendering: Rendering) -> Iterator[Problem]:
    """The API server refuses a Job whose pods would be started again after they have succeeded."""
    for workload in rendering.workloads_of("Job", "CronJob"):
        policy = text(workload.pod, "restartPolicy")
        if policy not in ("Never", "OnFailure"):
            yield workload.problem(f"restartPolicy is {policy or 'left to the default Always'}", "restartPolicy")


# Volumes: that what is mounted is there.


@error(
    "volume-claim",
    source="Kubernetes: persistent volumes, claims as volumes",
    fix="Add the PersistentVolumeClaim, or correct claimName.",
)
def volume_claim(rendering: Rendering) -> Iterator[Problem]:
    """A pod whose claim does not exist stays Pending for ever."""
    for workload in rendering.workloads:
        for index, volume in mappings(workload.pod, "volumes"):
            name = text(volume, "persistentVolumeClaim", "claimName")
            # In the place of a claim template's volume, the controller puts each pod's own claim.
            if name and text(volume, "name") not in workload.claim_templates:
                path = (*workload.pod_path, "volumes", index, "persistentVolumeClaim", "claimName")
                target = ("", "PersistentVolumeClaim", name)
                yield from rendering.dangling(workload.manifest, path, target, f"the claim {name}")


@error(
    "volume-mount",
    source="Kubernetes: volumes; the API server refuses a mount of a volume that the pod does not have",
    fix="Add the volume to the pod, or correct the mount's name.",
)
def volume_mount(rendering: Rendering) -> Iterator[Problem]:
    """A mount without its volume is refused by the API server."""
    for container in rendering.containers:
        workload = container.workload
        names = {text(volume, "name") for _, volume in mappings(workload.pod, "volumes")} | workload.claim_templates
        for index, mount in mappings(container.data, "volumeMounts"):
            if text(mount, "name") not in names:
                message = f"mounts {mount.get('name')}, which the pod does not have"
                yield container.problem(message, "volumeMounts", index, "name", inconclusive=rendering.part)


@error(
    "stateful-service",
    source="Kubernetes: StatefulSet, stable network identity",
    fix="Add a headless Service (clusterIP: None) of that name that selects its pods.",
)
def stateful_service(rendering: Rendering) -> Iterator[Problem]:
    """The pods of a StatefulSet have names in DNS only through a headless Service of its serviceName."""
    for workload in rendering.workloads_of("StatefulSet"):
        name = text(workload.manifest.data, "spec", "serviceName")
        service = rendering.find("", "Service", workload.manifest.namespace, name)
        headless = service is not None and text(service.data, "spec", "clusterIP") == "None"
        if name and not headless:
            message = f"serviceName {name} is no headless Service of this rendering"
            unless = "its pods work, without names in DNS" if service else rendering.absence("Service", name)
            yield workload.manifest.problem(message, "spec", "serviceName", inconclusive=unless)
