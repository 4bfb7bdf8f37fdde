"""The digests of a release: taken from what a verified run proved, and written into an overlay's kustomization.

Verified is a digest that ran in a revision which `devenv deploy --verify` proved, recorded on this machine or in the
cluster, or under smoke tests on Kubernetes that all passed. The name of the image is always the overlay's own: whoever
may write the cluster's record chooses at most another digest of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from devenv.backends.kube.pod_start import digest_of
from devenv.control.deploy.images import is_pinned, repository, short_name, uses_of
from devenv.control.deploy.record import Revision
from devenv.core.errors import Refused, UsageError
from devenv.core.text import human_age, sanitize
from devenv.manifests.rules.config import is_unreleased
from devenv.runs.criteria import Verdict
from devenv.verify.service_verdicts import ServiceVerdicts

_SHORT: Final = 19  # characters of "sha256:" and as much of it as docker shows
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
HEAD: Final = ("IMAGE", "DIGEST", "BEFORE", "VERIFIED")


@dataclass(frozen=True, slots=True)
class Proof:
    """Which run verified a digest, in words, and when. `image` is "" where the run knew the digest alone."""

    image: str
    digest: str
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class Released:
    """One image of the overlay with the digest that it gets."""

    image: str
    digest: str
    before: str
    by: str


def proofs_of(revisions: Iterable[Revision]) -> Iterator[Proof]:
    """Yield what proven revisions ran by digest, where the kubelets reported that very digest."""
    for revision in revisions:
        for use in uses_of(revision.objects) if revision.proven else ():
            digest = digest_of(use.image) if is_pinned(use.image) else ""
            if digest and revision.digests.get(f"{use.workload}/{use.container}") == digest:
                by = f"{revision.overlay} in {revision.context}, revision {revision.id}, {revision.source}"
                yield Proof(short_name(repository(use.image)), digest, sanitize(by), revision.at)


def proofs_of_tests(verdicts: ServiceVerdicts) -> Iterator[Proof]:
    """Yield the digests of services whose smoke tests on Kubernetes all passed; raises Unreadable."""
    query = "SELECT DISTINCT project FROM service_verdicts WHERE project LIKE 'kubernetes:%'"
    for (place,) in verdicts.rows(tuple[str], query):
        for verdict in verdicts.of(place).values():
            if verdict.verdict is Verdict.PASSED and _DIGEST.fullmatch(verdict.subject.image):
                by = f"smoke tests of {verdict.service} in {place.removeprefix('kubernetes:')}"
                yield Proof("", verdict.subject.image, sanitize(by), verdict.at)


def parse_release(text: str) -> tuple[str, str]:
    """Read `NAME=[REF@]sha256:...` of --image; raises UsageError."""
    name, _, reference = text.partition("=")
    digest = reference.rpartition("@")[2]
    if not name or not _DIGEST.fullmatch(digest):
        raise UsageError(f"--image {sanitize(text)!r} is not NAME=sha256:...", "A digest has 64 hexadecimal digits.")
    if is_unreleased(f"{name}@{digest}"):
        raise UsageError(f"{sanitize(name)} would get the digest of zeros, which no registry serves")
    return name, digest


class Kustomization:
    """The `images` of one kustomization.yaml; only digests are changed in its text, comments stay."""

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            self.text = file.read_text("utf-8")
            root = yaml.compose(self.text, Loader=yaml.SafeLoader)
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
            raise UsageError(f"{file} cannot be read: {sanitize(str(error))}") from error
        top = _mapping(root)
        namespace = top.get("namespace")
        self.namespace = str(namespace.value) if isinstance(namespace, yaml.ScalarNode) else ""
        images = top.get("images")
        nodes = images.value if isinstance(images, yaml.SequenceNode) else []
        self._entries = [node for node in nodes if isinstance(node, yaml.MappingNode) and "name" in _mapping(node)]
        if not self._entries:
            raise UsageError(f"{file} names no images", "A release needs its list `images:`, with name and newName.")

    def images(self) -> list[str]:
        """Return the name under which each image is pulled."""
        return [self._of(entry)[0] for entry in self._entries]

    def release(self, digests: Mapping[str, tuple[str, str]]) -> tuple[str, tuple[Released, ...]]:
        """Return the text with these digests, by image with what verified each, and what was released."""
        edits: list[tuple[int, int, str]] = []
        released = []
        for entry in self._entries:
            image, before = self._of(entry)
            if image in digests:
                digest, by = digests[image]
                edits.append(_edit(entry, digest))
                released.append(Released(image, digest, before, by))
        text = self.text
        for start, end, new in sorted(edits, reverse=True):
            text = text[:start] + new + text[end:]
        return text, tuple(released)

    @staticmethod
    def _of(entry: yaml.MappingNode) -> tuple[str, str]:
        keys = {name: str(node.value) for name, node in _mapping(entry).items()}
        return short_name(keys.get("newName") or keys["name"]), keys.get("digest") or keys.get("newTag", "")


def choose(images: Sequence[str], proofs: Sequence[Proof], asked: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return the digest of each image, and what verified it.

    `asked` are digests by name as people type it; without any, each image gets the digest that was proven last. Raises
    UsageError for a name that is not there, and Refused for a digest that no verified run knows.
    """
    asked_digests = {_named(name, images): digest for name, digest in asked.items()}
    chosen = {}
    for image in asked_digests or images:
        fits = [proof for proof in proofs if proof.image == image or (image in asked_digests and not proof.image)]
        fits = [proof for proof in fits if image not in asked_digests or proof.digest == asked_digests[image]]
        newest = max(fits, key=lambda proof: proof.at, default=None)
        if newest is None:
            what = (
                f"the digest {asked_digests[image][:_SHORT]} of {image}"
                if image in asked_digests
                else f"a digest of {image}"
            )
            raise Refused(
                f"No verified run knows {sanitize(what)}",
                "Deploy it where it can be tested, by digest: devenv deploy OVERLAY --image NAME=REF@DIGEST --verify.",
            )
        chosen[image] = (newest.digest, newest.by)
    return chosen


