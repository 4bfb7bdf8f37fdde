"""The watch of the terminal: a key begins and ends it, and what it does comes as records."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final

from devenv.core.errors import DevenvError
from devenv.core.model import Change, Happening, LogLine, WatchStatus
from devenv.core.text import human_duration, sanitize

if TYPE_CHECKING:
    from devenv.backends.kube.kubeconfig import Target
    from devenv.watch.report import Report
    from devenv.watch.session import Session

    OpenSession = Callable[[], AbstractContextManager[Session]]
    OpenPods = Callable[[Target], AbstractContextManager[Session]]

RELOAD: Final = ("synced", "restarted", "rebuilt", "served")  # events after which a container has what was saved
BUFFERED: Final = 2_000  # records between two looks of the terminal
STOP_PATIENCE: Final = 2.0  # seconds, as for changes: what takes longer ends with the program


class BackgroundWatch:
    """One watch at a time, of the project's containers or of a namespace's pods; a source of records as a backend is.

    `open_session` and `open_pods` are called in the watch's thread: they resolve the project and take the lock, and
    their errors are told.
    """

    def __init__(self, open_session: OpenSession, open_pods: OpenPods | None = None) -> None:
        self._open_session = open_session
        self._open_pods = open_pods
        self._pods_of: Target | None = None
        self._lock = threading.Lock()
        self._buffer: deque[Change] = deque(maxlen=BUFFERED)
        self._wake: Callable[[], None] = lambda: None
        self._thread: threading.Thread | None = None
        self._session: Session | None = None
        self._ending = self._again = False
        self._word = "watching"
        self._troubles: dict[str, tuple[str, str]] = {}  # of services: what went wrong last, and the hint

    def start(self, wake: Callable[[], None]) -> None:
        """Call `wake` from a thread whenever an empty buffer gets its first record; nothing is watched yet."""
        self._wake = wake

    def stop(self) -> None:
        """End the watch and wait a short while for it."""
        thread = self._thread
        self._end()
        self._again = False
        if thread is not None:
            thread.join(STOP_PATIENCE)

    def drain(self) -> list[Change]:
        """Take the records since the last call."""
        with self._lock:
            records = list(self._buffer)
            self._buffer.clear()
        return records

    def toggle(self, pods_of: Target | None = None) -> None:
        """Begin to watch, or end what is watched; while that is still ending, the next one begins after it.

        With `pods_of`, it is the pods of that namespace that get what is saved.
        """
        with self._lock:
            is_ending, goes_on = self._ending, self._thread is not None
            self._again = is_ending and not self._again
            if not goes_on or self._again:
                self._pods_of = pods_of if self._open_pods is not None else None
        if goes_on and not is_ending:
            self._end()
        elif not goes_on:
            self._ending = False
            self._thread = threading.Thread(target=self._run, name="devenv-watch", daemon=True)
            self._thread.start()

    def _end(self) -> None:
        with self._lock:
            self._ending, session = True, self._session
        if session is not None:
            self._put(WatchStatus("watch ends…"))
            session.stop()

    def _run(self) -> None:
        goes_on = True
        while goes_on:
            try:
                self._watch()
            finally:
                with self._lock:
                    goes_on, self._again, self._ending = self._again, False, False
                    self._thread = self._thread if goes_on else None

    def _watch(self) -> None:
        self._put(WatchStatus("watch begins…"))
        self._troubles.clear()
        end = WatchStatus()
        try:
            with self._open() as session:
                with self._lock:
                    self._session = session
                if self._ending:
                    return
                for report in session.reports():
                    self._tell(report)
        except DevenvError as error:
            end = WatchStatus(trouble=error.message, hint=error.hint)
        except BaseException as error:
            end = WatchStatus(trouble=f"devenv itself failed: {error!r}")
            raise
        finally:
            with self._lock:
                self._session = None
            self._put(end)

    def _open(self) -> AbstractContextManager[Session]:
        if self._pods_of is None or self._open_pods is None:
            self._word = "watching"
            return self._open_session()
        self._word = f"watching pods of {sanitize(self._pods_of.namespace)}"
        return self._open_pods(self._pods_of)

    def _tell(self, report: Report) -> None:
        if report.is_trouble:
            self._troubles[report.service] = report.text, report.hint
        elif report.event in (*RELOAD, "attached"):
            for solved in (report.service, ""):  # what is of no service: the engine was away
                self._troubles.pop(solved, None)
        records: list[Change] = [LogLine(key, report.at, "devenv", f"watch: {report.words}") for key in report.keys]
        if report.event in RELOAD and report.steps:
            seconds = max(report.steps.values())
            text = f"{report.event} {human_duration(seconds)} after it was saved"
            facts = (("seconds", f"{seconds:.3f}"),)
            records += [Happening(key, report.at, "reload", text, facts) for key in report.keys]
        elif report.event in ("failed", "unserved"):
            records += [Happening(key, report.at, "reload failed", sanitize(report.text)) for key in report.keys]
        service, (trouble, hint) = next(reversed(self._troubles.items()), ("", ("", "")))
        self._put(*records, WatchStatus(self._word, f"{service}: {trouble}" if service else trouble, hint))

    def _put(self, *records: Change) -> None:
        with self._lock:
            was_empty = not self._buffer
            self._buffer.extend(records)
        if was_empty:
            self._wake()
