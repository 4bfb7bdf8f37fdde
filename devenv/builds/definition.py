"""What Compose says about the image of each service: the `build` sections of its canonical form.

https://github.com/compose-spec/compose-spec/blob/main/build.md lists them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from devenv.core.errors import ProjectError
from devenv.core.text import sanitize

# These say how to build and change nothing of the image; `context` and the like have a field of their own.
_NO_CONTENT: Final = ("cache_from", "cache_to", "no_cache", "pull")
_FIELDS: Final = ("context", "dockerfile", "dockerfile_inline", "args", "target", "additional_contexts", "tags")
_REMOTE: Final = re.compile(r"(?:[a-z][a-z0-9+.-]*://|git@|github\.com/)")
_COMMIT: Final = re.compile(r"#[0-9a-f]{40}(?::|\Z)")
_HUB: Final = re.compile(r"\A(?:(?:index\.)?docker\.io/)?(?:library/)?")


class Definition(msgspec.Struct, frozen=True):
    """How one service's image is built. Paths are absolute; `images` are the names it gets, the service's own first."""

    service: str
    context: str
    dockerfile: str
    inline: str | None
    args: Mapping[str, str]
    target: str
    contexts: Mapping[str, str]  # additional_contexts: a folder, "service:x", "docker-image://x", an address
    options: Mapping[str, str]  # the rest that changes the image, as JSON; secrets by their ids alone
    images: tuple[str, ...]
    depends_on: tuple[str, ...] = ()

    @property
    def dockerfile_path(self) -> Path:
        """Where the Dockerfile is, where it is a file of this machine."""
        return Path(self.context, self.dockerfile)


def is_remote(context: str) -> bool:
    """Whether a context is an address instead of a folder."""
    return _REMOTE.match(context) is not None


def is_fixed(context: str) -> bool:
    """Whether a remote context always means the same content: a commit of a Git repository."""
    return _COMMIT.search(context) is not None


def normal_image(reference: str) -> str:
    """Return an image's name as the engine lists it: without Docker Hub's prefixes, with a tag."""
    bare = _HUB.sub("", reference)
    last = bare.rpartition("/")[2]
    return bare if "@" in bare or ":" in last else f"{bare}:latest"


def read_definitions(document: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Definition]:
    """Return the services with a build section by name; raises ProjectError where Compose's form is another."""
    try:
        project = str(document["name"])
        services = document.get("services") or {}
        return {
            name: _definition(name, body, body["build"], project, environ)
            for name, body in sorted(services.items())
            if body and body.get("build") is not None
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ProjectError(
            f"Compose described a build in a way devenv does not understand: {sanitize(str(error))}",
            "Compare with: docker compose config --format json",
        ) from error


def _definition(
    name: str, body: Mapping[str, Any], build: Mapping[str, Any], project: str, environ: Mapping[str, str]
) -> Definition:
    options = {key: value for key, value in build.items() if key not in (*_NO_CONTENT, *_FIELDS)}
    platform = body.get("platform") or environ.get("DOCKER_DEFAULT_PLATFORM")
    if platform and "platforms" not in options:
        options["platforms"] = [platform]
    if "secrets" in options:  # what is in them does not count, as with BuildKit
        options["secrets"] = [{"source": item} if isinstance(item, str) else item for item in options["secrets"]]
    separator = "_" if environ.get("COMPOSE_COMPATIBILITY", "").lower() in ("1", "true") else "-"
    own = str(body.get("image") or f"{project}{separator}{name}")
    return Definition(
        service=name,
        context=str(build.get("context") or "."),
        dockerfile=str(build.get("dockerfile") or "Dockerfile"),
        inline=build.get("dockerfile_inline"),
        args={key: str(value) for key, value in (build.get("args") or {}).items()},
        target=str(build.get("target") or ""),
        contexts={key: str(value) for key, value in sorted((build.get("additional_contexts") or {}).items())},
        options={key: msgspec.json.encode(value, order="sorted").decode() for key, value in sorted(options.items())},
        images=tuple(dict.fromkeys(normal_image(str(image)) for image in (own, *(build.get("tags") or ())))),
        depends_on=tuple(sorted(body.get("depends_on") or ())),
    )
