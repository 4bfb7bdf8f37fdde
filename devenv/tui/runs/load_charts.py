"""The charts of a load test, all on one time axis. Knows no widget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Final

from devenv.load.live import LoadState, TimeSeries
from devenv.tui.chart import chart
from devenv.tui.runs.load_rows import minutes
from devenv.tui.shown import Part, fit, shown

LOW, HIGH = 2, 5  # lines of a chart at least and at most
LABEL: Final = 6  # cells before a chart
_AXIS: Final = 3  # lines of the axis
_LEAST_AXIS: Final = 30.0  # seconds that the axis spans at least while a run goes on
_SHORTEST: Final = 1.0  # the same of one that has ended, which may have had no time at all


def chart_parts(state: LoadState, width: int, height: int) -> list[Part]:
    """Return the charts for that room, and the axis with the phases below them; it scrolls where they need more."""
    if state.began is None:
        return []
    room = max(10, width - LABEL - 2)
    parts: list[Part] = []
    wanted = list(_wanted(state))
    high = max(LOW, min(HIGH, (height - _AXIS) // len(wanted) - 1))
    for title, name, how, mark, style in wanted:
        values = state.series.columns(name, *_span(state), room, how)
        most = max((value for value in values if value is not None), default=None)
        told = "" if most is None else f"  most {_number(most)}"
        limit = "" if mark is None else f"  ┄ {_number(mark)}"
        parts += [(title, "bold"), (f"{told}{limit}\n", "$quiet")]
        parts += [(f"{line}\n", style) for line in chart(values, width, high, mark=mark, label=LABEL)]
    return [*parts, *_axis(state, room)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _span(state: LoadState) -> tuple[float, float]:
    """Return from when to when the axis reaches: the whole run where its length is known."""
    began = state.began or 0.0
    length = 0.0 if state.over else state.length or 0.0
    least = _SHORTEST if state.over else _LEAST_AXIS
    return began, began + max(length, state.elapsed, least)


def _wanted(state: LoadState) -> Iterator[tuple[str, str, Callable[[Any], float], float | None, str]]:
    yield "USERS", "users", TimeSeries.LAST, None, "$quiet"
    yield "REQUESTS /s", "rps", TimeSeries.MEAN, None, "$primary"
    yield "P95 ms", "p95", TimeSeries.MOST, _limit(state), "$accent"
    if any(state.series.columns("failed", *_span(state), 1, TimeSeries.MOST)):
        yield "FAILED /s", "failed", TimeSeries.MEAN, None, "$error"
    for name in state.series.names("cpu "):
        yield (
            f"CPU {shown(name.removeprefix('cpu '))} % of a core",
            name,
            TimeSeries.MEAN,
            _cpu_limit(state, name),
            "$warning",
        )
    if state.scaling:
        yield "REPLICAS desired", "desired", TimeSeries.LAST, float(state.scaling["max"]), "$primary"
        yield "REPLICAS ready", "ready", TimeSeries.LAST, None, "$success"
        for metric in state.scaling["metrics"]:
            title = f"{shown(metric['name']).upper()} {shown(metric['unit'])} of the autoscaler"
            yield title, f"metric {metric['name']}", TimeSeries.LAST, float(metric["target"]), "$accent"


def _limit(state: LoadState) -> float | None:
    """Return the limit of p95 of all requests, where a threshold sets one."""
    return next((item.threshold.limit for item in state.findings if str(item.threshold).startswith("p95<")), None)


def _cpu_limit(state: LoadState, name: str) -> float | None:
    limits = (state.target.get("limits") or {}).get(name.removeprefix("cpu ")) or {}
    found = limits.get("cpu")
    return None if found is None else 100 * float(found)


def _axis(state: LoadState, room: int) -> Iterator[Part]:
    since, until = _span(state)
    end = minutes(until - since)
    yield (f"{'':>{LABEL}} └{'─' * room}\n", "$quiet")
    yield (f"{'':>{LABEL}}  {fit('0:00', room - len(end))}{end}\n", "$quiet")
    places = [(max(0, int((phase.t - since) / (until - since) * room)), phase.name) for phase in state.phases]
    inside = [place for place in places if place[0] < room and place[1] != "prepare"]
    line = ""
    for (at, name), (following, _) in pairwise([*inside, (room, "")]):
        line = line.ljust(at)[:at] + fit(f"╵{shown(name)}", max(0, following - at))
    yield (f"{'':>{LABEL}}  {line.rstrip()}", "$primary")
