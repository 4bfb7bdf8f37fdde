"""A load test that goes on beside this process: started, found again, followed by its files, stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from devenv.core.errors import DevenvError
from devenv.core.stored import Unreadable, read_bytes
from devenv.core.text import sanitize
from devenv.runs.identity import is_dead, machine_id, owner_of, runs_folder
from devenv.runs.lines import write_text

OUTPUT: Final = "locust.log"  # what Locust prints; a file, so that nobody has to read it for the run to go on
STARTED: Final = "started.json"  # who runs it, for which project and what was asked for: before there is a recording
LAST_WORDS: Final = 4000  # characters of Locust's own output that are told where it ended without a result
_children: list[subprocess.Popen[bytes]] = []  # a run may outlive whoever follows it: Python must not complain
_SPAWNED_WITHIN: Final = 5  # seconds in which all users are there


@dataclass(frozen=True, slots=True)
class LoadWish:
    """What shall be run. `seconds` None: as long as the shape takes; `more` are further options of Locust."""

    target: str = "compose"
    shape: str = "steady"
    users: int = 20
    seconds: int | None = None
    more: tuple[str, ...] = ()
    context: str = ""  # of a cluster, with the namespace
    namespace: str = ""

    def options(self) -> list[str]:
        """Return the command line for `locust`."""
        rate = max(1, -(-self.users // _SPAWNED_WITHIN))
        given = ["--target", self.target, "--shape", self.shape, "--users", str(self.users), "--spawn-rate", str(rate)]
        length = ["--run-time", f"{self.seconds}s"] if self.seconds else []
        return [*given, *length, *self.more]


class LiveLoad:
    """One run of Locust in a session of its own: no key of this terminal reaches it, and it outlives this process."""

    def __init__(self, folder: Path, owner: str, process: subprocess.Popen[bytes] | None = None) -> None:
        self.folder = folder
        self.owner = owner
        self._process = process

    @property
    def exit_code(self) -> int | None:
        """How it ended, negative for a signal; None while it runs, and where another process started it."""
        return self._process.poll() if self._process is not None else None

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or is none of this machine's."""
        return self._process.poll() is not None if self._process is not None else not is_alive(self.owner)

    def stop(self) -> None:
        """Interrupt it as ctrl-c does: it judges, removes its collections and writes its reports."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once; its collections stay until the next load test on this machine removes them."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self.is_over:  # the number of a process that has ended may be another's by now
            return
        pid = int(self.owner.split("/")[2])
        try:
            if os.getpgid(pid) == pid:
                os.killpg(pid, number)
            else:
                os.kill(pid, number)
        except ProcessLookupError:
            return  # it has ended meanwhile, as was wanted
        except PermissionError as error:
            raise DevenvError(f"process {pid} cannot be stopped: it belongs to another user") from error

    def last_words(self) -> str:
        """Return the end of what Locust printed; "" where that went somewhere else."""
        try:
            return sanitize((read_bytes(self.folder / OUTPUT) or b"")[-LAST_WORDS:], newlines=True).strip()
        except Unreadable:
            return ""


def is_alive(owner: str) -> bool:
    """Whether that is a process of this machine, and the same that it was; nobody may signal it otherwise."""
    return owner.startswith(f"{machine_id()}/") and not is_dead(owner)


def start(wish: LoadWish, tests: Path, root: Path, environ: Mapping[str, str]) -> LiveLoad:
    """Start Locust on the load tests in `tests` for the project in `root`; raises DevenvError where it cannot be."""
    if not tests.is_dir():
        raise DevenvError(f"There are no load tests: {tests} is no folder", "Name it in devenv.toml: [load] tests.")
    folder = runs_folder() / uuid.uuid4().hex[:10] / "load"
    command = [sys.executable, "-m", "locust", "-f", str(tests), "--headless", "--only-summary"]
    places = {"DEVENV_CONTEXT": wish.context, "DEVENV_NAMESPACE": wish.namespace}
    try:
        folder.mkdir(parents=True, mode=0o700)
        with (folder / OUTPUT).open("wb") as output:
            process = subprocess.Popen(
                [*command, *wish.options(), "--record", str(folder)],
                cwd=root,
                env=dict(environ) | {name: value for name, value in places.items() if value},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
    except OSError as error:
        raise DevenvError(f"the load test cannot be started: {error}") from error
    _children.append(process)
    try:
        owner = str(owner_of(process.pid))
        write_text(folder / STARTED, json.dumps({"owner": owner, "folder": str(root), "wish": asdict(wish)}) + "\n")
    except DevenvError:
        process.kill()  # nobody could find it
        raise
    return LiveLoad(folder, owner, process)
