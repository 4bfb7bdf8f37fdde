"""Ignore patterns as Docker reads them: .dockerignore files, and `ignore` and `include` of a watch rule.

The rules are moby's (github.com/moby/patternmatcher and its ignorefile package): the last pattern that matches a path
or a folder above it decides, `!` takes back. The rest of devenv.watch gets its matcher here and nowhere else.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from pathlib import Path

from devenv.core.errors import ProjectError
from devenv.core.text import sanitize


class IgnoreMatcher:
    """Patterns relative to one folder; raises ProjectError for one that Docker would refuse."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns: list[tuple[bool, re.Pattern[str]]] = []
        for line in patterns:
            text = line.strip()
            if not text:
                continue
            text = _clean(text)
            negative = text.startswith("!")
            if text == "!":
                raise ProjectError('illegal exclusion pattern: "!"', "Write what is to be kept after the mark.")
            pattern = text[1:] if negative else text
            try:
                self._patterns.append((negative, re.compile(_expression(pattern), re.DOTALL)))
            except re.error as error:
                raise ProjectError(f"the ignore pattern {sanitize(line)!r} is invalid: {error}") from error

    def may_keep_below(self, folder: str) -> bool:
        """Whether a pattern with `!` may take something back below a folder that is left out."""
        return any(negative for negative, _ in self._patterns)

    def ignores(self, path: str) -> bool:
        """Tell whether the relative path (with slashes), or a folder above it, is matched."""
        found = False
        parts = path.split("/")
        above = ["/".join(parts[: count + 1]) for count in range(len(parts) - 1)]
        for negative, pattern in self._patterns:
            if negative == found and (pattern.match(path) or any(pattern.match(folder) for folder in above)):
                found = not negative
        return found


def read_patterns(content: bytes) -> tuple[str, ...]:
    """Return the patterns of an ignore file, cleaned; comments and empty lines are left out."""
    found: list[str] = []
    for line in content.decode("utf-8-sig", "surrogateescape").split("\n"):
        pattern = "" if line.startswith("#") else line.strip()
        if not pattern:
            continue
        negative = pattern.startswith("!")
        if negative:
            pattern = pattern[1:].strip()
        if pattern:
            pattern = _clean(pattern)
            pattern = pattern[1:] if len(pattern) > 1 and pattern.startswith("/") else pattern
        found.append(f"!{pattern}" if negative else pattern)
    return tuple(found)


def dockerignore(context: Path, dockerfile: str) -> IgnoreMatcher:
    """Return the patterns of a build: `<Dockerfile>.dockerignore` where it is there, else the context's own file."""
    for name in (f"{dockerfile}.dockerignore", ".dockerignore"):
        if (context / name).is_file():
            try:
                return IgnoreMatcher(read_patterns((context / name).read_bytes()))
            except OSError as error:
                hint = "A build needs it too."
                raise ProjectError(f"{error.filename} cannot be read: {error.strerror}", hint) from error
    return IgnoreMatcher(())


def _clean(path: str) -> str:
    """Go's filepath.Clean; POSIX keeps a leading double slash, which Go does not."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def _expression(pattern: str) -> str:
    """Translate one pattern, as `Pattern.compile` of moby/patternmatcher does."""
    out: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*" and pattern.startswith("*", at):
            at += 1
            if pattern.startswith("/", at):  # **/ means the same as **
                at += 1
            out.append(".*" if at == len(pattern) else "(?:.*/)?")
        elif char == "*":
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "\\" and at < len(pattern):
            out.append(re.escape(pattern[at]))
            at += 1
        elif char in "[]^-":  # a class, as the expression has it
            out.append(char)
        else:
            out.append(re.escape(char))
    return "".join(out) + r"\Z"
