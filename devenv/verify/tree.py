"""The private copy of a project's folder that an isolated stack runs from: no test ever writes to the working tree."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from devenv.core.errors import DevenvError

# What is made again from the sources, or belongs to tools: never part of what a stack runs from.
EXCLUDED: Final = frozenset(
    {
        *(".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".nox", ".idea", ".devenv"),
        *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".import_linter_cache"),
    }
)
LARGEST: Final = 1_000_000_000  # bytes; a copy of more than this is not meant


def copy_tree(source: Path, target: Path, exclude: Collection[str] = (), needed: Collection[Path] = ()) -> None:
    """Copy the folder with modes, times and links; `needed` paths are kept whatever their names are.

    Raises DevenvError where something cannot be read, or the project is too large to be copied for each test.
    """
    names = EXCLUDED | set(exclude)
    copied = 0

    def ignore(folder: str, entries: list[str]) -> set[str]:
        nonlocal copied
        skipped = set()
        for entry in entries:
            path = Path(folder, entry)
            if (entry in names and not any(path == item or path in item.parents for item in needed)) or _special(path):
                skipped.add(entry)
            elif path.is_file() and not path.is_symlink():
                copied += path.stat().st_size
        if copied > LARGEST:
            raise DevenvError(
                f"{source} is too large for a private copy ({copied / 1e9:.1f} GB and more)",
                "Name what the stack does not run from in devenv.toml: [verify] exclude = [...].",
            )
        return skipped

    try:
        shutil.copytree(source, target, symlinks=True, ignore=ignore, copy_function=_copier())
    except (OSError, shutil.Error) as error:
        shutil.rmtree(target, ignore_errors=True)
        raise DevenvError(f"{source} cannot be copied for the tests: {error}", "Is every file readable?") from error


def _special(path: Path) -> bool:
    """Whether it is a socket, a pipe or a device: reading one may block for ever."""
    return path.exists() and not (path.is_file() or path.is_dir())


def _copier() -> Callable[[str, str], str]:
    """Return the function that copies a file; root keeps the owners, as containers may run as them."""
    if os.geteuid() != 0:
        return shutil.copy2

    def copy(source: str, target: str) -> str:
        shutil.copy2(source, target, follow_symlinks=False)
        state = Path(source).lstat()
        os.chown(target, state.st_uid, state.st_gid, follow_symlinks=False)
        return target

    return copy
