"""Keeping an image where a build made an equal one, so that nobody replaces containers for nothing.

The key's label makes another image of each key. Where what changed is not in the image (a file that no COPY takes, a
comment), layers and configuration are those of the image before: its name goes back to it, and the new one goes away.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from devenv.backends.docker.plain import EngineImage
from devenv.backends.programs import output_of
from devenv.builds.plan import LABEL, LABEL_SERVICE
from devenv.core.errors import DevenvError

_WITHIN: Final = 30.0  # seconds


def keep_equal(
    names: Iterable[str],
    service: str,
    before: Mapping[str, EngineImage],
    after: Mapping[str, EngineImage],
    environ: Mapping[str, str] | None = None,
) -> EngineImage | None:
    """Return the service's image of before, if the one that was built is equal and its names could be given back.

    `before` and `after` are the engine's images by name. An image without a key of this service is never kept.
    """
    names = tuple(names)
    old = {image.id: image for name in names if (image := before.get(name)) is not None}
    new = {image.id for name in names if (image := after.get(name)) is not None}
    if len(old) != 1 or len(new) != 1 or any(name not in before for name in names):
        return None
    (image,), (built,) = old.values(), new
    if image.id == built or image.labels.get(LABEL_SERVICE) != service:
        return None
    try:
        one, other = json.loads(_docker(environ, "image", "inspect", image.id, built))
        if _content(one) != _content(other):
            return None
        for name in names:
            _docker(environ, "tag", image.id, name)
    except (DevenvError, ValueError):
        return None  # an engine that forgot it: what was built is as good
    try:
        _docker(environ, "rmi", built)
    except DevenvError:
        return image  # somebody uses it already
    return image


def _content(item: Mapping[str, Any]) -> tuple[Any, ...]:
    config = dict(item.get("Config") or {})
    config["Labels"] = {
        key: value for key, value in (config.get("Labels") or {}).items() if key not in (LABEL, LABEL_SERVICE)
    }
    return (item.get("RootFS"), config, *(item.get(key) for key in ("Os", "Architecture", "Variant")))


def _docker(environ: Mapping[str, str] | None, *arguments: str) -> str:
    return output_of(("docker", *arguments), environ, timeout=_WITHIN)
