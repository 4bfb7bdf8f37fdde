"""One run: its id, its owner and whether that still lives, its folder, the kind of machine, the commit; its process.

Values of unlike machines are never compared. A run in the background is a program in a session of its own, which no
key of this terminal reaches.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from devenv.backends.programs import finish
from devenv.core.errors import DevenvError
from devenv.core.stored import Unreadable, make_private, read_bytes, read_text, state_folder
from devenv.core.text import sanitize
from devenv.runs.lines import LIFELINE, STREAM, Tail

LABEL_RUN: Final = "devenv.run"
LABEL_OWNER: Final = "devenv.owner"
LABEL_STACK: Final = "devenv.stack"  # which of the run's stacks
OWNER: Final = "owner"  # in a run's folder
KEPT: Final = 20  # folders with reports and evidence; older ones make room
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE: Final = Path("/proc/self/ns/pid")


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, not to be confused with a later one of the same number: `MACHINE/BOOT/PID/START` in labels."""

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
        make_private(run.folder.parent)
        run.folder.mkdir(mode=0o700)
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


def is_alive(owner: str) -> bool:
    """Whether that is a process of this machine, and the same that it was; nobody may signal it otherwise."""
    return owner.startswith(f"{machine_id()}/") and not is_dead(owner)


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


LAST_WORDS: Final = 4000  # characters of the program's own output that are shown where it ended without a result
_children: list[subprocess.Popen[bytes]] = []  # a run may outlive whoever follows it: Python must not complain


class BackgroundRun:
    """One run. `output` is the file with what it prints; `owner` is the process where another one started it."""

    def __init__(self, output: Path, process: subprocess.Popen[bytes] | None = None, owner: str = "") -> None:
        self.owner = owner
        self._output = output
        self._process = process

    @property
    def exit_code(self) -> int | None:
        """How it ended, negative for a signal; None while it runs, and where another process started it."""
        return self._process.poll() if self._process is not None else None

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or is none of this machine's."""
        return self._process.poll() is not None if self._process is not None else not is_alive(self.owner)

    def last_words(self) -> str:
        """Return the end of what it printed; "" where that went somewhere else."""
        try:
            return sanitize((read_bytes(self._output) or b"")[-LAST_WORDS:], newlines=True).strip()
        except Unreadable:
            return ""

    def _send(self, number: signal.Signals) -> None:
        """Signal its whole session; raises DevenvError where that is another user's."""
        if self.is_over:  # the number of a process that has ended may be another's by now
            return
        pid = int(self.owner.split("/")[2])
        try:
            if os.getpgid(pid) == pid:
                os.killpg(pid, number)
            else:
                os.kill(pid, number)
        except ProcessLookupError:
            return  # it has ended meanwhile, as it should
        except PermissionError as error:
            raise DevenvError(f"process {pid} cannot be stopped: it belongs to another user") from error


def start_process(
    command: Sequence[str], folder: Path, environ: Mapping[str, str], output: Path, pass_fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start a program that reads nothing and prints into a file; raises OSError where it cannot be started."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            list(command),
            cwd=folder,
            env=dict(environ),
            pass_fds=tuple(pass_fds),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    _children[:] = [child for child in _children if child.poll() is None]  # one that ended is no process any more
    _children.append(process)
    return process


class _Line(msgspec.Struct):
    phase: str


class StreamedRun(BackgroundRun):
    """A program of devenv's in the background that tells what it does as lines, each with its `phase`.

    With `ends_with_us` it ends by itself once this process is gone, however that went; else it goes on.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, environ: Mapping[str, str], what: str, *, ends_with_us: bool = False
    ) -> None:
        """Start it; raises DevenvError where it cannot be, with `what` it is."""
        self.cancelled = False
        self.place = Path(tempfile.mkdtemp(prefix="devenv-run-"))
        self.stream = self.place / "stream.jsonl"
        self._lines = Tail(self.stream, _Line)
        output = self.place / "output.txt"
        theirs, self._lifeline = os.pipe()
        surroundings = dict(environ) | {STREAM: str(self.stream)} | ({LIFELINE: str(theirs)} if ends_with_us else {})
        try:
            process = start_process(command, folder, surroundings, output, (theirs,) if ends_with_us else ())
        except OSError as error:
            os.close(self._lifeline)
            shutil.rmtree(self.place, ignore_errors=True)
            raise DevenvError(f"{what} cannot be started: {error}") from error
        finally:
            os.close(theirs)
        super().__init__(output, process)

    def cancel(self) -> bool:
        """Interrupt it, once: it cleans up behind itself, and a second signal would cut that short. False: too late."""
        if self.cancelled or self._process is None or self.is_over:
            return False
        self.cancelled = True
        self._process.send_signal(signal.SIGTERM)
        return True

    def drain(self) -> list[dict[str, Any]]:
        """Return the lines of the run since the last call; a line that is not whole yet waits."""
        return list(self._lines.read())

    def close(self) -> None:
        """Forget the files of a run that has ended; one that goes on keeps them, it writes to them."""
        if self.is_over and self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
            shutil.rmtree(self.place, ignore_errors=True)
