"""A run of smoke tests that goes on beside this process: started, followed through its stream, cancelled once."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devenv.core.errors import DevenvError
from devenv.core.text import sanitize
from devenv.runs.lines import LIFELINE, STREAM

RUNNING = "--devenv-running"
LAST_WORDS = 4000  # characters of pytest's own output that are told where it ended without a result


def these_tests(folder: Path) -> list[str]:
    """Return the options of pytest that say that the smoke tests are in this folder, whatever its name."""
    return ["-o", f"devenv_smoketests={shlex.quote(str(folder.absolute()))}"]


@dataclass(frozen=True, slots=True)
class RunWish:
    """What shall be run: pytest's options, and node ids of tests (none: all of them)."""

    options: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()

    @property
    def running(self) -> bool:
        """Whether what is up is tested instead of an isolated copy."""
        return RUNNING in self.options


class LiveRun:
    """One pytest in a session of its own: no key of this terminal reaches it.

    When this process is gone, however it ended, the run cancels itself: what it brought up is always taken down.
    """

    def __init__(self, folder: Path, root: Path, wish: RunWish, environ: Mapping[str, str]) -> None:
        self.wish = wish
        self.cancelled = False
        self._place = Path(tempfile.mkdtemp(prefix="devenv-verify-"))
        self._stream = self._place / "stream.jsonl"
        self._output = self._place / "output.txt"
        self._read = 0
        what = wish.tests or (str(folder),)
        command = [sys.executable, "-m", "pytest", "--color=no", *these_tests(folder), *wish.options, *what]
        theirs, self._lifeline = os.pipe()
        with self._output.open("wb") as output:
            try:
                self._process = subprocess.Popen(
                    command,
                    cwd=root,
                    env=dict(environ) | {STREAM: str(self._stream), LIFELINE: str(theirs)},
                    pass_fds=(theirs,),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            except OSError as error:
                os.close(self._lifeline)
                shutil.rmtree(self._place, ignore_errors=True)
                raise DevenvError(f"the tests cannot be started: {error}") from error
            finally:
                os.close(theirs)

    @property
    def exit_code(self) -> int | None:
        """How pytest ended; None while it runs."""
        return self._process.poll()

    def cancel(self) -> bool:
        """Interrupt it, once: it takes its stacks down, and a second signal would cut that short. False: too late."""
        if self.cancelled or self._process.poll() is not None:
            return False
        self.cancelled = True
        self._process.send_signal(signal.SIGTERM)
        return True

    def drain(self) -> list[dict[str, Any]]:
        """Return what the run told since the last call; a line that is not whole yet waits."""
        try:
            with self._stream.open("rb") as file:
                file.seek(self._read)
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        return [json.loads(line) for line in whole.splitlines()]

    def last_words(self) -> str:
        """Return the end of what pytest printed."""
        try:
            text = self._output.read_bytes()[-LAST_WORDS:]
        except OSError:
            return ""
        return sanitize(text, newlines=True).strip()

    def close(self) -> None:
        """Forget the files of a run that has ended; one that goes on keeps them, it writes to them."""
        if self._process.poll() is not None and self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
            shutil.rmtree(self._place, ignore_errors=True)


Launch = Callable[[RunWish], LiveRun]


def launcher(folder: Path, root: Path, environ: Mapping[str, str] = os.environ) -> Launch:
    """Return the function that starts runs of the smoke tests in `folder`, for the project in `root`."""
    return lambda wish: LiveRun(folder, root, wish, environ)
