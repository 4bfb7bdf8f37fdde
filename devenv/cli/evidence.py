"""`devenv evidence PATH`: what a run of smoke tests left, in the terminal interface or as text."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from datetime import datetime
from pathlib import Path

from devenv.core.errors import EXIT_OK
from devenv.core.model import Happening, LogLine
from devenv.core.stored import readable
from devenv.verify.evidence import Header, Mark, Probe, read_evidence
from devenv.verify.replay import ReadOnlyControl, ReplayBackend, choose_file


def run(arguments: Namespace) -> int:
    """Open it; without a terminal, or with --text, print it in the order of time. Raises UsageError for other files."""
    path = choose_file(Path(arguments.path))
    if arguments.text or not (sys.stdin.isatty() and sys.stdout.isatty()):
        sys.stdout.write("".join(f"{line}\n" for line in evidence_lines(path)))
        return EXIT_OK
    from devenv.tui.app import run as run_app

    backend = ReplayBackend(path)
    color = not arguments.no_color and not os.environ.get("NO_COLOR")
    return run_app(backend, ReadOnlyControl(), title=backend.title, color=color)


def evidence_lines(path: Path) -> list[str]:
    """Return what the file says, in the order of time, a line each; raises DevenvError."""
    with readable(path):
        return _lines(path)


def _lines(path: Path) -> list[str]:
    found: list[tuple[float, str]] = []
    names = ReplayBackend(path).services()
    at = 0.0
    for record in read_evidence(path):
        if isinstance(record, Header):
            at = record.began
            text = f"evidence of {record.project}, run {record.run}"
        elif isinstance(record, Mark):
            at, text = record.at, f"{record.kind_of}: {record.text}"
        elif isinstance(record, Probe):
            at, text = record.at, f"probe {record}"
        elif isinstance(record, Happening):
            at, text = record.at, f"{names.get(record.key, record.key[:19])}: {record.text}"
        elif isinstance(record, LogLine):
            at, text = record.at or at, f"{names.get(record.key, record.key[:19])} | {record.text}"
        else:
            continue
        found.append((at, text))
    found.sort(key=lambda item: item[0])
    return [f"{datetime.fromtimestamp(at).strftime('%H:%M:%S.%f')[:-3]} {text}" for at, text in found]
