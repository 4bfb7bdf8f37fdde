"""The API's own types: every object, strictly, against each Kubernetes minor that is checked."""

from __future__ import annotations

import re
from collections.abc import Iterator

from devenv.manifests import schemas
from devenv.manifests.model import ObjectPath, Problem
from devenv.manifests.registry import ERROR, rule
from devenv.manifests.rendering import Rendering

# RFC 1123: a subdomain for most names, a label for Services and Namespaces (they become one in DNS).
_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_NAME = {"Service": re.compile(_LABEL), "Namespace": re.compile(_LABEL)}
_SUBDOMAIN = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")
_LABELLED = {"apps", "batch", "autoscaling", "policy", "networking.k8s.io"}  # rbac allows colons in names


def _violations(rendering: Rendering, *, unknown: bool) -> Iterator[Problem]:
    for manifest in rendering.manifests:
        found: dict[tuple[ObjectPath, str], list[str]] = {}
        for version in rendering.versions:
            for error in schemas.errors_of(manifest, version):
                sops = error.unknown and error.path == ("sops",)  # SOPS's own; whoever applies it decrypts it first
                if error.unknown is unknown and not sops:
                    found.setdefault((error.path, error.message), []).append(version)
        for (path, message), versions in found.items():
            where = "" if len(versions) == len(rendering.versions) else f" (Kubernetes {', '.join(versions)})"
            doubt = rendering.part if message.endswith("is missing") else ""
            yield Problem(manifest, path, f"{message}{where}", doubt=doubt)


@rule(
    "schema",
    source="issue: strict schemas of the last three Kubernetes minors; Kubernetes: OpenAPI",
    fix="Correct the value; kubectl explain names the field's type.",
    severity=ERROR,
)
def schema(rendering: Rendering) -> Iterator[Problem]:
    """A value of the wrong type, or a required one that is missing, is refused when it is applied."""
    yield from _violations(rendering, unknown=False)


@rule(
    "unknown-field",
    source="issue: unknown fields refused; Kubernetes: field validation",
    fix="Correct the field's name or its indentation.",
    severity=ERROR,
)
def unknown_field(rendering: Rendering) -> Iterator[Problem]:
    """A field that does not exist is dropped without a word by many clients: what it was to do does not happen."""
    yield from _violations(rendering, unknown=True)


@rule(
    "api-version",
    source="issue: schemas of the last three minors; kube-linter no-extensions-v1beta; Kubernetes: deprecation guide",
    fix="Use the version that every supported minor serves; the deprecation guide names it.",
    severity=ERROR,
)
def api_version(rendering: Rendering) -> Iterator[Problem]:
    """An API version that a supported Kubernetes does not serve fails on the day of the upgrade."""
    for manifest in rendering.manifests:
        missing = [version for version in rendering.versions if not schemas.is_known(manifest, version)]
        if missing and schemas.is_builtin_group(manifest, rendering.versions):
            message = f"Kubernetes {', '.join(missing)} has no {manifest.kind} in {manifest.api_version}"
            yield Problem(manifest, ("apiVersion",), message)


@rule(
    "object-name",
    source="Kubernetes: object names and IDs (RFC 1123)",
    fix="Use lower-case letters, digits and dashes, at most 63 for a Service or Namespace.",
    severity=ERROR,
)
def object_name(rendering: Rendering) -> Iterator[Problem]:
    """A name that is no DNS name is refused by the API server."""
    for manifest in rendering.manifests:
        core = manifest.group in _LABELLED or not manifest.group
        if core and not _NAME.get(manifest.kind, _SUBDOMAIN).fullmatch(manifest.name):
            yield Problem(manifest, ("metadata", "name"), f"{manifest.name or 'an empty name'} is no valid name")


def unvalidated(rendering: Rendering) -> list[str]:
    """Name the objects that have no schema: custom resources."""
    return [
        f"{manifest.title} ({manifest.api_version}) is a custom resource without a schema: its fields were not checked"
        for manifest in rendering.manifests
        if not any(schemas.is_known(manifest, version) for version in rendering.versions)
        and not schemas.is_builtin_group(manifest, rendering.versions)
    ]
