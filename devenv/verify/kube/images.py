"""Which images a copy runs from: those that the node has, by names that the overlay, devenv.toml or a flag gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from devenv.core.errors import UsageError

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
    wanted = {bare_name(full_name(name)): value for name, value in instead.items()}
    return wanted.get(bare_name(full_name(image)), image)


def read_flags(values: Iterable[str]) -> dict[str, str]:
    """Read `NAME=IMAGE` of the command line; raises UsageError."""
    found = {}
    for value in values:
        name, equals, image = value.partition("=")
        if not (name and equals and image):
            raise UsageError(f"--image {value!r}", "Write NAME=IMAGE: the overlay's name of it, and the one to use.")
        found[name] = image
    return found


def on_nodes(nodes: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the images that the nodes say they have; none where one of them has more than it tells."""
    found: dict[str, None] = {}
    for node in nodes:
        images = (node.get("status") or {}).get("images") or ()
        if len(images) >= _TOLD:
            return []
        for image in images:
            found |= dict.fromkeys(str(name) for name in image.get("names") or ())
    return list(found)


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
