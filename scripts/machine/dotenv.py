"""One variable in a .env file: read it, set it, take it out; every other byte and the file's mode stay."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

_ASSIGNMENT = r"^[ \t]*(?:export[ \t]+)?{}[ \t]*=(.*)"


def read_variable(path: Path, name: str) -> str:
    """Return a variable's value, the last one as Compose takes it; empty where the file or the variable is missing."""
    values = re.findall(_ASSIGNMENT.format(re.escape(name)), _text(path), re.MULTILINE)
    value = values[-1].strip() if values else ""
    quoted = re.fullmatch(r"(['\"])(.*)\1", value)
    return quoted[2] if quoted else re.split(r"\s+#", value, maxsplit=1)[0]


def write_variable(path: Path, name: str, value: str, comment: str) -> None:
    """Set a variable where it stands, or at the end, with our comment line above it; an empty value takes both out."""
    text = _text(path)
    ours = re.compile(rf"(?:{_ASSIGNMENT.format(re.escape(name))}|^# {re.escape(comment)}\r?)(?:\n|\Z)", re.MULTILINE)
    first = ours.search(text)
    before, after = (text[: first.start()], ours.sub("", text[first.start() :])) if first else (text, "")
    if value:
        end = "\n" if before and not before.endswith("\n") else ""
        before += f"{end}# {comment}\n{name}={value}\n"
    if before + after != text:
        _replace(path.resolve(), before + after)  # a symbolic link keeps pointing where it pointed


def _text(path: Path) -> str:
    # Read as bytes: a file with CRLF keeps it.
    return path.read_bytes().decode(errors="surrogateescape") if path.exists() else ""


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as draft:
        draft.write(text.encode(errors="surrogateescape"))
    if path.exists():
        shutil.copymode(path, draft.name)
    else:
        Path(draft.name).chmod(0o644)
    Path(draft.name).replace(path)
