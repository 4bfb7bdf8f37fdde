"""Run one changing verb of `docker compose` as a child process that tells its progress and can be interrupted."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO

from devenv.backends.compose.failures import not_installed
from devenv.backends.compose.find import ComposeOptions
from devenv.backends.plugin import started_directly
from devenv.control.failures import translate
from devenv.control.stream import Complaint, ComposeRecord, parse_line
from devenv.core.model import Progress

PATIENCE = 5.0  # seconds between SIGINT, SIGTERM and SIGKILL: Compose needs some to end a build
_LINE_LIMIT = 1 << 20  # bytes of one JSON line; BuildKit's are a few kilobytes


class ComposeRun:
    """A running Compose. Records are read with `records` or put in a queue of the caller's.

    Compose and what it starts (buildx) form a process group of their own: ctrl-c in the terminal reaches devenv alone,
    which then interrupts the group and stays to say what state things were left in.
    """

    def __init__(
        self,
        options: ComposeOptions,
        arguments: tuple[str, ...],
        environ: Mapping[str, str] | None = None,
        document: bytes = b"",
    ) -> None:
        """Start it; `document` is what it reads where its file is "-". Raises ToolMissing where docker is missing."""
        command = started_directly(options.command("--progress", "json", *arguments), environ)
        try:
            with _file_of(document) as stdin:
                self._process = subprocess.Popen(
                    command,
                    cwd=options.directory,
                    env=environ,
                    stdin=stdin,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    process_group=0,
                )
        except OSError as error:
            raise not_installed(error) from error
        self._records: queue.Queue[ComposeRecord | None] = queue.Queue(maxsize=10_000)
        self._interrupted = threading.Event()
        assert self._process.stdout is not None  # PIPE was asked for
        assert self._process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), name=f"compose-{name}", daemon=True)
            for name, stream in (("stdout", self._process.stdout), ("stderr", self._process.stderr))
        ]
        self._open_streams = len(self._readers)
        for reader in self._readers:
            reader.start()

    @property
    def group(self) -> int:
        """The process group of Compose and all that it starts."""
        return self._process.pid

    @property
    def interrupted(self) -> bool:
        """Whether `interrupt` was called."""
        return self._interrupted.is_set()

    def records(self) -> Iterator[ComposeRecord]:
        """Yield what Compose tells, in order, until both of its streams end."""
        while self._open_streams:
            record = self._records.get()
            if record is None:
                self._open_streams -= 1
            else:
                yield record

    def wait(self) -> int:
        """Wait for the end and return the exit code. Call it after `records` is exhausted."""
        return self._process.wait()

    def close(self) -> None:
        """End it when it still runs, and wait until it is gone; for when nobody reads its records any more."""
        self.interrupt()
        for _ in self.records():
            continue
        self._process.wait()

    def interrupt(self) -> None:
        """Ask Compose to stop as ctrl-c does; a thread insists with SIGTERM and SIGKILL when it does not.

        Nothing happens when it has already ended.
        """
        if self._interrupted.is_set():
            return
        self._interrupted.set()
        if self._signal(signal.SIGINT):
            threading.Thread(target=self._insist, name="compose-insist", daemon=True).start()

    def _insist(self) -> None:
        for harder in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + PATIENCE
            for reader in self._readers:
                reader.join(max(0.0, deadline - time.monotonic()))
            if not self._signal(harder):
                return

    def _signal(self, number: signal.Signals) -> bool:
        # While a stream is open, somebody of the group lives, so that its id cannot belong to anybody else.
        if not any(reader.is_alive() for reader in self._readers):
            return False
        with suppress(ProcessLookupError):  # it ended by itself in this moment, which is what was asked
            os.killpg(self._process.pid, number)
        return True

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            while line := stream.readline(_LINE_LIMIT):
                for record in parse_line(line):
                    self._records.put(record)
        self._records.put(None)


@contextmanager
def _file_of(document: bytes) -> Iterator[IO[bytes] | int]:
    """Give what Compose reads as its standard input: a file, as a pipe would have to be fed meanwhile."""
    if not document:
        yield subprocess.DEVNULL
        return
    with tempfile.TemporaryFile() as file:
        file.write(document)
        file.seek(0)
        yield file


_PREFIX = "Volume "


def volumes_at_risk(options: ComposeOptions, targets: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return their full names; anonymous ones have none. Raises what `failures.translate` makes of Compose's error."""
    run = ComposeRun(options, ("--dry-run", "down", "--volumes", *targets))
    names: dict[str, None] = {}
    complaint = ""
    for record in run.records():
        if isinstance(record, Progress) and record.id.startswith(_PREFIX) and record.status != "warning":
            names[record.id.removeprefix(_PREFIX)] = None
        elif isinstance(record, Complaint):
            complaint = record.message
    if run.wait() != 0:
        raise translate(complaint, None)
    return tuple(names)
