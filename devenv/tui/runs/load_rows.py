"""How a load test stands, in words, tables, and charts on one time axis. Knows no widget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Final

from devenv.core.errors import EXIT_INTERRUPTED
from devenv.core.text import human_bytes
from devenv.load.figures import TOTAL, Figures, Finding, breached, finding_row
from devenv.load.live import LoadState, Phase, Thing, TimeSeries
from devenv.load.outcome import EXIT_BREACHED, EXIT_EXCEPTION, EXIT_FAILED_REQUESTS, EXIT_INCONCLUSIVE
from devenv.tui.chart import chart
from devenv.tui.detail import clock
from devenv.tui.safe_text import Part, fit, safe, safe_lines

THINGS_SHOWN: Final = 12  # containers or pods
EVENTS_SHOWN: Final = 5
WORDS_SHOWN: Final = 14  # lines of Locust's output where there is no result
_NAME_WIDTH: Final = 16
_COLUMNS: Final = {"/s": 8, "p50": 7, "p95": 7, "p99": 7, "all": 9, "failed": 8}  # of the requests, with their cells
_LEAST_NAME: Final = 10  # cells for a container or pod
_GIVE_WAY: Final = ("p50", "p99", "all", "/s")  # which goes first where there is no room
_CODES: Final = {
    0: ("passed", "$success", "all requests were served, all thresholds hold"),
    EXIT_FAILED_REQUESTS: ("failed", "$error", "requests failed"),
    EXIT_INCONCLUSIVE: ("inconclusive", "$warning", "it says nothing about the target"),
    EXIT_INTERRUPTED: ("interrupted", "$warning", "it was ended before its time, and says nothing about the target"),
    EXIT_EXCEPTION: ("broke", "$error", "an exception in a load test"),
    EXIT_BREACHED: ("failed", "$error", "a threshold was breached"),
}


def minutes(seconds: float) -> str:
    """Write a time of a run: 0:07, 12:30, 1:05:00."""
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def end_of(state: LoadState) -> tuple[str, str, str]:
    """Return how a run ended: a word, its style, a sentence."""
    code = state.exit_code
    if state.stopped and not state.outcome and not state.killed:
        return "stopped", "$warning", "before its load began"
    if state.killed or code is None or code < 0:
        word = "ended early" if code is None and not state.killed else "killed"
        return word, "$warning", "it did not come to its end: its report is made of what was recorded"
    if not state.outcome:
        return "could not run", "$error", f"exit code {code}: Locust's last words are below"
    return _CODES.get(code, ("failed", "$error", f"exit code {code}"))


def title_parts(state: LoadState) -> list[Part]:
    """Return what runs and how far it is, or how it ended: for the screen's title and the line on the main screen."""
    shape, users = str(state.options.get("shape", "")), f"{state.users} user{'s' if state.users != 1 else ''}"
    what = f"{shape} on {_target(state)}" if shape else ""
    took = f", {minutes(state.elapsed)}"
    if state.over:
        word, style, sentence = end_of(state)
        where = f"{safe(what)}{took}  " if what else " "
        return [(f"load test {word} ", f"bold {style}"), (where, ""), (sentence, style)]
    parts: list[Part] = [("◐ load test ", "bold $accent")]
    if state.stopping:
        return [*parts, ("stops: ", "$warning"), ("collections are removed, reports written; x again kills it", "")]
    if not what:
        return [*parts, ("begins: the target is looked for", "")]
    phase = state.phases[-1].name if state.phases else "begins"
    length = f" of {minutes(state.length)}" if state.length is not None else ""
    now = f"  {users}  " if state.began is not None else "  "
    named = f"{phase}" if phase != shape else ""
    return [*parts, (f"{safe(what)}{took}{length}{now}", ""), (safe(named), "bold $primary")]


def _target(state: LoadState) -> str:
    target = state.target
    if target["kind"] == "kubernetes":
        return f"{target['context']}/{target['namespace']} {target['service']}"
    return f"compose {target['project']} {target['service']}" if target["kind"] == "compose" else str(target["url"])


def number_parts(state: LoadState) -> list[Part]:
    """Return the figures of the last seconds; of the whole run once it is over."""
    figures = (state.whole if state.over else state.latest)[TOTAL]
    if state.began is None:
        return []
    parts: list[Part] = [(f"{figures.rps:.1f}/s", "bold"), ("   ", "")]
    for percent in (50, 95, 99):
        parts += [(f"p{percent} ", "$quiet"), (f"{_ms(figures, percent)} ms  ", "bold" if percent == 95 else "")]
    style = "$error" if figures.failures else "$success"
    parts.append((f"  {figures.failures} failed ({figures.fail_ratio:.1%})", style))
    whole = state.series.columns("generator", state.began, state.until, 1, TimeSeries.MEAN)[0] or 0.0
    busy = whole if state.over else state.generator.busiest
    parts += [
        ("   generator ", "$quiet"),
        (f"{busy:.0f}% of a core", "$warning" if state.generator.inconclusive else ""),
    ]
    return parts


