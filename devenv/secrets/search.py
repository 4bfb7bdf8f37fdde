"""The whole search: files first, then images, with what could not be looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from devenv.manifests.judge import shown
from devenv.secrets.files import find_files, scan_file
from devenv.secrets.images import ImageError, scan_image
from devenv.secrets.model import Leak, SecretsReport


def search(
    paths: Sequence[Path],
    images: Sequence[str],
    root: Path,
    unchecked: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> SecretsReport:
    """Search files and local images; raises UsageError for a path that is not there."""
    files, notes = find_files(paths)
    leaks: list[Leak] = []
    skipped = [*unchecked]
    for file in files:
        found, reason = scan_file(file, shown(file, root))
        leaks += found
        if reason:
            skipped.append(reason)
    looked_into = 0
    for image in images:
        try:
            leaks += scan_image(image, environ)
            looked_into += 1
        except ImageError as error:
            skipped.append(f"image {image} was not checked: {error.message}")
    return SecretsReport(tuple(dict.fromkeys(leaks)), len(files), looked_into, tuple(dict.fromkeys(skipped)), notes)
