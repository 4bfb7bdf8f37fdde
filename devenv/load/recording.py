"""The recording of a load test: what it is of, and all of it read back over one time axis, with its gaps."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from devenv.core.errors import DevenvError
from devenv.core.stored import Count, Moment, Unreadable, read_plain, readable
from devenv.load.figures import Figures, total
from devenv.runs.lines import Tail

SCHEMA: Final = 1
BASE: Final = "run.json"  # what the run is: target, options, the clock's base
LOAD: Final = "load.jsonl"  # written by the generator
WATCHED: Final = "target.jsonl"  # written by the recorder
SILENCE: Final = 3.5  # seconds without a tick (they come every second) are a gap
Encoded = tuple[str, dict[str, Any]]  # a line of a recording: its type and its values
STEP: Final = 1.0  # seconds by which wall and monotonic clock may drift apart between two lines


class _Target(msgspec.Struct):
    kind: str = ""
    project: str = ""
    service: str = ""
    context: str = ""
    namespace: str = ""
    url: str = ""


class _Options(msgspec.Struct):
    shape: str | None = None
    num_users: Count | None = None
    run_time: float | None = None
    rate: float | None = None
    replicas: Count | None = None


class RunFile(msgspec.Struct):
    """What is read of run.json; its other keys are for people."""

    schema: int = SCHEMA
    run: str = ""
    began: Moment = 0.0
    folder: str = ""
    warm_up: float | None = None
    thresholds: list[str] = []
    target: _Target = msgspec.field(default_factory=_Target)
    options: _Options = msgspec.field(default_factory=_Options)


def read_run(folder: Path) -> dict[str, Any] | None:
    """Return what run.json says, None where there is none; raises Unreadable, also for another version's."""
    run = read_plain(folder / BASE, RunFile)
    if run is None:
        return None
    if run.get("schema") != SCHEMA:
        raise Unreadable(f"{folder / BASE} was not recorded by this version of devenv", "Use the version that did.")
    target = msgspec.to_builtins(_Target()) | run.get("target", {})
    return {"began": 0.0, "thresholds": [], **run, "target": target, "options": run.get("options", {})}


@dataclass(frozen=True, slots=True)
class LoadTick:
    """One second of load: users, figures by name, CPU of the generator's processes in percent of a core."""

    t: float
    users: int
    phase: str
    figures: Mapping[str, Figures]
    total: Figures  # all names together
    cpu: tuple[float, ...] = ()
    arrivals: int = 0
    late: int = 0
    dropped: int = 0

    @property
    def seconds(self) -> float:
        """How long it lasted; what arrives after the end is in a tick of no length."""
        return max((item.seconds for item in self.figures.values()), default=1.0)

    @classmethod
    def from_line(cls, line: Mapping[str, Any]) -> LoadTick:
        """Read the generator's line of a second."""
        generator = line.get("generator") or {}
        figures = {name: Figures.from_data(item) for name, item in line["names"].items()}
        counts = (int(generator.get(key) or 0) for key in ("arrivals", "late", "dropped"))
        cpu = tuple(float(value) for value in generator.get("cpu") or ())
        return cls(line["t"], int(line["users"]), line["phase"], figures, total(figures.values()), cpu, *counts)


@dataclass(frozen=True, slots=True)
class Use:
    """CPU (cores) and memory (bytes) of a container or pod, measured at `t` and known here at `known`."""

    t: float
    known: float
    cpu: float | None
    memory: int | None
    limit: int | None
    window: float | None


@dataclass(slots=True)
class Track:
    """The uses of one container or pod."""

    key: str
    name: str
    service: str
    uses: list[Use] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which something was not recorded."""

    since: float
    until: float
    what: str


def on_axis(lines: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield lines with `t_of`: another machine's time (`of`), where they have one, on this recording's axis."""
    for line in lines:
        yield line if line.get("of") is None else {**line, "t_of": line["of"] - (line["at"] - line["t"])}


