"""Which images run, and whether they are the same tomorrow."""

from __future__ import annotations

import re
from collections.abc import Iterator

from devenv.manifests import access
from devenv.manifests.model import Environment, Problem
from devenv.manifests.registry import ERROR, SERVED, rule
from devenv.manifests.rendering import Rendering

_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_PLACEHOLDER = f"@sha256:{'0' * 64}"  # what overlays hold until a release fills it in; no content has this digest
_TAG = re.compile(r":[\w][\w.-]{0,127}$")  # the OCI distribution specification's grammar of tags


def has_digest(image: str) -> bool:
    """Say whether the image is named by its content."""
    return _DIGEST.search(image) is not None


def is_placeholder(image: str) -> bool:
    """Say whether the image is named by a digest of zeros, which can be pulled from nowhere."""
    return image.endswith(_PLACEHOLDER)


def placeholders(rendering: Rendering) -> list[str]:
    """Tell which images a release has to fill in: no finding, since an overlay may wait for its release."""
    images = (access.text(container.data, "image") for container in rendering.containers)
    names = dict.fromkeys(image.removesuffix(_PLACEHOLDER) for image in images if is_placeholder(image))
    return [f"{name} has a digest of zeros: until a release fills it in, devenv deploy refuses it" for name in names]


@rule(
    "image-tag",
    source="kube-linter latest-tag; Polaris tagNotSpecified",
    fix="Name a version: image: name:1.4.2, or a digest.",
    severity=ERROR,
)
def image_tag(rendering: Rendering) -> Iterator[Problem]:
    """An image without a tag, or with `latest`, is another one after the next push: nobody knows what runs."""
    for container in rendering.containers:
        image = access.text(container.data, "image")
        if image and not has_digest(image) and (not _TAG.search(image) or image.endswith(":latest")):
            message = f"container {container.name} runs {image}: which version, nobody can tell"
            yield Problem(container.manifest, access.path_to(container.path, "image"), message, doubt=rendering.part)


@rule(
    "image-digest",
    source="issue: images by digest outside dev; kube-linter image-not-pinned-by-digest",
    fix="Pin it in the overlay's images: with digest: sha256:...",
    severity=ERROR,
    environments=SERVED,
)
def image_digest(rendering: Rendering) -> Iterator[Problem]:
    """A tag can be moved, so two nodes may run different code under one name; a digest is the content itself."""
    for container in rendering.containers:
        image = access.text(container.data, "image")
        if image and not has_digest(image):
            message = f"container {container.name} runs {image} by tag"
            yield Problem(container.manifest, access.path_to(container.path, "image"), message, doubt=rendering.part)


@rule(
    "image-pull-policy",
    source="issue: local image tags with IfNotPresent; Polaris pullPolicyNotAlways",
    fix="By tag: IfNotPresent in development, Always elsewhere. By digest: IfNotPresent.",
)
def image_pull_policy(rendering: Rendering) -> Iterator[Problem]:
    """The policy must fit the name: a moved tag has to be pulled again, an image made here cannot be pulled at all."""
    development = rendering.environment is Environment.DEVELOPMENT
    for container in rendering.containers:
        policy = access.text(container.data, "imagePullPolicy")
        if has_digest(access.text(container.data, "image")):
            fits = policy != "Never" or development
        else:
            fits = policy in ("IfNotPresent", "Never") if development else policy == "Always"
        if not fits:
            how = f"imagePullPolicy {policy}" if policy else "no imagePullPolicy"
            message = f"container {container.name} has {how}, which does not fit how its image is named"
            yield Problem(container.manifest, access.path_to(container.path, "imagePullPolicy"), message)