def trouble_parts(state: LoadState) -> list[Part]:
    """Return what puts the run in doubt, one line each."""
    reasons = [*state.generator.inconclusive, *state.notes]
    reasons += [f"{what} cannot be read: {why}" for what, why in state.missing.items()]
    reasons += [f"{backend}: {why}" for backend, why in state.links.items()]
    reasons += [reason for reason in state.outcome.get("reasons") or () if reason not in reasons]
    return [(f"▲ {safe(text)}\n", "$warning") for text in reasons]


def table_parts(state: LoadState, width: int, now: float) -> list[Part]:
    """Return the tables: thresholds, requests by name, containers or pods, the autoscaler, events, last words."""
    parts = trouble_parts(state)
    if state.began is None or (state.over and not state.outcome):
        lines = safe_lines(state.last_words)[-WORDS_SHOWN:]
        parts += [("LOCUST SAYS\n", "bold"), *((f"  {line}\n", "") for line in lines), ("\n", "")]
    if state.began is not None:
        parts += [*_thresholds(state), *_requests(state, width)]
    return [*parts, *_autoscaler(state), *_things(state, width), *_events(state, width, now)]


def _thresholds(state: LoadState) -> Iterator[Part]:
    findings = state.findings
    yield ("THRESHOLDS", "bold")
    if not findings:
        yield ("  none are set\n", "$quiet")
        return
    left = state.warm_up_left
    yield (f"  judged after the warm-up, in {left:.0f} s\n" if left else "\n", "$quiet")
    bad = breached(findings)
    for finding in findings:
        sign, style = _sign(finding, bad)
        name, _, value, margin = (safe(cell) for cell in finding_row(finding))
        yield (f"{sign} {fit(name, 24)}", style)
        yield (f" {value:>10}  {margin}\n", "" if finding not in bad else style)


def _sign(finding: Finding, bad: list[Finding]) -> tuple[str, str]:
    if finding.holds is None:
        return "◌", "$quiet"
    return ("✗", "$error") if finding in bad else ("✓", "$success")


def _requests(state: LoadState, width: int) -> Iterator[Part]:
    latest, whole = state.latest, state.whole
    cells = dict(_COLUMNS)
    for name in _GIVE_WAY:
        if _NAME_WIDTH + sum(cells.values()) > width:
            del cells[name]
    yield (f"\n{'REQUESTS':<{_NAME_WIDTH}}{''.join(f'{name:>{room}}' for name, room in cells.items())}\n", "bold")
    for name, figures in whole.items():
        now = figures.rps if state.over else latest.get(name, Figures()).rps
        values = {f"p{percent}": _ms(figures, percent) for percent in (50, 95, 99)}
        values |= {"/s": f"{now:.1f}", "all": f"{figures.requests:,}", "failed": f"{figures.failures:,}"}
        yield (fit(safe(name), _NAME_WIDTH), "bold" if name == TOTAL else "")
        for column, room in cells.items():
            bad = column == "failed" and figures.failures
            yield (f"{values[column]:>{room}}", "$error" if bad else "bold" if name == TOTAL else "")
        yield ("\n", "")


def _ms(figures: Figures, percent: float) -> str:
    value = figures.percentile(percent)
    return "–" if value is None else f"{value:.0f}"


def _things(state: LoadState, width: int) -> Iterator[Part]:
    things = sorted(state.things.values(), key=lambda item: (item.service != state.service, item.service, item.name))
    if not things:
        return
    names = max(_LEAST_NAME, min(44, width - 34))
    kind = "PODS" if state.target.get("kind") == "kubernetes" else "CONTAINERS"
    yield (f"\n{kind:<{names}} {'cpu':>6} {'memory':>9} {'of':>9}\n", "bold")
    for thing in things[:THINGS_SHOWN]:
        yield from _thing(thing, names)
    if len(things) > THINGS_SHOWN:
        yield (f"… {len(things) - THINGS_SHOWN} more\n", "$quiet")


def _thing(thing: Thing, names: int) -> Iterator[Part]:
    cpu = "–" if thing.cpu is None else f"{thing.cpu:.0%}"
    memory, limit = (human_bytes(value) if value else "–" for value in (thing.memory, thing.limit))
    yield (f"{fit(safe(thing.name), names)} {cpu:>6} {memory:>9} {limit:>9}", "")
    fine = thing.health in ("healthy", "none") and thing.state == "running"
    word = thing.state if thing.state != "running" else thing.health
    yield ("  ✓" if fine else f"  ▲ {safe(word)}", "$success" if fine else "$warning")
    yield (f"  ↻{thing.restarts}\n" if thing.restarts else "\n", "$warning")