@dataclass
class Recording:
    """Everything that was recorded. The lists of plain lines keep the recording's own words; all are in time order."""

    run: Mapping[str, Any]
    load: list[LoadTick] = field(default_factory=list)
    phases: list[tuple[float, str]] = field(default_factory=list)
    tracks: dict[str, Track] = field(default_factory=dict)
    machine: list[tuple[float, float]] = field(default_factory=list)  # cores in use on this machine
    cores: int | None = None  # of this machine
    own: list[float] = field(default_factory=list)  # cores that the recorder used
    resources: list[dict[str, Any]] = field(default_factory=list)  # kinds "resource" and "gone"
    scalings: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    probes: list[dict[str, Any]] = field(default_factory=list)
    endpoints: list[tuple[float, int]] = field(default_factory=list)  # ready addresses of the service under load
    settings: dict[str, Any] = field(default_factory=dict)  # of the cluster
    missing: list[dict[str, Any]] = field(default_factory=list)  # facts that could not be read, with `what` and `why`
    notes: list[dict[str, Any]] = field(default_factory=list)  # lost workers, what was cleaned up
    errors: list[tuple[int, str, str]] = field(default_factory=list)  # the most frequent: count, name, reason
    gaps: list[Gap] = field(default_factory=list)
    steps: list[tuple[float, float]] = field(default_factory=list)  # of the wall clock: when, by how many seconds
    broken: int = 0

    @property
    def length(self) -> float:
        """Seconds from the first to the last thing that was recorded."""
        return max([self.load[-1].t if self.load else 0.0, *(t for t, _ in self.machine[-1:])])

    def load_between(self, since: float, until: float) -> list[LoadTick]:
        """Return the ticks of a time."""
        return [tick for tick in self.load if since < tick.t <= until]

    def figures(self, ticks: Sequence[LoadTick] | None = None) -> dict[str, Figures]:
        """Return the figures by name over ticks (default: all), and `total`."""
        chosen = self.load if ticks is None else ticks
        by_name: dict[str, list[Figures]] = {}
        for tick in chosen:
            for name, item in tick.figures.items():
                by_name.setdefault(name, []).append(item)
        # Every name lasts as long as the whole: a name with no request in a second had a rate of 0 in it.
        length = sum(tick.seconds for tick in chosen)
        summed = {name: _over(items, length) for name, items in by_name.items()}
        return summed | {"total": _over([tick.total for tick in chosen], length)}

    def service_cpu(
        self, service: str, since: float, until: float, usual: Callable[[list[float]], float] = statistics.mean
    ) -> float | None:
        """Return the cores in use of a service's containers together, in a time; None without a sample.

        `usual` says what a container's are in that time: the mean, or the median, which one odd moment does not move.
        """
        sums = 0.0
        seen = False
        for track in self.tracks.values():
            values = [use.cpu for use in track.uses if since < use.t <= until and use.cpu is not None]
            if track.service == service and values:
                sums += usual(values)
                seen = True
        return sums if seen else None

    def take_load(self, lines: Iterable[dict[str, Any]]) -> None:
        """Take lines that the generator wrote."""
        for line in on_axis(lines):
            match line["type"]:
                case "load":
                    self.load.append(LoadTick.from_line(line))
                case "phase":
                    self.phases.append((line["t"], line["name"]))
                case "errors":
                    self.errors = [(int(count), name, reason) for count, name, reason in line["most"]]
                case _:
                    self.notes.append(line)

    def take_target(self, lines: Iterable[dict[str, Any]]) -> None:
        """Take lines that the recorder wrote."""
        for line in on_axis(lines):
            match line["type"]:
                case "sample":
                    track = self.tracks.setdefault(line["key"], Track(line["key"], line["name"], line["service"]))
                    use = Use(line["t_of"], line["t"], line["cpu"], line["memory"], line["limit"], line["window"])
                    track.uses.append(use)
                case "tick":
                    self.own.append(line["own"])
                    if line["machine"] is not None:
                        self.machine.append((line["t"], line["machine"]))
                case "endpoints":
                    self.endpoints.append((line["t"], int(line["ready"])))
                case "begin":
                    self.cores = line["cores"]
                case "settings":
                    self.settings = line
                case "resource" | "gone":
                    self.resources.append(line)
                case "event":
                    self.events.append(line)
                case "scaling":
                    self.scalings.append(line)
                case "probes":
                    self.probes.append(line)
                case "missing":
                    self.missing.append(line)


def _over(items: Iterable[Figures], seconds: float) -> Figures:
    summed = total(items)
    return Figures(summed.requests, summed.failures, seconds, summed.times)


def read_recording(folder: Path) -> Recording:
    """Read the recording of a folder, whole or not; raises DevenvError where there is none."""
    run = read_run(folder)
    if run is None:
        raise DevenvError(f"{folder} has no recording of a load test", f"Name the folder with {BASE} in it.")
    load, watched = Tail(folder / LOAD), Tail(folder / WATCHED)
    with readable(f"the recording in {folder}"):
        recording = gather(run, list(load.read()), list(watched.read()))
    recording.broken = load.broken + watched.broken
    return recording


def gather(run: Mapping[str, Any], load: Sequence[dict[str, Any]], watched: Sequence[dict[str, Any]]) -> Recording:
    """Make a recording of the lines of its two files."""
    made = Recording(run)
    made.take_load(load)
    made.take_target(watched)
    made.phases.sort()
    made.gaps += [*_silences([tick.t for tick in made.load], "the load")]
    ticks = [line["t"] for line in watched if line["type"] in ("tick", "begin", "end")]
    made.gaps += [*_silences(ticks, "the target"), *_disconnected(watched)]
    made.gaps.sort(key=lambda gap: gap.since)
    made.steps = sorted({*_steps(load), *_steps(watched)})
    return made


def _silences(times: Sequence[float], what: str) -> Iterator[Gap]:
    for before, after in itertools.pairwise(times):
        if after - before > SILENCE:
            yield Gap(before, after, f"{what} was not recorded")


def _disconnected(lines: Sequence[dict[str, Any]]) -> Iterator[Gap]:
    since: float | None = None
    why = ""
    was_live = False
    for line in lines:
        if line["type"] != "link":
            continue
        if line["state"] == "live":
            if since is not None and was_live:
                yield Gap(since, line["t"], why)
            since, was_live = None, True
        elif since is None:
            since, why = line["t"], f"{line['backend']}: {line['why'] or line['state']}"
    if since is not None and lines:
        yield Gap(since, lines[-1]["t"], why)


def _steps(lines: Sequence[dict[str, Any]]) -> Iterator[tuple[float, float]]:
    for before, after in itertools.pairwise(lines):
        step = (after["at"] - after["t"]) - (before["at"] - before["t"])
        if abs(step) > STEP:
            yield round(after["t"]), round(step)
