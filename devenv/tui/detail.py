"""What the detail pane says about a resource, and about a service that runs in both runtimes. Knows no widget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from devenv.core.masking import mask_secrets
from devenv.core.model import Happening, HealthCheck, Resource, Runtime, Sample
from devenv.core.text import human_age, human_bytes, human_duration
from devenv.tui.chart import sparkline
from devenv.tui.safe_text import Part, safe, safe_lines
from devenv.tui.table.cells import exit_text, health_cell, health_of, memory_cell, port_text, state_cell

TONES: Final = {
    "plain": "$foreground",
    "quiet": "$quiet",
    "good": "$success",
    "warn": "$warning",
    "bad": "bold $error",
    "alarm": "bold $error reverse",
}
LABEL_WIDTH: Final = {Runtime.COMPOSE: 10, Runtime.KUBERNETES: 12}
OLD: Final = 15.0  # seconds after which an engine's sample is shown as old: with many containers a round is long
SPARKS: Final = 14  # samples drawn: what a pane of 40 columns has room for
OUTPUT_LINES: Final = 6  # of one health check
CHECKS_SHOWN: Final = 5
HAPPENINGS_SHOWN: Final = 30
Facts = Iterator[tuple[str, str, str]]  # a label, the text beside it, and its style


class Difference(NamedTuple):
    """One thing in which a service differs between the runtimes, and what each has for it; "" for nothing."""

    what: str
    compose: str
    cluster: str


def describe(
    resource: Resource, owner: Resource | None, happenings: Sequence[Happening], sample: Sample | None, now: float
) -> list[Part]:
    """Return the text about one resource: what changes seldom."""
    in_cluster = resource.runtime is Runtime.KUBERNETES
    facts = _object(resource, owner, sample, now) if in_cluster else _container(resource, now)
    parts: list[Part] = []
    width = LABEL_WIDTH[resource.runtime]
    for label, text, style in (*_state(resource, happenings, now), *facts):
        parts += [(f"{label:<{width - 1}} ", "$quiet"), (f"{text}\n", style)]
    parts += _checks(resource)
    return parts + (events(happenings) if in_cluster else _happenings(happenings))


def _state(resource: Resource, happenings: Sequence[Happening], now: float) -> Facts:
    state = state_cell(resource, happenings, now)
    yield "state", safe(state.text), TONES[state.tone]
    if health_of(resource).value != "none":
        health = health_cell(resource.health)
        yield "health", health.text, TONES[health.tone]


def _container(resource: Resource, now: float) -> Facts:
    if resource.error:
        yield "error", "\n".join(safe_lines(mask_secrets(resource.error))), "$error"
    plain = "$foreground"
    if resource.status:
        yield "status", safe(resource.status), plain
    yield "name", safe(resource.name), plain
    if resource.image:
        yield "image", safe(resource.image), plain
    if resource.command:
        yield "command", safe(mask_secrets(resource.command)), plain
    for port in resource.ports:
        yield "port", safe(port_text(port, full=True)), plain
    for label, at in (("created", resource.created_at), ("started", resource.started_at)):
        if at:
            yield label, _moment(at, now), plain
    if resource.finished_at and not resource.state.is_up:
        yield "finished", _moment(resource.finished_at, now), plain
    if resource.exit_code is not None and not resource.state.is_up:
        yield "exit code", exit_text(resource.exit_code, oom=resource.oom_killed).removeprefix("exited "), plain
    yield from _restarts(resource)
    if resource.pid:
        yield "pid", str(resource.pid), "$quiet"
    if resource.container_id:
        yield "id", safe(resource.container_id)[:12], "$quiet"


def _object(resource: Resource, owner: Resource | None, sample: Sample | None, now: float) -> Facts:
    if resource.why:
        yield "why", "\n".join(safe_lines(mask_secrets(resource.why))), "$warning"
    plain = "$foreground"
    yield safe(resource.kind), safe(resource.name), plain
    if resource.namespace:
        yield "namespace", safe(resource.namespace), plain
    if owner is not None:
        yield "owner", safe(f"{owner.kind} {owner.name}"), plain
    if resource.image:
        yield "image", safe(resource.image), plain
    if resource.ready is not None:
        yield "ready", f"{resource.ready[0]} of {resource.ready[1]}", plain
    for name, value in resource.facts:
        if value:
            yield safe(name), safe(mask_secrets(value)), plain
    yield from _restarts(resource)
    if resource.created_at:
        yield "created", _moment(resource.created_at, now), plain
    if sample is not None:
        window = f", mean over {sample.window:.0f} s" if sample.window else ""
        yield "measured", f"{human_age(now - sample.at)} ago{window}", "$quiet"


def _restarts(resource: Resource) -> Facts:
    if resource.restarts is not None:
        yield "restarts", str(resource.restarts), TONES["warn" if resource.restarts else "plain"]


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
    lines = [line for line in safe_lines(mask_secrets(check.output)) if line.strip()]
    for line in lines[:OUTPUT_LINES]:
        yield f"  {line}\n", "$foreground"
    if len(lines) > OUTPUT_LINES:
        yield f"  … {len(lines) - OUTPUT_LINES} more lines\n", "$quiet"


def _happenings(happenings: Sequence[Happening]) -> list[Part]:
    parts: list[Part] = [("\nEVENTS\n", "bold")] if happenings else []
    for happening in list(reversed(happenings))[:HAPPENINGS_SHOWN]:
        parts.append((f"{clock(happening.at)}  ", "$quiet"))
        style = "bold $error" if happening.action in ("die", "oom") else "$foreground"
        parts.append((f"{safe(mask_secrets(happening.text or happening.action))}\n", style))
    return parts


def events(happenings: Sequence[Happening]) -> list[Part]:
    """Return the events of a cluster's object, newest first."""
    parts: list[Part] = [("\nEVENTS\n", "bold")] if happenings else []
    for happening in list(reversed(happenings))[:HAPPENINGS_SHOWN]:
        parts.append((f"{clock(happening.at)}  ", "$quiet"))
        times = f" ×{safe(happening.count)}" if happening.count not in ("", "1") else ""
        parts.append((f"{safe(happening.action)}{times}", "$warning" if happening.is_warning else "bold"))
        parts.append((f"  {safe(mask_secrets(happening.text))}\n", "$foreground"))
    return parts


