"""Watches one stack while tests use it: keeps what a failure is explained with, and writes all of it as evidence.

It reads the engine through the same backend as the terminal does, so that what it wrote can be shown there again.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from pathlib import Path

from devenv.backends.docker.backend import DockerBackend
from devenv.backends.docker.endpoint import resolve_endpoint
from devenv.backends.docker.snapshot import read_resources
from devenv.backends.protocol import Backend
from devenv.core.errors import DevenvError
from devenv.core.masking import mask_secrets
from devenv.core.model import Change, Connection, Gone, Happening, LogLine, Project, Resource, Seen, Snapshot
from devenv.runs.evidence import SCHEMA, EvidenceFile, Header, Mark, Probe, Record
from devenv.runs.lines import tell

LINES_KEPT = 2000  # log lines in memory, over all containers
LOG_TAIL = 10_000  # lines of a container that is older than the recorder
TURN = 0.25  # seconds at most between two looks at the backend's buffer
CONNECTED_WITHIN = 10.0


class Recorder:
    """Records one project from `start` to `stop`. All methods may be called from any thread.

    `backend` reads the runtime, by default the Docker Engine; `kinds` are what it has logs of.
    """

    def __init__(
        self,
        path: Path,
        run: str,
        project: Project,
        environ: Mapping[str, str],
        backend: Backend | None = None,
        kinds: Collection[str] = ("container",),
    ) -> None:
        self.project = project
        self._environ = environ
        self.path = path
        self._file = EvidenceFile(path)
        names = tuple(service.name for service in project.services)
        self._file.write([Header(SCHEMA, run, project.name, names, time.time())])
        self._backend = backend or DockerBackend(lambda: project, environ)
        self._kinds = frozenset(kinds)
        self._is_engine = backend is None
        self._changed = threading.Condition()
        self._wake = threading.Event()
        self._over = threading.Event()
        self._outbox: list[Record] = []
        self._happenings: list[Happening] = []
        self._lines: deque[LogLine] = deque(maxlen=LINES_KEPT)
        self._resources: dict[str, Resource] = {}
        self._gone: set[str] = set()
        self._live = False
        self.last_probe: Probe | None = None
        self._touched: dict[str, None] = {}
        self._thread = threading.Thread(target=self._run, name=f"recorder-{project.name}", daemon=True)

    def start(self) -> None:
        """Begin; returns when the events are read, so that nothing of what follows is missed."""
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._live, CONNECTED_WITHIN)

    def stop(self) -> None:
        """Write what is left and end."""
        self._over.set()
        self._wake.set()
        self._thread.join(5.0)
        self._file.close()

    def mark(self, kind: str, text: str) -> None:
        """Write a moment down, and tell it to whoever follows the run."""
        at = time.time()
        self._put(Mark(at, kind, text))
        tell({"phase": "mark", "stack": self.project.name, "kind": kind, "text": text, "at": at})

    def probe(self, probe: Probe) -> None:
        """Write a call down."""
        self.last_probe = probe
        self._put(probe)

    def state(self) -> None:
        """Write down all containers in full, health checks included: before each clean-up, and at a failure.

        What a watch keeps fresh anyway, as Kubernetes' does, is written as it is known.
        """
        if not self._is_engine:
            self._put(*(Seen(self._backend.name, resource) for resource in self._known()))
            return
        try:
            resources = read_resources(self.project, resolve_endpoint(self._environ))
        except DevenvError as error:
            self.mark("phase", f"the state of the containers could not be read: {error.message}")
            return
        self._put(*(Seen("docker", resource) for resource in resources))

    def happenings(self) -> list[Happening]:
        """Return the engine's events so far, oldest first."""
        with self._changed:
            return list(self._happenings)

    def wait_happening(self, matches: Callable[[Happening], bool], timeout: float) -> Happening | None:
        """Return the first event that matches, waiting for it; None when it did not come in `timeout` seconds."""
        deadline = time.monotonic() + timeout
        seen = 0
        with self._changed:
            while True:
                for happening in self._happenings[seen:]:
                    if matches(happening):
                        return happening
                seen = len(self._happenings)
                rest = deadline - time.monotonic()
                if rest <= 0:
                    return None
                self._changed.wait(rest)

    def touch(self, service: str) -> None:
        """Note that a test did something with the service."""
        with self._changed:
            self._touched.pop(service, None)
            self._touched[service] = None

    def take_touched(self) -> tuple[str, ...]:
        """Return the services that were touched since the last call, the last one last."""
        with self._changed:
            touched, self._touched = tuple(self._touched), {}
        return touched

    def lines(self) -> list[LogLine]:
        """Return the newest log lines, oldest first."""
        with self._changed:
            return list(self._lines)

    def service_of(self, key: str) -> str:
        """Return the service that a key belongs or belonged to; "" where that was never known."""
        with self._changed:
            resource = self._resources.get(key)
        return resource.service if resource else ""

    def _known(self) -> list[Resource]:
        with self._changed:
            return [resource for key, resource in self._resources.items() if key not in self._gone]

    def _put(self, *records: Record) -> None:
        with self._changed:
            self._outbox += records
        self._wake.set()

    def _run(self) -> None:
        self._backend.start(self._wake.set)
        followed: set[str] = set()
        try:
            while not self._over.is_set():
                self._wake.wait(TURN)
                self._wake.clear()
                self._take(self._backend.drain())
                present = {key for key, resource in self._resources.items() if resource.kind in self._kinds}
                if present != followed:
                    followed = present
                    self._backend.follow_logs(followed, LOG_TAIL)
                    self._backend.watch_stats(followed)
        finally:
            self._backend.stop()
            self._take(self._backend.drain())

    def _take(self, changes: Iterable[Change]) -> None:
        changes = list(changes)
        with self._changed:
            own, self._outbox = self._outbox, []
            for change in changes:
                if isinstance(change, Happening):
                    self._happenings.append(change)
                elif isinstance(change, LogLine):
                    self._lines.append(change)
                elif isinstance(change, Seen):
                    self._resources[change.resource.key] = change.resource
                elif isinstance(change, Snapshot):
                    self._resources |= {resource.key: resource for resource in change.resources}
                elif isinstance(change, Gone):
                    self._gone.add(change.key)
                elif isinstance(change, Connection):
                    self._live = change.state == "live"
            self._changed.notify_all()
        records: list[Record] = [*changes, *own]
        if records:
            self._file.write(records)


