"""Writing for people: stderr, with colours only where a terminal shows them. stdout is for data alone."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from devenv.core.errors import DevenvError, InternalError
from devenv.core.masking import mask_secrets
from devenv.core.text import sanitize

PATIENCE = 3.0  # seconds without a word: then what is waited for is named
_CODES = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36", "dim": "2", "bold": "1"}


def colors_wanted(stream: IO[str], *, no_color: bool | None = None) -> bool:
    """Whether to colour: a terminal, no --no-color, no NO_COLOR (https://no-color.org), no dumb terminal."""
    return not no_color and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def paint(text: str, color: str, on: bool) -> str:
    """Return the text in a colour, or as it is."""
    return f"\x1b[{_CODES[color]}m{text}\x1b[0m" if on and color else text


def tell(text: str, *, no_color: bool | None = None, color: str = "") -> None:
    """Write a line to stderr."""
    sys.stderr.write(paint(text, color, colors_wanted(sys.stderr, no_color=no_color)) + "\n")
    sys.stderr.flush()


@contextmanager
def still_waiting(what: str, *, no_color: bool | None = None) -> Iterator[None]:
    """Tell every few seconds that `what` is still waited for, until the block is left."""
    over, began = threading.Event(), time.monotonic()

    def tell_it() -> None:
        while not over.wait(PATIENCE):
            warn(f"still waiting for {what} ({time.monotonic() - began:.0f} s)", no_color=no_color)

    threading.Thread(target=tell_it, name="devenv-still-waiting", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def warn(text: str, *, no_color: bool | None = None) -> None:
    """Write a warning to stderr."""
    tell(f"devenv: warning: {text}", no_color=no_color, color="yellow")


def tell_error(error: DevenvError, *, no_color: bool | None = None) -> None:
    """Write an error with its hint to stderr, and what failed beside it."""
    colored = colors_wanted(sys.stderr, no_color=no_color)
    head = paint(f"devenv: {error.title}:", "red", colored)
    sys.stderr.write(f"{head} {sanitize(error.message, newlines=True)}\n")
    if error.hint:
        sys.stderr.write(f"{paint('  hint:', 'cyan', colored)} {sanitize(error.hint)}\n")
    for other in error.also:
        tell_error(other, no_color=no_color)
    sys.stderr.flush()


def as_fault(error: Exception) -> DevenvError:
    """Return what to tell of an exception that nobody foresaw; its traceback goes to a file in the state folder.

    In a folder that was deleted every path that is made absolute fails: that is said, and is no fault of devenv. Nor is
    a full disk.
    """
    import errno
    import traceback  # deferred, as everything here: it is for the rarest of cases

    from devenv.core.settings import current_folder

    if isinstance(error, OSError):
        try:
            current_folder()
        except DevenvError as gone:
            return gone
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            what = error.filename or "A file"
            return DevenvError(f"{what} cannot be written: {error.strerror}", "Free some space there, and try again.")
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if str(Path(__file__).parents[1]) in frame.filename] or frames
    place = f" (in {'/'.join(Path(own[-1].filename).parts[-2:])}, line {own[-1].lineno})" if own else ""
    said = mask_secrets(f"{type(error).__name__}: {error}").removesuffix(": ")
    file = _write_fault("".join(traceback.format_exception(error)))
    return InternalError(said + place, f"Please report it with {file}" if file else "Please report it.")


def _write_fault(trace: str) -> Path | None:
    import platform

    from devenv import __version__
    from devenv.core.stored import make_private, state_folder

    file = state_folder() / "last-fault.txt"
    about = f"devenv {__version__}, Python {platform.python_version()}, {platform.platform()}\n{' '.join(sys.argv)}"
    try:
        make_private(file.parent)
        file.touch(mode=0o600)
        file.write_text(mask_secrets(f"{about}\n\n{trace}"), "utf-8", "backslashreplace")
    except OSError:
        return None  # a full disk may be the reason for it all
    return file


def format_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a left-aligned table; the last column is not padded."""
    table = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