def _autoscaler(state: LoadState) -> Iterator[Part]:
    scaling = state.scaling
    if not scaling:
        return
    arrow = "→" if scaling["current"] == scaling["desired"] else "↑" if scaling["desired"] > scaling["current"] else "↓"
    yield ("\nAUTOSCALER  ", "bold")
    yield (f"{scaling['current']} {arrow} {scaling['desired']}", "bold" if arrow == "→" else "bold $warning")
    served = "" if state.endpoints is None else f", {state.endpoints} serve"
    yield (f"  of {scaling['min']} to {scaling['max']}; {state.ready} ready{served}\n", "$quiet")
    for metric in scaling["metrics"]:
        current, unit = metric["current"], safe(metric["unit"])
        value = "unknown" if current is None else f"{current:.0f}{unit}"
        yield (f"  {safe(metric['name'])} ", "$quiet")
        yield (value, "$warning" if current is None or current > metric["target"] else "$success")
        yield (f" of {metric['target']:.0f}{unit}\n", "$quiet")
    for name, status, reason, message in scaling["conditions"]:
        good = status == ("False" if name == "ScalingLimited" else "True")
        yield (f"{'✓' if good else '✗'} {safe(name)} ", "$success" if good else "$warning")
        yield (f"{safe(reason)}{'' if good else f': {safe(message)}'}\n", "$quiet")


def _events(state: LoadState, width: int, now: float) -> Iterator[Part]:
    events = list(state.events)[-EVENTS_SHOWN:]
    if not events:
        return
    yield ("\nEVENTS\n", "bold")
    for line in reversed(events):
        at, what = clock(line["of"], now), f"{safe(line['action'])} {safe(line['name'])}"
        yield (f"{at} ", "$quiet")
        yield (f"{fit(what, min(len(what), width - len(at) - 2))}\n", "")
        yield (f"  {fit(safe(line['text']), width - 3).rstrip()}\n", "$quiet")


def mark_text(phase: Phase) -> str:
    """Return what a log says where a phase begins."""
    users = f", {phase.users} user{'s' if phase.users != 1 else ''}" if phase.users else ""
    return f"load test: {safe(phase.name)}{users}"


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
    charts = list(_wanted(state))
    high = max(LOW, min(HIGH, (height - _AXIS) // len(charts) - 1))
    for title, name, how, mark, style in charts:
        values = state.series.columns(name, *_span(state), room, how)
        most = max((value for value in values if value is not None), default=None)
        greatest = "" if most is None else f"  most {_number(most)}"
        limit = "" if mark is None else f"  ┄ {_number(mark)}"
        parts += [(title, "bold"), (f"{greatest}{limit}\n", "$quiet")]
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
            f"CPU {safe(name.removeprefix('cpu '))} % of a core",
            name,
            TimeSeries.MEAN,
            _cpu_limit(state, name),
            "$warning",
        )
    if state.scaling:
        yield "REPLICAS desired", "desired", TimeSeries.LAST, float(state.scaling["max"]), "$primary"
        yield "REPLICAS ready", "ready", TimeSeries.LAST, None, "$success"
        for metric in state.scaling["metrics"]:
            title = f"{safe(metric['name']).upper()} {safe(metric['unit'])} of the autoscaler"
            yield title, f"metric {metric['name']}", TimeSeries.LAST, float(metric["target"]), "$accent"


def _limit(state: LoadState) -> float | None:
    """Return the limit of p95 of all requests, where a threshold sets one."""
    return next((item.threshold.limit for item in state.findings if str(item.threshold).startswith("p95<")), None)


def _cpu_limit(state: LoadState, name: str) -> float | None:
    limits = (state.target.get("limits") or {}).get(name.removeprefix("cpu ")) or {}
    cpu = limits.get("cpu")
    return None if cpu is None else 100 * float(cpu)


def _axis(state: LoadState, room: int) -> Iterator[Part]:
    since, until = _span(state)
    end = minutes(until - since)
    yield (f"{'':>{LABEL}} └{'─' * room}\n", "$quiet")
    yield (f"{'':>{LABEL}}  {fit('0:00', room - len(end))}{end}\n", "$quiet")
    places = [(max(0, int((phase.t - since) / (until - since) * room)), phase.name) for phase in state.phases]
    inside = [place for place in places if place[0] < room and place[1] != "prepare"]
    line = ""
    for (at, name), (following, _) in pairwise([*inside, (room, "")]):
        line = line.ljust(at)[:at] + fit(f"╵{safe(name)}", max(0, following - at))
    yield (f"{'':>{LABEL}}  {line.rstrip()}", "$primary")
