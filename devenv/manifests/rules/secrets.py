"""Secrets that are where everybody can read them. `devenv secrets check` looks in more places."""

from __future__ import annotations

from collections.abc import Iterator

from devenv.manifests import access
from devenv.manifests.credentials import decoded, is_placeholder, is_public, is_reference, judge, masked, shape_of
from devenv.manifests.kustomization import generators
from devenv.manifests.model import Place, Problem
from devenv.manifests.registry import ERROR, rule
from devenv.manifests.rendering import Rendering
from devenv.manifests.tree import line_of


@rule(
    "env-secret",
    source="issue: env var secret; kube-linter env-var-secret; Polaris sensitiveContainerEnvVar",
    fix="Mount the Secret as a file, or use valueFrom.secretKeyRef.",
    severity=ERROR,
)
def env_secret(rendering: Rendering) -> Iterator[Problem]:
    """A secret in a manifest is known to everybody who may read the repository or describe the pod."""
    for container in rendering.containers:
        for index, item in access.mappings(container.data, "env"):
            name, value = access.text(item, "name"), access.text(item, "value")
            what = judge(name, value) if value else ""
            if what:
                path = (*container.path, "env", index, "value")
                message = f"container {container.name}: {name} is {what}: {masked(value)}"
                yield Problem(container.manifest, path, message)


@rule(
    "configmap-secret",
    source="Polaris sensitiveConfigmapContent",
    fix="Move it into a Secret that the cluster gets from the secret store.",
    severity=ERROR,
)
def configmap_secret(rendering: Rendering) -> Iterator[Problem]:
    """ConfigMaps are shown in clear by every tool, and many roles may read them."""
    for config in rendering.of("", "ConfigMap"):
        for key, value in access.mapping(config.data, "data").items():
            what = (judge(key, value) if "\n" not in value else shape_of(value)) if isinstance(value, str) else ""
            if what:
                yield Problem(config, ("data", key), f"{key} is {what}: {masked(value)}")


@rule(
    "secret-committed",
    source="issue: no overlay applies a secret from a file; Kubernetes: good practices for Secrets",
    fix="Let the cluster get it from the secret store (ExternalSecret, SealedSecret); for development, use "
    "secretGenerator with a file that git ignores.",
    severity=ERROR,
)
def secret_committed(rendering: Rendering) -> Iterator[Problem]:
    """base64 is no encryption: a Secret in the repository is published, and stays so in its history."""
    for secret in rendering.of("", "Secret"):
        owner = rendering.provenance.generated(secret)
        if owner is None:
            for field in ("data", "stringData"):
                for key, value in access.mapping(secret.data, field).items():
                    plain = decoded(value) if field == "data" else str(value)
                    if not (
                        is_placeholder(plain) or is_reference(plain) or is_public(plain) or is_reference(str(value))
                    ):
                        message = f"the value of {key} is in the repository"
                        yield Problem(secret, (field, key), message, doubt=_doubt(key, plain))
            continue
        for generator in generators(owner.data):
            ours = generator.kind == "Secret" and secret.name.startswith(
                f"{owner.prefix}{generator.name}{owner.suffix}"
            )
            for literal in generator.literals if ours else ():
                key, _, value = literal.partition("=")
                value = value.strip("'\"")
                if not (is_placeholder(value) or is_placeholder(decoded(value)) or is_reference(value)):
                    place = Place(owner.file, line_of(owner, (*generator.path, "literals")))
                    message = f"secretGenerator {generator.name} has the value of {key} in the repository"
                    path = ("secretGenerator", *generator.path[1:], "literals")
                    yield Problem(place, path, message, doubt=_doubt(key, value))


def _doubt(key: str, value: str) -> str:
    if key.endswith(("key", ".dockerconfigjson", ".dockercfg")) or judge(key, value):
        return ""
    return "it does not look like a secret; what is none belongs in a ConfigMap"
