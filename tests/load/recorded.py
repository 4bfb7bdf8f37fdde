"""Recordings of real runs, kept compressed beside the tests; tests/load/recordings says nothing that is not there."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from devenv.load.recording import Recording, gather

FOLDER = Path(__file__).parent / "recordings"


def lines_of(name: str, file: str) -> list[dict[str, Any]]:
    """The lines of one file of a recording."""
    with gzip.open(FOLDER / name / f"{file}.jsonl.gz", "rt", encoding="utf-8") as text:
        return [json.loads(line) for line in text]


def recorded(name: str) -> Recording:
    """A recording as it was."""
    run = json.loads((FOLDER / name / "run.json").read_text("utf-8"))
    return gather(run, lines_of(name, "load"), lines_of(name, "target"))
