"""Programs of the machine, replaced at the process boundary: nothing here installs, starts or changes anything."""

from __future__ import annotations

from pathlib import Path


class Programs:
    """A folder of small shell scripts that stand in for the machine's programs and write down how they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / ".calls"

    def add(self, name: str, body: str = "") -> Path:
        """Put a program on PATH; `body` is sh and may use its builtins only."""
        file = self.folder / name
        file.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self._log}"\n{body}\n', encoding="utf-8")
        file.chmod(0o755)
        return file

    def apt_get(self, targets: Path, body: str = "") -> None:
        """Put an apt-get on PATH that knows the index targets in a file; `body` is what else it does."""
        self.add("apt-get", f'case "$1" in indextargets) exec /bin/cat "{targets}" ;; esac\n{body}')

    def calls(self, start: str = "") -> list[str]:
        """Return the command lines that began with `start`, in order."""
        lines = self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []
        return [line for line in lines if line.startswith(start)]
