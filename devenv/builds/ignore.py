"""Ignore files of build contexts: which paths BuildKit leaves out.

The rules are BuildKit's own, in the order in which it applies them: how a file is read (moby/patternmatcher,
`ignorefile.ReadAll`), what a pattern matches (`patternmatcher`: Go's `filepath.Match` says what is valid, and a regular
expression of Go's syntax is made of it), and which folders are entered (tonistiigi/fsutil, `filterFS.Walk`).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable
from typing import Final

from devenv.core.errors import ProjectError
from devenv.core.text import sanitize

# Go's unicode.IsSpace; Python's `strip()` also takes the separators U+001C to U+001F.
_SPACE: Final = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_GLOB: Final = frozenset("*[]?^\\")
_ESCAPED: Final = frozenset(".+()|{}$")  # of a regular expression, and plain in a pattern
_CLASSES: Final = {
    "d": "0-9",
    "w": "0-9A-Za-z_",
    "s": "\\t\\n\\f\\r ",
}
_NAMED: Final = re.compile(r"\[:(\^?)(\w+):\]")
_CONTROLS: Final = {"a": "\\a", "f": "\\f", "t": "\\t", "n": "\\n", "r": "\\r", "v": "\\v"}
_POSIX: Final = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": "\\x00-\\x7f",
    "blank": "\\t ",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\t\\n\\v\\f\\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}


class BadPattern(ProjectError):
    """A line of an ignore file that BuildKit does not take either."""

    def __init__(self, pattern: str) -> None:
        super().__init__(f"The ignore pattern {sanitize(pattern)!r} is not valid", "Correct it in the ignore file.")


def read_patterns(content: bytes) -> tuple[str, ...]:
    """Return the patterns of an ignore file, cleaned; comments and empty lines are left out."""
    patterns = []
    text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    for line in text.split("\n"):
        pattern = line.removesuffix("\r")
        if pattern.startswith("#"):
            continue
        pattern = pattern.strip(_SPACE)
        if not pattern:
            continue
        negated = pattern.startswith("!")
        pattern = pattern[1:].strip(_SPACE) if negated else pattern
        if pattern:
            pattern = _clean(pattern)
            if len(pattern) > 1:
                pattern = pattern.removeprefix("/")
        patterns.append(f"!{pattern}" if negated else pattern)
    return tuple(patterns)


class IgnoreMatcher:
    """Decides for each path below a context whether it is left out; raises BadPattern for an invalid pattern.

    A walk from the root down passes on what `match` returned for the parent: a set of bits, one a pattern.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self.patterns = tuple(patterns)
        self._rules: list[tuple[int, bool, Callable[[str], bool]]] = []
        self._kept: list[str] = []  # what the exceptions bring back, without a glob at the end
        for text in self.patterns:
            pattern = text.strip(_SPACE)
            if not pattern:
                continue
            pattern = _clean(pattern)
            negated = pattern.startswith("!")
            if pattern == "!":
                raise BadPattern(text)
            pattern = pattern[1:] if negated else pattern
            _check(pattern, text)
            self._rules.append((1 << len(self._rules), negated, _lazy(pattern)))
            if negated:
                self._kept.append(pattern.removesuffix("/**").removesuffix("/*"))
        self._plain_exceptions = not any(_GLOB & set(kept) for kept in self._kept)

    def match(self, path: str, parent: int = 0) -> tuple[bool, int]:
        """Return whether a path (with slashes, relative to the context) is left out, and the bits for its children."""
        ignored, bits = False, 0
        for bit, negated, matches in self._rules:
            # What is ignored already, or kept already, needs no second reason.
            if not parent & bit and (negated is not ignored or not matches(path)):
                continue
            bits |= bit
            ignored = not negated
        return ignored, bits

    def ignores(self, path: str) -> bool:
        """Return whether a path is left out, its parents looked at first."""
        parts = path.split("/")
        ignored, bits = False, 0
        for depth in range(1, len(parts) + 1):
            ignored, bits = self.match("/".join(parts[:depth]), bits)
        return ignored

    def may_keep_below(self, folder: str) -> bool:
        """Whether an exception may bring something back below a folder that is left out."""
        if not self._plain_exceptions:
            return True
        return any(f"{kept}/".startswith(f"{folder}/") for kept in self._kept)


def _clean(path: str) -> str:
    """Return the shortest equal path, as Go's `filepath.Clean`; normpath alone keeps two slashes at the start."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def _check(pattern: str, text: str) -> None:
    """Raise BadPattern where Go's `filepath.Match` would."""
    at, end = 0, len(pattern)

    def one() -> None:  # a character of a class, escaped or not; something has to follow it
        nonlocal at
        if at >= end or pattern[at] in "-]":
            raise BadPattern(text)
        if pattern[at] == "\\":
            at += 1
        if at >= end or "\udc80" <= pattern[at] <= "\udcff":
            raise BadPattern(text)
        at += 1
        if at >= end:
            raise BadPattern(text)

    while at < end:
        char = pattern[at]
        at += 1
        if char == "\\":
            if at >= end:
                raise BadPattern(text)
            at += 1
        elif char == "[":
            if pattern[at : at + 1] == "^":
                at += 1
            is_first = True
            while is_first or pattern[at : at + 1] != "]":
                is_first = False
                one()
                if pattern[at] == "-":
                    at += 1
                    one()
            at += 1


