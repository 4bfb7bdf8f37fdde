"""`python -m docfront`: serve until SIGTERM or SIGINT.

Exit codes: 0 stopped, 2 a setting is not usable, 3 the port is taken, 128 + n when the worker was killed by signal n
while RELOAD is on.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from docfront.settings import Settings, SettingsError


def main() -> int:
    """Serve; returns the exit code."""
    # As process 1 of a container, signals without a handler are ignored: a stop during the start would hang. And
    # uvicorn raises the signal again after its orderly end, which shall be an exit with 0.
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    try:
        settings = Settings.from_environ(os.environ)
    except SettingsError as error:
        print(f"docfront: {error}", file=sys.stderr)
        return 2
    from docfront.server import serve

    return serve(settings)


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
