"""The thread of one service: takes a batch, carries out what its rules say, and proves it. Nothing here ends it.

A failure is reported, and what failed is tried again with the next save.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from devenv.backends.inside import Inside
from devenv.control.job import Job
from devenv.core.errors import DevenvError, Interrupted
from devenv.core.model import Resource, State
from devenv.core.text import human_duration, sanitize
from devenv.watch.batches import Batch, Batches
from devenv.watch.driver import AWAY, Driver
from devenv.watch.observe import Kind, PathEvent
from devenv.watch.report import Counts, Report, named
from devenv.watch.rules import Action, Hook, ServiceRules
from devenv.watch.sync import Changes, Content, changes_of, delete, initial, obstacles, write

if TYPE_CHECKING:
    from devenv.watch.proof import Proof

NAMED = 3  # paths in one line
_REBUILD = ("--detach", "--build", "--no-deps")


class Worker:
    """One service. `report` is called from its thread."""

    def __init__(
        self,
        rules: ServiceRules,
        driver: Driver,
        report: Callable[[Report | BaseException], None],
        *,
        proof: Proof | None = None,
    ) -> None:
        self.service = rules.service
        self.rules = rules
        self.batches = Batches()
        self._driver = driver
        self._containers = driver.containers()
        self._report = report
        self._proof = proof
        self._known: dict[str, Inside] = {}
        self._removers: dict[str, str] = {}  # by container: the user that can remove files there
        self._owing: set[str] = set()  # containers in which nothing could be removed because they did not run
        self._touched: dict[str, PathEvent] = {}  # all that was synced: a new container of the service needs it too
        self._retry: dict[str, PathEvent] = {}
        self._engine_was_away = False
        self._is_new = True  # its containers were not looked at yet
        self._remembers = proof is None
        self._job: Job | None = None
        self._job_lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"devenv-watch-{self.service}", daemon=True)

    def start(self) -> None:
        """Begin: look at the containers, then work on batches."""
        self.batches.poke()
        self._thread.start()

    def stop(self, patience: float) -> None:
        """End, interrupting Compose where it runs; wait at most so many seconds."""
        self.batches.close()
        with self._job_lock:
            if self._job is not None:
                self._job.interrupt()
        if self._thread.is_alive():
            self._thread.join(patience)
        if not self._thread.is_alive():
            self._containers.close()
            if self._proof is not None:
                self._proof.close()

    def has_container(self) -> bool:
        """Ask whether there is one to write to; to be called before `start`."""
        return bool(self._containers.of_service(self.service))

    def _attach(self) -> None:
        """Look which containers there are, and bring new ones up to date."""
        containers = self._containers.of_service(self.service)
        if not containers and self._is_new:
            self._tell("held", text="waits for a container")
        self._is_new = False
        for gone in set(self._known) - {item.container_id for item in containers}:
            del self._known[gone]
        for item in containers:
            owes = item.container_id in self._owing and item.state is State.RUNNING
            if item.container_id not in self._known or owes:
                self._adopt(item)

    def _adopt(self, resource: Resource) -> None:
        inside = self._containers.look_inside(resource)
        for text in obstacles(self._containers, inside, self.rules, running=resource.state is State.RUNNING):
            self._tell("warning", text=text)
        all_files, later = initial(self.rules), changes_of(self.rules, self._touched)
        all_files.copies |= later.copies
        all_files.deletions |= later.deletions
        all_files.names |= later.names
        self._owing.discard(inside.id)
        if all_files:
            began = time.monotonic()
            counts = self._sync(all_files, (inside,))
            took = human_duration(time.monotonic() - began)
            self._tell("attached", text=f"to {sanitize(resource.name)} in {took}", counts=counts)
        self._known[inside.id] = inside

    def _run(self) -> None:
        try:
            self._take_batches()
        except Exception as error:  # noqa: BLE001  # carried to the main thread and raised there
            self._report(error)

    def _take_batches(self) -> None:
        while (batch := self.batches.take()) is not None:
            # What failed because the engine was away is done when it is back, other failures with the next save.
            paths = {**self._retry, **batch.paths} if batch.paths or self._engine_was_away else {}
            try:
                if paths:
                    self._work(paths, batch)
                    self._retry = {}
                else:
                    self._attach()
                    self._remember()
                self._engine_was_away = False
            except Interrupted:
                return
            except DevenvError as error:
                self._retry = {path: _seen_before(event) for path, event in (paths or self._retry).items()}
                self._engine_was_away = isinstance(error, AWAY)
                self._containers.close()  # its connection may be the reason
                self._tell("failed", text=error.message, hint=f"{error.hint} The next save tries again.".strip())

    def _work(self, paths: Mapping[str, PathEvent], batch: Batch) -> None:
        changes = changes_of(self.rules, paths)
        if not changes.rules:
            return  # what was written is gone again
        steps = {"noticed": batch.noticed - batch.saved}
        actions = {rule.action for rule in changes.rules}
        if Action.REBUILD in actions:
            self._tell("rebuilding", text=_named(changes))
            self._compose("up", _REBUILD)
            steps["rebuilt"] = time.time() - batch.saved
        if Action.REBUILD in actions or not self._known:
            self._attach()
        self._touched |= {path: _seen_before(event) for path, event in paths.items()}
        counts = Counts()
        if self._known:
            self._remember()
            if changes:
                synced = self._sync(changes, tuple(self._known.values()))
                counts = replace(synced, containers=len(self._known))
        if not self._known:  # or the last one went while it was written to
            self._tell("held", text=f"{_named(changes)}: there is no container yet, the next one gets it")
            return
        if changes:
            steps["synced"] = time.time() - batch.saved
        if actions & {Action.RESTART, Action.SYNC_RESTART}:
            self._compose("restart")
            steps["restarted"] = time.time() - batch.saved
        hooks = [rule.hook for rule in changes.rules if rule.hook is not None]
        for hook in hooks:
            self._execute(hook)
            steps["executed"] = time.time() - batch.saved
        event = next(name for name in ("synced", "restarted", "rebuilt") if name in steps)
        self._tell(event, text="" if changes else _named(changes), steps=steps, counts=counts)
        if self._proof is not None:
            outcome = self._proof.wait(lambda: self.batches.waiting)
            if outcome.event == "served":
                self._tell("served", text=outcome.text, steps={**steps, "served": outcome.at - batch.saved})
            elif outcome.event:
                self._tell(outcome.event, text=outcome.text)

    def _remember(self) -> None:
        """Take what is served before the first save: with that the proof compares."""
        if self._proof is not None and not self._remembers:
            self._remembers = True
            self._proof.remember()

    def _sync(self, changes: Changes, insides: tuple[Inside, ...]) -> Counts:
        """Write to each container; one that is gone meanwhile is left out, other failures are reported together."""
        with Content(changes.copies) as content:
            deletions = (*changes.deletions, *content.gone)
            self._guarded("sync", lambda: self._write(content, deletions, insides))
            names = tuple(map(sanitize, changes.names))[:NAMED]
            return Counts(len(content.entries), len(deletions), content.size, len(insides), names)

    def _write(self, content: Content, deletions: tuple[str, ...], insides: tuple[Inside, ...]) -> None:
        problems = list(content.unreadable)
        for inside in insides:
            try:
                write(self._containers, inside, content)
                if deletions:
                    user = self._removers.get(inside.id, "")
                    self._removers[inside.id] = delete(self._containers, inside, deletions, user)
            except AWAY:
                raise
            except DevenvError as error:
                states = {item.container_id: item.state for item in self._containers.of_service(self.service)}
                if inside.id not in states:
                    self._known.pop(inside.id, None)
                elif states[inside.id] is State.RUNNING:
                    problems.append(f"{inside.name}: {error.message}")
                else:
                    self._owing.add(inside.id)  # files can be put into one that ended, commands cannot be run
        if problems:
            raise DevenvError("; ".join(problems))

    def _execute(self, hook: Hook) -> None:
        def carry_out() -> None:
            for inside in self._known.values():
                self._containers.run(
                    inside.id,
                    hook.command,
                    user=hook.user,
                    privileged=hook.privileged,
                    working_dir=hook.working_dir,
                    environment=hook.environment,
                )

        self._guarded("exec", carry_out)

    def _compose(self, verb: str, flags: tuple[str, ...] = ()) -> None:
        with self._job_lock:
            if self.batches.closed:
                raise Interrupted(f"{verb} of {self.service} was not begun")
            job = self._job = self._driver.job(verb, flags, (self.service,))
        try:
            self._guarded(verb, lambda: job.run(lambda progress: None))
        finally:
            with self._job_lock:
                self._job = None

    def _guarded(self, verb: str, action: Callable[[], None]) -> None:
        """Let the guard pass it, and have its end in the audit log."""
        ticket = self._driver.begin(verb, self.service)
        if ticket.warning:
            self._tell("warning", text=ticket.warning)
        failure: BaseException | None = None
        try:
            action()
        except BaseException as error:
            failure = error
            raise
        finally:
            self._driver.guard.finish(ticket, failure)

    def _tell(
        self,
        event: str,
        *,
        text: str = "",
        hint: str = "",
        steps: Mapping[str, float] | None = None,
        counts: Counts | None = None,
    ) -> None:
        keys = tuple(dict.fromkeys(inside.key for inside in self._known.values()))
        self._report(Report(event, self.service, text, hint, time.time(), counts or Counts(), dict(steps or {}), keys))


def _seen_before(event: PathEvent) -> PathEvent:
    """A path that a container may have by now: when it goes, it has to go there too."""
    return replace(event, kind=Kind.CHANGED) if event.kind is Kind.CREATED else event


def _named(changes: Changes) -> str:
    return named(tuple(changes.names)[:NAMED], len(changes.names))
