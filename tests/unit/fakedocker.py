"""A program called `docker` that plays a script: the wire between devenv and Compose."""

from __future__ import annotations

import os
from pathlib import Path


def fake_docker(folder: Path, script: str) -> dict[str, str]:
    """Write it into the folder; return an environment whose PATH finds it first."""
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
