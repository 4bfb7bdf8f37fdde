"""Paths as plain text: they are compared for each of thousands of events."""

from __future__ import annotations


def is_below(path: str, folder: str) -> bool:
    """Tell whether a path is in a folder, or the folder itself; both absolute and without `..`."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")
