"""Objects as such: their files, types and names, their labels and selectors, and the exceptions that they state."""

from __future__ import annotations

import re
from collections.abc import Iterator

from devenv.backends.kube.fields import labels_match
from devenv.manifests import access, schemas
from devenv.manifests.access import mapping, mappings
from devenv.manifests.kustomization import line_of
from devenv.manifests.model import Place, Problem
from devenv.manifests.registry import error, warning
from devenv.manifests.rendering import Rendering, Workload, same_namespace

# RFC 1123: a subdomain for most names, a label for Services and Namespaces (they become one in DNS).
_DNS_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_DNS_LABELS = {"Service": re.compile(_DNS_LABEL), "Namespace": re.compile(_DNS_LABEL)}
_SUBDOMAIN = re.compile(rf"(?=.{{1,253}}$){_DNS_LABEL}(?:\.{_DNS_LABEL})*")
_LABELLED = {"apps", "batch", "autoscaling", "policy", "networking.k8s.io"}  # rbac allows colons in names
_NAME = "app.kubernetes.io/name"
_INSTANCE = "app.kubernetes.io/instance"
_ANNOTATION = "issue: exceptions are annotations with a reason"

# The files, before kustomize renders them: what is found there stops the rest. The exceptions: devenv.io/ignore.RULE.

error.declare(
    __name__,
    "remote-base",
    "A base from the network is fetched at every rendering: it can change, be away, or be somebody else's.",
    source="issue: remote base refused offline with a clear error",
    fix="Copy it into the repository (vendoring), at a version that you name.",
)
error.declare(
    __name__,
    "missing-file",
    "A kustomization that names what is not there, or leads back to itself, cannot be rendered.",
    source="kustomize: resources, components, patches, generators",
    fix="Add the file or correct the path. A secret file that git ignores may have an example beside it: NAME.example.",
)
error.declare(
    __name__, "invalid-yaml", "A file that is not YAML cannot be applied.", source="YAML 1.2", fix="Correct the line."
)
error.declare(
    __name__,
    "duplicate-key",
    "Of two equal keys one is lost without a word, and not every reader loses the same one.",
    source="issue: duplicate YAML keys refused; YAML 1.2, section 3.2.1.1",
    fix="Remove one of the two.",
)
error.declare(
    __name__,
    "render-failed",
    "What kustomize cannot render, nobody can apply.",
    source="kustomize",
    fix="Correct what kustomize complains about: kubectl kustomize FOLDER",
)
error.declare(
    __name__,
    "exception-reason",
    "An exception without a reason cannot be judged by the next person, and so is never removed.",
    source=_ANNOTATION,
    fix="Write the reason as the annotation's value.",
)
error.declare(
    __name__,
    "exception-unknown",
    "An exception from a rule that does not exist excuses nothing; most likely its name is misspelt.",
    source=_ANNOTATION,
    fix="Use an id that `devenv manifests rules` lists.",
)
warning.declare(
    __name__,
    "exception-unused",
    "An exception that excuses nothing any more will hide the next mistake.",
    source=_ANNOTATION,
    fix="Remove the annotation, or the entry of [manifests.compose] allow in devenv.toml.",
)


@warning(
    "common-labels",
    source="issue: labels by `labels`, never commonLabels; kustomize: commonLabels is deprecated",
    fix="Use `labels` with includeSelectors: false.",
)
def common_labels(rendering: Rendering) -> Iterator[Problem]:
    """commonLabels also changes selectors, which cannot be changed on a Deployment that exists: the apply fails."""
    for owner in rendering.kustomizations:
        if mapping(owner.data, "commonLabels"):
            place = Place(owner.file, line_of(owner, ("commonLabels",)))
            yield Problem(place, ("commonLabels",), "uses commonLabels")
        for index, item in mappings(owner.data, "labels"):
            if item.get("includeSelectors") is True:
                path = ("labels", index, "includeSelectors")
                yield Problem(Place(owner.file, line_of(owner, path)), path, "its labels change selectors")


# The API's own types: every object, strictly, against each Kubernetes minor that is checked.


def _violations(rendering: Rendering, *, unknown: bool) -> Iterator[Problem]:
    for manifest in rendering.manifests:
        violations = access.grouped(
            ((violation.path, violation.message), version)
            for version in rendering.versions
            for violation in schemas.errors_of(manifest, version)
            if violation.unknown is unknown and violation.path != ("sops",)  # whoever applies it decrypts it first
        )
        for (path, message), versions in violations.items():
            where = "" if len(versions) == len(rendering.versions) else f" (Kubernetes {', '.join(versions)})"
            part = rendering.part if message.endswith("is missing") else ""
            yield manifest.problem(f"{message}{where}", *path, inconclusive=part)


@error(
    "schema",
    source="issue: strict schemas of the last three Kubernetes minors; Kubernetes: OpenAPI",
    fix="Correct the value; kubectl explain names the field's type.",
)
def schema(rendering: Rendering) -> Iterator[Problem]:
    """A value of the wrong type, or a required one that is missing, is refused when it is applied."""
    yield from _violations(rendering, unknown=False)


