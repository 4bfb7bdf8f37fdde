"""Secrets in images: in the environment, in labels, and in the commands of their history."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from devenv.backends.programs import finish
from devenv.core.errors import DevenvError
from devenv.core.text import sanitize
from devenv.manifests import access
from devenv.manifests.credentials import judge, masked
from devenv.secrets.model import Leak

_TIMEOUT = 30.0
_FIX = "Build without it: RUN --mount=type=secret for builds, a mounted file at run time. Then change the secret."
_ARGUMENT = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<value>\"[^\"]*\"|'[^']*'|[^\s;&|]+)")


class ImageError(DevenvError):
    """An image could not be looked into; says why."""


def scan_image(image: str, environ: Mapping[str, str] | None = None) -> Iterator[Leak]:
    """Yield the secrets in a local image. Raises ImageError where there is no engine, image or answer in time."""
    described = json.loads(_run(["docker", "image", "inspect", image], environ))
    config = access.mapping(described, 0, "Config")
    pairs = [entry.partition("=")[::2] for entry in access.sequence(config, "Env") if isinstance(entry, str)]
    pairs += [(key, str(value)) for key, value in access.mapping(config, "Labels").items()]
    for name, value in pairs:
        yield from _leak(f"{image} (environment or label)", name, value)
    history = _run(["docker", "history", "--no-trunc", "--format", "{{json .CreatedBy}}", image], environ)
    for line in history.decode("utf-8", "replace").splitlines():
        for match in _ARGUMENT.finditer(str(json.loads(line))):
            yield from _leak(f"{image} (history)", match["name"], match["value"].strip("'\""))


def _leak(where: str, name: str, value: str) -> Iterator[Leak]:
    # Digests, keys to verify packages with and versions fill an image's environment: chance alone proves nothing here.
    what = judge(name, value)
    if what and what != "a random value":
        yield Leak(sanitize(where), 0, sanitize(name), what, masked(value), _FIX)


def _run(command: list[str], environ: Mapping[str, str] | None) -> bytes:
    try:
        done = finish(command, environ, timeout=_TIMEOUT)
    except DevenvError as error:
        raise ImageError(f"docker gave no answer: {error.message}") from error
    if done.returncode != 0:
        raise ImageError(sanitize(done.stderr.decode("utf-8", "replace").strip()) or "docker failed without a word")
    return done.stdout
