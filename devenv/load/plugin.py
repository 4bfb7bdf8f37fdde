"""devenv as a plugin of Locust: `import devenv.load.plugin` in a locustfile gives it shapes, thresholds and verdicts.

Where the file shall not be touched: locust -f theirs.py,$(devenv load plugin). A run is steered where Locust steers it:
in the only process, or on the master; workers count, keep schedules, and know nothing else.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gevent
from locust import LoadTestShape, events, runners

from devenv.core.errors import EXIT_INTERRUPTED, DevenvError, ServiceFailed, UsageError
from devenv.core.settings import load_config
from devenv.core.signals import on_end, tell_cleaning
from devenv.core.text import sanitize
from devenv.load import outcome
from devenv.load.ending import conclude, finish
from devenv.load.figures import Figures, Threshold, parse_all
from devenv.load.hpa_shape import Steering
from devenv.load.options import check as check_options
from devenv.load.options import is_open, run_length
from devenv.load.recorder import Own
from devenv.load.session import Data, Plan, Session
from devenv.load.shapes import OWN, LoadSize, Point, Punctuality
from devenv.load.target import Target, check, find_target
from devenv.load.users import give, punctuality
from devenv.runs.identity import Run as Identity

# Workers report every second, so that a tick of the recording is a second whoever makes the load; Locust's 3 s would
# put the requests of three seconds into one tick.
runners.WORKER_REPORT_INTERVAL = 1.0
_own = Own()


class Counting:
    """The counters of all processes, on the side that steers."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._began = time.monotonic()
        self._ended: float | None = None
        self._punctuality = Punctuality()
        self._cpu: dict[str, float] = {}
        self._gone: set[str] = set()
        environment.events.worker_report.add_listener(self._take)

    def begin(self) -> None:
        """The load begins now."""
        self._began, self._ended = time.monotonic(), None
        self._cpu.clear()
        self._gone.clear()
        self._punctuality.take()
        punctuality.take()
        _own.read()

    def freeze(self) -> None:
        """The load has ended: what still arrives was sent before, and rates are over the time until now."""
        self._ended = self._ended or time.monotonic()

    def close(self) -> None:
        """Listen no more."""
        self._environment.events.worker_report.remove_listener(self._take)

    def figures(self) -> dict[str, Figures]:
        """Return the counters of each name since the load began."""
        seconds = (self._ended or time.monotonic()) - self._began
        figures: dict[str, Figures] = {}
        for (name, _), entry in self._environment.stats.entries.items():
            figures[name] = Figures(entry.num_requests, entry.num_failures, seconds, dict(entry.response_times))
        return figures

    def errors(self) -> list[tuple[int, str, str]]:
        """Return why requests failed: count, name of the requests, reason."""
        errors = self._environment.stats.errors.values()
        return [(item.occurrences, item.name, item.to_name().partition(f"{item.name}: ")[2]) for item in errors]

    def generator(self) -> dict[str, Any]:
        """Return what the processes used and how late they were since the last call."""
        own = 100 * _own.read()
        if not isinstance(self._environment.runner, runners.MasterRunner):
            self._punctuality.add(punctuality.take())
            return {"cpu": [round(own, 1)], **self._punctuality.take()}
        workers = [round(value, 1) for _, value in sorted(self._cpu.items())]
        return {"cpu": workers, "master": round(own, 1), **self._punctuality.take()}

    def lost(self) -> list[str]:
        """Return the workers that went missing since the last call."""
        if not isinstance(self._environment.runner, runners.MasterRunner):
            return []
        missing = {worker.id for worker in self._environment.runner.clients.missing} - self._gone
        self._gone |= missing
        for worker in missing:
            self._cpu.pop(worker, None)
        return sorted(missing)

    def _take(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        counts = data.get("devenv")
        if counts:
            self._cpu[client_id] = counts.pop("cpu")
            self._punctuality.add(counts)


@events.report_to_master.add_listener
def _report(client_id: str, data: dict[str, Any], **_: Any) -> None:
    data["devenv"] = {"cpu": 100 * _own.read(), **punctuality.take()}


TICK = 1.0  # seconds
logging.getLogger("httpx").setLevel(logging.WARNING)  # the requests of preparing are nobody's news
STOPPED_WITHIN = 15.0  # seconds: a request takes at most 10
_KEPT = ("shape", "model", "rate", "seed", "replicas", "num_users", "spawn_rate", "run_time")  # in the recording


@dataclass(slots=True)
class Addition:
    """What a locustfile adds: names of its requests, its data, and options of its own that recordings keep."""

    names: tuple[str, ...] = ()
    data: Callable[[Any, Target, Identity], Data] | None = None
    options: tuple[str, ...] = ()


_addition = Addition()


def configure(
    *,
    names: Sequence[str] = (),
    data: Callable[[Any, Target, Identity], Data] | None = None,
    options: Sequence[str] = (),
) -> None:
    """Say what a locustfile adds; with `names`, a threshold for a name that no request has is refused.

    `data` is called with Locust's options, the target and the run, and makes what is loaded for that run.
    """
    global _addition
    _addition = Addition(tuple(names), data, tuple(options))


class Run:
    """One test after another on one target; Locust's web UI may start many."""

    def __init__(self, environment: Any) -> None:
        self.environment = environment
        self._own: Any = environment.shape_class
        options = environment.parsed_options
        options.shape = options.shape or (OWN if self._own is not None else "steady")
        self.config = load_config(Path.cwd(), os.environ)
        self.target: Target = self._find()
        environment.host = self.target.url
        self.session: Session | None = None
        self._steering: Steering | None = None
        self._counting: Counting | None = None
        self._ticker: Any = None
        self._finishing: Any = None
        self._phase = ""
        self._over = False
        self._asked = False
        self._broken = False  # the load test could not begin for an error in it
        self._goal = (0, 0.0, 0)  # users, since when, and how many there were then

    def tick(self) -> Any:
        """Return the users and their rate for this second; None ends the test. Locust calls it once a second."""
        if self.session is None:
            try:
                self._prepare()
            except DevenvError as error:
                tell_error(error)
                self.environment.process_exit_code = exit_code(error)
                self._clean()
                return None
            except Exception:
                self._broken = True
                raise
        assert self.session is not None
        assert self._steering is not None
        if self.session.aborted or self._over:
            return None
        if self.environment.parsed_options.shape == OWN:
            return self._own_tick(self.session)
        point: Point | None = self._steering.point()
        if point is None:
            return None
        if point.phase != self._phase:
            self._phase = point.phase
            self.session.note("phase", name=point.phase)
        return self._spread(point), point.rate

    def _own_tick(self, session: Session) -> Any:
        if self._phase != OWN:
            self._phase = OWN
            session.note("phase", name=OWN)
            self._own.reset_time()
        return self._own.tick()

    def _spread(self, point: Point) -> int:
        """Return the users that shall be there now: Locust answers to nothing while it starts those of one tick."""
        now = time.monotonic()
        if point.users != self._goal[0]:
            self._goal = (point.users, now, self.environment.runner.target_user_count)
        users, since, before = self._goal
        return min(users, before + math.ceil(point.rate * (now - since + 1))) if users > before else users

    def interrupt(self, name: str) -> None:
        """End for a signal as Locust ends for ctrl-c, once: a second one would cut the clean-up short."""
        runner, headless = self.environment.runner, self.environment.parsed_options.headless
        if self._asked or (headless and self._finishing is not None):
            tell_cleaning()
            return
        self._asked = True
        if self.session is not None:
            self.session.interrupted = name
        if headless and runner.shape_greenlet is None:  # it waits for workers, and Locust does not expect to be ended
            gevent.spawn(self._leave)
        else:
            end_main()

    def stop_workers(self) -> None:
        """Wait until no worker sends any more: only then is the run's data nobody's."""
        runner = self.environment.runner
        self._over = True
        if self._counting is not None:
            self._counting.freeze()
        if not isinstance(runner, runners.MasterRunner):
            return
        runner.update_state(runners.STATE_STOPPING)  # else the rest would take over what the first leaves
        for worker in runner.clients.all:
            runner.server.send_to_client(runners.Message("stop", None, worker.id))
        deadline = time.monotonic() + STOPPED_WITHIN
        while runner.user_count and time.monotonic() < deadline:
            gevent.sleep(0.1)
        gevent.sleep(2 * runners.WORKER_REPORT_INTERVAL)  # their last reports

    def finish(self) -> None:
        """Judge, clean up, write the reports; does nothing where nothing runs.

        In a greenlet of its own: Locust kills those of its runner while it quits, and this one has to come to its end.
        """
        if self._finishing is None or self._finishing.ready():
            self._finishing = gevent.spawn(self._finish)
        self._finishing.get()

    def _finish(self) -> None:
        session, counting = self.session, self._counting
        if session is None:
            return
        if counting is not None:
            counting.freeze()
            self._measure(session, counting)
            session.tell_errors(counting.errors(), now=True)
        options, runner = self.environment.parsed_options, self.environment.runner
        exceptions = sum(int(item["count"]) for item in runner.exceptions.values()) + self._broken
        facts = session.judge(self.environment.stats.total.num_failures, exceptions, options.exit_code_on_error)
        self._clean()
        try:
            facts = conclude(session.folder, facts)
            sys.stderr.write(f"{finish(session.folder, facts, os.environ)}\n")
        except DevenvError as error:
            tell_error(error)
        self.environment.process_exit_code = outcome.exit_code(facts)

    def close(self) -> None:
        """End what belongs to the target."""
        self.target.close()

    def _leave(self) -> None:
        self.environment.runner.quit()
        self.close()
        raise SystemExit(EXIT_INTERRUPTED)  # gevent gives it to the main greenlet

    def _prepare(self) -> None:
        options = self.environment.parsed_options
        check_options(options)
        self.config = load_config(Path.cwd(), os.environ)  # of this test: the page starts many, and time goes by
        if self.environment.host and self.environment.host.rstrip("/") != self.target.url.rstrip("/"):
            self.target = self._target("", self.environment.host)
        if options.shape == "hpa" and self.target.kind != "kubernetes":
            raise UsageError("--shape hpa needs an autoscaler to test", "Add --target kubernetes.")
        opened = is_open(options, self.environment.user_classes)
        addition = _addition
        plan = Plan(
            target=self.target,
            thresholds=self._thresholds(),
            warm_up=self._warm_up(self.config.load.warm_up),
            abort=options.abort_on_threshold,
            folder=options.record,
            options={name: getattr(options, name) for name in (*_KEPT, *addition.options)} | {"open": opened},
        )
        self._over, self._phase, self._goal = False, "", (0, 0.0, 0)
        self.session = Session(plan, addition.data and partial(addition.data, options))
        tell(f"load on {self.target.url}; recording in {self.session.folder}")
        values = self.session.prepare()
        give(options, {**values, "open": opened, "host_header": self.target.host_header})
        size = LoadSize(options.num_users or 1, float(options.spawn_rate or 1), _seconds(options.run_time))
        self._steering = Steering(size, self.session, options)
        self._counting = Counting(self.environment)
        self._counting.begin()
        self.session.begin()
        self._ticker = gevent.spawn(self._tick_for_ever, self.session, self._counting)

    def _warm_up(self, default: float) -> float:
        """Return the seconds that thresholds leave out."""
        options = self.environment.parsed_options
        if options.warm_up is not None:
            return float(options.warm_up)
        length = run_length(options)
        if length and default >= length:
            tell(f"thresholds judge all of the run: it is not longer than the warm-up of {default:g} s")
            return 0.0
        return default

    def _tick_for_ever(self, session: Session, counting: Counting) -> None:
        due = time.monotonic()
        while True:
            due += TICK
            gevent.sleep(max(0.0, due - time.monotonic()))
            self._measure(session, counting)

    def _measure(self, session: Session, counting: Counting) -> None:
        for worker in counting.lost():
            session.note("lost", worker=worker)
            session.inconclusive.append(f"the worker {worker} was lost, and with it a part of the load")
        session.tick(counting.figures(), self.environment.runner.user_count, self._phase, counting.generator())
        session.tell_errors(counting.errors())

    def _clean(self) -> None:
        session, self.session = self.session, None
        if self._ticker is not None:
            self._ticker.kill()
            self._ticker = None
        if self._counting is not None:
            self._counting.close()
            self._counting = None
        if session is not None:
            session.end(tell)

    def _find(self) -> Target:
        options = self.environment.parsed_options
        check_options(options)
        self._thresholds()
        self._drop_idle()
        host = self.environment.host or ""
        if not host and not options.target:  # as Locust does
            host = next((kind.host for kind in self.environment.user_classes if kind.host), "")
        target = self._target(options.target, host)
        for note in target.notes:
            tell(note)
        path = self.config.load.path if target.kind != "url" else "/"
        check(target, path)
        return target

    def _target(self, target: str, host: str) -> Target:
        header = self.environment.parsed_options.host_header
        return find_target(target, host, header, Path.cwd(), self.config, os.environ)

    def _drop_idle(self) -> None:
        """Leave out user classes that --tags and --exclude-tags leave no task; raises UsageError when none is left."""
        environment, options = self.environment, self.environment.parsed_options
        if options.tags or options.exclude_tags:
            environment._filter_tasks_by_tags()  # as Locust does later, when documents are loaded
            environment.user_classes = [kind for kind in environment.user_classes if kind.tasks]
            if not environment.user_classes:
                raise UsageError(
                    "--tags and --exclude-tags leave no task of any user", "Name tags that @tag gives to tasks."
                )

    def _thresholds(self) -> tuple[Threshold, ...]:
        texts = [*self.config.load.thresholds, *filter(None, self.environment.parsed_options.threshold)]
        return parse_all(texts, _addition.names)


class Shape(LoadTestShape):
    """The one shape of all load tests; --shape says which load it means."""

    use_common_options = True  # --users, --spawn-rate and --run-time say how high and how long

    def tick(self) -> Any:
        """Return how many users there shall be, and how many start or stop a second."""
        return current.tick() if current is not None else None


current: Run | None = None


@events.init.add_listener
def _begin(environment: Any, runner: Any, **_: Any) -> None:
    global current
    if isinstance(runner, runners.WorkerRunner):
        on_end(lambda name: end_main(), once=True)
        return
    try:
        current = Run(environment)
    except DevenvError as error:
        tell_error(error)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    environment.shape_class = Shape()
    on_end(current.interrupt)


@events.test_start.add_listener
def _started(**_: Any) -> None:
    if current is not None:
        on_end(current.interrupt)  # with its web UI, Locust has put a handler of its own in the place


@events.test_stopping.add_listener
def _stopping(environment: Any, **_: Any) -> None:
    if current is not None:
        current.stop_workers()


@events.test_stop.add_listener
def _stopped(environment: Any, **_: Any) -> None:
    if current is not None:
        current.finish()


@events.quitting.add_listener
def _quitting(environment: Any, **_: Any) -> None:
    if current is not None:
        if current.session is not None:
            current.session.interrupted = current.session.interrupted or "the end of Locust"
            environment.runner.stop()
        current.finish()
        current.close()


def tell(text: str) -> None:
    """Write a line for people."""
    sys.stderr.write(f"devenv: {sanitize(text, newlines=True)}\n")
    sys.stderr.flush()


def tell_error(error: DevenvError) -> None:
    """Write an error with its hint."""
    tell(f"{error.title}: {error.message}" + (f"\n  hint: {error.hint}" if error.hint else ""))


def exit_code(error: DevenvError) -> int:
    """Return the code for what kept a run from its begin; 1 is what failed requests of a run mean."""
    return error.exit_code if error.exit_code != outcome.EXIT_FAILED_REQUESTS else ServiceFailed.exit_code


def end_main() -> None:
    """Raise KeyboardInterrupt in Locust's main(), and not in whichever greenlet runs just now."""
    hub = gevent.get_hub()
    hub.loop.run_callback(hub.parent.throw, KeyboardInterrupt)


def _seconds(run_time: Any) -> float | None:
    return float(run_time) if run_time else None
