"""Writing for people: stderr, with colours only where a terminal shows them. stdout is for data alone."""

from __future__ import annotations

import os
import sys
from typing import IO

from devenv.core.errors import DevenvError
from devenv.core.text import sanitize

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


def warn(text: str, *, no_color: bool | None = None) -> None:
    """Write a warning to stderr."""
    tell(f"devenv: warning: {text}", no_color=no_color, color="yellow")


def tell_error(error: DevenvError, *, no_color: bool | None = None) -> None:
    """Write an error with its hint to stderr."""
    colored = colors_wanted(sys.stderr, no_color=no_color)
    head = paint(f"devenv: {error.title}:", "red", colored)
    sys.stderr.write(f"{head} {sanitize(error.message, newlines=True)}\n")
    if error.hint:
        sys.stderr.write(f"{paint('  hint:', 'cyan', colored)} {sanitize(error.hint)}\n")
    sys.stderr.flush()
