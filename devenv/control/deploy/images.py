"""The images that rendered objects run: found, replaced, built by Compose, brought to the cluster, and proven to run.

An image that was built here gets a tag of its content before it is loaded. Under the name of the manifest alone
(`docsearch-backend:dev`) a new build would change what an old revision means: nothing would roll out, and going back
would start the new image again. Loaded it is by the program that made the cluster (`minikube image load --help`,
`kind load docker-image --help`, `k3d image import --help`). Is what runs what was rendered: the digests that the
kubelets report against those that were deployed.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError
from devenv.backends.kube.kinds import NODES
from devenv.backends.kube.kubeconfig import ContextInfo
from devenv.backends.kube.pod_start import PodStages, digest_of
from devenv.backends.programs import output_of
from devenv.control.deploy.outcome import Check, Status
from devenv.core.errors import DevenvError, UsageError
from devenv.core.model import Project
from devenv.core.text import sanitize

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
    uses = []
    for item in objects:
        name = str((item.get("metadata") or {}).get("name", ""))
        for container in _containers(item):
            title = f"{str(item.get('kind', '')).lower()}/{name}"
            uses.append(Use(title, str(container.get("name", "")), str(container.get("image", ""))))
    return uses


def replace_images(objects: Sequence[Object], images: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return copies in which every image of these names runs the given reference.

    A key is a whole reference, or a name without tag and digest, as `kustomize edit set image` takes it.
    """
    copies = [deepcopy(dict(item)) for item in objects]
    plain = {short_name(key): value for key, value in images.items()}
    for item in copies:
        for container in _containers(item):
            own = short_name(str(container.get("image", "")))
            replacement = plain.get(own) or plain.get(repository(own))
            if replacement:
                container["image"] = replacement
    return copies


def parse_image(text: str, objects: Sequence[Object]) -> tuple[str, str]:
    """Read `NAME=REF` of --image; raises UsageError where no workload runs an image of that name."""
    name, _, reference = text.partition("=")
    if not (name and reference):
        raise UsageError(f"--image {text!r} is not NAME=REF", "For example: --image backend=registry/backend:1.2")
    names = {short_name(use.image) for use in uses_of(objects)} | {
        repository(short_name(use.image)) for use in uses_of(objects)
    }
    last = {known.rpartition("/")[2]: known for known in names}
    own = short_name(name)
    if own not in names and own in last:
        own = last[own]
    if own not in names:
        raise UsageError(f"No workload runs an image {name!r}", f"There are: {', '.join(sorted(names))}.")
    return own, reference


def images_of_metadata(file: Path) -> tuple[str, ...]:
    """Return `NAME=REF@DIGEST` of each image that `docker buildx build` or `bake` pushed and wrote into a file.

    Raises UsageError. https://docs.docker.com/reference/cli/docker/buildx/build/#metadata-file
    """
    how = "Push it, and write the file with: docker buildx bake --push --metadata-file FILE"
    try:
        data = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{file} cannot be read: {error}", how) from error
    targets = [data, *data.values()] if isinstance(data, dict) else []
    images = []
    for target in targets:
        if isinstance(target, dict) and isinstance(target.get("image.name"), str):
            digest = str(target.get("containerimage.digest", ""))
            name = repository(target["image.name"].partition(",")[0].strip())
            if not name or not is_pinned(f"{name}@{digest}"):
                raise UsageError(f"{file}: {sanitize(name)} has no digest", how)
            images.append(f"{name}={name}@{digest}")
    if not images:
        raise UsageError(f"{file} names no image", how)
    return tuple(images)


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
    first, slash, _ = reference.partition("/")
    return bool(slash) and ("." in first or ":" in first or first == "localhost") and not first.endswith("docker.io")


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
            yield from (container for container in pod.get(key) or () if isinstance(container, dict))


_PUSHED = re.compile(r"digest: (sha256:[0-9a-f]{64})")
_TIMEOUT = 600.0  # seconds to push or load one image; minikube copies it as a file
CONTENT = 12  # characters of an image's id in its tag, as docker shows them


