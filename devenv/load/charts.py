"""The charts of a recording as SVG, one below the other on one time axis, without any script.

A series of any length is fitted into the columns of a chart without hiding its peaks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

from devenv.load.autoscaler import cpu_of, pods
from devenv.load.figures import total
from devenv.load.recording import Gap, LoadTick, Recording

COLUMNS: Final = 500  # of a chart: one for each two CSS pixels


@dataclass(frozen=True, slots=True)
class Column:
    """One column: the time of its middle, the mean of its values, the least and the greatest of them."""

    t: float
    mean: float
    low: float
    high: float


def columns(values: Iterable[tuple[float, float | None]], length: float, count: int = COLUMNS) -> list[Column]:
    """Put values into at most `count` columns of equal width over `length` seconds; empty columns are left out."""
    width = length / count if length > 0 else 1.0
    buckets: dict[int, list[tuple[float, float]]] = {}
    for t, value in values:
        if value is not None:
            buckets.setdefault(min(count - 1, max(0, int(t / width))), []).append((t, value))
    fitted = []
    for _, items in sorted(buckets.items()):
        numbers = [value for _, value in items]
        middle = sum(t for t, _ in items) / len(items)
        fitted.append(Column(middle, sum(numbers) / len(numbers), min(numbers), max(numbers)))
    return fitted


def percentiles(load: Sequence[LoadTick], percent: float, length: float) -> list[Column]:
    """Return the percentile of all requests of each column: of merged histograms, as percentiles have no mean."""
    width = max(length / COLUMNS if length > 0 else 1.0, 1e-9)
    buckets: dict[int, list[LoadTick]] = {}
    for tick in load:
        buckets.setdefault(int(tick.t / width), []).append(tick)
    fitted = []
    for _, ticks in sorted(buckets.items()):
        value = total(tick.total for tick in ticks).percentile(percent)
        if value is not None:
            fitted.append(Column(sum(tick.t for tick in ticks) / len(ticks), value, value, value))
    return fitted


WIDTH, HEIGHT = 1000, 150  # of one chart, in CSS pixels
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 8, 20
BROKEN: Final = 12.0  # columns without a value after which a line is not drawn through
PALETTE: Final = ("c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8")


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `steps` for numbers that jump, as replicas do; `dashed` for limits and targets."""

    name: str
    columns: Sequence[Column]
    steps: bool = False
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart. `floor` is the least height of the axis, so that noise does not fill it."""

    title: str
    unit: str
    lines: Sequence[Line]
    floor: float = 0.0


@dataclass(frozen=True, slots=True)
class Axis:
    """The time axis that all charts share: its length, the phases on it, and its gaps."""

    length: float
    phases: Sequence[tuple[float, str]] = ()
    gaps: Sequence[Gap] = ()
    marks: Sequence[tuple[float, str]] = field(default=())

    def x(self, t: float) -> float:
        """Return the place of a time."""
        return round(LEFT + (WIDTH - LEFT - RIGHT) * max(0.0, t) / (self.length or 1.0), 1)


def render(chart: Chart, axis: Axis) -> str:
    """Draw a chart with its legend; "" where it has nothing to show."""
    drawn = [line for line in chart.lines if line.columns]
    if not drawn:
        return ""
    top = nice(max(chart.floor, *(column.high for line in drawn for column in line.columns)))
    body = [*_background(axis), *_scale(top, chart.unit), *_times(axis)]
    legend = []
    for index, line in enumerate(drawn):
        color = PALETTE[index % len(PALETTE)]
        body.append(_path(line, axis, top, color))
        last = line.columns[-1].mean
        style = " dashed" if line.dashed else ""
        legend.append(f'<span class="{color}{style}"><i></i>{escape(line.name)} <b>{number(last)}</b></span>')
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    unit = f" <small>{escape(chart.unit)}</small>" if chart.unit else ""
    return (
        f"<figure><figcaption><strong>{escape(chart.title)}</strong>{unit} {''.join(legend)}</figcaption>"
        f'<svg {size} role="img" aria-label="{escape(chart.title)}">{"".join(body)}</svg></figure>'
    )


def nice(value: float) -> float:
    """Return the next round number for the end of an axis."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if factor * power >= value * 0.9999)


