"""The programs that are measured side by side, and how to see on their screens what is asked."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.stack import ROOT, Stack
from benchmarks.terminal import TerminalRun, start

EARLIER = "services as declared last time"  # what devenv says until Textual has painted


@dataclass(frozen=True)
class Program:
    """A terminal program; `rows` is how many services it shows at once on a screen of this size."""

    name: str
    command: tuple[str, ...]
    rows: int

    def start(self, stack: Stack) -> TerminalRun:
        """Start it in the project's folder, as a user would."""
        return start(self.command, environment(), stack.folder)

    def readable(self, screen: Sequence[str]) -> bool:
        """Whether its list is there: every row that it has room for, each with its state."""
        return sum("worker" in line and "running" in line for line in screen) >= self.rows

    def live(self, screen: Sequence[str]) -> bool:
        """Whether the list is there, is kept up to date, and hears keys."""
        return self.readable(screen) and not any(EARLIER in line for line in screen)


def environment() -> Mapping[str, str]:
    """The user's environment with a colour terminal; byte code is cached, as it is after an ordinary installation."""
    environ = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    return environ


def programs(services: int) -> list[Program]:
    """devenv, a bare Textual table, and lazydocker where it is installed."""
    beside_python = str(Path(sys.executable).parent)
    bare = f'cd "{ROOT}" && exec "{sys.executable}" -m benchmarks.bare {services}'
    known = [
        Program("devenv", (f"{beside_python}/devenv",), rows=16),
        Program("bare Textual", ("/bin/sh", "-c", bare), rows=min(services, 30)),
    ]
    beside = shutil.which("lazydocker", path=f"{beside_python}{os.pathsep}{os.environ.get('PATH', '')}")
    if beside:
        known.append(Program("lazydocker", (beside,), rows=6))
    return known
