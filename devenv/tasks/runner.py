"""Runs tasks in the order of their graph, side by side, and replays what is known already."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from graphlib import TopologicalSorter
from typing import Final, Literal, Protocol

import msgspec

from devenv.core.errors import DevenvError, Interrupted
from devenv.tasks.cache import Stored, TaskCache
from devenv.tasks.graph import Task
from devenv.tasks.key import KeyMaker, TaskKey, outputs_of

Status = Literal["passed", "from cache", "failed", "not run"]
_GRACE: Final = 10.0  # seconds between asking a task to end and ending it, as `docker stop`
_LEFT: Final = 1.0  # seconds that a finished command's children may still print
_LOOK: Final = 0.1  # seconds between two looks at a command that prints nothing
_MOST: Final = 32 * 2**20  # bytes of output kept of one task; what comes after is shown and not kept


class Result(msgspec.Struct, frozen=True):
    """How one task ended. `seconds` is what it took now, `saved` what it took when its stored result was made."""

    task: Task
    status: Status
    why: str
    key: str = ""
    seconds: float = 0.0
    saved: float = 0.0
    exit_code: int | None = None


class Listener(Protocol):
    """Hears what happens; called by the threads of the tasks, one at a time."""

    def line(self, task: Task, text: bytes) -> None:
        """Take one line that a task prints, or printed when its stored result was made."""

    def finished(self, result: Result) -> None:
        """Take how a task ended."""

    def warn(self, text: str) -> None:
        """Take what is wrong and ends nothing."""


class TaskRunner:
    """One run of some tasks. `cache` None: nothing is looked up and nothing kept.

    After a failure no more tasks are begun, with `keep_going` only those that need the one that failed.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task],
        maker: KeyMaker,
        cache: TaskCache | None,
        listener: Listener,
        *,
        parallel: int,
        force: bool = False,
        keep_going: bool = False,
    ) -> None:
        self._tasks = tasks
        self._maker = maker
        self._cache = cache
        self._listener = listener
        self._parallel = parallel
        self._force = force
        self._keep_going = keep_going
        self._lock = threading.Lock()  # of the listener, the maker and the running commands
        self._keys: dict[str, str] = {}
        self._running: set[subprocess.Popen[bytes]] = set()
        self._ended = False

    def plan(self) -> tuple[Result, ...]:
        """Return what a run would do, in its order: "from cache", or "not run" yet with the reason."""
        results = []
        for task in self._tasks.values():
            key, stored, why = self._look_up(task)
            status: Status = "not run" if stored is None else "from cache"
            saved = 0.0 if stored is None else stored.about.seconds
            results.append(Result(task, status, why, key.key, saved=saved))
        self._save_hashes()
        return tuple(results)

    def run(self) -> tuple[Result, ...]:
        """Run what has no stored result, and return how each task ended; raises Interrupted after `interrupt`."""
        order = TopologicalSorter({task_id: task.needs for task_id, task in self._tasks.items()})
        order.prepare()
        results: dict[str, Result] = {}
        running: dict[Future[Result], str] = {}
        ready: list[str] = []
        lasting = sum(task.settings.persistent for task in self._tasks.values())
        with ThreadPoolExecutor(self._parallel + lasting, "devenv-task") as pool:
            try:
                while order.is_active():
                    ready += order.get_ready()
                    for task_id in tuple(ready):
                        task = self._tasks[task_id]
                        blocked = self._blocked(task, results)
                        if blocked:
                            results[task_id] = Result(task, "not run", blocked)
                            order.done(task_id)
                            ready.remove(task_id)
                        elif task.settings.persistent or self._has_room(running.values()):
                            running[pool.submit(self._one, task)] = task_id
                            ready.remove(task_id)
                    if not running:
                        continue
                    done, _ = wait(running, timeout=_LOOK, return_when="FIRST_COMPLETED")
                    for future in done:
                        task_id = running.pop(future)
                        results[task_id] = future.result()
                        order.done(task_id)
            except BaseException:
                self.interrupt()
                raise
        self._save_hashes()
        if self._ended:
            raise Interrupted("The tasks were ended", "The results of finished tasks are stored.")
        return tuple(results[task_id] for task_id in self._tasks)

    def interrupt(self) -> None:
        """End every command that runs, from any thread; `run` then raises Interrupted."""
        with self._lock:
            self._ended = True
            running = tuple(self._running)
        for process in running:
            _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            _signal(process, signal.SIGKILL)

    def _has_room(self, running: Iterable[str]) -> bool:
        return sum(not self._tasks[task_id].settings.persistent for task_id in running) < self._parallel

    def _blocked(self, task: Task, results: Mapping[str, Result]) -> str:
        if self._ended:
            return "it was ended before"
        broken = [need for need in task.needs if results[need].status in ("failed", "not run")]
        if broken:
            return f"{broken[0]} {'failed' if results[broken[0]].status == 'failed' else 'was not run'}"
        failed = next((one.task.id for one in results.values() if one.status == "failed"), "")
        return f"{failed} failed" if failed and not self._keep_going else ""

    def _one(self, task: Task) -> Result:
        with ExitStack() as held:
            if self._cache is not None and task.settings.cache:
                with suppress(OSError):  # without the lock two processes may do the same work
                    held.enter_context(self._cache.only_one(task.id, self._waiting_for(task)))
            result = self._run_or_replay(task)
        with self._lock:
            self._listener.finished(result)
        return result

    def _waiting_for(self, task: Task) -> Callable[[], bool]:
        """Return what tells once that another process runs a task, and whether to wait for it."""
        warned = False

        def go_on() -> bool:
            nonlocal warned
            if not warned:
                self._warn(f"{task.id} is run by another devenv: its result is waited for")
            warned = True
            return not self._ended

        return go_on

    def _run_or_replay(self, task: Task) -> Result:
        began = time.monotonic()
        with self._lock:
            key, stored, why = self._look_up(task)
        if stored is not None and self._put_back(task, key, stored):
            with self._lock:
                for line in stored.log.splitlines():
                    self._listener.line(task, line)
            return Result(task, "from cache", why, key.key, time.monotonic() - began, stored.about.seconds, 0)
        if stored is not None:
            why = "what it made could not be put back"
        code, log = self._execute(task)
        seconds = time.monotonic() - began
        if code != 0:
            return Result(task, "failed", _ending(code), key.key, seconds, exit_code=code)
        self._keep(task, key, seconds, log)
        return Result(task, "passed", why, key.key, seconds, exit_code=0)

    def _look_up(self, task: Task) -> tuple[TaskKey, Stored | None, str]:
        """Return the key of a task, its stored result, and why there is none."""
        key = self._maker.key(task, self._keys)
        self._keys[task.id] = key.key
        if task.settings.persistent:
            return key, None, "it runs until it is ended"
        if not task.settings.cache:
            return key, None, "its result is not kept"
        if self._cache is None:
            return key, None, "asked for with --no-cache"
        if self._force:
            return key, None, "asked for with --force"
        if key.unread:
            return key, None, key.unread[0]
        stored = self._cache.read(key.key)
        return key, stored, "nothing changed" if stored is not None else "no stored result"

    def _put_back(self, task: Task, key: TaskKey, stored: Stored) -> bool:
        assert self._cache is not None  # that is where the result is from
        folder = task.package.folder
        with self._lock:
            there = self._maker.made(task).digest == stored.about.made
        if not there and not self._cache.restore(key.key, folder, outputs_of(task)):
            return False
        self._cache.used(key.key)
        return True

    def _keep(self, task: Task, key: TaskKey, seconds: float, log: bytes) -> None:
        if self._cache is None or not task.settings.cache or task.settings.persistent or key.unread:
            return
        try:
            with self._lock:
                changed = self._maker.key(task, self._keys).key != key.key
                made = self._maker.made(task)
            if changed:
                self._warn(f"{task.id}: its files changed while it ran, so its result is not kept")
            elif made.unreadable:
                self._warn(f"{task.id}: {made.unreadable[0]} cannot be read, so its result is not kept")
            elif task.settings.outputs and not made.entries:
                self._warn(f"{task.id}: it made none of its outputs, so its result is not kept")
            elif len(log) < _MOST:
                self._cache.write(key.key, task.id, seconds, log, task.package.folder, made)
        except OSError as error:
            self._warn(f"{task.id}: its result is not kept: {error.strerror or error}")
        except DevenvError as error:
            self._warn(f"{error.message}, so it is not kept. {error.hint}")

    def _execute(self, task: Task) -> tuple[int, bytes]:
        """Run the command; return its exit code (negative: the signal that ended it) and what it printed."""
        with self._lock:
            if self._ended:
                return -signal.SIGTERM, b""
            try:
                process = subprocess.Popen(
                    ("/bin/sh", "-c", task.settings.command),
                    cwd=task.package.folder,
                    env=self._maker.environment(task),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # so that it can be ended with all that it starts
                )
            except OSError as error:
                self._listener.line(task, f"It could not be started: {error.strerror}".encode())
                return 127, b""
            self._running.add(process)
        try:
            return self._follow(task, process)
        finally:
            _signal(process, signal.SIGKILL)  # what it left behind
            with self._lock:
                self._running.discard(process)

    def _follow(self, task: Task, process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
        assert process.stdout is not None  # it was asked for
        log, rest, ended = bytearray(), b"", 0.0
        with process.stdout as stream, selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while True:
                if selector.select(_LOOK):
                    chunk = os.read(stream.fileno(), 1 << 16)
                    if not chunk:
                        break
                    log += chunk[: max(0, _MOST - len(log))]
                    *lines, rest = (rest + chunk).split(b"\n")
                    with self._lock:
                        for line in lines:
                            self._listener.line(task, line)
                elif process.poll() is not None:
                    ended = ended or time.monotonic()
                    if time.monotonic() - ended > _LEFT:
                        break  # a child in the background holds the stream
        if rest:
            with self._lock:
                self._listener.line(task, rest)
        return process.wait(), bytes(log)

    def _save_hashes(self) -> None:
        try:
            self._maker.save()
        except OSError as error:
            self._warn(f"what was read cannot be kept, so that the next time takes longer: {error.strerror}")

    def _warn(self, text: str) -> None:
        with self._lock:
            self._listener.warn(text)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"ended by {signal.Signals(-code).name}"