def number(value: float) -> str:
    """Write a number in few characters."""
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e3 if suffix == 'k' else limit):.3g}{suffix}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _y(value: float, top: float) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(value, top) / top, 1)


def _background(axis: Axis) -> list[str]:
    parts = []
    ends = [t for t, _ in axis.phases[1:]] + [axis.length]
    for index, ((since, name), until) in enumerate(zip(axis.phases, ends, strict=True)):
        x, width = axis.x(since), max(0.0, axis.x(until) - axis.x(since))
        kind = "phase even" if index % 2 else "phase"
        parts.append(
            f'<rect class="{kind}" x="{x}" y="{TOP}" width="{width:.1f}" height="{HEIGHT - TOP - BOTTOM}">'
            f"<title>{escape(name)}</title></rect>"
        )
        if width > 7 * len(name):
            parts.append(f'<text class="name" x="{x + 4}" y="{TOP + 11}">{escape(name)}</text>')
    for gap in axis.gaps:
        x, width = axis.x(gap.since), max(1.0, axis.x(gap.until) - axis.x(gap.since))
        parts.append(
            f'<rect class="gap" x="{x}" y="{TOP}" width="{width:.1f}" height="{HEIGHT - TOP - BOTTOM}">'
            f"<title>{escape(gap.what)}</title></rect>"
        )
    for t, text in axis.marks:
        x = axis.x(t)
        parts.append(
            f'<line class="mark" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}">'
            f"<title>{escape(text)}</title></line>"
        )
    return parts


def _scale(top: float, unit: str) -> list[str]:
    parts = []
    for share in (0.0, 0.5, 1.0):
        y = _y(top * share, top)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{number(top * share)}</text>')
    return parts


