"""The files that a project is read from: whether one of them changed, came or went is told by a stat of each.

For some tens of files, most of which do not exist, that costs less than a watch of their folders, and it holds on
every file system.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from devenv.backends.compose.find import FILE_NAMES, OVERRIDE_NAMES, ComposeOptions
from devenv.core.settings import FILE_NAME

_MOST = 200  # files that are looked at
_LONGEST = 1_000_000  # bytes of a file that is searched for names of others
_WORD = re.compile(r"""[^\s"'\[\]{},=:;]+""")
_NAMES_A_FILE = re.compile(r"\.ya?ml$|\.env(?:\.|$)")


class ProjectFiles:
    """Looks at the files of one project. Nothing of what they hold decides what is in the project: Compose reads it."""

    def __init__(self) -> None:
        self._paths: tuple[Path, ...] = ()
        self._known: tuple[object, ...] = ()
        self._seen: tuple[object, ...] = ()

    def watch(self, options: ComposeOptions) -> None:
        """Look at the files that Compose reads with these options from now on; call it before Compose reads them."""
        self._paths = files_of(options)
        self._known = self._seen = self._look()

    def changed(self) -> bool:
        """Whether anything is not as it was; each change is told once, when two looks in a row found it alike.

        So half of a file, or of a checkout, is seldom read.
        """
        before, self._seen = self._seen, self._look()
        if self._seen == self._known or self._seen != before:
            return False
        self._known = self._seen
        return True

    def _look(self) -> tuple[object, ...]:
        return tuple(map(_stamp, self._paths))


def files_of(options: ComposeOptions) -> tuple[Path, ...]:
    """Return the files on which it depends what Compose reads with these options, also those that do not exist (yet).

    Compose does not tell which files others include or extend, nor their env_files. So whatever one of them mentions
    that is called like a YAML file or a file of variables is among these; a name made of variables is not.
    """
    named = [Path(file) for file in options.files or options.found]
    start = Path(options.directory if options.files else options.project_directory or options.directory)
    project = Path(options.project_directory or (named[0].parent if named else start))
    paths = dict.fromkeys((*named, *map(Path, options.env_files), project / ".env"))
    searched = (FILE_NAME,) if options.files else (FILE_NAME, ".env", *FILE_NAMES, *OVERRIDE_NAMES)
    for folder in (start, *start.parents):
        paths |= dict.fromkeys(folder / name for name in searched)
        if folder == project and named:
            break
    waiting = list(paths)
    for path in waiting:  # grows
        for mentioned in _mentioned_in(path, project):
            if mentioned not in paths and len(paths) < _MOST:
                paths[mentioned] = None
                waiting.append(mentioned)
    return tuple(paths)


def _mentioned_in(path: Path, project: Path) -> list[Path]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            words = dict.fromkeys(_WORD.findall(file.read(_LONGEST)))
    except OSError:  # not there, or not to be read: Compose says so where that matters
        return []
    names = [word for word in words if _NAMES_A_FILE.search(word)]
    return [Path(os.path.normpath(folder / name)) for name in names for folder in (path.parent, project)]


def _stamp(path: Path) -> object:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        return str(error)  # its folder may be gone too, or closed to us: each is another state
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
