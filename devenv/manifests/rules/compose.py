"""Compose and Kubernetes run the same services: what differs is a mistake, or is declared in devenv.toml.

[[manifests.compose.allow]] names rule, service, item (optional), overlays (optional) and the reason.
"""

from __future__ import annotations

from collections.abc import Iterator

from devenv.manifests import access
from devenv.manifests.compose_side import ComposeService
from devenv.manifests.model import Problem
from devenv.manifests.registry import rule
from devenv.manifests.rendering import Container, Rendering, Workload

_ALLOW = " Or declare it in devenv.toml: [[manifests.compose.allow]]."
_SOURCE = "issue: cross checks between Compose and Kubernetes"


def pairs(rendering: Rendering) -> Iterator[tuple[ComposeService, Workload, Container]]:
    """Yield each service of Compose with the container that runs it in Kubernetes, found by the workload's name."""
    names = rendering.settings.workloads
    for service in (rendering.compose or {}).values():
        wanted = names.get(service.name, service.name)
        for workload in rendering.workloads:
            mains = list(workload.containers(main=True))
            if workload.manifest.name == wanted and mains:
                yield service, workload, next((item for item in mains if item.name == service.name), mains[0])


def environment_names(rendering: Rendering, container: Container) -> tuple[set[str], bool]:
    """Return the names of a container's variables, and whether a Secret adds names that are not in the rendering."""
    names = {access.text(item, "name") for _, item in access.mappings(container.data, "env")}
    unknown = False
    for _, item in access.mappings(container.data, "envFrom"):
        prefix = access.text(item, "prefix")
        for kind, reference in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            name = access.text(item, reference, "name")
            found = rendering.find("", kind, container.manifest.namespace, name) if name else None
            if found is not None:
                keys = access.mapping(found.data, "data") | access.mapping(found.data, "stringData")
                names |= {prefix + key for key in keys}
            elif name:
                unknown = True
    return names, unknown


@rule("compose-service", source=_SOURCE, fix="Add the workload, or name it in [manifests.compose] workloads." + _ALLOW)
def compose_service(rendering: Rendering) -> Iterator[Problem]:
    """A service that Compose runs and Kubernetes does not is missing there, and nobody is told until it is called."""
    found = {service.name for service, _, _ in pairs(rendering)}
    for name in sorted((rendering.compose or {}).keys() - found):
        yield Problem(rendering.place, (), f"no workload runs Compose's service {name}", name)


@rule("compose-ports", source=_SOURCE + ": same ports", fix="Let both use the same container port." + _ALLOW)
def compose_ports(rendering: Rendering) -> Iterator[Problem]:
    """A service that listens on another port in Compose is another configuration than the one that was tested."""
    for service, workload, container in pairs(rendering):
        if not workload.port_numbers():
            continue  # a pod need not declare what it listens on
        for port in sorted(service.ports - workload.port_numbers()):
            message = f"Compose's {service.name} listens on {port}, container {container.name} does not"
            yield Problem(container.manifest, (*container.path, "ports"), message, f"{service.name}/{port}")
        for port in sorted(workload.port_numbers() - service.ports if service.ports else ()):
            message = f"container {container.name} listens on {port}, Compose's {service.name} does not"
            yield Problem(container.manifest, (*container.path, "ports"), message, f"{service.name}/{port}")


@rule("compose-environment", source=_SOURCE + ": same environment names", fix="Set it in both, or in neither." + _ALLOW)
def compose_environment(rendering: Rendering) -> Iterator[Problem]:
    """A setting that only one side knows is forgotten, or misspelt, on the other."""
    for service, _, container in pairs(rendering):
        names, unknown = environment_names(rendering, container)
        for name in sorted(service.environment - names if not unknown else ()):
            message = f"Compose's {service.name} sets {name}, container {container.name} does not"
            yield Problem(container.manifest, (*container.path, "env"), message, f"{service.name}/{name}")
        for name in sorted(names - service.environment):
            message = f"container {container.name} sets {name}, Compose's {service.name} does not"
            yield Problem(container.manifest, (*container.path, "env"), message, f"{service.name}/{name}")


@rule("compose-health-path", source=_SOURCE + ": same health paths", fix="Let both ask the same path." + _ALLOW)
def compose_health_path(rendering: Rendering) -> Iterator[Problem]:
    """A health check of Compose that asks what no probe asks proves something else."""
    for service, _, container in pairs(rendering):
        probes = ("startupProbe", "livenessProbe", "readinessProbe")
        paths = {access.text(container.data, probe, "httpGet", "path") for probe in probes} - {""}
        for path in sorted(service.health_paths - paths if paths else ()):
            message = f"Compose's {service.name} asks {path}, the probes of container {container.name} do not"
            yield Problem(container.manifest, container.path, message, f"{service.name}/{path}")


@rule("compose-user", source=_SOURCE + ": same users", fix="Let user in Compose and runAsUser be the same." + _ALLOW)
def compose_user(rendering: Rendering) -> Iterator[Problem]:
    """Another user owns other files: what works in Compose then fails on the volume in Kubernetes."""
    for service, _, container in pairs(rendering):
        user = container.security("runAsUser")
        if service.user is None or user is None:
            continue
        wanted = service.user.partition(":")[0]
        if wanted != str(user):
            message = f"Compose's {service.name} runs as {wanted}, container {container.name} as {user}"
            yield Problem(container.manifest, (*container.path, "securityContext"), message, f"{service.name}/user")


@rule("compose-limits", source=_SOURCE + ": same limits", fix="Use the same limits." + _ALLOW)
def compose_limits(rendering: Rendering) -> Iterator[Problem]:
    """With other limits, what was fast and fitted in Compose is neither in Kubernetes."""
    for service, _, container in pairs(rendering):
        limits = access.mapping(container.data, "resources", "limits")
        for resource, wanted in (("cpu", service.cpus), ("memory", service.memory)):
            found = access.quantity(limits.get(resource))
            if wanted is not None and found is not None and abs(wanted - found) > wanted * 0.001:
                message = f"Compose limits {resource} of {service.name} to {_shown(resource, wanted)}, here it is "
                path = (*container.path, "resources", "limits", resource)
                yield Problem(container.manifest, path, message + str(limits[resource]), f"{service.name}/{resource}")


def _shown(resource: str, amount: float) -> str:
    return f"{amount / 2**20:g}Mi" if resource == "memory" else f"{amount:g}"
