"""The files themselves, before kustomize renders them. What is found here stops the rest: there is no rendering."""

from __future__ import annotations

from collections.abc import Iterator

from devenv.manifests import access
from devenv.manifests.model import Place, Problem
from devenv.manifests.registry import WARNING, declare, rule
from devenv.manifests.rendering import Rendering
from devenv.manifests.tree import line_of

declare(
    "remote-base",
    subject="sources",
    reason="A base from the network is fetched at every rendering: it can change, be away, or be somebody else's.",
    source="issue: remote base refused offline with a clear error",
    fix="Copy it into the repository (vendoring), at a version that you name.",
)
declare(
    "missing-file",
    subject="sources",
    reason="A kustomization that names what is not there, or leads back to itself, cannot be rendered.",
    source="kustomize: resources, components, patches, generators",
    fix="Add the file or correct the path. A secret file that git ignores may have an example beside it: NAME.example.",
)
declare(
    "invalid-yaml",
    subject="sources",
    reason="A file that is not YAML cannot be applied.",
    source="YAML 1.2",
    fix="Correct the line.",
)
declare(
    "duplicate-key",
    subject="sources",
    reason="Of two equal keys one is lost without a word, and not every reader loses the same one.",
    source="issue: duplicate YAML keys refused; YAML 1.2, section 3.2.1.1",
    fix="Remove one of the two.",
)
declare(
    "render-failed",
    subject="sources",
    reason="What kustomize cannot render, nobody can apply.",
    source="kustomize",
    fix="Correct what kustomize complains about: kubectl kustomize FOLDER",
)


@rule(
    "common-labels",
    source="issue: labels by `labels`, never commonLabels; kustomize: commonLabels is deprecated",
    fix="Use `labels` with includeSelectors: false.",
    severity=WARNING,
)
def common_labels(rendering: Rendering) -> Iterator[Problem]:
    """commonLabels also changes selectors, which cannot be changed on a Deployment that exists: the apply fails."""
    for owner in rendering.kustomizations:
        if access.mapping(owner.data, "commonLabels"):
            place = Place(owner.file, line_of(owner, ("commonLabels",)))
            yield Problem(place, ("commonLabels",), "uses commonLabels")
        for index, item in access.mappings(owner.data, "labels"):
            if item.get("includeSelectors") is True:
                path = ("labels", index, "includeSelectors")
                yield Problem(Place(owner.file, line_of(owner, path)), path, "its labels change selectors")
