"""Which charts a recording gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from devenv.load.reports.charts import Axis, Chart, Line
from devenv.load.reports.columns import Column, columns, percentiles
from devenv.load.series import Recording
from devenv.load.verdicts.reaction import cpu_of, pods

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
