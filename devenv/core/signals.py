"""Being asked to end: ctrl-c (SIGINT), SIGTERM, and SIGHUP of a closed terminal mean the same wherever devenv runs."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import IO, Any, Final

from devenv.core.errors import ToolMissing

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CLEANING: Final = "\ndevenv: it ends as soon as it has cleaned up (ctrl-\\ ends it at once and leaves the rest)\n"

# What a full-screen program changed of a terminal: screen, mouse, focus, pasting, cursor, line wrap and the keyboard
# (xterm's control sequences; kitty's keyboard protocol).
_GIVE_BACK: Final = b"\x1b[?1000l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[<u\x1b[?7h\x1b[?25h\x1b[?1049l"

_AT_ONCE: Final = 0.2  # seconds within which a signal is usually heeded

_held: list[Callable[[], None]] | None = None
_interrupted = False
_heeded = 0.0  # when a handler ran last, by the monotonic clock


def on_end(call: Callable[[str], None], *, once: bool = False) -> Callable[[], None]:
    """Let `call` have the name of each signal that asks this process to end; returns what restores the handlers.

    With `once` it gets the first, and more are only answered: they would cut the clean-up short. What is ignored
    already stays ignored, as nohup(1) wants. To be called in the main thread.
    """
    asked = False
    # Looked at now: of a terminal that is gone nobody can tell.
    terminals = {stream: _modes(stream) for stream in (0, 1, 2) if os.isatty(stream)}

    def handle(number: int, frame: FrameType | None) -> None:
        global _heeded
        nonlocal asked
        _heeded = time.monotonic()
        if number == signal.SIGHUP:
            _leave(terminals)
        if once and asked:
            tell_cleaning()
            return
        if not asked:
            # While Python itself ends, its handlers are gone: one more signal would take the place of the exit code.
            atexit.register(_ignore_more)
        asked = True
        name = signal.Signals(number).name
        if _held is None:
            call(name)
        else:
            _held.append(lambda: call(name))

    kept = {number: signal.getsignal(number) for number in ENDING}
    kept = {number: before for number, before in kept.items() if before is not signal.SIG_IGN}
    for number in kept:
        signal.signal(number, handle)

    def restore() -> None:
        for number, before in kept.items():
            signal.signal(number, signal.SIG_DFL if before is None else before)  # None: not set by Python

    return restore


def interrupt_once() -> Callable[[], None]:
    """Raise KeyboardInterrupt at the first of these signals; returns what restores the handlers."""

    global _interrupted
    _interrupted = False

    def interrupt(name: str) -> None:
        global _interrupted
        _interrupted = True
        raise KeyboardInterrupt

    restore_handlers, let_main_wait = on_end(interrupt, once=True), _keep_main_listening()

    def restore() -> None:
        let_main_wait()
        restore_handlers()

    return restore


def heed_lost_interrupt() -> None:
    """Raise KeyboardInterrupt again where it was raised already and is lost.

    Python only tells of an exception within a callback of its import system or garbage collector, and goes on.
    """
    if _interrupted:
        raise KeyboardInterrupt


@contextmanager
def held() -> Iterator[Callable[[], None]]:
    """Keep a signal until the yielded function is called, or the block ends.

    For a program that is being started: interrupted within Popen, it would go on with nobody to end it. To be used in
    the main thread; the function is called first in the `try` whose clean-up ends the program.
    """
    global _held
    _held = []

    def release() -> None:
        global _held
        calls, _held = _held or [], None
        for call in calls:
            call()

    try:
        yield release
    finally:
        release()


def _keep_main_listening() -> Callable[[], None]:
    """Let no signal go unheeded while the main thread waits for something; returns what ends that.

    Python runs handlers in the main thread, between two of its steps (the documentation of `signal`, "Execution of
    Python signal handlers"). A signal that comes right before a call that waits, or to another thread, would be heeded
    when that call returns: for a program that one follows, never. A thread is told of each signal, and wakes the main
    thread by SIGURG, which does nothing else, until a handler has run.
    """
    listens, tells = os.pipe()
    os.set_blocking(tells, False)
    before = signal.set_wakeup_fd(tells, warn_on_full_buffer=False)
    if before != -1:  # an event loop has it, which is woken by it itself
        signal.set_wakeup_fd(before)
        os.close(tells)
        os.close(listens)
        return lambda: None
    kept = signal.signal(signal.SIGURG, lambda number, frame: None)
    main = threading.main_thread().ident or 0

    def listen() -> None:
        while numbers := os.read(listens, 64):
            came = time.monotonic()
            time.sleep(_AT_ONCE)
            while any(number in ENDING for number in numbers) and _heeded < came - _AT_ONCE and not over:
                signal.pthread_kill(main, signal.SIGURG)
                time.sleep(_AT_ONCE)
        os.close(listens)

    over: list[bool] = []
    threading.Thread(target=listen, name="devenv-signals", daemon=True).start()

    def end() -> None:
        over.append(True)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGURG, kept)
        os.close(tells)

    return end


def tell_cleaning() -> None:
    """Tell on stderr that the clean-up goes on; also from within a signal handler."""
    with suppress(OSError):  # nobody reads it
        os.write(sys.__stderr__.fileno() if sys.__stderr__ is not None else 2, _CLEANING.encode())


def _ignore_more() -> None:
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


def _modes(terminal: int) -> list[Any] | None:
    try:
        return termios.tcgetattr(terminal)
    except termios.error:
        return None


def _leave(terminals: Mapping[int, list[Any] | None]) -> None:
    """Write to nowhere from now on: to write to a terminal that is gone is an error, and would end the clean-up.

    One that is still there, as after `kill -HUP`, is given back before where this process has changed it.
    """
    for stream, before in terminals.items():
        if before is None or _modes(stream) in (None, before):
            continue
        with suppress(OSError, termios.error):  # gone in this moment
            # In the background it is somebody else's, and to change it would stop this process.
            if os.tcgetpgrp(stream) == os.getpgrp():
                os.write(stream, _GIVE_BACK)
                termios.tcsetattr(stream, termios.TCSANOW, before)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in terminals:
        os.dup2(nowhere, stream)
    os.close(nowhere)


def hand_over(
    line: Sequence[str],
    environ: Mapping[str, str],
    folder: str = "",
    stdin: IO[bytes] | None = None,
    hint: str = "Is it installed?",
) -> int:
    """Run a program in this terminal and return its exit code; raises ToolMissing with that hint.

    ctrl-c reaches it alone: a shell inside wants it.
    """
    import subprocess  # deferred: most commands start nothing

    # A handler, and not SIG_IGN: the started program would inherit that.
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        with held() as release:
            process = subprocess.Popen(list(line), env=dict(environ), cwd=folder or None, stdin=stdin)
            try:
                release()
                return exit_code_of(process.wait())
            except BaseException:  # devenv itself is ended: nothing is left behind
                process.terminate()
                process.wait()
                raise
    except OSError as error:
        raise ToolMissing(f"{line[0]} could not be started: {error}", hint) from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_code_of(returned: int) -> int:
    """Return the exit code as shells report it: 128 and more after a signal."""
    return returned if returned >= 0 else 128 - returned
