"""Where a measurement comes from: the kind of machine and the commit. Values of unlike machines are never compared."""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from devenv.backends.programs import finish
from devenv.core.errors import DevenvError

_CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Machine:
    """A kind of machine: `id` is a hash of the rest, so that equal ones (two runners of one pool) are the same."""

    id: str
    system: str
    processor: str
    cores: int
    memory: int  # bytes, to the GiB


@dataclass(frozen=True, slots=True)
class Commit:
    """The commit that is checked out, "" where there is none; `dirty`: the working tree differs from it."""

    id: str
    dirty: bool


def this_machine() -> Machine:
    """Describe this machine by what makes it fast or slow; no name of it is kept."""
    processor = platform.processor() or platform.machine()
    if _CPUINFO.exists():
        text = _CPUINFO.read_text("utf-8", "replace")
        names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
        processor = names[0] if names else processor
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30 * 2**30
    facts = (f"{platform.system()} {platform.machine()}", processor, os.cpu_count() or 1, memory)
    return Machine(hashlib.sha256(repr(facts).encode()).hexdigest()[:12], *facts)


def commit_of(folder: Path) -> Commit:
    """Ask git; a folder that is no repository, or a machine without git, gives an empty commit."""
    head = _git(folder, "rev-parse", "HEAD")
    status = _git(folder, "status", "--porcelain")
    return Commit(head or "", status is None or bool(status))


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = finish(["git", "-C", str(folder), *arguments], timeout=20)
    except DevenvError:
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None