def rows(released: Sequence[Released], now: float, proofs: Sequence[Proof]) -> list[tuple[str, ...]]:
    """Return the lines of the table."""
    at = {(proof.digest, proof.by): proof.at for proof in proofs}
    return [
        (
            sanitize(item.image),
            item.digest[:_SHORT],
            "the same" if item.before == item.digest else sanitize(item.before)[:_SHORT] or "-",
            f"{human_age(now - at[item.digest, item.by])} ago by {item.by}",
        )
        for item in released
    ]


def _named(name: str, images: Sequence[str]) -> str:
    own = short_name(name)
    fits = [image for image in images if own in (image, image.rpartition("/")[2])]
    if len(fits) != 1:
        raise UsageError(f"The overlay has no image {sanitize(name)!r}", f"There are: {', '.join(sorted(images))}.")
    return fits[0]


def _mapping(node: yaml.Node | None) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {str(key.value): value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def _edit(entry: yaml.MappingNode, digest: str) -> tuple[int, int, str]:
    """Return where the text changes, from and to, and what stands there then: the digest, in place of a tag."""
    pairs = {str(key.value): (key, value) for key, value in entry.value}
    if "digest" in pairs:
        _, value = pairs["digest"]
        return value.start_mark.index, value.end_mark.index, digest
    if "newTag" in pairs:
        key, value = pairs["newTag"]
        return key.start_mark.index, value.end_mark.index, f"digest: {digest}"
    first, last = entry.value[0][0], entry.value[-1][1]
    between = ", " if entry.flow_style else "\n" + " " * first.start_mark.column
    return last.end_mark.index, last.end_mark.index, f"{between}digest: {digest}"
