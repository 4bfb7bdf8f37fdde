"""Which services a change in Git touches: the files that differ from a revision, laid over the contexts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from devenv.backends.programs import finish, last_words
from devenv.builds.key import KeyReader
from devenv.core.errors import DevenvError, UsageError
from devenv.core.text import sanitize

_WITHIN: Final = 60.0  # seconds
_INSTALL: Final = "Install Git, or leave --affected and --since out."
# Where the work of this branch began: what the remote calls its main branch, else the usual names.
_MAIN_BRANCHES: Final = ("refs/remotes/origin/HEAD", "origin/main", "origin/master", "main", "master")


def changed_files(folder: Path, since: str = "") -> tuple[str, tuple[Path, ...]]:
    """Return the revision that is compared with, and the files that differ from it: edited, new, renamed or gone.

    Without `since` that is where this branch left the main one. Files that Git ignores do not count. Raises UsageError
    outside a repository and for a revision that is not there, ToolMissing without Git.
    """
    root = Path(_git(folder, "rev-parse", "--show-toplevel").rstrip("\n"))
    revision = since or _merge_base(root)
    if revision.startswith("-") or _code(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}") != 0:
        raise UsageError(f"Git has no revision {sanitize(revision)!r}", "Name a branch, a tag or a commit.")
    differing = _git(root, "diff", "--name-only", "--no-renames", "-z", revision, "--")
    new = _git(root, "ls-files", "--others", "--exclude-standard", "-z")
    names = dict.fromkeys(name for name in (*differing.split("\0"), *new.split("\0")) if name)
    return revision, tuple(root / name for name in names)


def ignored_paths(folder: Path) -> tuple[Path, ...]:
    """Return what Git ignores in a folder, a folder that it ignores whole as one path; nothing without Git."""
    try:
        listed = _git(folder, "ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
    except DevenvError:
        return ()
    return tuple(folder / name.rstrip("/") for name in listed.split("\0") if name)


def affected_services(reader: KeyReader, changed: Iterable[Path], project_files: Iterable[Path]) -> dict[str, str]:
    """Return the services that the changed files belong to, each with one file that says why.

    A change of a Compose file touches every service: what else it changed is not looked at.
    """
    files = [_plain(path) for path in changed]
    general = {_plain(path) for path in project_files}
    shared = next((path for path in files if path in general), None)
    reasons: dict[str, str] = {}
    for service in sorted(reader.definitions):
        why = shared or _touched(reader, service, files)
        if why is not None:
            reasons[service] = why
    return reasons


def _touched(reader: KeyReader, service: str, files: list[str]) -> str | None:
    beside = {_plain(path) for path in reader.beside(service)}
    contexts = [(f"{folder.resolve()}/", matcher) for folder, matcher in reader.ignoring(service).values()]
    for path in files:
        if path in beside:
            return path
        for folder, matcher in contexts:
            if path.startswith(folder) and not matcher.ignores(path.removeprefix(folder)):
                return path
    return None


def _plain(path: Path) -> str:
    """Return a path whose folder has no links in it; the file itself may be one, or be gone."""
    return str(path.parent.resolve() / path.name)


def _merge_base(root: Path) -> str:
    for branch in _MAIN_BRANCHES:
        if _code(root, "rev-parse", "--verify", "--quiet", f"{branch}^{{commit}}") == 0:
            return _git(root, "merge-base", branch, "HEAD").strip()
    raise UsageError("Git has no main branch here to compare with", "Name a revision: --since REV.")


def _git(folder: Path, *arguments: str) -> str:
    done = finish(("git", *arguments), _environ(), timeout=_WITHIN, folder=str(folder), install=_INSTALL)
    if done.returncode != 0:
        said = last_words(done)
        if "not a git repository" in said:
            raise UsageError(f"{sanitize(str(folder))} is in no Git repository", "--affected and --since need one.")
        raise DevenvError(f"git {arguments[0]} failed: {said}", "Try it by hand.")
    return done.stdout.decode("utf-8", "surrogateescape")


def _code(folder: Path, *arguments: str) -> int:
    done = finish(("git", *arguments), _environ(), timeout=_WITHIN, folder=str(folder), install=_INSTALL)
    return done.returncode


def _environ() -> Mapping[str, str]:
    """Return the surroundings in which Git speaks English and takes no lock that others wait for."""
    return {**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
