"""Opens a file with the desktop's own program, where there is a desktop."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_opened: list[subprocess.Popen[bytes]] = []  # they live as long as their window; nobody waits for them


def program(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> str:
    """Return the program that opens files; "" without a desktop, where a browser would take this terminal."""
    if platform == "darwin":
        return "open"
    has_desktop = bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))
    return (shutil.which("xdg-open", path=environ.get("PATH")) or "") if has_desktop else ""


def open_file(path: Path, environ: Mapping[str, str] = os.environ) -> bool:
    """Open it and return at once; False where nothing here can."""
    name = program(environ)
    if not name:
        return False
    silent = subprocess.DEVNULL
    try:
        _opened.append(
            subprocess.Popen([name, str(path)], stdin=silent, stdout=silent, stderr=silent, start_new_session=True)
        )
    except OSError:
        return False
    return True
