"""Images on their way into a cluster: built by Compose, named by their content, loaded into the node or pushed.

An image that was built here gets a tag of its content before it is loaded. Under the name of the manifest alone
(`docsearch-backend:dev`) a new build would change what an old revision means: nothing would roll out, and going back
would start the new image again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from devenv.backends.programs import output_of
from devenv.control.deploy.images import has_registry, is_pinned, repository, services_of, uses_of
from devenv.core.errors import DevenvError
from devenv.core.model import Project

_PUSHED = re.compile(r"digest: (sha256:[0-9a-f]{64})")
_TIMEOUT = 600.0  # seconds to push one image
CONTENT = 12  # characters of an image's id in its tag, as docker shows them


class Loader(Protocol):
    """Brings an image of the local engine to the nodes of a cluster, as `minikube image load` does."""

    @property
    def shares(self) -> bool:
        """Whether the cluster runs the engine's own images, so that a tag has to stay there."""
        ...

    def load(self, image: str) -> None:
        """Load it; raises DevenvError."""
        ...


@dataclass(frozen=True, slots=True)
class Cargo:
    """What is to be done for the images. `services` by reference; `why` says why nothing is done."""

    services: Mapping[str, str]
    push: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Dock:
    """What is at hand here: the resolved Compose project, a way to build it, and a way into the cluster.

    Each is None where there is none, and the text beside it says why.
    """

    project: Project | None = None
    no_project: str = ""
    build: Callable[[tuple[str, ...]], None] | None = None
    loader: Loader | None = None
    no_loader: str = ""
    environ: Mapping[str, str] | None = None


def plan_cargo(
    objects: Sequence[Mapping[str, Any]], dock: Dock, *, build: bool, push: bool, chosen: Collection[str] = ()
) -> Cargo:
    """Decide what has to be built and how it gets to the cluster; `chosen` references are there already.

    Never guesses that a program is there. Raises DevenvError for an image that is to be pushed nowhere.
    """
    if not build:
        return Cargo({}, why="--no-build: the images are taken as they are")
    if dock.project is None:
        return Cargo({}, why=f"nothing is built: {dock.no_project or 'there is no Compose project here'}")
    pinned = [use.image for use in uses_of(objects) if is_pinned(use.image)]
    services = {image: name for image, name in services_of(objects, dock.project).items() if image not in chosen}
    if not services:
        why = "every image is named by digest" if pinned else "no image is one that a service of Compose builds"
        return Cargo({}, why=f"nothing is built: {why}")
    if push:
        local = sorted(image for image in services if not has_registry(image))
        if local:
            raise DevenvError(
                f"{', '.join(local)} cannot be pushed: the name says no registry",
                "Name it registry/name:tag in the overlay and in Compose, or leave --push out.",
            )
        return Cargo(services, push=True)
    if dock.loader is None:
        names = ", ".join(sorted(services))
        return Cargo({}, why=f"{names} not built and not loaded, {dock.no_loader}: the nodes must have them by name")
    return Cargo(services)


def ship(cargo: Cargo, dock: Dock) -> dict[str, str]:
    """Load or push what was built; return the new reference of each image. Raises DevenvError, ToolMissing."""
    found = {}
    for image in sorted(cargo.services):
        content = _docker(("image", "inspect", image), dock.environ)
        identity = str(json.loads(content)[0]["Id"]).removeprefix("sha256:")
        named = f"{repository(image)}:devenv-{identity[:CONTENT]}"
        _docker(("tag", image, named), dock.environ)
        if cargo.push:
            digest = _PUSHED.search(_docker(("push", named), dock.environ))
            named = f"{repository(image)}@{digest[1]}" if digest else named
        elif dock.loader is not None:
            dock.loader.load(named)
            if not dock.loader.shares:
                _docker(("rmi", "--no-prune", named), dock.environ)  # the tag alone: the image has its first name
        found[image] = named
    return found


def _docker(arguments: tuple[str, ...], environ: Mapping[str, str] | None) -> str:
    return output_of(
        ["docker", *arguments],
        environ,
        timeout=_TIMEOUT,
        install="Install Docker, or --no-build.",
        slow="Is the registry reached?",
        failed="Is the image built?",
    )
