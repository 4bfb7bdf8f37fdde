"""What a run tells whoever follows it while it goes on: JSON lines in a file, each one write, from every process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, Final

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
            file.write(json.dumps(data) + "\n")