LINES_SHOWN = 12  # log lines of each service
EVENTS_SHOWN = 4
LINE_WIDTH = 300  # characters of a log line


def explain(recorder: Recorder, at: float) -> str:
    """Return the last events, the last probe's answer and the newest log lines before `at`, and where the rest is."""
    text = [f"--- {recorder.project.name} at {_clock(at)} ---"]
    happenings = [item for item in recorder.happenings() if item.at <= at][-EVENTS_SHOWN:]
    if happenings:
        text += [
            f"event:      {_clock(item.at)} {recorder.service_of(item.key) or item.key[:19]} {item.text}"
            for item in happenings
        ]
    else:
        text.append("event:      none")
    probe = recorder.last_probe
    text.append(f"last probe: {f'{_clock(probe.at)} {probe}' if probe is not None else 'none'}")
    text += _lines(recorder, at)
    text.append(f"evidence:   devenv evidence {recorder.path}")
    return "\n".join(text)


def _lines(recorder: Recorder, at: float) -> list[str]:
    by_service: dict[str, list[LogLine]] = {}
    for line in recorder.lines():
        if line.at is None or line.at <= at:
            by_service.setdefault(recorder.service_of(line.key) or line.key[:19], []).append(line)
    if not by_service:
        return ["log:        nothing was printed"]
    return [
        f"log:        {_clock(line.at)} {service} | {mask_secrets(line.text)[:LINE_WIDTH]}"
        for service, lines in sorted(by_service.items())
        for line in lines[-LINES_SHOWN:]
    ]


def _clock(at: float | None) -> str:
    return datetime.fromtimestamp(at).strftime("%H:%M:%S.%f")[:-3] if at is not None else "?"
