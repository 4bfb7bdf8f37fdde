"""One variable in a .env file: read it, set it, take it out; every other byte and the file's mode stay."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from pathlib import Path

_QUOTES = "'\""


def _assignment(name: str) -> re.Pattern[str]:
    return re.compile(rf"^[ \t]*(?:export[ \t]+)?{re.escape(name)}[ \t]*=(?P<value>.*)$")


def read_variable(path: Path, name: str) -> str:
    """Return a variable's value, the last one as Compose takes it; empty where the file or the variable is missing."""
    value = ""
    for line in _lines(path):
        if found := _assignment(name).match(line.rstrip("\r\n")):
            value = _unquoted(found["value"].strip())
    return value


def set_variable(path: Path, name: str, value: str, comment: str) -> None:
    """Set a variable where it stands, or at the end, with our comment line above it; creates a missing file."""
    lines = _lines(path)
    kept = _without(lines, name, comment)
    if kept and not kept[-1].endswith("\n"):
        kept[-1] += "\n"
    place = next((at for at, (old, new) in enumerate(zip(lines, kept, strict=False)) if old != new), len(kept))
    _replace(path, [*kept[:place], f"# {comment}\n", f"{name}={value}\n", *kept[place:]])


def remove_variable(path: Path, name: str, comment: str) -> None:
    """Take a variable and our comment line above it out of the file."""
    lines = _lines(path)
    kept = _without(lines, name, comment)
    if kept != lines:
        _replace(path, kept)


def _lines(path: Path) -> list[str]:
    # newline="": a file with CRLF keeps it.
    if not path.exists():
        return []
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return file.readlines()


def _without(lines: list[str], name: str, comment: str) -> list[str]:
    pattern = _assignment(name)
    return [line for line in lines if not pattern.match(line.rstrip("\r\n")) and line.strip() != f"# {comment}"]


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] in _QUOTES and value[-1] == value[0]:
        return value[1:-1]
    return re.split(r"\s+#", value, maxsplit=1)[0].strip()


def _replace(path: Path, lines: list[str]) -> None:
    path = path.resolve()  # a symbolic link keeps pointing where it pointed
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o644
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.writelines(lines)
    Path(draft).chmod(mode)
    Path(draft).replace(path)
