"""Run a long action in a thread while the main thread draws and listens for ctrl-c."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

from devenv.cli.console import tell
from devenv.cli.progress import FRAME, Display
from devenv.control.job import Report
from devenv.control.stream import Remark
from devenv.core.model import Progress
from devenv.core.signals import on_end

Result = TypeVar("Result")


class _StopAsked:
    """Somebody pressed ctrl-c, or wants devenv to end."""


def pump(
    name: str, action: Callable[[Report], Result], interrupt: Callable[[], None], *, no_color: bool | None = None
) -> Result:
    """Return what `action(report)` returns, or raise what it raises; ctrl-c calls `interrupt` and waits for the end.

    To be called in the main thread: only that one gets signals.
    """
    records: queue.SimpleQueue[Progress | Remark | _StopAsked] = queue.SimpleQueue()
    outcome: list[Result] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(action(records.put))
        except BaseException as error:  # noqa: BLE001  # carried to the main thread and raised there
            failure.append(error)

    thread = threading.Thread(target=work, name=f"devenv-{name}", daemon=True)
    display = Display(no_color=no_color)
    # An exception out of a signal handler could strike anywhere below; a record in the queue cannot.
    restore = on_end(lambda name: records.put(_StopAsked()))
    try:
        thread.start()
        while thread.is_alive() or not records.empty():
            try:
                record = records.get(timeout=FRAME)
            except queue.Empty:
                display.tick()
                continue
            if isinstance(record, _StopAsked):
                display.close()
                tell(f"\ndevenv: stopping {name} …", no_color=no_color)
                interrupt()
            else:
                display.show(record)
            display.tick()
    finally:
        restore()
    display.close()
    if failure:
        raise failure[0]
    return outcome[0]
