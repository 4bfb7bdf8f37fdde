"""A command whose last part is somebody else's: everything after `--` is taken as it is."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any


class RestParser(argparse.ArgumentParser):
    """Puts what stands after the first `--` into `rest`, where `takes_rest` is set.

    argparse itself would give it to an optional positional only as long as no option stands before it.
    """

    takes_rest = False

    def parse_known_args(  # type: ignore[override]  # argparse's overloads differ in the namespace's type only
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse the part before `--` and keep the rest."""
        words = list(args or ())
        rest: list[str] = []
        if self.takes_rest and "--" in words:
            place = words.index("--")
            words, rest = words[:place], words[place + 1 :]
        found, unknown = super().parse_known_args(words, namespace)
        if self.takes_rest:
            found.rest = rest
        return found, unknown
