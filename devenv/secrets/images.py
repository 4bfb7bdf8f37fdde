"""Secrets in images: in the environment and labels, in the history's commands, and in the files of every layer.

A file that a later layer deletes is still in the image, so each layer is read for itself.
"""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from devenv.backends.programs import finish
from devenv.core.errors import DevenvError
from devenv.core.text import sanitize
from devenv.manifests import access
from devenv.manifests.credentials import judge, masked, shape_of
from devenv.secrets.files import scanner_for
from devenv.secrets.model import Leak

SAVE_TIMEOUT = 180.0  # seconds for one image's layers; the engine sends about 100 MB a second
_MOST_FILE_BYTES = 128_000
_TIMEOUT = 30.0
_FIX = "Build without it: RUN --mount=type=secret for builds, a mounted file at run time. Then change the secret."
# What the distribution and its packages bring: test keys and certificates of libraries, not of this project.
_NOT_OURS = re.compile(r"(?:usr/(?:lib|share|include|local/lib)|etc/ssl|var/lib|proc|sys)/|.*/site-packages/")
_ARGUMENT = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<value>\"[^\"]*\"|'[^']*'|[^\s;&|]+)")


class ImageError(DevenvError):
    """An image could not be looked into; says why."""


def scan_image(image: str, environ: Mapping[str, str] | None = None) -> Iterator[Leak]:
    """Yield the secrets in a local image. Raises ImageError where there is no engine, image or answer in time."""
    described = _json(["docker", "image", "inspect", image], environ)
    config = access.mapping(described, 0, "Config")
    pairs = [entry.partition("=")[::2] for entry in access.sequence(config, "Env") if isinstance(entry, str)]
    pairs += [(key, str(value)) for key, value in access.mapping(config, "Labels").items()]
    for name, value in pairs:
        yield from _leak(f"{image} (environment or label)", name, value)
    history = _run(["docker", "history", "--no-trunc", "--format", "{{json .CreatedBy}}", image], environ)
    for line in history.decode("utf-8", "replace").splitlines():
        for match in _ARGUMENT.finditer(str(json.loads(line))):
            yield from _leak(f"{image} (history)", match["name"], match["value"].strip("'\""))
    yield from _layers(image, environ)


def _leak(where: str, name: str, value: str) -> Iterator[Leak]:
    # Digests, keys to verify packages with and versions fill an image's environment: chance alone proves nothing here.
    what = judge(name, value)
    if what and what != "a random value":
        yield Leak(sanitize(where), 0, sanitize(name), what, masked(value), _FIX)


def _layers(image: str, environ: Mapping[str, str] | None) -> Iterator[Leak]:
    process = subprocess.Popen(
        ["docker", "image", "save", image],
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    timer = threading.Timer(SAVE_TIMEOUT, process.kill)
    timer.start()
    try:
        assert process.stdout is not None  # asked for above
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            for member in archive:
                blob = archive.extractfile(member) if member.isfile() else None
                if blob is not None and member.size > 512:  # the smallest tar is larger
                    yield from _layer(blob, image)
    except tarfile.TarError as error:
        raise ImageError(f"The layers of {image} could not be read: {error}") from error
    finally:
        timer.cancel()
        process.kill()
        process.communicate()


def _layer(blob: IO[bytes], image: str) -> Iterator[Leak]:
    try:
        with tarfile.open(fileobj=blob, mode="r|*") as layer:
            for member in layer:
                name = member.name.removeprefix("./")
                if not member.isfile() or member.size > _MOST_FILE_BYTES or _NOT_OURS.match(name):
                    continue
                file = layer.extractfile(member)
                if file is not None:
                    yield from _file(file.read(), name, image)
    except tarfile.ReadError:
        return  # a configuration or an index, which are JSON: no layer


def _file(content: bytes, name: str, image: str) -> Iterator[Leak]:
    if b"\0" in content[:1024]:
        return
    text = content.decode("utf-8", "replace")
    where = sanitize(f"{image} (layer): /{name}")
    scan = None if name.startswith("etc/") else scanner_for(Path(name))
    if scan is not None:
        yield from (Leak(leak.file, leak.line, leak.name, leak.what, leak.shown, _FIX) for leak in scan(text, where))
        return
    what = shape_of(text)
    if what and what != "an address with a password":  # in programs and their documents, those are examples
        yield Leak(where, 0, "", what, masked(text), _FIX)


def _json(command: list[str], environ: Mapping[str, str] | None) -> Any:
    return json.loads(_run(command, environ))


def _run(command: list[str], environ: Mapping[str, str] | None) -> bytes:
    try:
        done = finish(command, environ, timeout=_TIMEOUT)
    except DevenvError as error:
        raise ImageError(f"docker gave no answer: {error.message}") from error
    if done.returncode != 0:
        raise ImageError(sanitize(done.stderr.decode("utf-8", "replace").strip()) or "docker failed without a word")
    return done.stdout
