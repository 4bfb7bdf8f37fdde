"""The images that rendered objects run: found, replaced, and matched with the Compose services that are built here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from devenv.core.errors import UsageError
from devenv.core.model import Project

_HUB = ("docker.io/library/", "index.docker.io/library/", "docker.io/", "index.docker.io/", "library/")
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}\Z")
_TAG = re.compile(r":[\w][\w.-]{0,127}\Z")  # the distribution specification's grammar of a tag
Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Use:
    """One container that runs an image. `workload` is "deployment/backend"."""

    workload: str
    container: str
    image: str


def uses_of(objects: Sequence[Object]) -> list[Use]:
    """Return every container of every workload, init containers included."""
    found = []
    for item in objects:
        name = str((item.get("metadata") or {}).get("name", ""))
        for container in _containers(item):
            title = f"{str(item.get('kind', '')).lower()}/{name}"
            found.append(Use(title, str(container.get("name", "")), str(container.get("image", ""))))
    return found


def replace_images(objects: Sequence[Object], images: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return copies in which every image of these names runs the given reference.

    A key is a whole reference, or a name without tag and digest, as `kustomize edit set image` takes it.
    """
    copies = [deepcopy(dict(item)) for item in objects]
    plain = {short_name(key): value for key, value in images.items()}
    for item in copies:
        for container in _containers(item):
            own = short_name(str(container.get("image", "")))
            found = plain.get(own) or plain.get(repository(own))
            if found:
                container["image"] = found
    return copies


def parse_image(text: str, objects: Sequence[Object]) -> tuple[str, str]:
    """Read `NAME=REF` of --image; raises UsageError where no workload runs an image of that name."""
    name, found, reference = text.partition("=")
    if not (name and found and reference):
        raise UsageError(f"--image {text!r} is not NAME=REF", "For example: --image backend=registry/backend:1.2")
    names = {short_name(use.image) for use in uses_of(objects)} | {
        repository(short_name(use.image)) for use in uses_of(objects)
    }
    last = {found.rpartition("/")[2]: found for found in names}
    own = short_name(name)
    if own not in names and own in last:
        own = last[own]
    if own not in names:
        raise UsageError(f"No workload runs an image {name!r}", f"There are: {', '.join(sorted(names))}.")
    return own, reference


def services_of(objects: Sequence[Object], project: Project) -> dict[str, str]:
    """Return the Compose services that are built here, by the reference under which the objects run their image."""
    built = {short_name(service.image): service.name for service in project.services if service.builds}
    return {use.image: built[own] for use in uses_of(objects) if (own := short_name(use.image)) in built}


def repository(reference: str) -> str:
    """Return a reference without its tag and digest."""
    bare = _DIGEST.sub("", reference)
    return _TAG.sub("", bare)


def has_registry(reference: str) -> bool:
    """Whether the first part names a registry: it has a dot or a port, or is localhost (docker's rule)."""
    first, found, _ = reference.partition("/")
    return bool(found) and ("." in first or ":" in first or first == "localhost") and not first.endswith("docker.io")


def is_pinned(reference: str) -> bool:
    """Whether a reference names its content by digest."""
    return bool(_DIGEST.search(reference))


def short_name(reference: str) -> str:
    """Return a reference as people write it: without the prefixes of Docker Hub."""
    for prefix in _HUB:
        if reference.startswith(prefix):
            reference = reference.removeprefix(prefix)
            break
    return reference


def _containers(item: Object) -> Iterator[dict[str, Any]]:
    spec = item.get("spec") or {}
    if item.get("kind") == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    pod = spec if item.get("kind") == "Pod" else ((spec.get("template") or {}).get("spec") or {})
    if isinstance(pod, dict):
        for key in ("initContainers", "containers"):
            yield from (found for found in pod.get(key) or () if isinstance(found, dict))
