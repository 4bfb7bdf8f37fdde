"""What a run tells while it goes on: JSON lines in a file, written as things happen, and read by whoever follows it.

A recording's lines have the time of one clock: `t` is seconds since the recording began by the machine's monotonic
clock, which no correction of the time moves and which all processes of a machine share; `at` is the wall clock, for
comparing with what other machines say.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from devenv.core.decode import convert, from_json
from devenv.core.errors import DevenvError
from devenv.core.masking import mask_values
from devenv.core.stored import Moment, is_file


class Timed(msgspec.Struct):
    """What every line of a recording has."""

    t: Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]
    type: str
    at: Moment = 0.0


class Lines:
    """A file of lines that is flushed at each, so that nothing is lost whatever ends the process."""

    def __init__(self, path: Path, base: float) -> None:
        self._base = base
        try:
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise DevenvError(
                f"{path} cannot be written: {error.strerror}", "Choose a folder with --record."
            ) from error

    def now(self) -> float:
        """Return the time of the recording."""
        return time.monotonic() - self._base

    def write(self, kind: str, /, **values: Any) -> None:
        """Write one line."""
        line = {"t": round(self.now(), 3), "at": round(time.time(), 3), "type": kind, **values}
        self._file.write(mask_values(json.dumps(line, ensure_ascii=False, separators=(",", ":"))) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Tail:
    """Reads what is appended to a file; a last line that is not whole yet is left for the next time."""

    def __init__(self, path: Path, kind: type = Timed) -> None:
        self._path = path
        self._kind = kind  # what every line has
        self._offset = 0
        self.broken = 0  # lines that cannot be read, as a full disk leaves them

    def read(self) -> Iterator[dict[str, Any]]:
        """Return the new lines; none where the file is not there yet."""
        if not is_file(self._path):
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for raw in file:
                if not raw.endswith(b"\n"):
                    return
                self._offset += len(raw)
                try:
                    line = from_json(raw, dict[str, Any])
                    convert(line, self._kind)
                except (ValueError, RecursionError):
                    self.broken += 1
                    continue
                yield line


def say(data: dict[str, Any]) -> None:
    """Tell the process that started this one, as one line on standard output."""
    sys.stdout.write(mask_values(json.dumps(data, ensure_ascii=False)) + "\n")
    sys.stdout.flush()


def write_text(path: Path, text: str) -> None:
    """Write a file of a run, whole or not at all: others read it meanwhile. Raises DevenvError."""
    try:
        new = path.with_name(f"{path.name}.new")
        new.write_text(mask_values(text), "utf-8", errors="backslashreplace")
        new.replace(path)
    except OSError as error:
        raise DevenvError(f"{path} cannot be written: {error.strerror}", "Choose another folder.") from error


STREAM: Final = "DEVENV_VERIFY_STREAM"  # names a file that gets a JSON line for each step of a run
LIFELINE: Final = "DEVENV_VERIFY_LIFELINE"  # number of a pipe's read end; the other end is open while somebody follows


def hold_on(environ: MutableMapping[str, str] = os.environ) -> None:
    """End this process as SIGTERM does once its follower is gone, however that went; without a follower, never."""
    number = environ.pop(LIFELINE, "")  # not for the programs that tests start
    if not number:
        return
    os.set_inheritable(int(number), False)
    threading.Thread(target=_wait_for_the_end, args=(int(number),), name="lifeline", daemon=True).start()


def _wait_for_the_end(handle: int) -> None:
    if os.read(handle, 1) == b"":
        stream = os.environ.pop(STREAM, "")
        if stream:  # nobody reads it any more, and nobody else would remove the follower's folder
            shutil.rmtree(Path(stream).parent, ignore_errors=True)
        os.kill(os.getpid(), signal.SIGTERM)


def tell(data: dict[str, Any]) -> None:
    """Write a line to the file that a follower of the run reads, if there is one."""
    path = os.environ.get(STREAM)
    if path and Path(path).parent.is_dir():  # the folder is its follower's, and goes with it
        with Path(path).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(mask_values(json.dumps(data, ensure_ascii=False)) + "\n")
