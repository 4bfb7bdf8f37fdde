"""Commands whose words are another program's: all that stands after them is taken as it is."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any


class RestParser(argparse.ArgumentParser):
    """Puts everything into `rest`, flags, --help and `--` included, where `takes_rest` is set.

    `own` are the commands of a group with those below them (none: all); every other one is kubectl's.
    """

    takes_rest = False
    own: Mapping[str, Sequence[str]] | None = None

    def parse_known_args(  # type: ignore[override]  # argparse's overloads differ in the namespace's type only
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse what is devenv's own, and keep the rest."""
        words = list(args or ())
        if not self.takes_rest and not self._is_kubectls(words):
            return super().parse_known_args(args, namespace)
        found = argparse.Namespace() if namespace is None else namespace
        found.rest = words
        if self.own is not None:
            found.subcommand = "kubectl"
        return found, []

    def _is_kubectls(self, words: list[str]) -> bool:
        if self.own is None or not words or words[0].startswith("-"):
            return False
        below = self.own.get(words[0])
        if below is None:
            return True
        return bool(below) and len(words) > 1 and not words[1].startswith("-") and words[1] not in below
