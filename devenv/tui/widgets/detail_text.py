"""What the detail pane says about a resource: facts, health checks, happenings. Knows no widget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from devenv.core.model import Happening, HealthCheck, Resource, Sample
from devenv.core.text import human_age, human_bytes, human_duration, mask_secrets
from devenv.tui import facts
from devenv.tui.shown import Part, shown, shown_lines

TONES = {
    "plain": "$foreground",
    "quiet": "$quiet",
    "good": "$success",
    "warn": "$warning",
    "bad": "bold $error",
    "alarm": "bold $error reverse",
}
BARS = "▁▂▃▄▅▆▇█"
LABEL_WIDTH = 10
SPARKS = 14  # samples drawn: what a pane of 40 columns has room for
OUTPUT_LINES = 6  # of one health check
CHECKS_SHOWN = 5
HAPPENINGS_SHOWN = 30


def describe(resource: Resource, happenings: Sequence[Happening], now: float) -> list[Part]:
    """Return the text of the pane: what changes seldom."""
    parts: list[Part] = []
    for label, text, style in _facts(resource, happenings, now):
        parts.append((f"{label:<{LABEL_WIDTH}}", "$quiet"))
        parts.append((f"{text}\n", style))
    parts.extend(_checks(resource))
    parts.extend(_happenings(happenings))
    return parts


def describe_use(resource: Resource, sample: Sample | None, history: Sequence[float]) -> list[Part]:
    """Return the one line about what it uses, which changes with every sample."""
    if not resource.state.is_up:
        return [(" not running", "$quiet")]
    if sample is None:
        return [(" measuring…", "$quiet")]
    parts: list[Part] = [(" cpu ", "$quiet")]
    if sample.cpu is not None:
        parts += [(f"{sample.cpu:.1%} ", "$foreground"), (sparkline(history[-SPARKS:]), "$primary")]
    if sample.memory is not None:
        limit = f" of {human_bytes(sample.memory_limit)}" if sample.memory_limit else ""
        tone = TONES[facts.memory_cell(resource, sample).tone]
        parts += [("  memory ", "$quiet"), (f"{human_bytes(sample.memory)}{limit}", tone)]
    return parts


def _facts(resource: Resource, happenings: Sequence[Happening], now: float) -> Iterator[tuple[str, str, str]]:
    state = facts.state_cell(resource, happenings, now)
    yield "state", shown(state.text), TONES[state.tone]
    if resource.state.is_up and resource.health.value != "none":
        health = facts.health_cell(resource)
        yield "health", health.text, TONES[health.tone]
    if resource.error:
        yield "error", "\n".join(shown_lines(mask_secrets(resource.error))), "$error"
    plain = "$foreground"
    if resource.status:
        yield "status", shown(resource.status), plain
    yield "name", shown(resource.name), plain
    if resource.image:
        yield "image", shown(resource.image), plain
    if resource.command:
        yield "command", shown(mask_secrets(resource.command)), plain
    for port in resource.ports:
        yield "port", shown(facts.port_text(port, full=True)), plain
    for label, at in (("created", resource.created_at), ("started", resource.started_at)):
        if at:
            yield label, f"{clock(at, now)}  ({human_age(now - at)} ago)", plain
    if resource.finished_at and not resource.state.is_up:
        yield "finished", f"{clock(resource.finished_at, now)}  ({human_age(now - resource.finished_at)} ago)", plain
    if resource.exit_code is not None and not resource.state.is_up:
        yield "exit code", facts.exit_text(resource.exit_code, oom=resource.oom_killed).removeprefix("exited "), plain
    if resource.restarts is not None:
        yield "restarts", str(resource.restarts), TONES["warn" if resource.restarts else "plain"]
    if resource.pid:
        yield "pid", str(resource.pid), "$quiet"
    if resource.container_id:
        yield "id", shown(resource.container_id)[:12], "$quiet"


def _checks(resource: Resource) -> Iterator[Part]:
    if not resource.checks:
        return
    yield "\nHEALTH CHECKS\n", "bold"
    for check in list(reversed(resource.checks))[:CHECKS_SHOWN]:
        yield from _check(check)


def _check(check: HealthCheck) -> Iterator[Part]:
    good = check.exit_code == 0
    word = "✓ passed" if good else f"✗ failed ({check.exit_code})"
    yield f"{clock(check.started_at)}  ", "$quiet"
    yield word, "$success" if good else "bold $error"
    yield f"  {human_duration(max(0.0, check.ended_at - check.started_at))}\n", "$quiet"
    lines = [line for line in shown_lines(mask_secrets(check.output)) if line.strip()]
    for line in lines[:OUTPUT_LINES]:
        yield f"  {line}\n", "$foreground"
    if len(lines) > OUTPUT_LINES:
        yield f"  … {len(lines) - OUTPUT_LINES} more lines\n", "$quiet"


def _happenings(happenings: Sequence[Happening]) -> Iterator[Part]:
    if not happenings:
        return
    yield "\nEVENTS\n", "bold"
    for happening in list(reversed(happenings))[:HAPPENINGS_SHOWN]:
        yield f"{clock(happening.at)}  ", "$quiet"
        style = "bold $error" if happening.action in ("die", "oom") else "$foreground"
        yield f"{shown(mask_secrets(happening.text or happening.action))}\n", style


def clock(at: float, now: float | None = None) -> str:
    """Write a local time of day, with the date where that is not today."""
    try:
        moment = datetime.fromtimestamp(at)
        today = now is None or moment.date() == datetime.fromtimestamp(now).date()
    except (OverflowError, OSError, ValueError):
        return "?"
    return f"{moment:%H:%M:%S}" if today else f"{moment:%Y-%m-%d %H:%M:%S}"


def sparkline(values: Iterable[float]) -> str:
    """Draw values as bars, the highest of them (but at least a tenth) as a full one."""
    known = list(values)
    top = max((*known, 0.1))
    return "".join(BARS[min(len(BARS) - 1, int(value / top * len(BARS)))] for value in known)
