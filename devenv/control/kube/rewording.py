"""A server's error said with the names that the user knows; it keeps its kind, and so its exit code."""

from __future__ import annotations

from typing import TypeVar

from devenv.core.errors import DevenvError

Error = TypeVar("Error", bound=DevenvError)


def reworded(error: Error, message: str, hint: str) -> Error:
    """Return the same error with another message and hint."""
    error.message, error.hint = message, hint
    error.args = (message,)
    return error
