"""The folder in which builds keep what they know: `.devenv/cache/builds` in the project, for this machine alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from devenv.core.stored import changed_at, find

FOLDER: Final = ".devenv"


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
        file.parent.mkdir(parents=True, exist_ok=True)
        ignore = self.own / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        draft = file.with_name(f"{file.name}.{os.getpid()}")
        try:
            draft.write_bytes(content)
            draft.replace(file)
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def newest(self, kind: str, most: int) -> list[Path]:
        """Return the files of a kind, the newest first, and remove those beyond `most`; raises OSError."""
        found = sorted(find(self.folder / kind, "*.json"), key=changed_at, reverse=True)
        for file in found[most:]:
            file.unlink(missing_ok=True)
        return found[:most]
