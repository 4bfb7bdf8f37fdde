"""The folder in which builds keep what they know: `.devenv/cache/builds` in the project, for this machine alone."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from devenv.core.stored import changed_at, find

FOLDER: Final = ".devenv"
ABANDONED: Final = 3600.0  # seconds: no file here takes so long to write


class Store:
    """Files by kind and name. Nothing is created before the first write."""

    def __init__(self, project: Path) -> None:
        self.own = project / FOLDER  # devenv's folder, which is part of no build
        self.folder = self.own / "cache" / "builds"

    def file(self, kind: str, name: str) -> Path:
        """Return where it is kept."""
        return self.folder / kind / f"{name}.json"

    def write(self, file: Path, content: bytes) -> None:
        """Write a file whole or not at all, whoever writes it at the same time; raises OSError."""
        self.make(file.parent)
        draft = file.with_name(f"{file.name}.{os.getpid()}")
        try:
            draft.write_bytes(content)
            draft.replace(file)
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def make(self, folder: Path) -> None:
        """Make a folder of devenv's own, which Git then ignores; raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        ignore = self.own / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")

    def keep_newest(self, kind: str, most: int) -> None:
        """Remove the oldest files of a kind beyond `most`, and drafts whose writer was killed; raises OSError."""
        folder = self.folder / kind
        files = sorted(find(folder, "*.json"), key=changed_at, reverse=True)
        drafts = [draft for draft in find(folder, "*.json.*") if changed_at(draft) < time.time() - ABANDONED]
        for file in (*files[most:], *drafts):
            file.unlink(missing_ok=True)
