"""Is there room for images, volumes and build cache?"""

from __future__ import annotations

import shutil
from pathlib import Path

from devenv.core.text import human_bytes
from devenv.doctor.context import Context
from devenv.doctor.report import Finding, Level

LOW = 2 * 1024**3  # bytes: below it one build can fill the disk
FULL = 256 * 1024**2  # bytes: below it writes and starts fail already


def check(context: Context) -> Finding:
    """Free space where the engine keeps its data, while that is on this machine."""
    facts = context.engine()
    if not facts.local or not Path(facts.root).is_dir():
        return Finding("disk", Level.UNKNOWN, "The engine's disk is not on this machine", "Look with: docker system df")
    free = shutil.disk_usage(facts.root).free
    said = f"{human_bytes(free)} free in {facts.root}"
    fix = "See what takes the room: docker system df"
    if free < FULL:
        return Finding("disk", Level.FAILED, said, fix)
    return Finding("disk", Level.WARNING, said, fix) if free < LOW else Finding("disk", Level.OK, said)
