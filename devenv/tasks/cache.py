"""The results of tasks, one file each: `.devenv/cache/tasks/KEY.task`.

A file is a gzipped tar of `about.json`, `log` (what the task printed) and `files/` (what it made). What is not whole by
gzip's check sum, not of this version, or not of this task is no result: the task runs again. Files are written beside
and renamed, so that processes at the same time see whole ones.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import os
import re
import shutil
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

import msgspec

from devenv.builds.context import Entry, Tree
from devenv.builds.ignore import IgnoreMatcher
from devenv.builds.store import ABANDONED, Store
from devenv.core.decode import from_json
from devenv.core.errors import DevenvError
from devenv.core.stored import Moment, changed_at, find
from devenv.core.text import sanitize

SCHEMA: Final = 1
SUFFIX: Final = ".task"
_KEY: Final = re.compile(r"[0-9a-f]{64}")
_ABOUT: Final = "about.json"
_LOG: Final = "log"
_FILES: Final = "files/"
_CHUNK: Final = 1 << 20
_AGAIN: Final = 0.1  # seconds between two looks at a lock that another process has
# Whatever reading a file raises that somebody else cut off, changed or made up.
_BROKEN: Final = (OSError, EOFError, ValueError, LookupError, tarfile.TarError, msgspec.MsgspecError, zlib.error)


class About(msgspec.Struct, frozen=True):
    """Whose result it is; `made` is the digest of the tree of what the task made."""

    schema: int
    key: str
    task: str
    at: Moment
    seconds: float
    made: str


class Stored(msgspec.Struct, frozen=True):
    """A result that was found: about it, and what the task printed."""

    about: About
    log: bytes


class Usage(msgspec.Struct, frozen=True):
    """What the cache takes: files, bytes, and when the oldest one was used last (None: there is none)."""

    files: int
    bytes: int
    oldest: float | None


class TaskCache:
    """The results of one project's tasks. `limit` is in bytes."""

    def __init__(self, store: Store, limit: int) -> None:
        self.folder = store.own / "cache" / "tasks"
        self.limit = limit
        self._store = store

    def require_writable(self) -> None:
        """Raise DevenvError where no result could be kept."""
        probe = self.folder / f".probe.{os.getpid()}"
        try:
            self._store.write(probe, b"")
            probe.unlink()
        except OSError as error:
            raise DevenvError(
                f"The cache {sanitize(str(self.folder))} cannot be written: {error.strerror}",
                "Make it writable for this user, or run the tasks without it: --no-cache.",
            ) from error

    @contextmanager
    def only_one(self, task_id: str, go_on: Callable[[], bool]) -> Iterator[None]:
        """Hold the lock of a task for the block: another process waits, and then finds the result. Raises OSError.

        While another has it, `go_on` is asked again and again: False enters the block without the lock.
        """
        name = hashlib.sha256(task_id.encode()).hexdigest()[:32]
        folder = self.folder / "locks"
        self._store.make(folder)
        handle = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while not _locked(handle) and go_on():
                time.sleep(_AGAIN)
            try:
                yield
            finally:
                # Closing would not do: a child that another thread is just starting holds it until it is replaced.
                fcntl.flock(handle, fcntl.LOCK_UN)
        finally:
            os.close(handle)

    def read(self, key: str) -> Stored | None:
        """Return the result with this key, None where there is none that is whole."""
        with suppress(*_BROKEN), open_whole(self._file(key)) as archive:
            return _stored(archive, key)
        return None

    def restore(self, key: str, folder: Path, outputs: IgnoreMatcher) -> bool:
        """Put what a task made back into its package's folder; False where that cannot be done.

        Nothing is written but paths that the task's `outputs` name, below the folder.
        """
        with suppress(*_BROKEN), open_whole(self._file(key)) as archive:
            members = [member for member in archive.getmembers() if member.name.startswith(_FILES)]
            placed = [member.replace(name=member.name.removeprefix(_FILES), deep=False) for member in members]
            if any(outputs.ignores(member.name) or ".." in Path(member.name).parts for member in placed):
                return False
            for member in placed:
                target = folder / member.name
                if not member.isdir() and (target.is_symlink() or target.is_file()):
                    target.unlink()  # a link elsewhere is replaced, not written through
            archive.extractall(folder, placed, filter=_below)
            return True
        return False

    def used(self, key: str) -> None:
        """Note that a result was of use: the limit removes what was not for longest."""
        with suppress(OSError):
            os.utime(self._file(key))

    def write(self, key: str, task_id: str, seconds: float, log: bytes, folder: Path, made: Tree) -> None:
        """Keep a result; raises OSError, and DevenvError for one above the limit."""
        about = About(SCHEMA, key, task_id, time.time(), seconds, made.digest)
        self._store.make(self.folder)
        draft = self.folder / f"{key}{SUFFIX}.{os.getpid()}"
        try:
            with draft.open("wb") as file:
                _pack(file, about, log, folder, made)
                size = file.tell()
            if size > self.limit:
                raise DevenvError(
                    f"What {sanitize(task_id)} made takes {size >> 20} MiB, more than the cache may",
                    "Raise max_mib of [cache] in devenv.toml, or name fewer outputs.",
                )
            draft.replace(self._file(key))
        finally:
            draft.unlink(missing_ok=True)
        self.trim()

    def trim(self) -> None:
        """Remove the results that were not used for longest, down to the limit, and abandoned drafts."""
        files = sorted(find(self.folder, f"*{SUFFIX}"), key=changed_at)
        sizes = {file: _size(file) for file in files}
        total = sum(sizes.values())
        for file in files:
            if total <= self.limit:
                break
            file.unlink(missing_ok=True)
            total -= sizes[file]
        for draft in find(self.folder, f"*{SUFFIX}.*"):
            if changed_at(draft) < time.time() - ABANDONED:
                draft.unlink(missing_ok=True)

    def usage(self) -> Usage:
        """Return what the cache takes."""
        files = find(self.folder, f"*{SUFFIX}")
        return Usage(len(files), sum(map(_size, files)), min(map(changed_at, files), default=None))

    def clean(self) -> Usage:
        """Remove every result and return what they took; raises OSError."""
        before = self.usage()
        for file in find(self.folder, f"*{SUFFIX}*"):
            file.unlink(missing_ok=True)
        return before

    def copy_to(self, folder: Path) -> tuple[int, int]:
        """Copy every whole result that a folder does not have; return how many were copied, and how many are broken.

        Raises OSError.
        """
        folder.mkdir(parents=True, exist_ok=True)
        return _copy(self.folder, folder)

    def copy_from(self, folder: Path) -> tuple[int, int]:
        """Copy every whole result that a folder has; the rest as `copy_to`."""
        self.require_writable()
        if not folder.is_dir():
            raise DevenvError(f"{sanitize(str(folder))} is not a folder", "Name one that `devenv cache export` wrote.")
        counts = _copy(folder, self.folder)
        self.trim()
        return counts

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}{SUFFIX}"


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def open_whole(path: Path) -> Iterator[tarfile.TarFile]:
    """Open a result whose check sum is right; raises one of `_BROKEN`."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe without a writer would be waited for
    with os.fdopen(handle, "rb") as file, gzip.GzipFile(fileobj=file) as unpacked:
        while unpacked.read(_CHUNK):
            pass  # the check sum stands at the end
        unpacked.seek(0)
        with tarfile.open(fileobj=unpacked, mode="r:") as archive:
            yield archive


def _stored(archive: tarfile.TarFile, key: str) -> Stored:
    about = from_json(_content(archive, _ABOUT), About)
    if about.schema != SCHEMA or about.key != key:
        raise ValueError("it is another task's")
    return Stored(about, _content(archive, _LOG))


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise ValueError(f"{name} is no file")
    return file.read()


def _pack(file: IO[bytes], about: About, log: bytes, folder: Path, made: Tree) -> None:
    # No name and no time of packing: equal results are equal files.
    with (
        gzip.GzipFile("", "wb", 3, file, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, content in ((_ABOUT, msgspec.json.encode(about)), (_LOG, log)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for entry in made.entries:
            _add(archive, entry, folder)


def _add(archive: tarfile.TarFile, entry: Entry, folder: Path) -> None:
    """Add a path without owner and time; what is neither file, folder nor link is left out."""
    member = tarfile.TarInfo(f"{_FILES}{entry.path}")
    member.mode = entry.mode
    if entry.type == "file":
        with (folder / entry.path).open("rb") as file:
            member.size = os.fstat(file.fileno()).st_size
            archive.addfile(member, file)
    elif entry.type == "folder":
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
    elif entry.type == "link":
        member.type, member.linkname = tarfile.SYMTYPE, entry.target
        archive.addfile(member)


def _below(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
    """Refuse what would be written elsewhere (PEP 706's data filter), and keep the permissions."""
    return tarfile.data_filter(member, folder).replace(mode=member.mode & 0o777, deep=False)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _copy(source: Path, target: Path) -> tuple[int, int]:
    copied = broken = 0
    for file in sorted(find(source, f"*{SUFFIX}")):
        goal = target / file.name
        if goal.exists() or not _KEY.fullmatch(file.stem):
            continue
        try:
            with open_whole(file) as archive:
                _stored(archive, file.stem)
        except _BROKEN:
            broken += 1
            continue
        draft = goal.with_name(f"{goal.name}.{os.getpid()}")
        try:
            shutil.copyfile(file, draft)
            draft.replace(goal)
        finally:
            draft.unlink(missing_ok=True)
        copied += 1
    return copied, broken
