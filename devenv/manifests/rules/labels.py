"""Labels and selectors: whether everything finds its pods, and only its own."""

from __future__ import annotations

from collections.abc import Iterator

from devenv.manifests import access
from devenv.manifests.model import Problem
from devenv.manifests.registry import ERROR, rule
from devenv.manifests.rendering import Rendering, Workload, same_namespace

_NAME = "app.kubernetes.io/name"
_INSTANCE = "app.kubernetes.io/instance"
_SELECTING = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")


def _selecting(rendering: Rendering) -> list[Workload]:
    return [workload for workload in rendering.workloads if workload.kind in _SELECTING]


@rule(
    "selector-mismatch",
    source="issue: selector mismatch; kube-linter mismatching-selector",
    fix="Let spec.selector match spec.template.metadata.labels.",
    severity=ERROR,
)
def selector_mismatch(rendering: Rendering) -> Iterator[Problem]:
    """A workload that does not select its own pods is refused by the API server."""
    for workload in _selecting(rendering):
        selector = access.mapping(workload.manifest.data, "spec", "selector")
        if not selector or not access.labels_match(selector, workload.labels):
            yield Problem(workload.manifest, ("spec", "selector"), "does not select its own pods", doubt=rendering.part)


@rule(
    "selector-overlap",
    source="Kubernetes: Deployment, selector: do not overlap with other controllers",
    fix="Give each workload a selector of its own, by app.kubernetes.io/name.",
    severity=ERROR,
)
def selector_overlap(rendering: Rendering) -> Iterator[Problem]:
    """Two workloads that select each other's pods fight: Services reach both, and counts are wrong."""
    for workload in _selecting(rendering):
        selector = access.mapping(workload.manifest.data, "spec", "selector")
        for other in rendering.selected(selector, workload.manifest.namespace) if selector else ():
            if other.manifest is not workload.manifest:
                message = f"selects the pods of {other.manifest.title} too"
                yield Problem(workload.manifest, ("spec", "selector"), message)


@rule(
    "label-name",
    source="issue: labels; Kubernetes: recommended labels",
    fix="Set app.kubernetes.io/name on the workload and in its pod template.",
)
def label_name(rendering: Rendering) -> Iterator[Problem]:
    """Without the recommended name label, dashboards and queries do not know what the pods belong to."""
    for workload in rendering.workloads:
        if not workload.manifest.labels.get(_NAME) or (workload.template and not workload.labels.get(_NAME)):
            yield Problem(workload.manifest, ("metadata", "labels"), f"it or its pods have no label {_NAME}")


@rule(
    "label-instance",
    source="Polaris metadataAndInstanceMismatched, which wants the object's own name; the Kubernetes documentation "
    "gives one instance to all objects of an installation, and that is what this rule checks",
    fix="Set app.kubernetes.io/instance by the overlay's `labels`, with includeTemplates.",
)
def label_instance(rendering: Rendering) -> Iterator[Problem]:
    """Without the instance label, two installations of one application cannot be told apart."""
    for workload in rendering.workloads:
        instance = workload.manifest.labels.get(_INSTANCE)
        if not instance:
            yield Problem(workload.manifest, ("metadata", "labels"), f"has no label {_INSTANCE}")
        elif workload.template and workload.labels.get(_INSTANCE) != instance:
            path = (*workload.template, "metadata", "labels")
            yield Problem(workload.manifest, path, f"its pods do not have its label {_INSTANCE}: {instance}")


@rule(
    "namespace-mixed",
    source="Kubernetes: namespaces; kustomize: namespace",
    fix="Let the overlay's `namespace` place everything, or state it everywhere.",
)
def namespace_mixed(rendering: Rendering) -> Iterator[Problem]:
    """Where some workloads name a namespace and some do not, the rest goes wherever the person applying it is."""
    named = {work.manifest.namespace for work in rendering.workloads if work.manifest.namespace}
    for workload in rendering.workloads if named else ():
        if not workload.manifest.namespace:
            message = f"names no namespace, others name {', '.join(sorted(named))}"
            yield Problem(workload.manifest, ("metadata", "namespace"), message)


@rule(
    "namespace-pod-security",
    source="issue: Pod Security restricted enforced, audited and warned; Kubernetes: Pod Security Admission",
    fix="Label the Namespace pod-security.kubernetes.io/enforce, audit and warn: restricted.",
)
def namespace_pod_security(rendering: Rendering) -> Iterator[Problem]:
    """Without the labels, the cluster lets any pod into the namespace, whatever these manifests promise."""
    for namespace in rendering.of("", "Namespace"):
        for mode in ("enforce", "audit", "warn"):
            level = namespace.labels.get(f"pod-security.kubernetes.io/{mode}")
            if level != "restricted":
                message = f"pod-security.kubernetes.io/{mode} is {level or 'not set'}, not restricted"
                yield Problem(namespace, ("metadata", "labels"), message)


@rule(
    "namespace-missing",
    source="issue: base with its namespace; Kubernetes: namespaces",
    fix="Add the Namespace to the rendering, or correct the overlay's `namespace`.",
)
def namespace_missing(rendering: Rendering) -> Iterator[Problem]:
    """Where the rendering brings a Namespace, an object in another one is most likely in the wrong one."""
    namespaces = {manifest.name for manifest in rendering.of("", "Namespace")}
    for workload in rendering.workloads if namespaces else ():
        found = workload.manifest.namespace
        if found and not any(same_namespace(found, name) for name in namespaces):
            yield Problem(
                workload.manifest, ("metadata", "namespace"), f"is in {found}, which is not in this rendering"
            )
