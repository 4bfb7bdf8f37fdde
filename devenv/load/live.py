"""What is known of a load test while it goes on, folded from the files of its recording in bounded memory.

Values over time are in bins: when a run grows longer than they reach, two bins become one. Knows no screen.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from devenv.core.errors import DevenvError
from devenv.core.stored import readable
from devenv.load.autoscaler import CALM, UP
from devenv.load.figures import Figures, Finding, Tallies, Threshold, evaluate, figures_of, parse
from devenv.load.outcome import MANY, generator_reasons, read_outcome
from devenv.load.recording import LOAD, WATCHED, LoadTick, on_axis, read_run
from devenv.load.runner import LiveLoad
from devenv.load.shapes import LENGTHS, SHAPES, LoadSize
from devenv.runs.lines import Tail

BINS: Final = 256  # more than a chart has columns; after 2 hours a bin is half a minute


@dataclass(slots=True)
class _Bin:
    total: float
    count: int
    most: float
    last: float

    def join(self, later: _Bin) -> None:
        self.total += later.total
        self.count += later.count
        self.most = max(self.most, later.most)
        self.last = later.last


def _mean(item: _Bin) -> float:
    return item.total / item.count


def _most(item: _Bin) -> float:
    return item.most


def _last(item: _Bin) -> float:
    return item.last


class TimeSeries:
    """Series by name over one time axis. Times are seconds since the recording began."""

    MEAN: Final[Callable[[_Bin], float]] = staticmethod(_mean)
    MOST: Final[Callable[[_Bin], float]] = staticmethod(_most)
    LAST: Final[Callable[[_Bin], float]] = staticmethod(_last)

    def __init__(self, bins: int = BINS) -> None:
        self._most_bins = bins
        self._step = 1.0
        self._series: dict[str, dict[int, _Bin]] = {}

    def add(self, name: str, t: float, value: float | None) -> None:
        """Add a value; an unknown one is left out, and shows as a gap."""
        if value is None or t < 0:
            return
        while t / self._step >= self._most_bins:
            self._fold()
        bins = self._series.setdefault(name, {})
        fresh = _Bin(value, 1, value, value)
        known = bins.setdefault(int(t / self._step), fresh)
        if known is not fresh:
            known.join(fresh)

    def names(self, prefix: str) -> list[str]:
        """Return the names that begin so."""
        return sorted(name for name in self._series if name.startswith(prefix))

    def columns(
        self, name: str, since: float, until: float, count: int, how: Callable[[_Bin], float]
    ) -> list[float | None]:
        """Return the values of `count` equal parts of a time; None where nothing is known."""
        bins = self._series.get(name, {})
        width = (until - since) / max(1, count)
        fitted: list[float | None] = []
        for column in range(count):
            first = int((since + column * width) / self._step)
            end = max(first + 1, int((since + (column + 1) * width) / self._step))
            values = [how(bins[index]) for index in range(first, end) if index in bins]
            fitted.append(_joined(values, how) if values else None)
        return fitted

    def _fold(self) -> None:
        self._step *= 2
        for name, bins in self._series.items():
            folded: dict[int, _Bin] = {}
            for index in sorted(bins):
                item = bins[index]
                known = folded.setdefault(index // 2, item)
                if known is not item:
                    known.join(item)
            self._series[name] = folded


def _joined(values: list[float], how: Callable[[_Bin], float]) -> float:
    if how is _last:
        return values[-1]
    return max(values) if how is _most else sum(values) / len(values)


RECENT: Final = 5  # ticks (seconds) that "now" is
EVENTS_KEPT: Final = 30
PHASES_KEPT: Final = 200
_SAMPLED: Final = 200  # moments of a shape at which the users of its phases are looked up


@dataclass
class Generator:
    """The processes that make the load. `cpu`: percent of a core of each."""

    cpu: tuple[float, ...] = ()
    _busiest: deque[float] = field(default_factory=lambda: deque(maxlen=MANY))
    _hot: str = ""
    _kept: Counter[str] = field(default_factory=Counter)

    @property
    def busiest(self) -> float:
        """The CPU of the busiest one."""
        return max(self.cpu, default=0.0)

    def add(self, tick: LoadTick) -> None:
        """Take what a tick says of them."""
        self.cpu = tick.cpu
        self._busiest.append(self.busiest)
        self._kept.update(arrivals=tick.arrivals, late=tick.late, dropped=tick.dropped)
        self._hot = next(iter(generator_reasons(tuple(self._busiest), 0, 0, 0)), self._hot)

    @property
    def inconclusive(self) -> list[str]:
        """Why the run measures its generator, as it stands."""
        kept = self._kept
        return [*filter(None, [self._hot]), *generator_reasons((), kept["arrivals"], kept["late"], kept["dropped"])]


@dataclass(slots=True)
class Thing:
    """A container or pod of the target. CPU in cores, memory in bytes."""

    name: str
    service: str
    state: str = ""
    health: str = ""
    restarts: int | None = None
    cpu: float | None = None
    memory: int | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the run: when it began on the recording's clock and on the wall's, and its users at most."""

    t: float
    at: float
    name: str
    users: int


