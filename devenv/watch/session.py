"""One watch of a project: the observer, a worker a service, the engine's events, and one line of reports."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from devenv.core.errors import DevenvError, ServiceFailed
from devenv.core.verify_settings import EndpointSettings
from devenv.watch.driver import AWAY, Driver
from devenv.watch.observe import Kind, Observer, PathEvent, Root
from devenv.watch.report import Report
from devenv.watch.rules import ServiceRules
from devenv.watch.worker import Worker

if TYPE_CHECKING:
    from devenv.watch.proof import Proof

TICK = 0.5  # seconds between two looks whether a watched folder was replaced: a branch switch may do that
STOP_PATIENCE = 15.0  # seconds: as long as Compose is given to end what was interrupted
_RETRY = 2.0  # seconds between two tries to hear an engine that went away
_NEWS = ("start", "destroy", "die")  # events after which the containers of a service may be others


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What the caller chose. `probes` maps a service ("" for all) to the URL that shows its content."""

    wait: bool = False  # for containers, where none runs
    poll: bool = False
    probes: Mapping[str, str] = field(default_factory=dict)
    endpoints: Sequence[EndpointSettings] = ()


class Session:
    """A context: entering it raises what makes a watch impossible; then `reports` yields until `stop` is called."""

    def __init__(
        self,
        services: Sequence[ServiceRules],
        driver: Driver,
        options: WatchOptions,
    ) -> None:
        self._services = tuple(services)
        self._driver = driver
        self._options = options
        self._reports: queue.SimpleQueue[Report | BaseException | None] = queue.SimpleQueue()  # None: the end
        self._stopped = threading.Event()
        self._began = time.monotonic()
        self._workers = tuple(
            Worker(rules, driver, self._reports.put, proof=self._proof_of(rules.service)) for rules in self._services
        )
        self._observer = Observer(
            (root for rules in self._services for root in _roots(rules)),
            self._seen,
            skips=lambda folder: all(rules.skips(folder) for rules in self._services),
            lost=self._look_at_everything,
            failed=lambda error: self._reports.put(_failure(error)),
            poll=options.poll,
        )
        self._listener = threading.Thread(target=self._listen, name="devenv-watch-engine", daemon=True)
        self._events = driver.events()

    def __enter__(self) -> Session:
        """Begin. Raises ServiceFailed where no container runs, one of AWAY, and DevenvError at a limit."""
        self._events.__enter__()
        try:
            # Observed first: what is saved while containers are looked at waits for its batch.
            self._observer.start()
            if not self._options.wait and not any(worker.has_container() for worker in self._workers):
                names = " ".join(worker.service for worker in self._workers)
                raise ServiceFailed(
                    f"No container of the project runs that could be watched: {names}",
                    self._driver.how_to_start(names),
                )
        except BaseException:
            self.close()
            raise
        rules = sum(len(item.rules) for item in self._services)
        seconds = time.monotonic() - self._began
        names = ", ".join(worker.service for worker in self._workers)
        text = f"in {seconds:.2f} s: {names}, {rules} rule{'' if rules == 1 else 's'}, by {self._observer.how}"
        self._reports.put(Report("ready", text=text, at=time.time()))
        for worker in self._workers:
            worker.start()
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End: no change is begun any more, and Compose is interrupted where it runs."""
        self.close()

    def reports(self) -> Iterator[Report]:
        """Yield what happens, until `stop` is called; a fault in one of the threads is raised here."""
        while True:
            try:
                report = self._reports.get(timeout=TICK)
                if report is None:
                    return
                if isinstance(report, BaseException):
                    raise report
                yield report
            except queue.Empty:
                for folder in self._observer.returned():
                    self._seen(PathEvent(folder, Kind.CHANGED, is_folder=True))

    def warn(self, text: str) -> None:
        """Report something that will not work, or not as meant."""
        self._reports.put(Report("warning", text=text, at=time.time()))

    def stop(self) -> None:
        """Let `reports` end, from any thread."""
        self._reports.put(None)

    def close(self) -> None:
        """End every thread."""
        self._stopped.set()
        self._observer.stop()
        for worker in self._workers:
            worker.batches.close()
        deadline = time.monotonic() + STOP_PATIENCE
        for worker in self._workers:
            worker.stop(max(0.0, deadline - time.monotonic()))
        self._events.__exit__(None, None, None)

    def _seen(self, event: PathEvent) -> None:
        try:
            for worker in self._workers:
                if worker.rules.covers(event.path, is_folder=event.is_folder):
                    worker.batches.add(event)
        except Exception as error:  # noqa: BLE001  # carried to the main thread: an observer that ended tells nobody
            self._reports.put(error)

    def _look_at_everything(self) -> None:
        self.warn("the system lost events: all files are synced again")
        for worker in self._workers:
            for rule in worker.rules.rules:
                worker.batches.add(PathEvent(rule.path, Kind.CHANGED, not rule.is_file))

    def _listen(self) -> None:
        """Tell the workers when containers come and go; an engine that went away is waited for."""
        while not self._stopped.is_set():
            try:
                happened = self._events.events(TICK)
            except AWAY as error:
                self._reports.put(_failure(error))
                if not self._hear_again():
                    return
                happened = []
                self._poke()
            if any(item.action in _NEWS for item in happened):
                self._poke()

    def _hear_again(self) -> bool:
        self._events.__exit__(None, None, None)
        while not self._stopped.wait(_RETRY):
            events = self._driver.events()
            try:
                self._events = events.__enter__()
            except AWAY:
                continue
            return True
        return False

    def _poke(self) -> None:
        for worker in self._workers:
            worker.batches.poke()

    def _proof_of(self, service: str) -> Proof | None:
        url = self._options.probes.get(service) or self._options.probes.get("")
        settings = next((item for item in self._options.endpoints if item.service == service), None)
        if not url and settings is None:
            return None
        from devenv.watch.proof import Proof  # deferred: its HTTP client costs a tenth of a second

        return Proof(self._driver.address_of(settings) if settings is not None and not url else lambda: url or "")


def _roots(rules: ServiceRules) -> Iterator[Root]:
    for rule in rules.rules:
        # A file is replaced more often than written: its folder tells of both.
        yield Root(str(Path(rule.path).parent), deep=False) if rule.is_file else Root(rule.path)


def _failure(error: DevenvError) -> Report:
    return Report("failed", text=error.message, hint=error.hint, at=time.time())
