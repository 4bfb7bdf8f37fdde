"""The program that docker asks for the password of a registry: which setting names it, and whether it hangs.

Docker waits for it for ever, silently. A helper that needs its user (a keychain to be opened) may take a while.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

from devenv.backends.docker.endpoint import credential_helpers
from devenv.core.errors import DevenvError

TELL_AFTER: Final = 5.0  # seconds; then again and again
GIVE_UP_AFTER: Final = 60.0  # seconds
_LOOK_EVERY: Final = 1.0  # seconds
_NAMED: Final = "docker-credential-"
_DOCKERS_OWN: Final = ("docker", "com.docker.", "ssh", "git")  # what their names begin with


def setting_of(helper: str, environ: Mapping[str, str] | None = None) -> str:
    """Return which setting of which file names this helper, as "docker-credential-x"."""
    surroundings = os.environ if environ is None else environ
    return credential_helpers(surroundings).get(helper, "credsStore and credHelpers in docker's config.json")


class HelperWatch:
    """Looks, from entering to leaving, whether a process group waits for a credential helper.

    `tell` gets a sentence where one takes long. Where it does not end, `error` is set and `give_up` called, once.
    With `runs_programs` the group runs programs of the user's own, as providers are, which may take as long as they
    like: then only what is called as a helper is one. A helper may be a script that became another program.
    """

    def __init__(
        self,
        group: int,
        environ: Mapping[str, str] | None,
        tell: Callable[[str], None],
        give_up: Callable[[], None],
        *,
        runs_programs: bool = False,
    ) -> None:
        self._group = group
        self._runs_programs = runs_programs
        self._known = credential_helpers(os.environ if environ is None else environ)
        self._tell = tell
        self._give_up = give_up
        self._over = threading.Event()
        self.error: DevenvError | None = None

    def __enter__(self) -> HelperWatch:
        """Begin to look; without a helper in docker's settings there is nothing to look for."""
        if self._known:
            threading.Thread(target=self._watch, name="credential-helper", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Look no more."""
        self._over.set()

    def _watch(self) -> None:
        pid, since, told = 0, 0.0, 0.0
        while not self._over.wait(_LOOK_EVERY):
            now = time.monotonic()
            found, words = next(iter(_helpers_of(self._group, self._runs_programs)), (0, ""))
            if found != pid:
                pid, since, told = found, now, now
            if not pid or now - told < TELL_AFTER:
                continue
            told = now
            name = next((name for name in self._known if name in words), next(iter(self._known)))
            if now - since >= GIVE_UP_AFTER:
                what = f"docker's credential helper {name} did not answer within {GIVE_UP_AFTER:.0f} s"
                self.error = DevenvError(what, f"Mend it, or correct {self._known[name]}.")
                self._give_up()
                return
            end = f"it is given up after {GIVE_UP_AFTER:.0f} s"
            self._tell(f"still waiting for docker's credential helper {name} ({now - since:.0f} s; {end})")


def _helpers_of(group: int, runs_programs: bool) -> Iterator[tuple[int, str]]:
    """Yield (pid, command line) of what may be a credential helper in a process group."""
    for pid, member_of, words in _processes():
        if member_of != group or not words.strip():
            continue
        other = not Path(words.split()[0]).name.startswith(_DOCKERS_OWN)
        if _NAMED in words or (other and not runs_programs):
            yield pid, words


def _processes() -> Iterator[tuple[int, int, str]]:
    """Yield (pid, process group, command line) of all processes that can be seen."""
    if not Path("/proc/self/stat").exists():
        done = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,args="], capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            pid, group, words = line.split(None, 2)
            yield int(pid), int(group), words
        return
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # proc(5): pid (name) state ppid pgrp ...; the name may hold anything, parentheses too.
            own_group = int((entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[2])
            words = (entry / "cmdline").read_text(errors="replace").replace("\0", " ")
        except (OSError, IndexError, ValueError):
            continue  # it ended meanwhile
        yield int(entry.name), own_group, words