@error(
    "unknown-field",
    source="issue: unknown fields refused; Kubernetes: field validation",
    fix="Correct the field's name or its indentation.",
)
def unknown_field(rendering: Rendering) -> Iterator[Problem]:
    """A field that does not exist is dropped without a word by many clients: what it was to do does not happen."""
    yield from _violations(rendering, unknown=True)


@error(
    "api-version",
    source="issue: schemas of the last three minors; kube-linter no-extensions-v1beta; Kubernetes: deprecation guide",
    fix="Use the version that every supported minor serves; the deprecation guide names it.",
)
def api_version(rendering: Rendering) -> Iterator[Problem]:
    """An API version that a supported Kubernetes does not serve fails on the day of the upgrade."""
    for manifest in rendering.manifests:
        missing = [version for version in rendering.versions if not schemas.is_known(manifest, version)]
        if missing and schemas.is_builtin_group(manifest, rendering.versions):
            message = f"Kubernetes {', '.join(missing)} has no {manifest.kind} in {manifest.api_version}"
            yield manifest.problem(message, "apiVersion")


def unvalidated(rendering: Rendering) -> list[str]:
    """Name the objects that have no schema: custom resources."""
    return [
        f"{manifest.title} ({manifest.api_version}) is a custom resource without a schema: its fields were not checked"
        for manifest in rendering.manifests
        if not any(schemas.is_known(manifest, version) for version in rendering.versions)
        and not schemas.is_builtin_group(manifest, rendering.versions)
    ]


@error(
    "object-name",
    source="Kubernetes: object names and IDs (RFC 1123)",
    fix="Use lower-case letters, digits and dashes, at most 63 for a Service or Namespace.",
)
def object_name(rendering: Rendering) -> Iterator[Problem]:
    """A name that is no DNS name is refused by the API server."""
    for manifest in rendering.manifests:
        core = manifest.group in _LABELLED or not manifest.group
        if core and not _DNS_LABELS.get(manifest.kind, _SUBDOMAIN).fullmatch(manifest.name):
            yield manifest.problem(f"{manifest.name or 'an empty name'} is no valid name", "metadata", "name")


# Labels and selectors: whether everything finds its pods, and only its own.


def _selecting(rendering: Rendering) -> list[tuple[Workload, dict[str, object]]]:
    workloads = rendering.workloads_of("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")
    return [(workload, mapping(workload.manifest.data, "spec", "selector")) for workload in workloads]


@error(
    "selector-mismatch",
    source="issue: selector mismatch; kube-linter mismatching-selector",
    fix="Let spec.selector match spec.template.metadata.labels.",
)
def selector_mismatch(rendering: Rendering) -> Iterator[Problem]:
    """A workload that does not select its own pods is refused by the API server."""
    for workload, selector in _selecting(rendering):
        if not selector or not labels_match(selector, workload.labels):
            message = "does not select its own pods"
            yield workload.manifest.problem(message, "spec", "selector", inconclusive=rendering.part)


@error(
    "selector-overlap",
    source="Kubernetes: Deployment, selector: do not overlap with other controllers",
    fix="Give each workload a selector of its own, by app.kubernetes.io/name.",
)
def selector_overlap(rendering: Rendering) -> Iterator[Problem]:
    """Two workloads that select each other's pods fight: Services reach both, and counts are wrong."""
    for workload, selector in _selecting(rendering):
        for other in rendering.selected(selector, workload.manifest.namespace) if selector else ():
            if other.manifest is not workload.manifest:
                yield workload.manifest.problem(f"selects the pods of {other.manifest.title} too", "spec", "selector")


@warning(
    "label-name",
    source="issue: labels; Kubernetes: recommended labels",
    fix="Set app.kubernetes.io/name on the workload and in its pod template.",
)
def label_name(rendering: Rendering) -> Iterator[Problem]:
    """Without the recommended name label, dashboards and queries do not know what the pods belong to."""
    for workload in rendering.workloads:
        if not workload.manifest.labels.get(_NAME) or (workload.template and not workload.labels.get(_NAME)):
            yield workload.manifest.problem(f"it or its pods have no label {_NAME}", "metadata", "labels")


@warning(
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
            yield workload.manifest.problem(f"has no label {_INSTANCE}", "metadata", "labels")
        elif workload.template and workload.labels.get(_INSTANCE) != instance:
            message = f"its pods do not have its label {_INSTANCE}: {instance}"
            yield workload.manifest.problem(message, *workload.template, "metadata", "labels")


# Namespaces.


@warning(
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
            yield workload.manifest.problem(message, "metadata", "namespace")


@warning(
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
                yield namespace.problem(message, "metadata", "labels")


@warning(
    "namespace-missing",
    source="issue: base with its namespace; Kubernetes: namespaces",
    fix="Add the Namespace to the rendering, or correct the overlay's `namespace`.",
)
def namespace_missing(rendering: Rendering) -> Iterator[Problem]:
    """Where the rendering brings a Namespace, an object in another one is most likely in the wrong one."""
    namespaces = {manifest.name for manifest in rendering.of("", "Namespace")}
    for workload in rendering.workloads if namespaces else ():
        placed = workload.manifest.namespace
        if placed and not any(same_namespace(placed, name) for name in namespaces):
            message = f"is in {placed}, which is not in this rendering"
            yield workload.manifest.problem(message, "metadata", "namespace")
