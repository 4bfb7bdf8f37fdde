"""What is verified on Kubernetes: the cluster, the overlay, the images, and whether it may be touched."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Forbidden, KubeError
from devenv.backends.kube.kinds import NODES
from devenv.backends.kube.kubeconfig import Target, find_target
from devenv.core.errors import ProjectError, Refused, UsageError
from devenv.core.settings import Config
from devenv.core.verify_settings import KubeVerifySettings
from devenv.manifests.kustomization import kustomization_file, read_tree
from devenv.manifests.render import render

_TOLD: Final = 50  # images in a node's status (kubelet, nodeStatusMaxImages)
_DEFAULT: Final = "docker.io/library/"  # https://github.com/distribution/reference: what a short name stands for


def bare_name(image: str) -> str:
    """Return an image's name without its tag and digest."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def full_name(image: str) -> str:
    """Return the name as a node lists it: with its registry, and `latest` where neither tag nor digest is given."""
    name = bare_name(image)
    first, slash, _ = name.partition("/")
    if not slash:
        image = f"{_DEFAULT}{image}"
    elif not ("." in first or ":" in first or first == "localhost"):
        image = f"docker.io/{image}"
    return image if bare_name(image) != image else f"{image}:latest"


def exchanged(image: str, instead: Mapping[str, str]) -> str:
    """Return what is used instead of an image; its own name where nothing is said about it."""
    by_name = {bare_name(full_name(name)): value for name, value in instead.items()}
    return by_name.get(bare_name(full_name(image)), image)


def read_flags(values: Iterable[str]) -> dict[str, str]:
    """Read `NAME=IMAGE` of the command line; raises UsageError."""
    images = {}
    for value in values:
        name, equals, image = value.partition("=")
        if not (name and equals and image):
            raise UsageError(f"--image {value!r}", "Write NAME=IMAGE: the overlay's name of it, and the one to use.")
        images[name] = image
    return images


def on_nodes(nodes: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the images that the nodes say they have; none where one of them has more than it tells."""
    names: dict[str, None] = {}
    for node in nodes:
        images = (node.get("status") or {}).get("images") or ()
        if len(images) >= _TOLD:
            return []
        for image in images:
            names |= dict.fromkeys(str(name) for name in image.get("names") or ())
    return list(names)


def choose(image: str, present: Iterable[str]) -> tuple[str, str]:
    """Return the image to use for one that a copy wants, and why it is another or may be missing ("" where it is it).

    Where no node has it, one image that is there under another registry or tag and the same last name stands in: nodes
    that were loaded by hand seldom have the registry's names.
    """
    listed = list(present)
    if not listed or full_name(image) in listed:
        return image, ""
    last = bare_name(image).rpartition("/")[2]
    near = [name for name in listed if bare_name(name).rpartition("/")[2] == last and "@" not in name]
    if len(near) == 1:
        return near[0], f"no node has {image}; {near[0]} stands in"
    if near:
        names = ", ".join(sorted(near))
        return image, f"no node has {image}, and it is not said which of these is meant: {names}"
    return image, f"no node has {image}"


Object = dict[str, Any]
WORKLOADS: Final = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet", "Pod")


def overlay_folder(config: Config, name: str, root: Path) -> Path:
    """Return the folder of an overlay of devenv.toml, or of a path from the root; raises UsageError with the names."""
    known = config.manifests.overlays
    if name in known:
        return known[name].path
    folder = root / name
    if name and folder.is_dir():
        return folder
    names = ", ".join(known) or "none"
    said = f"There is no overlay {name!r}" if name else "Nothing says which overlay is to be tested on Kubernetes"
    hint = (
        f"Name one with --overlay, or in devenv.toml: [verify.kubernetes] overlay. [manifests.overlays] has: {names}."
    )
    raise UsageError(said, hint)


def read_overlay(folder: Path, environ: Mapping[str, str]) -> list[Object]:
    """Render the folder; raises UsageError, ToolMissing, and ProjectError with what kustomize says."""
    rendered = render(read_tree(folder), environ)
    if rendered.problems:
        first = rendered.problems[0]
        raise ProjectError(f"{folder} cannot be rendered: {first.message}", f"Try: devenv manifests check {folder}")
    return [dict(manifest.data) for manifest in rendered.manifests]


def pod_specs(item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the pod specs that an object has: its own, or its template's."""
    spec = item.get("spec") or {}
    if item.get("kind") == "Pod":
        yield spec
    if item.get("kind") == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    if item.get("kind") in WORKLOADS and isinstance(spec.get("template"), dict):
        yield spec["template"].get("spec") or {}


def containers_of(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all containers of a pod spec."""
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


@dataclass(frozen=True, slots=True)
class KubeSource:
    """The project and the cluster. `images` are those that a flag or devenv.toml gives instead of the overlay's.

    `tested` is the overlay to test: the flag's, devenv.toml's, or the project's folder itself; "" where there is none.
    """

    config: Config
    target: Target
    client: KubeClient
    root: Path
    environ: Mapping[str, str]
    images: Mapping[str, str] = field(default_factory=dict)
    tested: str = ""

    @property
    def settings(self) -> KubeVerifySettings:
        """What devenv.toml says below [verify.kubernetes]."""
        return self.config.verify.kubernetes

    def overlay(self, name: str) -> list[Object]:
        """Render an overlay; raises UsageError, ProjectError or ToolMissing."""
        return read_overlay(overlay_folder(self.config, name, self.root), self.environ)

    def present(self) -> list[str]:
        """Return the images that the nodes have; none where they may not be read, or do not tell all that they have."""
        try:
            nodes, _ = self.client.list(NODES)
        except Forbidden:
            return []
        return on_nodes(nodes)


def locate_kube(
    folder: Path,
    config: Config,
    environ: Mapping[str, str] = os.environ,
    images: Mapping[str, str] | None = None,
    overlay: str = "",
) -> KubeSource:
    """Find the project of a folder and its cluster, and ask whether that answers. `overlay` is what a flag names.

    Raises UsageError, BadKubeconfig, Refused for a context that is not on the allow-list, and Unreachable.
    """
    target = find_target(config.kubernetes, environ)
    name = target.context.name
    if config.read_only:
        raise Refused("smoke tests change what they test: devenv is read-only here", "Unset read_only.")
    if not config.kubernetes.may_change(name):
        raise Refused(
            f"the context {name} is not one that tests may change",
            f'Choose another with --context, or allow it in devenv.toml: [kubernetes] allow = ["{name}"].',
        )
    client = KubeClient(target, environ)
    try:
        client.get("/version")
    except KubeError:
        client.close()
        raise
    chosen = {**config.verify.kubernetes.images, **(images or {})}
    root = config.root or folder
    tested = overlay or config.verify.kubernetes.overlay or ("." if kustomization_file(root) else "")
    return KubeSource(config, target, client, root, environ, chosen, tested)
