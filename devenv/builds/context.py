"""What of a folder a build gets to see: every path that is not ignored, with its type, mode, link target and content.

Owners and times are left out: BuildKit does not send them (both are reset in a local context). Sockets become empty
files there, other special files are sent as they are.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import NamedTuple

import msgspec

from devenv.builds.hashes import FileHashes
from devenv.builds.ignore import IgnoreMatcher

_TYPES = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}


class Entry(NamedTuple):
    """One path of a context. `mode` is its permission bits, `target` a link's, `content` a file's SHA-256."""

    path: str
    type: str  # "file", "folder", "link", "other", "unreadable"
    mode: int
    target: str = ""
    content: str = ""


class Tree(msgspec.Struct, frozen=True):
    """The paths of one context, sorted. `unreadable` are those whose content nobody could tell."""

    entries: tuple[Entry, ...]
    digest: str
    unreadable: tuple[str, ...] = ()


def read_tree(root: Path, matcher: IgnoreMatcher, hashes: FileHashes, without: Path | None = None) -> Tree:
    """Read a folder; `without` is a path in it that is not looked at. Raises OSError for the folder itself."""
    walk = _Walk(os.fspath(root), matcher, hashes, os.fspath(without) if without is not None else "")
    walk.folder("", 0, [])
    entries = tuple(sorted(walk.entries))
    digest = hashlib.sha256(msgspec.json.encode(entries)).hexdigest()
    return Tree(entries, digest, tuple(entry.path for entry in entries if entry.type == "unreadable"))


class _Walk:
    """One pass over a folder, from the root down."""

    def __init__(self, root: str, matcher: IgnoreMatcher, hashes: FileHashes, without: str) -> None:
        self.entries: list[Entry] = []
        self._root = root
        self._matcher = matcher
        self._hashes = hashes
        self._without = without
        self._match = matcher.match
        self._has_exceptions = any(pattern.startswith("!") for pattern in matcher.patterns)

    def folder(self, path: str, bits: int, pending: list[Entry]) -> None:
        """Add what is in a folder. `pending` are the ignored folders above, which only what is kept brings back."""
        with os.scandir(f"{self._root}/{path}" if path else self._root) as entries:
            for item in entries:
                self._item(item, f"{path}/{item.name}" if path else item.name, bits, pending)

    def _item(self, item: os.DirEntry[str], path: str, bits: int, pending: list[Entry]) -> None:
        ignored, own_bits = self._match(path, bits)
        is_folder = item.is_dir(follow_symlinks=False)
        if ignored and not (is_folder and self._has_exceptions and self._matcher.may_keep_below(path)):
            return
        if item.path == self._without:
            return
        try:
            about = item.stat(follow_symlinks=False)
            entry = self._entry(path, about)
        except FileNotFoundError:
            return  # it went away while the folder was read
        except OSError:
            entry = Entry(_text(path), "unreadable", 0)
        if not ignored:
            self.entries += [*pending, entry]
            pending.clear()
        if is_folder and entry.type == "folder":
            below = [*pending, entry] if ignored else []
            try:
                self.folder(path, own_bits, below)
            except FileNotFoundError:
                return
            except OSError:
                if not ignored:  # what is ignored may be unreadable: only what is kept below it is lost
                    self.entries.append(Entry(_text(path), "unreadable", entry.mode))
            if ignored and not below:
                pending.clear()

    def _entry(self, path: str, about: os.stat_result) -> Entry:
        kind = _TYPES.get(stat.S_IFMT(about.st_mode), "other")
        mode = stat.S_IMODE(about.st_mode)
        if kind == "link":
            return Entry(_text(path), kind, 0, _text(str(Path(self._root, path).readlink())))
        if kind == "file":
            return Entry(_text(path), kind, mode, "", self._hashes.of(path, about))
        return Entry(_text(path), kind, mode)


def _text(path: str) -> str:
    """Return a name that JSON can hold: bytes that are not UTF-8 are written out."""
    if path.isascii():
        return path
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