class Loader(Protocol):
    """Brings an image of the local engine to the nodes of a cluster, as `minikube image load` does."""

    @property
    def shares(self) -> bool:
        """Whether the cluster runs the engine's own images, so that a tag has to stay there."""
        ...

    def load(self, *images: str) -> None:
        """Load them, several names of one image as one; raises DevenvError."""
        ...


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """What is to be done for the images. `services` by reference; `why` says why nothing is done."""

    services: Mapping[str, str]
    push: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class ImageTools:
    """What is at hand here: the resolved Compose project, a way to build it, and a way into the cluster.

    Each is None where there is none, and the text beside it says why.
    """

    project: Project | None = None
    no_project: str = ""
    build: Callable[[tuple[str, ...]], None] | None = None
    loader: Loader | None = None
    no_loader: str = ""
    environ: Mapping[str, str] | None = None


def plan_images(
    objects: Sequence[Mapping[str, Any]], images: ImageTools, *, build: bool, push: bool, chosen: Collection[str] = ()
) -> ImagePlan:
    """Decide what has to be built and how it gets to the cluster; `chosen` references are there already.

    Never guesses that a program is there. Raises DevenvError for an image that is to be pushed nowhere.
    """
    if not build:
        return ImagePlan({}, why="--no-build: the images are taken as they are")
    if images.project is None:
        return ImagePlan({}, why=f"nothing is built: {images.no_project or 'there is no Compose project here'}")
    pinned = [use.image for use in uses_of(objects) if is_pinned(use.image)]
    services = {image: name for image, name in services_of(objects, images.project).items() if image not in chosen}
    if not services:
        why = "every image is named by digest" if pinned else "no image is one that a service of Compose builds"
        return ImagePlan({}, why=f"nothing is built: {why}")
    if push:
        local = sorted(image for image in services if not has_registry(image))
        if local:
            raise DevenvError(
                f"{', '.join(local)} cannot be pushed: the name says no registry",
                "Name it registry/name:tag in the overlay and in Compose, or leave --push out.",
            )
        return ImagePlan(services, push=True)
    if images.loader is None:
        names = ", ".join(sorted(services))
        return ImagePlan(
            {}, why=f"{names} not built and not loaded, {images.no_loader}: the nodes must have them by name"
        )
    return ImagePlan(services)


def deliver(plan: ImagePlan, images: ImageTools) -> dict[str, str]:
    """Load or push what was built; return the new reference of each image. Raises DevenvError, ToolMissing."""
    delivered = {}
    for image in sorted(plan.services):
        content = _docker(("image", "inspect", image), images.environ)
        identity = str(json.loads(content)[0]["Id"])
        named = _content_name(image, identity)
        _docker(("tag", image, named), images.environ)
        if plan.push:
            digest = _PUSHED.search(_docker(("push", named), images.environ))
            named = f"{repository(image)}@{digest[1]}" if digest else named
        elif images.loader is not None:
            images.loader.load(named)
            if not images.loader.shares:
                _docker(("rmi", "--no-prune", named), images.environ)  # the tag alone: the image has its first name
        delivered[image] = named
    return delivered


def _content_name(image: str, identity: str) -> str:
    return f"{repository(image)}:devenv-{identity.removeprefix('sha256:')[:CONTENT]}"


def _docker(arguments: tuple[str, ...], environ: Mapping[str, str] | None) -> str:
    return output_of(
        ["docker", *arguments],
        environ,
        timeout=_TIMEOUT,
        install="Install Docker, or --no-build.",
        slow="Is the registry reached?",
        failed="Is the image built?",
    )


_SHARED = ("docker-desktop",)  # the cluster's nodes use the engine's own images


@dataclass(frozen=True, slots=True)
class ProgramLoader:
    """Loads with a program; `before` and `after` stand around the image's name on its command line."""

    before: tuple[str, ...]
    after: tuple[str, ...] = ()
    environ: Mapping[str, str] | None = None
    shares: bool = False

    def load(self, *images: str) -> None:
        """Load the images; raises ToolMissing, and DevenvError with the program's last words."""
        command = [*self.before, *images, *self.after]
        by_hand = f"Try it by hand: {' '.join(command)}"
        output_of(command, self.environ, timeout=_TIMEOUT, install="Is it installed?", slow=by_hand, failed=by_hand)


@dataclass(frozen=True, slots=True)
class SharedEngine:
    """The cluster runs what the engine has: nothing is to be loaded."""

    shares: bool = True

    def load(self, *images: str) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class NodeLoader:
    """Loads what is not on every node already; an image's name must be that of its content."""

    loader: Loader
    client: KubeClient

    @property
    def shares(self) -> bool:
        """Whether the cluster runs the engine's own images."""
        return self.loader.shares

    def load(self, *images: str) -> None:
        """Load what is missing."""
        if not on_every_node(self.client, *images):
            self.loader.load(*images)