@dataclass
class LoadState:
    """One run. `run` and `outcome` are what run.json and outcome.json say, {} until they do."""

    run: Mapping[str, Any] = field(default_factory=dict)
    outcome: Mapping[str, Any] = field(default_factory=dict)
    over: bool = False
    exit_code: int | None = None  # None also where nobody knows it
    ended: float = 0.0  # wall clock
    stopping: bool = False  # now
    stopped: bool = False  # before its time
    killed: bool = False
    last_words: str = ""  # of Locust, where there are no figures to show instead
    began: float | None = None  # when the load began, on the recording's clock
    until: float = 0.0  # its newest tick
    phases: list[Phase] = field(default_factory=list)
    users: int = 0
    series: TimeSeries = field(default_factory=TimeSeries)
    generator: Generator = field(default_factory=Generator)
    things: dict[str, Thing] = field(default_factory=dict)  # containers and pods by key
    scaling: Mapping[str, Any] = field(default_factory=dict)  # what the autoscaler said last
    endpoints: int | None = None
    events: deque[Mapping[str, Any]] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))
    missing: dict[str, str] = field(default_factory=dict)  # what cannot be read, and why
    links: dict[str, str] = field(default_factory=dict)  # connections that are not live, and why
    notes: list[str] = field(default_factory=list)
    _recent: deque[tuple[float, Mapping[str, Figures]]] = field(default_factory=lambda: deque(maxlen=RECENT))
    _all: Tallies = field(default_factory=Tallies)
    _warm: Tallies | None = None  # since the warm-up
    _sized: int = 0  # users of the load that a calibration gave
    _thresholds: tuple[Threshold, ...] | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        """What Locust was given."""
        return self.run.get("options") or {}

    @property
    def target(self) -> Mapping[str, Any]:
        """What gets the load."""
        return self.run.get("target") or {}

    @property
    def service(self) -> str:
        """The service under load."""
        return str(self.target.get("service") or "")

    @property
    def elapsed(self) -> float:
        """Seconds of load until now."""
        return max(0.0, self.until - self.began) if self.began is not None else 0.0

    @property
    def length(self) -> float | None:
        """Seconds that the load shall last; None where that depends on what is measured."""
        shape = str(self.options.get("shape", ""))
        return float(self.options.get("run_time") or LENGTHS[shape]) if shape in LENGTHS else None

    @property
    def latest(self) -> dict[str, Figures]:
        """The figures of the last seconds by name, and of all requests."""
        return figures_of(self._recent)

    @property
    def whole(self) -> dict[str, Figures]:
        """The figures of the whole load by name, and of all requests."""
        return self._all.figures(self.elapsed)

    @property
    def warm_up_left(self) -> float:
        """Seconds until thresholds are judged."""
        return 0.0 if self.over or self._warm is not None else max(0.0, self._warm_up - self.elapsed)

    @property
    def findings(self) -> list[Finding]:
        """The thresholds: as the outcome says, else as they stand by what was counted after the warm-up."""
        if self._thresholds is None:
            if not self.run:
                return []
            self._thresholds = tuple(parse(text) for text in self.run.get("thresholds") or ())
        decided = {item["threshold"]: item for item in self.outcome.get("findings") or ()}
        if decided:
            known = [(item, decided[str(item)]) for item in self._thresholds if str(item) in decided]
            return [Finding(item, data["value"], data["holds"], data["margin"]) for item, data in known]
        if self._warm is None:
            return [Finding(item, None, None, None) for item in self._thresholds]
        return evaluate(self._thresholds, self._warm.figures(max(0.001, self.elapsed - self._warm_up)))

    @property
    def ready(self) -> int:
        """How many pods of the service are ready."""
        return sum(thing.service == self.service and thing.health == "healthy" for thing in self.things.values())

    @property
    def _warm_up(self) -> float:
        return float(self.run.get("warm_up") or 0.0)

    def take_load(self, lines: Iterable[dict[str, Any]]) -> None:
        """Take lines that the generator wrote."""
        for line in on_axis(lines):
            match line["type"]:
                case "load":
                    self._second(LoadTick.from_line(line))
                case "phase":
                    self.phases.append(Phase(line["t"], line["at"], line["name"], self._users_of(line["name"])))
                    del self.phases[:-PHASES_KEPT]
                case "sized":
                    self._sized = int(line["users"])
                case "lost":
                    self.notes.append(f"the worker {line['worker']} was lost, and with it a part of the load")
                case "recorder":
                    self.notes.append(f"the recorder ended: {line.get('why') or line.get('ended')}")
                case "uncleaned":
                    self.notes.append(f"what was loaded could not be removed: {line['why']}")

    def take_target(self, lines: Iterable[dict[str, Any]]) -> None:
        """Take lines that the recorder wrote."""
        for line in on_axis(lines):
            match line["type"]:
                case "resource" if line["kind"] in ("container", "pod"):
                    thing = self.things.setdefault(line["key"], Thing(line["name"], line["service"]))
                    thing.state, thing.health, thing.restarts = line["state"], line["health"], line["restarts"]
                    if thing.state != "running":
                        thing.cpu = thing.memory = None
                case "gone":
                    self.things.pop(line["key"], None)
                case "sample" if used := self.things.get(line["key"]):
                    used.cpu, used.memory, used.limit = line["cpu"], line["memory"], line["limit"]
                case "scaling" if self.service in (line["service"], line["name"]):
                    self.scaling = line
                case "endpoints":
                    self.endpoints = int(line["ready"])
                case "event" if (line.get("of") or 0.0) >= float(self.run.get("began") or 0.0):
                    self.events.append(line)
                case "missing":
                    self.missing[line["what"]] = line["why"]
                case "found":
                    self.missing.pop(line["what"], None)
                case "link" if line["state"] == "live":
                    self.links.pop(line["backend"], None)
                case "link":
                    self.links[line["backend"]] = f"{line['state']} {line['why']}".strip()
                case "tick":
                    self._present(line["t"])

    def _users_of(self, phase: str) -> int:
        """Return how many users a phase shall have at most."""
        users, shape = int(self.options.get("num_users") or 0), str(self.options.get("shape", ""))
        if shape == "hpa":
            return {CALM[1]: max(1, round(users / 10)), UP: self._sized}.get(phase, 1)
        if shape not in SHAPES or self.length is None:
            return users
        size, length = LoadSize(users, 1.0, self.length), self.length
        points = (SHAPES[shape](length * part / _SAMPLED, size) for part in range(_SAMPLED))
        return max((point.users for point in points if point is not None and point.phase == phase), default=0)

    def _second(self, tick: LoadTick) -> None:
        t, seconds, names = tick.t, tick.seconds, tick.figures
        self.until = t
        if self.began is None:
            self.began = t - seconds
            self._warm = None if self._warm_up else Tallies()
        self.users = tick.users
        self._recent.append((seconds, names))
        self._all.add(names)
        if self._warm is not None:
            self._warm.add(names)
        elif t - self.began >= self._warm_up:  # as the run itself counts: from the tick after the warm-up on
            self._warm = Tallies()
        self.generator.add(tick)
        add = self.series.add
        add("users", t, self.users)
        if seconds:
            add("rps", t, tick.total.requests / seconds)
            add("failed", t, tick.total.failures / seconds)
        add("p95", t, tick.total.percentile(95))
        add("generator", t, self.generator.busiest)

    def _present(self, t: float) -> None:
        """Put what holds now into the series: what is recorded only when it changes has no gaps in it."""
        for service in {thing.service for thing in self.things.values()}:
            known = [thing.cpu for thing in self.things.values() if thing.service == service and thing.cpu is not None]
            self.series.add(f"cpu {service}", t, 100 * sum(known) if known else None)
        if self.scaling:
            self.series.add("desired", t, self.scaling["desired"])
            self.series.add("ready", t, self.ready)
            for metric in self.scaling["metrics"]:
                self.series.add(f"metric {metric['name']}", t, metric["current"])


