"""Requests and limits: what the scheduler counts on, and what ends a container that takes more."""

from __future__ import annotations

from collections.abc import Iterator

from devenv.manifests import access
from devenv.manifests.model import Problem
from devenv.manifests.registry import ERROR, Check, rule
from devenv.manifests.rendering import Rendering


def _missing(kind: str, resource: str, why: str) -> Check:
    def check(rendering: Rendering) -> Iterator[Problem]:
        for container in rendering.containers:
            if access.quantity(access.get(container.data, "resources", kind, resource)) is None:
                path = (*container.path, "resources", kind)
                message = f"container {container.name} has no {resource} {kind.removesuffix('s')}"
                yield Problem(container.manifest, path, message)

    check.__doc__ = why
    return check


_SOURCE = "issue: requests and limits on everything; kube-linter unset-{0}-requirements; Polaris {0}{1}Missing"
for _kind, _resource, _why in (
    ("requests", "cpu", "Without a CPU request the scheduler packs the node until everybody on it is slow."),
    ("requests", "memory", "Without a memory request the pod is the first to be evicted when the node runs short."),
    ("limits", "cpu", "Without a CPU limit one busy pod takes the time that its neighbours were promised."),
    ("limits", "memory", "Without a memory limit a leak takes the node down instead of the one container."),
):
    rule(
        f"{_resource}-{_kind.removesuffix('s')}",
        source=_SOURCE.format(_resource, _kind.capitalize()),
        fix=f"resources: {_kind}: {_resource}, from what it uses under load.",
    )(_missing(_kind, _resource, _why))


@rule(
    "resource-order",
    source="Kubernetes: resource management; the API server refuses a request above its limit",
    fix="Raise the limit or lower the request.",
    severity=ERROR,
)
def resource_order(rendering: Rendering) -> Iterator[Problem]:
    """A request above its limit is refused by the API server; the rollout stops half-way."""
    for container in rendering.containers:
        limits = access.mapping(container.data, "resources", "limits")
        for resource, amount in access.mapping(container.data, "resources", "requests").items():
            wanted, most = access.quantity(amount), access.quantity(limits.get(resource))
            if wanted is not None and most is not None and wanted > most:
                path = (*container.path, "resources", "requests", resource)
                message = f"container {container.name} requests {resource} {amount}, its limit is {limits[resource]}"
                yield Problem(container.manifest, path, message)