def _lazy(pattern: str) -> Callable[[str], bool]:
    """Compile at the first use, as BuildKit does: a broken pattern that is never asked breaks nothing."""
    compiled: list[Callable[[str], bool]] = []

    def matches(path: str) -> bool:
        if not compiled:
            compiled.append(_compile(pattern))
        return compiled[0](path)

    return matches


def _compile(pattern: str) -> Callable[[str], bool]:
    kind, at, end = "exact", 0, len(pattern)
    parts: list[str] = []
    while at < end:
        is_first = at == 0
        char = pattern[at]
        at += 1
        if char == "*" and pattern[at : at + 1] == "*":
            at += 1
            if pattern[at : at + 1] == "/":
                at += 1
            if at >= end and kind == "exact":
                kind = "prefix"
            else:
                more = ".*" if at >= end else "(.*/)?"
                # One more matches nothing more, and each would multiply what Python's `re` tries.
                parts += [] if parts[-1:] == [more] else [more]
                kind = "expression"
            if is_first:
                kind = "suffix"
        elif char in "*?":
            more = "[^/]*" if char == "*" else "[^/]"
            parts += [] if char == "*" and parts[-1:] == [more] else [more]
            kind = "expression"
        elif char in _ESCAPED:
            parts.append(f"\\{char}")
        elif char == "\\" and at < end:
            parts.append(f"\\{pattern[at]}")
            at += 1
            kind = "expression"
        else:
            parts.append(char)
            if char in "[]":
                kind = "expression"
    if kind == "exact":
        return pattern.__eq__
    if kind == "prefix":
        beginning = pattern[:-2]
        return lambda path: path.startswith(beginning)
    if kind == "suffix":
        ending = pattern[2:]
        whole = ending[1:] if ending.startswith("/") else None
        return lambda path: path.endswith(ending) or path == whole
    try:
        compiled = re.compile(_python_syntax("".join(parts), pattern))
    except re.error as error:
        raise BadPattern(pattern) from error
    return lambda path: compiled.fullmatch(path) is not None


def _python_syntax(expression: str, pattern: str) -> str:
    """Write an expression of Go's syntax (RE2) in Python's. Both know what a pattern becomes, but for brackets.

    Raises BadPattern for what RE2 rejects, and for its escapes with an argument, which no ignore file has.
    """
    at, end = 0, len(expression)
    out: list[str] = []
    while at < end:
        char = expression[at]
        at += 1
        if char == "\\":
            out.append(_escape(expression[at], pattern, inside=False))
            at += 1
        elif char == "[":
            body, at = _brackets(expression, at, pattern)
            out.append(body)
        else:
            out.append(char)
    return "".join(out)


def _escape(char: str, pattern: str, *, inside: bool) -> str:
    if not (char.isascii() and char.isalnum()):
        return re.escape(char)
    if char in _CONTROLS:
        return _CONTROLS[char]
    if char.lower() in _CLASSES:
        negation = "^" if char.isupper() else ""
        if not inside:
            return f"[{negation}{_CLASSES[char.lower()]}]"
        if not negation:
            return _CLASSES[char]
    if char in "bB" and not inside:
        return f"(?a:\\{char})"
    raise BadPattern(pattern)


def _brackets(expression: str, at: int, pattern: str) -> tuple[str, int]:
    """Translate a class that begins before `at`; return it and where the expression goes on."""
    out = "["
    if expression[at : at + 1] == "^":
        out += "^"
        at += 1
    is_first = True
    while is_first or expression[at : at + 1] != "]":
        if at >= len(expression):
            raise BadPattern(pattern)
        name = _NAMED.match(expression, at)
        if name is not None:
            if name[1] or name[2] not in _POSIX:
                raise BadPattern(pattern)
            out += _POSIX[name[2]]
            at = name.end()
        else:
            low, at = _class_char(expression, at, pattern)
            if expression[at : at + 1] == "-" and expression[at + 1 : at + 2] not in ("]", ""):
                high, at = _class_char(expression, at + 1, pattern)
                out += f"{low}-{high}"
            else:
                out += low
        is_first = False
    return f"{out}]", at + 1


def _class_char(expression: str, at: int, pattern: str) -> tuple[str, int]:
    if expression[at] == "\\":
        if at + 1 >= len(expression):
            raise BadPattern(pattern)
        return _escape(expression[at + 1], pattern, inside=True), at + 2
    return re.escape(expression[at]), at + 1