class Following:
    """Keeps the state of one run up to date; the first look reads all that is there, so it belongs into a thread."""

    def __init__(self, live: LiveLoad) -> None:
        self.live = live
        self.state = LoadState()
        self._load = Tail(live.folder / LOAD)
        self._watched = Tail(live.folder / WATCHED)

    def look(self) -> None:
        """Read what is new; raises DevenvError for the recording of another version."""
        state = self.state
        if state.over:
            return
        is_over = self.live.is_over  # before the last lines are read, or they might be missed
        try:
            self._read(is_over)
        except DevenvError:
            state.over = True  # as far as anybody here can see
            raise
        if is_over or state.began is None:
            state.last_words = self.live.last_words()
        if is_over:
            code = self.live.exit_code
            state.exit_code = state.outcome.get("exit_code") if code is None else code
            state.ended = time.time()
            state.over, state.stopping = True, False

    def _read(self, is_over: bool) -> None:
        state, folder = self.state, self.live.folder
        state.run = state.run or read_run(folder) or {}
        with readable(f"the recording in {folder}"):
            if state.run:
                state.take_load(self._load.read())
                state.take_target(self._watched.read())
            if is_over:
                state.outcome = read_outcome(folder) or {}
            _ = state.findings, state.length  # what is shown of the files has to be computable
