"""Changes for the terminal: each in a named thread, reported as records. What a change does is its `Work`."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from itertools import count
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from devenv.control.guard import Guard, Ticket
from devenv.core.errors import DevenvError
from devenv.core.model import Action, Change, Phase, Progress

if TYPE_CHECKING:
    from devenv.control.stream import Remark

BUFFERED = 2000  # records; a build tells some hundred. Older progress is dropped, actions never
STOP_PATIENCE = 2.0  # seconds that leaving the terminal waits for what was interrupted
AT_A_TIME = 4  # changes of one runtime
_ids = count(1)  # of all runners: an action's id is unique in the terminal

Report = Callable[["Progress | Remark"], None]


class Work(Protocol):
    """What a change does, to be run once."""

    def run(self, report: Report) -> str:
        """Do it in this thread and return a word for its end ("" for none); raises DevenvError."""
        ...

    def interrupt(self) -> None:
        """End it as ctrl-c would, from any thread."""
        ...


class _Running(Struct, frozen=True):
    action: Action
    work: Work
    thread: threading.Thread
    touches: frozenset[str]  # empty: everything


class Runner:
    """Runs up to `limit` changes at a time and keeps their records until they are drained."""

    def __init__(self, guard: Guard, limit: int = AT_A_TIME) -> None:
        self._guard = guard
        self._limit = limit
        self._lock = threading.Lock()
        self._buffer: deque[Action | Progress] = deque()
        self._wake: Callable[[], None] = lambda: None
        self._running: dict[int, _Running] = {}

    def start(self, wake: Callable[[], None]) -> None:
        """Call `wake` from a thread whenever an empty buffer gets its first record."""
        self._wake = wake

    def stop(self) -> None:
        """Interrupt what runs and wait a short while for it."""
        with self._lock:
            running = tuple(self._running.values())
        for item in running:
            item.work.interrupt()
        deadline = time.monotonic() + STOP_PATIENCE
        for item in running:
            item.thread.join(max(0.0, deadline - time.monotonic()))

    def drain(self) -> list[Change]:
        """Take the records since the last call."""
        with self._lock:
            records: list[Change] = list(self._buffer)
            self._buffer.clear()
        return records

    def busy(self, touches: Collection[str] = ()) -> Action | None:
        """Return an action that must end before one that touches these may begin; none named: that touches all."""
        with self._lock:
            running = tuple(self._running.values())
        for item in running:
            both_known = touches and item.touches
            if len(running) >= self._limit or not both_known or not item.touches.isdisjoint(touches):
                return item.action
        return None

    def begin(self, ticket: Ticket, work: Work, touches: Collection[str] = ()) -> Action:
        """Run the work of an allowed change in a thread; its end is written into the audit log.

        `touches` is what no other change may touch until then; none named: everything.
        """
        plan = ticket.plan
        action = Action(next(_ids), plan.verb, plan.targets, Phase.REQUESTED, time.time(), ticket.warning)
        name = f"devenv-action-{action.id}-{plan.verb}"
        thread = threading.Thread(target=self._run, args=(action, work, ticket), name=name, daemon=True)
        with self._lock:
            self._running[action.id] = _Running(action, work, thread, frozenset(touches))
        self._put(action)
        thread.start()
        return action

    def cancel(self, action_id: int) -> None:
        """Interrupt the action if it still runs."""
        with self._lock:
            running = self._running.get(action_id)
        if running is not None:
            running.work.interrupt()

    def _run(self, action: Action, work: Work, ticket: Ticket) -> None:
        def report(record: Progress | Remark) -> None:
            step = record if isinstance(record, Progress) else Progress(record.text, "Warning", "warning")
            self._put(replace(step, action=action.id))

        self._put(replace(action, phase=Phase.RUNNING))
        failure: BaseException | None = None
        try:
            end = replace(action, phase=Phase.DONE, detail=work.run(report), exit_code=0)
        except DevenvError as error:
            failure = error
            detail = "\n".join(item.message for item in (error, *error.also))
            end = replace(action, phase=Phase.FAILED, detail=detail, hint=error.hint, exit_code=error.exit_code)
        except BaseException as error:
            failure = error
            end = replace(action, phase=Phase.FAILED, detail=f"devenv itself failed: {error!r}", exit_code=1)
            raise
        finally:
            warning = self._guard.finish(ticket, failure)
            with self._lock:
                del self._running[action.id]
            self._put(replace(end, hint=warning) if warning and not end.hint else end)

    def _put(self, record: Action | Progress) -> None:
        with self._lock:
            was_empty = not self._buffer
            if len(self._buffer) >= BUFFERED:
                oldest = next((item for item in self._buffer if isinstance(item, Progress)), None)
                if oldest is not None:
                    self._buffer.remove(oldest)
            self._buffer.append(record)
        if was_empty:
            self._wake()
