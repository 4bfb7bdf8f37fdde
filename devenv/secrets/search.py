"""The whole search: the files that git tracks and that hold settings, then images; and what was not looked at."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from devenv.backends.programs import finish
from devenv.core.errors import DevenvError, UsageError
from devenv.manifests.judge import shown
from devenv.secrets.images import ImageError, scan_image
from devenv.secrets.model import Leak, SecretsReport
from devenv.secrets.scan import scan_env, scan_text, scan_yaml

_MOST_BYTES = 1_000_000  # a file of settings is smaller; a larger one is data
_ENV_NAME = re.compile(r"(?:.*[._-])?env(?:[._-].*)?|.*\.env", re.IGNORECASE)
_KEY_NAME = re.compile(
    r".*\.(?:pem|key|p12|pfx|jks|kdbx|kubeconfig|tfvars)|id_(?:rsa|dsa|ecdsa|ed25519)"
    r"|\.(?:npmrc|pypirc|netrc|pgpass|git-credentials|dockerconfigjson|dockercfg)|kubeconfig|credentials",
    re.IGNORECASE,
)
_SKIPPED = {"node_modules", "__pycache__", "venv"}

Scan = Callable[[str, str], Iterator[Leak]]


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


def find_files(paths: Sequence[Path]) -> tuple[list[Path], tuple[str, ...]]:
    """Return the files to search below the paths, and a note where git does not say which are committed.

    A file that is named is always searched. Raises UsageError for a path that is not there.
    """
    found: list[Path] = []
    notes: list[str] = []
    for path in paths:
        if path.is_file():
            found.append(path)
        elif path.is_dir():
            tracked = _tracked(path)
            if tracked is None:
                notes.append(f"{path} is in no git repository: every file below it was searched")
                tracked = list(_walk(path))
            found += [file for file in tracked if scanner_for(file) is not None]
        else:
            raise UsageError(f"{path} does not exist", "Name a file or a folder.")
    return list(dict.fromkeys(found)), tuple(notes)


def scanner_for(file: Path) -> Scan | None:
    """Return how a file is searched, None for a kind that holds no settings."""
    if file.suffix.lower() in (".yaml", ".yml") or file.name == "Kustomization":
        return scan_yaml
    if _ENV_NAME.fullmatch(file.name) and file.suffix not in (".py", ".js", ".ts", ".md"):
        return scan_env
    return scan_text if _KEY_NAME.fullmatch(file.name) else None


def scan_file(file: Path, shown: str) -> tuple[list[Leak], str]:
    """Search one file; the second value says why it could not be searched, empty where it could."""
    try:
        if file.stat().st_size > _MOST_BYTES:
            return [], f"{shown} is larger than {_MOST_BYTES // 1_000_000} MB"
        text = file.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        return [], f"{shown} cannot be read: {error.strerror}"
    scan = scanner_for(file) or scan_text
    return list(dict.fromkeys(scan(text, shown))), ""


def _tracked(folder: Path) -> list[Path] | None:
    """Ask git for the files that are or would be committed; None where there is no git or no repository."""
    # Untracked files that are not ignored are one `git add .` away from being committed.
    command = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = finish(command, timeout=60)
    except DevenvError:
        return None
    if done.returncode != 0:
        return None
    names = (os.fsdecode(name) for name in done.stdout.split(b"\0") if name)
    return [folder / name for name in sorted(names) if (folder / name).is_file()]


def _walk(folder: Path) -> Iterator[Path]:
    for here, children, names in os.walk(folder):
        children[:] = sorted(name for name in children if name != ".git" and name not in _SKIPPED)
        yield from (Path(here) / name for name in sorted(names))
