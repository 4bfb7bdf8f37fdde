"""Compose and Kubernetes run the same services: what differs is a mistake, or is declared in devenv.toml.

[[manifests.compose.allow]] names rule, service, item (optional), overlays (optional) and the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from devenv.manifests.access import mapping, mappings, quantity, text
from devenv.manifests.model import Problem
from devenv.manifests.registry import warning
from devenv.manifests.rendering import ComposeService, Container, Rendering, Workload
from devenv.manifests.rules.pods import PROBES

_ALLOW = " Or declare it in devenv.toml: [[manifests.compose.allow]]."
_SOURCE = "issue: cross checks between Compose and Kubernetes"


def pairs(rendering: Rendering) -> Iterator[tuple[ComposeService, Workload, Container]]:
    """Yield each service of Compose with the container that runs it in Kubernetes, found by the workload's name."""
    names = rendering.settings.compose.workloads
    for service in (rendering.compose or {}).values():
        name = names.get(service.name, service.name)
        for workload in rendering.workloads:
            mains = list(workload.containers(main=True))
            if workload.manifest.name == name and mains:
                yield service, workload, next((item for item in mains if item.name == service.name), mains[0])


def environment_names(rendering: Rendering, container: Container) -> tuple[set[str], bool]:
    """Return the names of a container's variables, and whether a Secret adds names that are not in the rendering."""
    names = {text(item, "name") for _, item in mappings(container.data, "env")}
    unknown = False
    for _, item in mappings(container.data, "envFrom"):
        prefix = text(item, "prefix")
        for kind, reference in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            name = text(item, reference, "name")
            source = rendering.find("", kind, container.manifest.namespace, name) if name else None
            if source is not None:
                keys = mapping(source.data, "data") | mapping(source.data, "stringData")
                names |= {prefix + key for key in keys}
            elif name:
                unknown = True
    return names, unknown


def _differences(
    service: ComposeService,
    container: Container,
    field: str,
    verb: str,
    there: Sequence[object],
    here: Sequence[object],
) -> Iterator[Problem]:
    """Yield a problem for each value that only Compose, or only the container, has."""
    ours, theirs = f"container {container.name}", f"Compose's {service.name}"
    for one, other, values in ((theirs, ours, there), (ours, theirs, here)):
        for value in values:
            message, item = f"{one} {verb} {value}, {other} does not", f"{service.name}/{value}"
            yield container.manifest.problem(message, *container.path, field, item=item)


@warning(
    "compose-service", source=_SOURCE, fix="Add the workload, or name it in [manifests.compose] workloads." + _ALLOW
)
def compose_service(rendering: Rendering) -> Iterator[Problem]:
    """A service that Compose runs and Kubernetes does not is missing there, and nobody notices until it is called."""
    paired = {service.name for service, _, _ in pairs(rendering)}
    for name in sorted((rendering.compose or {}).keys() - paired):
        yield Problem(rendering.place, (), f"no workload runs Compose's service {name}", name)


@warning("compose-ports", source=_SOURCE + ": same ports", fix="Let both use the same container port." + _ALLOW)
def compose_ports(rendering: Rendering) -> Iterator[Problem]:
    """A service that listens on another port in Compose is another configuration than the one that was tested."""
    for service, workload, container in pairs(rendering):
        ports = workload.port_numbers()
        if ports:  # a pod need not declare what it listens on
            there, here = sorted(service.ports - ports), sorted(ports - service.ports if service.ports else ())
            yield from _differences(service, container, "ports", "listens on", there, here)


@warning(
    "compose-environment", source=_SOURCE + ": same environment names", fix="Set it in both, or in neither." + _ALLOW
)
def compose_environment(rendering: Rendering) -> Iterator[Problem]:
    """A setting that only one side knows is forgotten, or misspelt, on the other."""
    for service, _, container in pairs(rendering):
        names, unknown = environment_names(rendering, container)
        there, here = sorted(service.environment - names if not unknown else ()), sorted(names - service.environment)
        yield from _differences(service, container, "env", "sets", there, here)


@warning("compose-health-path", source=_SOURCE + ": same health paths", fix="Let both ask the same path." + _ALLOW)
def compose_health_path(rendering: Rendering) -> Iterator[Problem]:
    """A health check of Compose that asks what no probe asks proves something else."""
    for service, _, container in pairs(rendering):
        paths = {text(container.data, probe, "httpGet", "path") for probe in PROBES} - {""}
        for path in sorted(service.health_paths - paths if paths else ()):
            message = f"Compose's {service.name} asks {path}, the probes of container {container.name} do not"
            yield container.manifest.problem(message, *container.path, item=f"{service.name}/{path}")


@warning("compose-user", source=_SOURCE + ": same users", fix="Let user in Compose and runAsUser be the same." + _ALLOW)
def compose_user(rendering: Rendering) -> Iterator[Problem]:
    """Another user owns other files: what works in Compose then fails on the volume in Kubernetes."""
    for service, _, container in pairs(rendering):
        user, there = container.security("runAsUser"), (service.user or "").partition(":")[0]
        if service.user is not None and user is not None and there != str(user):
            message = f"Compose's {service.name} runs as {there}, container {container.name} as {user}"
            item = f"{service.name}/user"
            yield container.manifest.problem(message, *container.path, "securityContext", item=item)


@warning("compose-limits", source=_SOURCE + ": same limits", fix="Use the same limits." + _ALLOW)
def compose_limits(rendering: Rendering) -> Iterator[Problem]:
    """With other limits, what was fast and fitted in Compose is neither in Kubernetes."""
    for service, _, container in pairs(rendering):
        limits = mapping(container.data, "resources", "limits")
        for resource, there in (("cpu", service.cpus), ("memory", service.memory)):
            here = quantity(limits.get(resource))
            if there is not None and here is not None and abs(there - here) > there * 0.001:
                shown = f"{there / 2**20:g}Mi" if resource == "memory" else f"{there:g}"
                message = f"Compose limits {resource} of {service.name} to {shown}, here it is {limits[resource]}"
                path, item = (*container.path, "resources", "limits", resource), f"{service.name}/{resource}"
                yield container.manifest.problem(message, *path, item=item)
