"""`up --wait`: Compose starts the services while the engine's events are judged; ends as early as the answer is known.

Compose's own --wait is not used: it calls a one-shot that ended well a failure, and it waits for a crash loop until
the time is over. Plain `up -d` waits for `depends_on` conditions, so both must go on at once.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Protocol

from devenv.backends.programs import finish
from devenv.control.job import Job, Report
from devenv.control.readiness import Outcome, Readiness, ServiceStatus, UpOutcome
from devenv.control.stream import Remark
from devenv.core.errors import DevenvError, Interrupted, ServiceFailed, WaitTimeout
from devenv.core.masking import mask_secrets
from devenv.core.model import Happening, Health, Progress, Project, Resource, State
from devenv.core.text import sanitize

QUIET = 1.0  # seconds without a step of Compose: it only waits for conditions, nothing is left half made
READ_PAUSE = 0.1  # seconds between two readings of all containers: a burst of events costs one
_STATUS = {
    Outcome.WAITING: "working",
    Outcome.READY: "done",
    Outcome.COMPLETED: "done",
    Outcome.FAILED: "error",
}


class Watch(Protocol):
    """What the engine tells of one project: events from before the first reading on, and readings when asked."""

    def events(self, timeout: float) -> Sequence[Happening]:
        """Return what happened since the last call, waiting at most `timeout` seconds for the first of it."""
        ...

    def read(self) -> tuple[Resource, ...]:
        """Read all containers of the project in full, health checks included."""
        ...

    @property
    def is_stale(self) -> bool:
        """Whether the last reading is old, since the connection broke."""
        ...


class _JobEnded:
    def __init__(self, error: DevenvError | None) -> None:
        self.error = error


_News = Progress | Remark | Happening | _JobEnded | Exception
Evidence = Callable[[Resource], tuple[str, ...]]


class Waiter:
    """Runs one `up` and judges it.

    `timeout` in seconds, 0: no limit. `evidence` reads the last words of a container that failed. Services that are
    `optional` are judged, but need not come up.
    """

    def __init__(
        self,
        project: Project,
        job: Job,
        watch: AbstractContextManager[Watch],
        evidence: Evidence,
        timeout: float,
        optional: frozenset[str] = frozenset(),
    ) -> None:
        self._project = project
        self._job = job
        self._watching = watch
        self._evidence = evidence
        self._timeout = timeout
        self._optional = optional
        needs = [item for service in project.services for item in service.depends_on]
        self._dispensable = {item.service for item in needs} - {item.service for item in needs if item.required}
        self._inbox: queue.SimpleQueue[_News] = queue.SimpleQueue()
        self._over = threading.Event()
        self._interrupted = threading.Event()
        self._reported: dict[str, ServiceStatus] = {}

    def interrupt(self) -> None:
        """End the wait and Compose, from any thread; `run` then raises Interrupted."""
        self._interrupted.set()
        self._job.interrupt()

    def run(self, report: Report) -> UpOutcome:
        """Wait until it is known.

        Raises EngineUnreachable when the engine cannot be watched, Interrupted after `interrupt`.
        """
        began = time.monotonic()
        readiness = Readiness(self._project, began)
        with self._watching as watch:
            resources = watch.read()
            readiness.see(resources, began)
            threads = [
                threading.Thread(target=self._follow_events, args=(watch,), name="up-events", daemon=True),
                threading.Thread(target=self._follow_job, name="up-compose", daemon=True),
            ]
            for thread in threads:
                thread.start()
            try:
                return self._until_known(readiness, watch, report, began)
            finally:
                self._over.set()
                self._job.interrupt()
                for thread in threads:
                    thread.join()

    def _until_known(self, readiness: Readiness, watch: Watch, report: Report, began: float) -> UpOutcome:
        deadline = began + self._timeout if self._timeout else float("inf")
        resources: tuple[Resource, ...] = ()
        read_at, stepped_at, stale = 0.0, began, True
        ended: _JobEnded | None = None
        while True:
            now = time.monotonic()
            pause = READ_PAUSE if stale else min(readiness.next_change(now), deadline - now, QUIET / 2)
            for news in self._take(max(0.0, pause)):
                if isinstance(news, Happening):
                    readiness.observe(news, time.monotonic())
                    stale = True
                elif isinstance(news, _JobEnded):
                    ended, stale, read_at = news, True, 0.0
                elif isinstance(news, Exception):
                    raise news
                else:
                    if isinstance(news, Progress):
                        readiness.compose_did(news)
                        stepped_at = time.monotonic()
                    report(news)
            if self._interrupted.is_set():
                raise Interrupted("The start was interrupted")
            now = time.monotonic()
            if stale and now - read_at >= READ_PAUSE:
                resources, read_at = watch.read(), now
                stale = watch.is_stale
                readiness.see(resources, now)
                if ended is not None:
                    readiness.compose_ended(succeeded=ended.error is None)
            statuses = self._explained(readiness, readiness.statuses(now))
            self._tell(statuses, report)
            if stale:
                continue
            error = self._error(statuses, ended, timed_out=now >= deadline)
            if isinstance(error, ServiceFailed) and ended is None and now < deadline and now - stepped_at < QUIET:
                continue  # other services are still being started, and shall be
            if isinstance(error, ServiceFailed) and now < deadline and self._goes_on(statuses, ended):
                continue
            if error is not None or (ended is not None and not self._needed(statuses)):
                proven = tuple(self._with_evidence(status, resources) for status in statuses)
                return UpOutcome(proven, now - began, error)

    def _error(
        self, statuses: tuple[ServiceStatus, ...], ended: _JobEnded | None, *, timed_out: bool
    ) -> DevenvError | None:
        needed = self._needed(statuses)
        failed = [status for status in needed if status.outcome is Outcome.FAILED]
        compose_error = ended.error if ended is not None else None
        if compose_error is not None and not (failed and isinstance(compose_error, ServiceFailed)):
            return compose_error
        if failed:
            text = "; ".join(f"{status.service}: {status.reason}" for status in failed)
            logged = " ".join(status.service for status in failed if status.container_id)
            hint = f"See more: devenv logs {logged}" if logged or compose_error is None else compose_error.hint
            return ServiceFailed(text, hint)
        if timed_out and (needed or ended is None):
            text = "; ".join(f"{status.service}: {status.reason}" for status in needed) or "Compose is still busy"
            return WaitTimeout(
                f"After {self._timeout:g} s still waiting for {text}", "Wait longer with --timeout S (0: no limit)."
            )
        return None

    def _goes_on(self, statuses: tuple[ServiceStatus, ...], ended: _JobEnded | None) -> bool:
        """Whether only what nobody requires has failed: Compose starts the others, and they come up or not."""
        needed = self._needed(statuses)
        failed = {status.service for status in needed if status.outcome is Outcome.FAILED}
        compose_failed = ended is not None and ended.error is not None
        return not compose_failed and failed <= self._dispensable and len(failed) < len(needed)

    def _needed(self, statuses: tuple[ServiceStatus, ...]) -> list[ServiceStatus]:
        """Return those that are not up and have to be."""
        return [status for status in statuses if not _is_up(status) and status.service not in self._optional]

    def _explained(self, readiness: Readiness, statuses: tuple[ServiceStatus, ...]) -> tuple[ServiceStatus, ...]:
        explained = []
        for status in statuses:
            blockers = readiness.blocked_by(status.service, statuses) if status.outcome is Outcome.WAITING else ""
            if blockers and not status.begun:
                status = replace(status, reason=f"not started: waits for {blockers}")
            explained.append(status)
        return tuple(explained)

    def _tell(self, statuses: tuple[ServiceStatus, ...], report: Report) -> None:
        for status in statuses:
            before = self._reported.get(status.service)
            if before is None or (before.outcome, before.reason) != (status.outcome, status.reason):
                self._reported[status.service] = status
                report(
                    Progress(
                        id=f"Service {status.service}",
                        text=status.outcome.value.capitalize(),
                        status=_STATUS[status.outcome],
                        details=status.reason,
                    )
                )

    def _with_evidence(self, status: ServiceStatus, resources: tuple[Resource, ...]) -> ServiceStatus:
        if _is_up(status) or not status.container_id:
            return status
        resource = next((item for item in resources if item.container_id == status.container_id), None)
        if resource is None or resource.started_at is None:
            return status
        return replace(status, evidence=self._evidence(resource))

    def _take(self, timeout: float) -> list[_News]:
        news: list[_News] = []
        try:
            news.append(self._inbox.get(timeout=timeout))
            while True:
                news.append(self._inbox.get_nowait())
        except queue.Empty:
            return news

    def _follow_job(self) -> None:
        try:
            self._job.run(self._inbox.put)
        except DevenvError as error:
            self._inbox.put(_JobEnded(error))
        except Exception as error:  # noqa: BLE001  # raised in the waiting thread, which would wait on without it
            self._inbox.put(error)
        else:
            self._inbox.put(_JobEnded(None))

    def _follow_events(self, watch: Watch) -> None:
        try:
            while not self._over.is_set():
                for happening in watch.events(0.2):
                    self._inbox.put(happening)
        except Exception as error:  # noqa: BLE001  # as above; EngineUnreachable is the one that is foreseen
            self._inbox.put(error)


def _is_up(status: ServiceStatus) -> bool:
    return status.outcome in (Outcome.READY, Outcome.COMPLETED)


LINES = 10  # log lines that a status shows
_WIDTH = 400  # characters of one line


def last_words(directory: str, environ: Mapping[str, str] | None = None) -> Callable[[Resource], tuple[str, ...]]:
    """Return a function that reads them; what cannot be read is said as a line."""

    def read(resource: Resource) -> tuple[str, ...]:
        if (
            resource.state is State.RUNNING
            and resource.health in (Health.UNHEALTHY, Health.STARTING)
            and resource.checks
        ):
            check = resource.checks[-1]
            lines = check.output.strip().splitlines() or ["(the health check printed nothing)"]
            return _tidy([f"last health check: exit code {check.exit_code}", *lines[-LINES:]])
        command = ["docker", "logs", "--tail", str(LINES), resource.container_id]
        try:
            done = finish(command, environ, timeout=20, folder=directory, merged=True)
        except DevenvError as error:
            return (f"(its log cannot be read: {error.message})",)
        return _tidy(sanitize(done.stdout, newlines=True).splitlines()) or ("(it printed nothing)",)

    return read


def _tidy(lines: list[str]) -> tuple[str, ...]:
    return tuple(mask_secrets(line)[:_WIDTH] for line in lines)
