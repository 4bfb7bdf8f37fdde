"""A resource's facts in a developer's words: a glyph and a word, and which tone they are shown in."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from devenv.core.model import Happening, Health, Port, Resource, Sample, State
from devenv.core.text import human_age, human_bytes

Tone = Literal["plain", "quiet", "good", "warn", "bad", "alarm"]

CRASH_SHOWN: Final = 60.0  # seconds that a crash stays visible in the state of what was started again
OOM_SHOWN: Final = 600.0  # the engine forgets an OOM kill with the next start: its event is the only evidence
STOP_GRACE: Final = 30.0  # a process that dies this long after a kill was stopped by somebody: it did not crash
MEMORY_TIGHT: Final = 0.9  # of the limit

_LOCAL: Final = ("", "0.0.0.0", "::", "127.0.0.1", "::1")


class Cell(NamedTuple):
    """What a cell of the table shows, already harmless or not."""

    text: str
    tone: Tone = "plain"


def exit_text(code: int | None, *, oom: bool = False) -> str:
    """Write an exit code as a shell user knows it: 137 is 128 + SIGKILL."""
    if code is None:
        return "exited"
    if oom:
        return f"exited {code} (OOM killed)"
    if 128 < code < 128 + signal.NSIG:
        try:
            return f"exited {code} ({signal.Signals(code - 128).name})"
        except ValueError:
            return f"exited {code}"
    return f"exited {code}"


def crash(happenings: Iterable[Happening], now: float) -> Cell | None:
    """Tell what went wrong lately with something that runs again; None when nothing did."""
    found: Cell | None = None
    killed_at = float("-inf")
    for happening in happenings:
        if happening.action == "kill":
            killed_at = happening.at
        elif happening.action == "oom" and now - happening.at < OOM_SHOWN:
            found = Cell("OOM kill", "bad")
        elif happening.action == "die" and now - happening.at < CRASH_SHOWN:
            code = dict(happening.attributes).get("exitCode", "")
            if code.isdigit() and int(code) and happening.at - killed_at > STOP_GRACE and found is None:
                found = Cell(exit_text(int(code)).removeprefix("exited "), "warn")
    return found


def stopped_on_purpose(happenings: Iterable[Happening]) -> bool:
    """Whether the newest death followed a kill by somebody (docker stop, kill, restart)."""
    killed_at = float("-inf")
    answer = False
    for happening in happenings:
        if happening.action == "kill":
            killed_at = happening.at
        elif happening.action == "die":
            answer = happening.at - killed_at <= STOP_GRACE
    return answer


def state_cell(resource: Resource, happenings: Iterable[Happening], now: float) -> Cell:
    """Return the state as glyph and words."""
    match resource.state:
        case State.RUNNING:
            trouble = crash(happenings, now)
            if trouble is not None:
                return Cell(f"▲ running after {trouble.text}", trouble.tone)
            return Cell("● running", "warn" if resource.health is Health.UNHEALTHY else "good")
        case State.EXITED:
            text = exit_text(resource.exit_code, oom=resource.oom_killed)
            if resource.exit_code == 0:
                return Cell(f"■ {text}", "quiet")
            if resource.exit_code in (130, 137, 143) and not resource.oom_killed and stopped_on_purpose(happenings):
                return Cell(f"■ {text}", "quiet")
            return Cell(f"✗ {text}", "alarm")
        case State.RESTARTING:
            times = "" if resource.restarts is None else f" ({resource.restarts})"
            oom = resource.oom_killed or any(happening.action == "oom" for happening in happenings)
            return Cell(f"↻ restarting{times}{' OOM' if oom else ''}", "alarm")
        case State.CREATED:
            return Cell("✗ cannot start", "alarm") if resource.error else Cell("◌ created", "warn")
        case State.PAUSED:
            return Cell("‖ paused", "warn")
        case State.REMOVING:
            return Cell("◌ removing", "warn")
        case State.DEAD:
            return Cell("✗ dead", "alarm")
        case State.ABSENT:
            return Cell("○ absent", "quiet")
        case State.PROVIDED:
            return Cell("◇ provided", "quiet")
        case State.UNKNOWN:
            return Cell(f"? {resource.status or 'unknown'}", "warn")


def health_cell(resource: Resource) -> Cell:
    """Return what the health check says, as glyph and word; nothing for what does not run."""
    if not resource.state.is_up or resource.health is Health.NONE:
        return Cell("–", "quiet")
    match resource.health:
        case Health.HEALTHY:
            return Cell("✓ healthy", "good")
        case Health.UNHEALTHY:
            return Cell("✗ unhealthy", "bad")
        case _:
            return Cell("◌ starting", "warn")


def restarts_cell(resource: Resource) -> Cell:
    """Return how often the engine restarted it."""
    if resource.restarts is None:
        return Cell("" if resource.container_id else "–", "quiet")
    return Cell(str(resource.restarts), "warn" if resource.restarts else "quiet")


def cpu_cell(resource: Resource, sample: Sample | None) -> Cell:
    """Return the use of processor time; 100% is one core fully busy."""
    if sample is None or sample.cpu is None or not resource.state.is_up:
        return Cell("–" if not resource.state.is_up else "", "quiet")
    percent = sample.cpu * 100
    return Cell(f"{percent:.1f}%" if percent < 10 else f"{percent:.0f}%", "warn" if percent >= 90 else "plain")


def memory_cell(resource: Resource, sample: Sample | None) -> Cell:
    """Return the working set; it warns near the limit."""
    if sample is None or sample.memory is None or not resource.state.is_up:
        return Cell("–" if not resource.state.is_up else "", "quiet")
    tight = bool(sample.memory_limit) and sample.memory >= MEMORY_TIGHT * (sample.memory_limit or 0)
    return Cell(human_bytes(sample.memory), "bad" if tight else "plain")


def ports_cell(resource: Resource) -> Cell:
    """Return the published ports as host→container, IPv4 and IPv6 of the same port once; others are not reachable."""
    return Cell(", ".join(dict.fromkeys(port_text(port) for port in resource.ports if port.host is not None)), "plain")


def port_text(port: Port, *, full: bool = False) -> str:
    """Write one port; `full` names the address always, else only where it is neither local nor a wildcard."""
    suffix = "" if port.protocol == "tcp" else f"/{port.protocol}"
    if port.host is None:
        return f"{port.container}{suffix}"
    address = f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip
    where = f"{address}:" if (full and address) or port.host_ip not in _LOCAL else ""
    return f"{where}{port.host}→{port.container}{suffix}"


def age_cell(resource: Resource, now: float) -> Cell:
    """Return for how long it has been in its state."""
    if resource.state.is_up:
        since = resource.started_at
    elif resource.state is State.CREATED:
        since = resource.created_at
    else:
        since = resource.finished_at
    return Cell(human_age(now - since) if since else "–", "quiet")
