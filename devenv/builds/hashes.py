"""The content hashes of a folder's files, kept between runs: a file is read again only where it may have changed.

An entry holds what the file system said when the file was read: times of change (of content and of inode), size and
inode. Where a file was changed about when the hashes were written, a later change within the clock's step would look
the same: such a file is read again whatever its entry says (git's rule of the racy index,
https://git-scm.com/docs/racy-git). What was kept and cannot be read is as good as nothing kept.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Final

import msgspec

from devenv.builds.store import Store
from devenv.core.stored import Unreadable, changed_at, read_json

SCHEMA: Final = 1
STEP_NS: Final = 2_000_000_000  # the coarsest clock of a file system that is in use: FAT's two seconds
SPARE: Final = 1000  # entries of files that were not asked for, kept beside as many as were: other services' files
_CHUNK: Final = 1 << 18


class _Kept(msgspec.Struct):
    """The file: `began` is when the files were read, `files` has (mtime, ctime, size, inode, hash) by path."""

    schema: int
    began: int
    files: dict[str, tuple[int, int, int, int, str]]


class FileHashes:
    """The hashes of the files below one folder. `read` counts the files whose content had to be read."""

    def __init__(self, root: Path, store: Store | None = None) -> None:
        self.root = root
        self.read = 0
        self._store = store
        self._file = store.file("files", hashlib.sha256(os.fsencode(root)).hexdigest()[:32]) if store else None
        self._began = time.time_ns()
        self._known: dict[str, tuple[int, int, int, int, str]] = {}
        self._seen: dict[str, tuple[int, int, int, int, str]] = {}
        self._trusted_before = 0
        if self._file is not None:
            self._load(self._file)

    def of(self, path: str, about: os.stat_result) -> str:
        """Return the SHA-256 of a file; `path` is relative to the root, `about` what `lstat` says of it.

        Raises OSError where it cannot be read, FileNotFoundError where it has gone.
        """
        seen = self._seen.get(path)
        facts = (about.st_mtime_ns, about.st_ctime_ns, about.st_size, about.st_ino)
        if seen is not None and seen[:4] == facts:
            return seen[4]
        known = self._known.get(path)
        if known is None or known[:4] != facts or max(facts[:2]) >= self._trusted_before:
            known = self._hash(path, facts)
        self._seen[path] = known
        return known[4]

    def save(self) -> None:
        """Keep what was found out; raises OSError."""
        if self._store is None or self._file is None or not self.read:
            return
        others = [path for path in self._known if path not in self._seen]
        kept = {path: self._known[path] for path in others[: len(self._seen) + SPARE]} | self._seen
        self._store.write(self._file, msgspec.json.encode(_Kept(SCHEMA, self._began, kept)))
        self._known, self._seen, self.read = kept, {}, 0

    def _hash(self, path: str, facts: tuple[int, int, int, int]) -> tuple[int, int, int, int, str]:
        self.read += 1
        digest = hashlib.sha256()
        handle = os.open(f"{self.root}/{path}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            while chunk := os.read(handle, _CHUNK):
                digest.update(chunk)
        finally:
            os.close(handle)
        # The facts are older than the content: a file that is written meanwhile has other facts the next time.
        return (*facts, digest.hexdigest())

    def _load(self, file: Path) -> None:
        try:
            kept = read_json(file, _Kept)
        except Unreadable:
            return
        if kept is not None and kept.schema == SCHEMA:
            self._known = kept.files
            self._trusted_before = min(kept.began, int(changed_at(file) * 1e9)) - STEP_NS