def is_old(sample: Sample, now: float) -> bool:
    """Whether a sample should have been followed by another one."""
    return now - sample.at > max(OLD, 2.5 * (sample.window or 0.0))


def sample_age(sample: Sample, now: float) -> list[Part]:
    """Say how old a sample is: quietly, and as a warning where it should be newer."""
    age = now - sample.at
    window = f", mean over {sample.window:.0f} s" if sample.window else ""
    return [(f"measured {human_age(age)} ago{window}", "$warning" if is_old(sample, now) else "$quiet")]


def use(resource: Resource, sample: Sample | None, history: Sequence[float], now: float) -> list[Part]:
    """Return the one line about what it uses, which changes with every sample, and its age where that is high."""
    if resource.runtime is Runtime.COMPOSE and not resource.state.is_up:
        return [(" not running", "$quiet")]
    if resource.runtime is Runtime.COMPOSE and sample is None:
        return [(" measuring…", "$quiet")]
    aged = [("  ", ""), *sample_age(sample, now)] if sample is not None and is_old(sample, now) else []
    return [*_use(sample, history), *aged]


def _use(sample: Sample | None, history: Sequence[float]) -> list[Part]:
    parts: list[Part] = []
    if sample is not None and sample.cpu is not None:
        parts += [(" cpu ", "$quiet"), (f"{sample.cpu:.1%} ", "$foreground")]
        parts.append((sparkline(history[-SPARKS:]), "$primary"))
    if sample is not None and sample.memory is not None:
        limit = f" of {human_bytes(sample.memory_limit)}" if sample.memory_limit else ""
        tone = TONES[memory_cell(sample).tone]
        parts += [("  memory ", "$quiet"), (f"{human_bytes(sample.memory)}{limit}", tone)]
    return parts or [(" not measured", "$quiet")]


def use_of_all(samples: Iterable[Sample | None]) -> list[Part]:
    """Return the line about what several use together."""
    known = [sample for sample in samples if sample is not None]
    if not known:
        return _use(None, ())
    cpu, memory = sum(sample.cpu or 0.0 for sample in known), sum(sample.memory or 0 for sample in known)
    return _use(Sample("", max(sample.at for sample in known), cpu, memory, None), ())


def describe_joint(
    service: str, compose: Sequence[Resource], cluster: Sequence[Resource], differences: Iterable[Difference] | str
) -> list[Part]:
    """Return the text about a service in both runtimes; `differences` may be a sentence: why they are not known."""
    width = LABEL_WIDTH[Runtime.KUBERNETES]
    parts: list[Part] = [(f"{'service':<{width}}", "$quiet"), (f"{safe(service)}, in both runtimes\n", "bold")]
    for resource in (*compose, *cluster):
        label, word, style = "compose", f"{resource.state} {resource.health}".removesuffix(" none"), "$foreground"
        if resource.runtime is Runtime.KUBERNETES:
            cell = state_cell(resource)
            label, word, style = resource.kind, cell.text, TONES[cell.tone]
        parts += [(f"{safe(label):<{width}}", "$quiet"), (safe(word), style)]
        parts.append((f"  {safe(resource.why)}\n" if resource.why else "\n", "$warning"))
    parts.append(("\nDIFFERENCES\n", "bold"))
    if isinstance(differences, str):
        return [*parts, (f"{safe(differences)}\n", "$quiet")]
    known = list(differences)
    if not known:
        parts.append(("none in image, environment, ports, health check and resources\n", "$success"))
    for difference in known:
        parts.append((f"{safe(difference.what)}\n", "bold $accent"))
        parts += [("  compose     ", "$quiet"), (f"{safe(mask_secrets(difference.compose)) or '–'}\n", "$foreground")]
        parts += [("  kubernetes  ", "$quiet"), (f"{safe(mask_secrets(difference.cluster)) or '–'}\n", "$foreground")]
    return parts


def clock(at: float, now: float | None = None) -> str:
    """Write a local time of day, with the date where that is not today."""
    try:
        moment = datetime.fromtimestamp(at)
        today = now is None or moment.date() == datetime.fromtimestamp(now).date()
    except (OverflowError, OSError, ValueError):
        return "?"
    return f"{moment:%H:%M:%S}" if today else f"{moment:%Y-%m-%d %H:%M:%S}"


def _moment(at: float, now: float) -> str:
    return f"{clock(at, now)}  ({human_age(now - at)} ago)"