def _times(axis: Axis) -> list[str]:
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
    step = next((item for item in steps if axis.length / item <= 12), 86400)
    parts = []
    for index in range(int(axis.length // step) + 1):
        t = index * step
        label = f"{t // 3600}:{t % 3600 // 60:02}:{t % 60:02}" if axis.length >= 3600 else f"{t // 60}:{t % 60:02}"
        parts.append(f'<text class="tick" x="{axis.x(t)}" y="{HEIGHT - 5}" text-anchor="middle">{label}</text>')
    return parts


def _path(line: Line, axis: Axis, top: float, color: str) -> str:
    runs: list[list[Column]] = []
    reach = _reach(line.columns)
    for column in line.columns:
        if not runs or (column.t - runs[-1][-1].t > reach and not line.steps):
            runs.append([])
        runs[-1].append(column)
    parts = []
    for run in runs:
        if not line.dashed and any(column.high > column.low for column in run):
            upper = [f"{axis.x(column.t)},{_y(column.high, top)}" for column in run]
            lower = [f"{axis.x(column.t)},{_y(column.low, top)}" for column in reversed(run)]
            parts.append(f'<polygon class="band {color}" points="{" ".join(upper + lower)}"/>')
        points = [f"{axis.x(run[0].t)},{_y(run[0].mean, top)}"]
        for before, column in itertools.pairwise(run):
            if line.steps:
                points.append(f"{axis.x(column.t)},{_y(before.mean, top)}")
            points.append(f"{axis.x(column.t)},{_y(column.mean, top)}")
        if line.steps:
            points.append(f"{axis.x(axis.length)},{_y(run[-1].mean, top)}")
        if len(points) == 1:
            x, y = points[0].split(",")
            parts.append(f'<circle class="dot {color}" cx="{x}" cy="{y}" r="2"/>')
        else:
            style = "line dashed" if line.dashed else "line"
            parts.append(f'<polyline class="{style} {color}" points="{" ".join(points)}"/>')
    return "".join(parts)


def _reach(drawn: Sequence[Column]) -> float:
    """Return the distance over which a line is drawn: a few times what is usual between its values."""
    steps = sorted(after.t - before.t for before, after in itertools.pairwise(drawn))
    return BROKEN / 4 * steps[len(steps) // 2] if steps else 0.0


MOST = 8  # lines in one chart; the busiest containers are shown
MARKED = ("die", "oom", "restart", "Killing", "Unhealthy", "BackOff", "FailedScheduling", "OOMKilling", "Evicted")


def axis_of(recording: Recording) -> Axis:
    """Return the time axis of all its charts."""
    # A list of events begins with old ones: those before the recording are no part of it.
    happened = [line for line in recording.events if line["action"] in MARKED and line.get("t_of", line["t"]) >= 0]
    bad = [(line.get("t_of", line["t"]), f"{line['name']}: {line['action']} {line['text']}") for line in happened]
    lost = [(note["t"], f"worker {note['worker']} lost") for note in recording.notes if note["type"] == "lost"]
    return Axis(recording.length, recording.phases, recording.gaps, [*bad, *lost])


def charts_of(recording: Recording) -> list[Chart]:
    """Return all charts that have something to show, top to bottom."""
    length, load = recording.length, recording.load
    limits: Mapping[str, Mapping[str, float]] = recording.run["target"].get("limits") or {}

    def line(name: str, values: Iterable[tuple[float, float | None]], *, steps: bool = False) -> Line:
        return Line(name, columns(values, length), steps)

    def flat(name: str, value: float) -> Line:
        return Line(name, [Column(0.0, value, value, value), Column(length, value, value, value)], dashed=True)

    busiest = sorted(
        recording.tracks.values(), key=lambda track: -max((use.cpu or 0.0 for use in track.uses), default=0.0)
    )[:MOST]
    service = str(recording.run["target"].get("service", ""))
    shown = {track.service for track in busiest}
    cpu_limits = [
        flat(f"limit of {name}", item["cpu"]) for name, item in limits.items() if name in shown and "cpu" in item
    ]
    same = len({limit.columns[0].mean for limit in cpu_limits}) == 1
    ticks = [(tick.t, tick.total) for tick in load]
    return [
        Chart("Requests", "/s", [line("answered", [(t, item.rps) for t, item in ticks])], 1.0),
        Chart("Users", "", [line("users", [(tick.t, tick.users) for tick in load], steps=True)], 1.0),
        Chart(
            "Response time",
            "ms",
            [Line(f"p{percent:g}", percentiles(load, percent, length)) for percent in (50, 95, 99)],
            10.0,
        ),
        Chart("Failed", "/s", [line("failed", [(t, float(item.failures)) for t, item in ticks])], 1.0),
        Chart(
            "CPU",
            "cores",
            [
                *(line(track.name, [(use.t, use.cpu) for use in track.uses]) for track in busiest),
                *([flat("limit of each", cpu_limits[0].columns[0].mean)] if same else cpu_limits),
            ],
        ),
        Chart("Memory", "bytes", [line(track.name, [(use.t, use.memory) for use in track.uses]) for track in busiest]),
        *_scaling(recording, service, length),
        Chart(
            "This machine",
            "cores",
            [
                line("in use", recording.machine),
                line("generator, busiest process", [(tick.t, max(tick.cpu, default=0.0) / 100) for tick in load]),
            ],
            1.0,
        ),
    ]


def _scaling(recording: Recording, service: str, length: float) -> list[Chart]:
    said = [item for item in recording.scalings if item["target"].rpartition("/")[2] == service]
    if not said:
        return []
    changes: list[tuple[float, float]] = []
    for pod in pods(recording, service):
        if pod.ready is not None:
            changes.append((pod.ready, 1))
            if pod.gone is not None:
                changes.append((pod.gone, -1))
    count, ready = 0.0, []
    for t, by in sorted(changes):
        count += by
        ready.append((t, count))

    def steps(name: str, values: list[tuple[float, float]]) -> Line:
        # Every change is kept: there are few, and a mean of replicas would show what never was.
        return Line(name, [Column(t, value, value, value) for t, value in values], steps=True)

    metric = columns([(item["t"], cpu_of(item)) for item in said], length)
    target = next((metric["target"] for item in said for metric in item["metrics"] if metric["name"] == "cpu"), None)
    return [
        Chart(
            "Replicas",
            "",
            [
                steps("desired", [(item["t"], float(item["desired"])) for item in said]),
                steps("ready", ready),
                steps("endpoints", [(t, float(number)) for t, number in recording.endpoints]),
            ],
            float(said[-1]["max"]),
        ),
        Chart(
            "Autoscaler's metric",
            "% of the request",
            [
                Line("CPU", metric),
                *(
                    [
                        Line(
                            "target",
                            [Column(0.0, target, target, target), Column(length, target, target, target)],
                            dashed=True,
                        )
                    ]
                    if target
                    else []
                ),
            ],
        ),
    ]
