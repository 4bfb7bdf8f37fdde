"""The images of an engine, in one request: names, digests and labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from devenv.backends.docker.client import connect, engine_errors
from devenv.backends.docker.endpoint import Endpoint
from devenv.backends.docker.plain import ask
from devenv.core.errors import EngineUnreachable

_PATH: Final = "/images/json"


class EngineImage(msgspec.Struct, frozen=True):
    """One image. `names` are its tags, `digests` what registries call its content ("repository@sha256:...")."""

    id: str
    names: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}


def list_images(endpoint: Endpoint) -> dict[str, EngineImage]:
    """Return the images that have a name, by each of their names; raises EngineUnreachable, EngineForbidden.

    On a unix socket this is one plain request: importing the SDK for it takes longer than all the rest.
    """
    entries = _plain(endpoint)
    if entries is None:
        client = connect(endpoint)
        try:
            with engine_errors(endpoint):
                entries = client.images()
        finally:
            client.close()
    if not isinstance(entries, list):
        raise EngineUnreachable(f"{endpoint.shown} does not answer like a Docker Engine", "Is it one?")
    listed = [_image(entry) for entry in entries if isinstance(entry, dict)]
    return {name: image for image in listed for name in image.names}


def _plain(endpoint: Endpoint) -> Any:
    if endpoint.scheme != "unix":
        return None
    try:
        return json.loads(ask(endpoint.host.removeprefix("unix://"), _PATH))
    except (OSError, ValueError, RecursionError):
        return None  # whatever it is, the SDK meets it next and says it in full


def _image(entry: Mapping[str, Any]) -> EngineImage:
    labels = entry.get("Labels")
    return EngineImage(
        id=str(entry.get("Id", "")),
        names=tuple(str(name) for name in entry.get("RepoTags") or () if name != "<none>:<none>"),
        digests=tuple(str(digest) for digest in entry.get("RepoDigests") or ()),
        labels={str(key): str(value) for key, value in labels.items()} if isinstance(labels, dict) else {},
    )
