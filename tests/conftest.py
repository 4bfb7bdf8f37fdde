"""What all tests stand on."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Take SIGINT as a program in a terminal does; a shell's background jobs begin, and their children, ignoring it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
