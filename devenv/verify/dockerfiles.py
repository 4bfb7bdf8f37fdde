"""Dockerfiles of a private copy, changed so that no other build on the same engine takes part.

A builder's cache belongs to the whole engine: what somebody else builds from the same Dockerfile at the same time, with
--no-cache for example, replaces steps of it. A first step that nobody else has gives all that follow keys of their own.
"""

from __future__ import annotations

import re
from pathlib import Path

from devenv.core.errors import DevenvError
from devenv.verify.calls import new_nonce

_FROM = re.compile(r"^(FROM\s+(?!scratch\b)\S.*)$", re.IGNORECASE | re.MULTILINE)


def build_alone(folder: Path, *, package_cache: bool = True) -> None:
    """Give every stage of every Dockerfile below `folder` a first step of its own: nothing is built there yet.

    Without `package_cache`, cache mounts, which outlive images and --no-cache, begin empty and are not kept. Raises
    DevenvError where there is no Dockerfile.
    """
    files = [file for file in folder.rglob("Dockerfile") if file.is_file()]
    if not files:
        raise DevenvError(f"there is no Dockerfile below {folder}")
    for file in files:
        text = _FROM.sub(rf"\1\nRUN : {new_nonce()}", file.read_text("utf-8"))
        if not package_cache:
            text = re.sub(r"--mount=type=cache,\S*?(target=[^,\s]+)\S*", r"--mount=type=tmpfs,\1", text)
        file.write_text(text, "utf-8")
