"""The identity of one run of smoke tests: its id, its owner and whether that still lives, and where its files are."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devenv.core.errors import DevenvError
from devenv.core.stored import read_text, state_folder

LABEL_RUN: Final = "devenv.run"
LABEL_OWNER: Final = "devenv.owner"
LABEL_STACK: Final = "devenv.stack"  # which of the run's stacks
OWNER: Final = "owner"  # in a run's folder
KEPT: Final = 20  # folders with reports and evidence; older ones make room
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE: Final = Path("/proc/self/ns/pid")


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, told apart from a later one with the same number: `MACHINE/BOOT/PID/START` in labels."""

    machine: str
    boot: str
    pid: int
    start: str

    def __str__(self) -> str:
        return f"{self.machine}/{self.boot}/{self.pid}/{self.start}"


@dataclass(frozen=True, slots=True)
class Run:
    """One run: `folder` holds evidence, reports and the private copies of projects."""

    id: str
    owner: Owner
    folder: Path

    @property
    def labels(self) -> dict[str, str]:
        """What every container, network, volume and image of the run carries."""
        return {LABEL_RUN: self.id, LABEL_OWNER: str(self.owner)}


def runs_folder() -> Path:
    """Return the folder that has one folder for each run."""
    return state_folder() / "runs"


def begin_run() -> Run:
    """Make a run that this process owns, with its folder; raises DevenvError where that cannot be made."""
    run_id = uuid.uuid4().hex[:10]
    run = Run(run_id, this_process(), runs_folder() / run_id)
    try:
        run.folder.mkdir(parents=True, mode=0o700)
        (run.folder / OWNER).write_text(f"{run.owner}\n", "utf-8")
    except OSError as error:
        raise DevenvError(
            f"{run.folder} cannot be made: {error.strerror}", "Evidence and reports are kept there."
        ) from error
    return run


def owner_in(folder: Path) -> str:
    """Return the owner of the run that has this folder, "" where nobody knows."""
    return read_text(folder / OWNER)


def this_process() -> Owner:
    """Return the identity of this process."""
    return owner_of(os.getpid())


def owner_of(pid: int) -> Owner:
    """Return the identity of a process of this machine; raises DevenvError where there is none with that number."""
    return Owner(machine_id(), _boot(), pid, _start_of(pid))


def machine_id() -> str:
    """Return a short hash that tells this machine (and pid namespace) from others, without naming it."""
    parts = [platform.node(), platform.machine()]
    if _NAMESPACE.exists():
        parts.append(str(_NAMESPACE.readlink()))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def is_dead(owner: str) -> bool:
    """Whether the owner in a label was a process of this machine and has ended; False for others' and nonsense."""
    parts = owner.strip().split("/")
    if len(parts) != 4 or parts[0] != machine_id() or not parts[2].isdecimal():
        return False
    if parts[1] != _boot():
        return True
    try:
        return _start_of(int(parts[2])) != parts[3]
    except DevenvError:
        return True


def _boot() -> str:
    if _BOOT_ID.exists():
        return _BOOT_ID.read_text("ascii").strip().replace("-", "")[:12]
    return "-"


def _start_of(pid: int) -> str:
    """Return when the process started, in the system's own words; raises DevenvError where there is no such process."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        try:
            fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError as error:
            raise DevenvError(f"no process {pid}") from error
        if fields[0] == "Z":
            raise DevenvError(f"process {pid} has ended")
        return fields[19]  # proc(5): starttime is the 22nd field, the 20th after the name
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    if done.returncode != 0 or not done.stdout.strip():
        raise DevenvError(f"no process {pid}")
    return "-".join(done.stdout.split()).replace("/", "-")
