"""What containers run with: images, environment and ConfigMaps, and secrets where everybody can read them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from devenv.manifests.access import get, mapping, mappings, text
from devenv.manifests.credentials import (
    committed_values,
    decoded,
    is_placeholder,
    is_reference,
    judge,
    masked,
    shape_of,
)
from devenv.manifests.kustomization import generators, line_of
from devenv.manifests.model import Environment, Place, Problem
from devenv.manifests.registry import SERVED, error, warning
from devenv.manifests.rendering import Rendering

_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_PLACEHOLDER = f"@sha256:{'0' * 64}"  # what overlays hold until a release fills it in; no content has this digest
_TAG = re.compile(r":[\w][\w.-]{0,127}$")  # the OCI distribution specification's grammar of tags
_ALWAYS_THERE = "kube-root-ca.crt"  # the control plane puts it into every namespace

# Images: whether they are the same tomorrow.


def has_digest(image: str) -> bool:
    """Say whether the image is named by its content."""
    return _DIGEST.search(image) is not None


def is_unreleased(image: str) -> bool:
    """Say whether the image is named by a digest of zeros, which can be pulled from nowhere."""
    return image.endswith(_PLACEHOLDER)


def unreleased(rendering: Rendering) -> list[str]:
    """Tell which images a release has to fill in: no finding, since an overlay may wait for its release."""
    images = (text(container.data, "image") for container in rendering.containers)
    names = dict.fromkeys(image.removesuffix(_PLACEHOLDER) for image in images if is_unreleased(image))
    return [f"{name} has a digest of zeros: until a release fills it in, devenv deploy refuses it" for name in names]


@error(
    "image-tag",
    source="kube-linter latest-tag; Polaris tagNotSpecified",
    fix="Name a version: image: name:1.4.2, or a digest.",
)
def image_tag(rendering: Rendering) -> Iterator[Problem]:
    """An image without a tag, or with `latest`, is another one after the next push: nobody knows what runs."""
    for container in rendering.containers:
        image = text(container.data, "image")
        if image and not has_digest(image) and (not _TAG.search(image) or image.endswith(":latest")):
            message = f"runs {image}: which version, nobody can tell"
            yield container.problem(message, "image", inconclusive=rendering.part)


@error(
    "image-digest",
    source="issue: images by digest outside dev; kube-linter image-not-pinned-by-digest",
    fix="Pin it in the overlay's images: with digest: sha256:...",
    environments=SERVED,
)
def image_digest(rendering: Rendering) -> Iterator[Problem]:
    """A tag can be moved, so two nodes may run different code under one name; a digest is the content itself."""
    for container in rendering.containers:
        image = text(container.data, "image")
        if image and not has_digest(image):
            yield container.problem(f"runs {image} by tag", "image", inconclusive=rendering.part)


@warning(
    "image-pull-policy",
    source="issue: local image tags with IfNotPresent; Polaris pullPolicyNotAlways",
    fix="By tag: IfNotPresent in development, Always elsewhere. By digest: IfNotPresent.",
)
def image_pull_policy(rendering: Rendering) -> Iterator[Problem]:
    """The policy must fit the name: a moved tag has to be pulled again, an image made here cannot be pulled at all."""
    development = rendering.environment is Environment.DEVELOPMENT
    for container in rendering.containers:
        policy = text(container.data, "imagePullPolicy")
        if has_digest(text(container.data, "image")):
            fits = policy != "Never" or development
        else:
            fits = policy in ("IfNotPresent", "Never") if development else policy == "Always"
        if not fits:
            how = f"imagePullPolicy {policy}" if policy else "no imagePullPolicy"
            yield container.problem(f"has {how}, which does not fit how its image is named", "imagePullPolicy")


# Environment and ConfigMaps.


@error("env-duplicate", source="issue: duplicated env; kube-linter duplicate-env-var", fix="Remove one of the two.")
def env_duplicate(rendering: Rendering) -> Iterator[Problem]:
    """Of two variables with one name, the last one counts, and the first one is what people read."""
    for container in rendering.containers:
        seen: set[str] = set()
        for index, item in mappings(container.data, "env"):
            name = text(item, "name")
            if name in seen:
                yield container.problem(f"sets {name} twice", "env", index, "name")
            seen.add(name)


@error(
    "config-exists",
    source="Kubernetes: ConfigMaps; a pod whose ConfigMap is missing does not start",
    fix="Add the ConfigMap (by configMapGenerator), or correct the name or the key.",
)
def config_exists(rendering: Rendering) -> Iterator[Problem]:
    """A container whose ConfigMap or key does not exist waits in CreateContainerConfigError."""
    for workload in rendering.workloads:
        manifest = workload.manifest
        for place in workload.references("ConfigMap"):
            if place.optional or place.name == _ALWAYS_THERE:
                continue
            config = rendering.find("", "ConfigMap", manifest.namespace, place.name)
            target = ("", "ConfigMap", place.name)
            yield from rendering.dangling(manifest, (*place.path, "name"), target, f"ConfigMap {place.name}")
            keys = mapping(config.data, "data") | mapping(config.data, "binaryData") if config else {}
            if config and place.key and place.key not in keys:
                message = f"ConfigMap {place.name} has no key {place.key}"
                yield manifest.problem(message, *place.path, "key", inconclusive=rendering.part)


@warning(
    "config-generated",
    source="issue: ConfigMaps by generator; kustomize: configMapGenerator",
    fix="Move it into configMapGenerator: its name then ends in a hash of its content.",
)
def config_generated(rendering: Rendering) -> Iterator[Problem]:
    """A ConfigMap that changes under the same name changes nothing in running pods, until they happen to restart."""
    seen: set[int] = set()
    for workload in rendering.workloads:
        for place in workload.references("ConfigMap"):
            config = rendering.find("", "ConfigMap", workload.manifest.namespace, place.name)
            if config is None or id(config) in seen or get(config.data, "immutable") is True:
                continue
            seen.add(id(config))
            if rendering.provenance.generated(config) is None:
                yield config.problem(f"{workload.manifest.title} uses it, and no generator makes it", "data")


# Secrets that are where everybody can read them. `devenv secrets check` looks in more places.


@error(
    "env-secret",
    source="issue: env var secret; kube-linter env-var-secret; Polaris sensitiveContainerEnvVar",
    fix="Mount the Secret as a file, or use valueFrom.secretKeyRef.",
)
def env_secret(rendering: Rendering) -> Iterator[Problem]:
    """A secret in a manifest is known to everybody who may read the repository or describe the pod."""
    for container in rendering.containers:
        for index, item in mappings(container.data, "env"):
            name, value = text(item, "name"), text(item, "value")
            what = judge(name, value) if value else ""
            if what:
                message = f"container {container.name}: {name} is {what}: {masked(value)}"
                yield container.manifest.problem(message, *container.path, "env", index, "value")


@error(
    "configmap-secret",
    source="Polaris sensitiveConfigmapContent",
    fix="Move it into a Secret that the cluster gets from the secret store.",
)
def configmap_secret(rendering: Rendering) -> Iterator[Problem]:
    """ConfigMaps are shown in clear by every tool, and many roles may read them."""
    for config in rendering.of("", "ConfigMap"):
        for key, value in mapping(config.data, "data").items():
            what = (judge(key, value) if "\n" not in value else shape_of(value)) if isinstance(value, str) else ""
            if what:
                yield config.problem(f"{key} is {what}: {masked(value)}", "data", key)


@error(
    "secret-committed",
    source="issue: no overlay applies a secret from a file; Kubernetes: good practices for Secrets",
    fix="Let the cluster get it from the secret store (ExternalSecret, SealedSecret); for development, use "
    "secretGenerator with a file that git ignores.",
)
def secret_committed(rendering: Rendering) -> Iterator[Problem]:
    """base64 is no encryption: a Secret in the repository is published, and stays so in its history."""
    for secret in rendering.of("", "Secret"):
        owner = rendering.provenance.generated(secret)
        if owner is None:
            for field, key, _, plain in committed_values(secret.data):
                message = f"the value of {key} is in the repository"
                yield secret.problem(message, field, key, inconclusive=_unless(key, plain))
            continue
        for generator in generators(owner.data):
            ours = secret.name.startswith(f"{owner.prefix}{generator.name}{owner.suffix}")
            for literal in generator.literals if ours and generator.kind == "Secret" else ():
                key, _, value = literal.partition("=")
                value = value.strip("'\"")
                if not (is_placeholder(value) or is_placeholder(decoded(value)) or is_reference(value)):
                    place = Place(owner.file, line_of(owner, (*generator.path, "literals")))
                    message = f"secretGenerator {generator.name} has the value of {key} in the repository"
                    path = ("secretGenerator", *generator.path[1:], "literals")
                    yield Problem(place, path, message, inconclusive=_unless(key, value))


def _unless(key: str, value: str) -> str:
    if key.endswith(("key", ".dockerconfigjson", ".dockercfg")) or judge(key, value):
        return ""
    return "it does not look like a secret; what is none belongs in a ConfigMap"
