"""What a verdict is about: the content of a service's image and its configuration, the same for every copy of it.

An isolated copy builds images of its own, with labels and therefore ids of their own. What the image is made of is the
same: its layers, and its configuration without labels. Compose's hash of a service as it is declared is the label that
Compose puts on the containers of the working tree (compose, pkg/compose/hash.go: without build, replicas, profiles).

On Kubernetes it is the pod template of a workload, and the digests of the images that its pods run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from devenv.core.errors import DevenvError
from devenv.verify.engine import docker, run_docker

if TYPE_CHECKING:
    from devenv.verify.stack import Stack

CONFIG_HASH: Final = "com.docker.compose.config-hash"


@dataclass(frozen=True, slots=True)
class Subject:
    """What was verified of a service: hashes of its image's content and of its configuration, "" where unknown."""

    image: str = ""
    config: str = ""


@dataclass(frozen=True, slots=True)
class Verified:
    """All that a run verified on one runtime, by service; `place` is the cluster's, "" for the Compose project."""

    place: str = ""
    subjects: Mapping[str, Subject] = field(default_factory=dict)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Verified:
        """Read what was written by `dataclasses.asdict`."""
        return msgspec.convert(data, cls)


def digests(image_ids: Iterable[str]) -> str:
    """Return what images are by the ids that kubelets report of them: REPOSITORY@DIGEST, or a digest alone."""
    return " ".join(sorted({image.rpartition("@")[2] for image in image_ids if image}))


def place_of(context: str, namespace: str) -> str:
    """Return the name under which verdicts about a namespace of a cluster are kept, beside those about projects."""
    return f"kubernetes:{context}/{namespace}"


def image_contents(ids: Iterable[str], environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the hash of the content of each image that the engine still has, by its id."""
    wanted = sorted(set(filter(None, ids)))
    if not wanted:
        return {}
    # An image may be gone, and then the others are told all the same: the list ends before docker's complaint.
    text = docker("image", "inspect", *wanted, environ=environ, check=False)
    found, _ = json.JSONDecoder().raw_decode(text) if text.lstrip().startswith("[") else ([], 0)
    contents = {str(item["Id"]): _content(item) for item in found}
    return {image: contents[image] for image in wanted if image in contents}


def _content(image: Mapping[str, object]) -> str:
    config = image.get("Config")
    kept = {key: value for key, value in config.items() if key != "Labels"} if isinstance(config, dict) else {}
    files = image.get("RootFS")
    layers = files.get("Layers") if isinstance(files, dict) else None
    return hashlib.sha256(json.dumps([layers, kept], sort_keys=True).encode()).hexdigest()[:32]


def subjects_of(stack: Stack) -> dict[str, Subject]:
    """Read what a stack under test is made of, by service; what cannot be read is left unknown."""
    source = stack.plan.source
    try:
        containers = [item for item in stack.engine.containers() if item.service and not item.one_off]
        images = image_contents((item.image_id for item in containers), source.environ)
        if stack.isolated:
            command = source.options.command("config", "--hash", "*")
            text = run_docker(command, folder=source.options.directory, environ=source.environ)
            hashes = dict(line.split() for line in text.splitlines() if len(line.split()) == 2)
        else:
            hashes = {item.service: dict(item.labels).get(CONFIG_HASH, "") for item in containers}
    except DevenvError as error:
        stack.mark(f"what is verified could not be told: {error.message}")
        return {}
    return {item.service: Subject(images.get(item.image_id, ""), hashes.get(item.service, "")) for item in containers}