def on_every_node(client: KubeClient, *names: str) -> bool:
    """Tell whether each node has one image of all these names, as its kubelet says; False where nobody says it.

    A kubelet names the 50 largest images (nodeStatusMaxImages): one may be there though it is not named.
    """
    asked = set(map(short_name, names))
    try:
        nodes, _ = client.list(NODES)
    except KubeError:
        return False  # who may not list nodes loads once more
    known = [((node.get("status") or {}).get("images") or ()) for node in nodes]
    return bool(known) and all(
        any(asked <= {short_name(str(name)) for name in image.get("names") or ()} for image in images)
        for images in known
    )


def bring(
    image: str, identity: str, loader: Loader, client: KubeClient, environ: Mapping[str, str] | None = None
) -> bool:
    """Bring an image of that id to the nodes under its own name, where they do not have just this one.

    Under a second name, of its content, the nodes tell it from an earlier one. Returns whether it was loaded.
    """
    named = _content_name(image, identity)
    if loader.shares or on_every_node(client, image, named):
        return False
    _docker(("tag", image, named), environ)
    try:
        loader.load(image, named)
    finally:
        _docker(("rmi", "--no-prune", named), environ)
    return True


def loader_for(context: ContextInfo, environ: Mapping[str, str]) -> tuple[Loader | None, str]:
    """Return the way into the cluster, or None and why there is none; a program is used only where it is found."""
    if context.flavour in _SHARED:
        return SharedEngine(), ""
    commands = {
        "minikube": (("minikube", "-p", context.name, "image", "load"), ()),
        "kind": (("kind", "load", "docker-image"), ("--name", context.name.removeprefix("kind-"))),
        "k3d": (("k3d", "image", "import"), ("--cluster", context.name.removeprefix("k3d-"))),
    }
    if context.flavour not in commands:
        return None, f"nothing is known to load images into {sanitize(context.name)}"
    before, after = commands[context.flavour]
    program = shutil.which(before[0], path=environ.get("PATH"))
    if program is None:
        return None, f"there is no {before[0]} program here to load them with"
    return ProgramLoader((program, *before[1:]), after, environ), ""


NAME = "image digests"
_CONTENT_TAG = re.compile(r":devenv-([0-9a-f]{12})\Z")  # as `deliver` names an image by its id
_SHORT = 19  # characters of "sha256:" and as much of it as docker shows


def running_digests(pods: Sequence[PodStages]) -> dict[str, str]:
    """Return the digest of each "workload/container"; "" where pods of one workload differ or tell none."""
    by_name: dict[str, set[str]] = {}
    for pod in pods:
        for container, digest in (pod.digests or {}).items():
            by_name.setdefault(f"{pod.workload}/{container}", set()).add(digest)
    return {name: next(iter(digests)) if len(digests) == 1 else "" for name, digests in by_name.items()}


def check_digests(
    objects: Sequence[Mapping[str, Any]], pods: Sequence[PodStages], recorded: Mapping[str, str] | None = None
) -> Check:
    """Compare what runs with what the objects name by digest, and with what ran when the revision was recorded.

    An image that is named by tag alone proves nothing by its name: which digest runs is then shown, not judged. Where
    a runtime reports the id of the image that was built here, that is the expected one; some report another digest.
    """
    images = {f"{use.workload}/{use.container}": use.image for use in uses_of(objects)}
    wrong, agreed, unstated = [], [], []
    for name, digest in sorted(running_digests(pods).items()):
        image = images.get(name, "")
        expected = digest_of(image) if is_pinned(image) else (recorded or {}).get(name, "")
        content = _CONTENT_TAG.search(image)
        if content and digest.startswith(f"sha256:{content[1]}"):
            expected = digest
        if not digest:
            wrong.append(f"the pods of {name} do not all run the same image")
        elif not expected:
            unstated.append(f"{name} runs {digest[:_SHORT]}, which {image or 'its name'} does not state")
        elif expected != digest:
            wrong.append(f"{name} runs {digest[:_SHORT]} instead of {expected[:_SHORT]}")
        else:
            agreed.append(f"{name} runs {digest[:_SHORT]}")
    if wrong:
        return Check(NAME, Status.FAILED, "; ".join(wrong))
    if not agreed and not unstated:
        return Check(NAME, Status.SKIPPED, "no running pod belongs to what was deployed")
    return Check(NAME, Status.DONE, "; ".join([*agreed, *unstated]))
