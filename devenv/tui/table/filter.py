"""What the table is filtered by: a text or a regular expression in what a line says, and labels.

web                     a text, in either case
^web|worker, /db-\\d/    a regular expression, between slashes or not; without an upper-case letter it takes both cases
label:tier=front        of what has that label with that value; label:tier of what has it at all
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from devenv.core.errors import PatternTooSlow
from devenv.logs.filter import Pattern

_LABEL: Final = re.compile(r"(?:^|(?<=\s))label:(?P<name>[^\s=]*)(?P<equal>=?)(?P<value>\S*)")
_REGEX: Final = re.compile(r"/(.+)/")
Labels = tuple[tuple[str, str], ...]


class RowFilter:
    """A text that was typed, as a test of lines. Raises ValueError for an expression that is none."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.problem = ""  # an expression that took too long: from then on it lets every line pass
        self._labels = [(match["name"], match["value"] if match["equal"] else None) for match in _LABEL.finditer(text)]
        body = _LABEL.sub("", text).strip() if self._labels else text
        self._part = body.casefold()
        between = _REGEX.fullmatch(body.strip())
        self._pattern = Pattern(between[1] if between else body) if re.search(r"[\\^$.|?*+()\[\]{}]", body) else None
        if between and self._pattern is None:
            self._part = between[1].casefold()

    def passes(self, words: Iterable[str], labels: Labels = ()) -> bool:
        """Whether something that says these words, and has these labels, is shown."""
        for name, value in self._labels:
            if not any(known == name and value in (None, its) for known, its in labels):
                return False
        words = [word for word in words if word]
        if self._part in "\n".join(words).casefold():  # also of an expression: `web (old)` is found as it is written
            return True
        if self._pattern is None:
            return False
        try:
            return bool(self.problem) or any(map(self._pattern.found_in, words))
        except PatternTooSlow as error:
            self.problem = f"{error.message}. {error.hint}"
            return True
