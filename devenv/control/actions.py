"""Changes of one Compose project for the terminal: one at a time, each in a named thread, told as records."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count

from devenv.backends.compose.find import ComposeOptions
from devenv.control.guard import Guard, Ticket
from devenv.control.job import Job
from devenv.control.protocol import Plan
from devenv.control.stream import Remark
from devenv.errors import DevenvError, Refused
from devenv.model import Action, Change, Phase, Progress, Project

BUFFERED = 2000  # records; a build tells some hundred. Older progress is dropped, actions never
STOP_PATIENCE = 2.0  # seconds that leaving the terminal waits for an interrupted Compose

_FLAGS = {"up": ("--detach",)}


class ComposeControl:
    """`devenv.control.protocol.Control` by Docker Compose. `project` returns what is known of it without waiting."""

    def __init__(
        self,
        options: ComposeOptions,
        project: Callable[[], Project | None],
        guard: Guard,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._options = options
        self._project = project
        self._guard = guard
        self._environ = environ
        self._lock = threading.Lock()
        self._buffer: deque[Action | Progress] = deque()
        self._wake: Callable[[], None] = lambda: None
        self._ids = count(1)
        self._running: tuple[Action, Job, threading.Thread] | None = None

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to take requests."""
        self._wake = wake

    def stop(self) -> None:
        """Interrupt what runs and wait a short while for it; Compose itself is ended harder when it takes longer."""
        with self._lock:
            running = self._running
        if running is not None:
            _, job, thread = running
            job.interrupt()
            thread.join(STOP_PATIENCE)

    def drain(self) -> list[Change]:
        """Take the records since the last call."""
        with self._lock:
            records: list[Change] = list(self._buffer)
            self._buffer.clear()
        return records

    def plan(self, verb: str, targets: tuple[str, ...] = (), *, volumes: bool = False) -> Plan:
        """Return the guard's answer; refused while the project is not known, since its reach is not known then."""
        project = self._project()
        plan = self._guard.plan(verb, targets, volumes=volumes, project=project)
        if project is None and plan.allowed:
            return replace(plan, allowed=False, reason="The project is not resolved yet", hint="Try in a moment.")
        return plan

    def request(self, plan: Plan) -> Action:
        """Begin to carry the plan out. Raises Refused by policy, and while another change runs."""
        project = self._project()
        with self._lock:
            busy = self._running
        if busy is not None:
            hint = "Wait for it, or cancel it."
            raise self._guard.refuse(plan, f"{plan.verb} was not begun: {busy[0].verb} is still running", hint, project)
        ticket = self._guard.begin(plan, project, self._options.directory)
        if project is None:
            error = Refused("The project is not resolved yet", "Try in a moment.")
            self._guard.finish(ticket, error)
            raise error
        flags = ("--volumes",) if plan.volumes else _FLAGS.get(plan.verb, ())
        job = Job(self._options, project, plan.verb, flags, plan.targets, self._environ)
        action = Action(next(self._ids), plan.verb, plan.targets, Phase.REQUESTED, time.time(), ticket.warning)
        name = f"devenv-action-{action.id}-{plan.verb}"
        thread = threading.Thread(target=self._run, args=(action, job, ticket), name=name, daemon=True)
        with self._lock:
            self._running = (action, job, thread)
        self._put(action)
        thread.start()
        return action

    def cancel(self, action_id: int) -> None:
        """Interrupt the action if it still runs."""
        with self._lock:
            running = self._running
        if running is not None and running[0].id == action_id:
            running[1].interrupt()

    def _run(self, action: Action, job: Job, ticket: Ticket) -> None:
        def report(record: Progress | Remark) -> None:
            self._put(record if isinstance(record, Progress) else Progress(record.text, "Warning", "warning"))

        self._put(replace(action, phase=Phase.RUNNING))
        failure: BaseException | None = None
        try:
            job.run(report)
            end = replace(action, phase=Phase.DONE, detail="" if job.steps else "there was nothing to do", exit_code=0)
        except DevenvError as error:
            failure = error
            end = replace(action, phase=Phase.FAILED, detail=error.message, hint=error.hint, exit_code=error.exit_code)
        except BaseException as error:
            failure = error
            end = replace(action, phase=Phase.FAILED, detail=f"devenv itself failed: {error!r}", exit_code=1)
            raise
        finally:
            warning = self._guard.finish(ticket, failure)
            with self._lock:
                self._running = None
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
