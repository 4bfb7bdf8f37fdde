"""What devenv keeps for itself, and reading it back: whatever a file holds by now, that gives a value or `Unreadable`.

A kept file may be empty, cut off, written by another version, changed by hand, a folder, or not this user's. Readers
that run at a start catch `Unreadable`, leave out what it was about and tell its message once. `only_one` keeps two
processes apart.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec

from devenv.core.decode import convert, from_json
from devenv.core.errors import DevenvError, Refused

T = TypeVar("T")
MOST: Final = 256 * 2**20  # bytes: more than any file that devenv writes
# Seconds since the epoch; beyond the end (in the year 9892) `datetime` cannot show every one.
Moment = Annotated[float, msgspec.Meta(ge=0, le=250_000_000_000)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
# Of what goes wrong when content is not what a reader expects; an error of the system has the path in its message.
_UNEXPECTED: Final = (ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError)


class Unreadable(DevenvError):
    """A file that devenv keeps, or a recording or report of it, is there and is not what it should be."""


def state_folder() -> Path:
    """Return devenv's folder in the user's state folder (XDG Base Directory specification)."""
    from platformdirs import user_state_dir  # deferred: commands that keep nothing do not need it

    return Path(user_state_dir("devenv", appauthor=False))


def make_private(folder: Path) -> None:
    """Make a folder, and what is missing above it, for this user alone; raises OSError.

    `mkdir(parents=True, mode=0o700)` would give that mode to the last one only.
    """
    for missing in reversed([part for part in (folder, *folder.parents) if not part.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def read_bytes(path: Path) -> bytes | None:
    """Return what the file holds, None where there is none; raises Unreadable."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe without a writer would be waited for
        with os.fdopen(handle, "rb") as file:
            about = os.fstat(handle)
            if not stat.S_ISREG(about.st_mode) or about.st_size > MOST:
                raise _unreadable(path, "it is too large" if stat.S_ISREG(about.st_mode) else "it is no file")
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # ValueError: a name that no system takes
        raise _unreadable(path, getattr(error, "strerror", None) or str(error)) from error


def read_json(path: Path, kind: type[T]) -> T | None:
    """Return what the JSON file says, None where there is none; raises Unreadable, with the path of a wrong key."""
    data = read_bytes(path)
    if data is None:
        return None
    with readable(path):
        return from_json(data, kind)


def read_plain(path: Path, like: type[msgspec.Struct]) -> dict[str, Any] | None:
    """Return what the JSON file says as plain data, of which all that `like` names is what it says there."""
    data = read_json(path, dict[str, Any])
    if data is not None:
        with readable(path):
            convert(data, like)
    return data


def read_text(path: Path) -> str:
    """Return the text of a small file, "" where there is none that can be read."""
    try:
        return (read_bytes(path) or b"").decode("utf-8", "replace").strip()
    except Unreadable:
        return ""


def is_file(path: Path) -> bool:
    """Whether there is a file that can be read to its end; no folder, no pipe, nothing that may not be looked at."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def find(folder: Path, pattern: str) -> list[Path]:
    """Return the paths below a folder that fit; none of a folder that is not there or may not be looked into."""
    try:
        return list(folder.glob(pattern))
    except (OSError, ValueError):
        return []


def changed_at(path: Path) -> float:
    """Return when a file or folder was changed last; 0 for one that is gone or cannot be looked at."""
    try:
        return path.stat().st_mtime
    except (OSError, ValueError):
        return 0.0


@contextmanager
def readable(what: object) -> Iterator[None]:
    """Tell whatever is wrong with stored content as Unreadable."""
    try:
        yield
    except _UNEXPECTED as error:
        text = f"it has no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
        raise _unreadable(what, text) from error


def _unreadable(what: object, why: str) -> Unreadable:
    return Unreadable(f"{what} cannot be read: {why}", "Move it away: devenv goes on without it.")


@contextmanager
def only_one(file: Path, what: str, doing: str = "deployed") -> Iterator[None]:
    """Hold the lock for the block; the system lets go of it when the process dies.

    Raises Refused while another process has it, and DevenvError where no such file can be made.
    """
    try:
        make_private(file.parent)
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DevenvError(f"{file} cannot be written: {error.strerror}", "It keeps two processes apart.") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            other = os.read(handle, 40).decode("ascii", "replace").strip()
            by = f" by process {other}" if other.isdecimal() else ""
            raise Refused(f"{what} is being {doing} already{by}", "Wait for it, or end it.") from error
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:  # no file, but a pipe
            raise DevenvError(f"{file} cannot be written: {error.strerror}", "Move it away.") from error
        try:
            yield
        finally:
            # Closing would not do: a child that another thread is just starting holds the file until it is replaced.
            fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)
