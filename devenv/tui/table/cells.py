"""What the cells of a line say, in a developer's words: a glyph and a word, and which tone they are shown in."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

from devenv.core.model import Happening, Health, Port, Resource, Runtime, Sample, State
from devenv.core.text import human_age, human_bytes, human_duration, human_restarts
from devenv.tui.safe_text import safe

Tone = Literal["plain", "quiet", "good", "warn", "bad", "alarm"]

RELOADS: Final = ("reload", "reload failed")  # what a watch tells of a container or a pod
CRASH_SHOWN: Final = 60.0  # seconds that a crash stays visible in the state of what was started again
OOM_SHOWN: Final = 600.0  # the engine forgets an OOM kill with the next start: its event is the only evidence
STOP_GRACE: Final = 30.0  # a process that dies this long after a kill was stopped by somebody: it did not crash
MEMORY_TIGHT: Final = 0.9  # of the limit
ROLLED: Final = frozenset({"deployment", "statefulset", "daemonset"})
WORKLOADS: Final = frozenset({"deployment", "statefulset", "daemonset", "job", "cronjob", "replicaset"})

_LOCAL: Final = ("", "0.0.0.0", "::", "127.0.0.1", "::1")
_PHASES: Final = ("Pending", "Running", "Succeeded", "Failed", "Unknown", "Terminating", "Completed", "Complete")


class Cell(NamedTuple):
    """What a cell of the table shows, already harmless or not."""

    text: str
    tone: Tone = "plain"


CELLS: Final = ("service", "state", "health", "restarts", "cpu", "memory", "ports", "age", "verdict")
EMPTY: Final = Cell("", "quiet")
NO_VERDICT: Final = Cell("")

# The state

_CONTAINER_STATES: Final[Mapping[State, Cell]] = {
    State.PAUSED: Cell("‖ paused", "warn"),
    State.REMOVING: Cell("◌ removing", "warn"),
    State.DEAD: Cell("✗ dead", "alarm"),
    State.ABSENT: Cell("○ absent", "quiet"),
    State.PROVIDED: Cell("◇ provided", "quiet"),
}
# Of a cluster's objects: the glyph, the word where the API has none of its own, and the tone.
_OBJECT_STATES: Final[Mapping[State, tuple[str, str, Tone]]] = {
    State.RUNNING: ("●", "running", "good"),
    State.CREATED: ("◌", "pending", "warn"),
    State.RESTARTING: ("↻", "crash loop", "alarm"),
    State.REMOVING: ("◌", "terminating", "warn"),
    State.EXITED: ("■", "completed", "quiet"),
    State.DEAD: ("✗", "failed", "alarm"),
    State.UNKNOWN: ("?", "unknown", "warn"),
}


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
    """Tell what went wrong lately with something that runs again; None when nothing did since somebody stopped it."""
    trouble: Cell | None = None
    killed_at = float("-inf")
    for happening in happenings:
        code, age = happening.exit_code, now - happening.at
        if happening.action == "kill":
            killed_at = happening.at
        elif happening.action == "oom" and age < OOM_SHOWN:
            trouble = Cell("OOM kill", "bad")
        elif happening.action == "die" and happening.at - killed_at <= STOP_GRACE:
            trouble = None  # a stop or a restart that somebody asked for, however it ended: what runs now began clean
        elif happening.action == "die" and code and age < CRASH_SHOWN:
            trouble = trouble or Cell(exit_text(code).removeprefix("exited "), "warn")
    return trouble


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


def state_cell(resource: Resource, happenings: Iterable[Happening] = (), now: float = 0.0) -> Cell:
    """Return the state as glyph and words; `happenings` tell more of a container's."""
    if resource.runtime is Runtime.KUBERNETES:
        return _reloaded(object_state(resource), happenings)
    match resource.state:
        case State.RUNNING:
            trouble = crash(happenings, now)
            if trouble is not None:
                return Cell(f"▲ running after {trouble.text}", trouble.tone)
            return _reloaded(Cell("● running", "warn" if resource.health is Health.UNHEALTHY else "good"), happenings)
        case State.EXITED:
            return _exited(resource, happenings)
        case State.RESTARTING:
            times = "" if resource.restarts is None else f" ({resource.restarts})"
            oom = resource.oom_killed or any(happening.action == "oom" for happening in happenings)
            return Cell(f"↻ restarting{times}{' OOM' if oom else ''}", "alarm")
        case State.CREATED:
            return Cell("✗ cannot start", "alarm") if resource.error else Cell("◌ created", "warn")
        case State.UNKNOWN:
            return Cell(f"? {resource.status or 'unknown'}", "warn")
        case state:
            return _CONTAINER_STATES[state]


def _reloaded(cell: Cell, happenings: Iterable[Happening]) -> Cell:
    """Tell beside a good state when the watch last brought something saved into what runs, and in what time."""
    last = next((item for item in reversed(tuple(happenings)) if item.action in RELOADS), None)
    if last is None or cell.tone != "good":
        return cell
    if last.action != RELOADS[0]:
        return Cell(f"▲ {cell.text[2:]}, reload failed", "warn")
    clock = datetime.fromtimestamp(last.at).strftime("%H:%M:%S")
    return Cell(f"{cell.text} ⟳ {clock} {human_duration(last.seconds)}", "good")


def _exited(resource: Resource, happenings: Iterable[Happening]) -> Cell:
    text = exit_text(resource.exit_code, oom=resource.oom_killed)
    stopped = resource.exit_code in (130, 137, 143) and not resource.oom_killed and stopped_on_purpose(happenings)
    return Cell(f"■ {text}", "quiet") if resource.exit_code == 0 or stopped else Cell(f"✗ {text}", "alarm")


def object_state(resource: Resource, *, with_count: bool = True) -> Cell:
    """Return the state of a cluster's object: how many are ready of a workload, kubectl's word of a pod.

    `with_count` says of a pod that runs how many of its containers are ready.
    """
    if resource.kind in WORKLOADS and resource.ready is not None:
        return _workload_state(*resource.ready, failing=resource.health is Health.UNHEALTHY)
    # A phase is written as Compose's states are; a reason is the API's own word.
    own = resource.status.lower() if resource.status in _PHASES else resource.status
    if resource.state not in _OBJECT_STATES:
        return Cell(own or str(resource.state), "plain")
    glyph, usual, tone = _OBJECT_STATES[resource.state]
    word, failing = own or usual, resource.health is Health.UNHEALTHY
    match resource.state:
        case State.RUNNING:
            return _running_object(resource, own, with_count=with_count)
        case State.CREATED if failing:
            tone = "bad"
        case State.RESTARTING if with_count and resource.restarts:
            word = f"{word} ({resource.restarts})"
        case State.EXITED if failing or resource.exit_code:
            return Cell(f"✗ {own or 'failed'}", "alarm")
    return Cell(f"{glyph} {word}", tone)


def _running_object(resource: Resource, own: str, *, with_count: bool) -> Cell:
    word = own or "running"
    if resource.ready is None or resource.ready[0] >= resource.ready[1]:
        return Cell(f"● {word}", "warn" if resource.health is Health.UNHEALTHY else "good")
    if not with_count:
        return Cell(f"◐ {word}", "warn")
    other = "" if word == "running" else f"{own} "  # NotReady, Error
    return Cell(f"◐ {other}{resource.ready[0]}/{resource.ready[1]} ready", "warn")


def _workload_state(ready: int, desired: int, *, failing: bool) -> Cell:
    if not desired:
        return Cell("○ scaled to 0", "quiet")
    if ready >= desired:
        return Cell(f"● {ready}/{desired} ready", "good")
    return Cell(f"◐ {ready}/{desired} ready", "bad" if failing else "warn")


# The others


def health_cell(health: Health) -> Cell:
    """Return what a health check or readiness says, as glyph and word."""
    match health:
        case Health.HEALTHY:
            return Cell("✓ healthy", "good")
        case Health.UNHEALTHY:
            return Cell("✗ unhealthy", "bad")
        case Health.STARTING:
            return Cell("◌ starting", "warn")
        case _:
            return Cell("–", "quiet")


def health_of(resource: Resource) -> Health:
    """Return its health; a container that does not run has none."""
    runs = resource.state.is_up or resource.runtime is Runtime.KUBERNETES
    return resource.health if runs else Health.NONE


def _counted(text: str, count: int | None) -> Cell:
    return Cell(text, "warn" if count else "quiet")


def restarts_cell(resource: Resource, now: float) -> Cell:
    """Return how often it was restarted; of a cluster's object also how long ago."""
    if resource.runtime is Runtime.KUBERNETES:
        since = None if resource.restarted_at is None else now - resource.restarted_at
        return _counted(human_restarts(resource.restarts, since), resource.restarts)
    if resource.restarts is None:
        return Cell("" if resource.container_id else "–", "quiet")
    return _counted(str(resource.restarts), resource.restarts)


def cpu_cell(sample: Sample | None) -> Cell:
    """Return the use of processor time; 100% is one core fully busy."""
    if sample is None or sample.cpu is None:
        return EMPTY
    percent = sample.cpu * 100
    return Cell(f"{percent:.1f}%" if percent < 10 else f"{percent:.0f}%", "warn" if percent >= 90 else "plain")


def memory_cell(sample: Sample | None) -> Cell:
    """Return the working set; it warns near the limit."""
    if sample is None or sample.memory is None:
        return EMPTY
    tight = bool(sample.memory_limit) and sample.memory >= MEMORY_TIGHT * (sample.memory_limit or 0)
    return Cell(human_bytes(sample.memory), "bad" if tight else "plain")


def use_cells(resource: Resource, sample: Sample | None) -> tuple[Cell, Cell]:
    """Return the processor's and the memory's cell; a container that does not run uses nothing."""
    if resource.runtime is Runtime.COMPOSE and not resource.state.is_up:
        return Cell("–", "quiet"), Cell("–", "quiet")
    return cpu_cell(sample), memory_cell(sample)


def ports_cell(resource: Resource) -> Cell:
    """Return the published ports as host→container, IPv4 and IPv6 of the same port once; others are not reachable."""
    return Cell(", ".join(dict.fromkeys(port_text(port) for port in resource.ports if port.host is not None)), "plain")


def why_cell(resource: Resource) -> Cell:
    """Return why an object is as it is; where there is nothing to say, the ports that it listens on."""
    if resource.why:
        good = resource.health in (Health.HEALTHY, Health.NONE)
        return Cell(resource.why, "quiet" if good else "warn")
    return Cell(", ".join(dict.fromkeys(port_text(port) for port in resource.ports)), "quiet")


def port_text(port: Port, *, full: bool = False) -> str:
    """Write one port; `full` names the address always, else only where it is neither local nor a wildcard."""
    suffix = "" if port.protocol == "tcp" else f"/{port.protocol}"
    if port.host is None:
        return f"{port.container}{suffix}"
    address = f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip
    where = f"{address}:" if (full and address) or port.host_ip not in _LOCAL else ""
    return f"{where}{port.host}→{port.container}{suffix}"


def age_cell(resource: Resource, now: float) -> Cell:
    """Return for how long a container has been in its state, or an object there; what has ended: since when."""
    if resource.runtime is Runtime.KUBERNETES:
        since = resource.finished_at or resource.started_at or resource.created_at
    elif resource.state.is_up:
        since = resource.started_at
    elif resource.state is State.CREATED:
        since = resource.created_at
    else:
        since = resource.finished_at
    return Cell(human_age(now - since) if since else "–", "quiet")


# A whole line


def line_cells(
    name: Cell, resource: Resource, sample: Sample | None, happenings: Iterable[Happening], now: float, verdict: Cell
) -> dict[str, Cell]:
    """Return the cells of one resource by their columns; `verdict` is what the smoke tests last said of its service."""
    cpu, memory = use_cells(resource, sample)
    return {
        "service": name,
        "state": state_cell(resource, happenings, now),
        "health": health_cell(health_of(resource)),
        "restarts": restarts_cell(resource, now),
        "cpu": cpu,
        "memory": memory,
        "ports": why_cell(resource) if resource.runtime is Runtime.KUBERNETES else ports_cell(resource),
        "age": age_cell(resource, now),
        "verdict": verdict,
    }


def restarts_of_pods(count: int) -> Cell:
    """Return how often the pods of a workload were restarted together."""
    return _counted(human_restarts(count, None), count)


def joint_cells(
    name: Cell,
    compose: Sequence[tuple[Resource, Sequence[Happening]]],
    cluster: Sequence[Resource],
    samples: Sequence[Sample],
    pod_restarts: int,
    now: float,
    verdict: Cell,
) -> dict[str, Cell]:
    """Return what containers and workloads of one name amount to: the worst of their states, the sum of their use."""
    own = [resource for resource, _ in compose]
    some = [*own, *cluster]
    restarts = pod_restarts + sum(resource.restarts or 0 for resource in own)
    used = Sample("", now, sum(one.cpu or 0.0 for one in samples), sum(one.memory or 0 for one in samples), None)
    troubled = next((resource for resource in cluster if resource.why), None)
    return {
        "service": name,
        "state": _joint_state(compose, cluster, now),
        "health": health_cell(worst([resource.health for resource in some])),
        "restarts": _counted(str(restarts), restarts),
        "cpu": cpu_cell(used) if samples else EMPTY,
        "memory": memory_cell(used) if samples else EMPTY,
        "ports": why_cell(troubled) if troubled else ports_cell(some[0]) if some else EMPTY,
        "age": age_cell((*cluster, *own)[0], now) if some else Cell("–", "quiet"),
        "verdict": verdict,
    }


def _joint_state(
    compose: Sequence[tuple[Resource, Sequence[Happening]]], cluster: Sequence[Resource], now: float
) -> Cell:
    there = [object_state(resource) for resource in cluster]
    tones = {cell.tone for cell in (*there, *(state_cell(*one, now) for one in compose))}
    worst_first: tuple[Tone, ...] = ("alarm", "bad", "warn", "good")
    ready = [resource.ready for resource in cluster if resource.ready is not None]
    counts = f" {sum(pair[0] for pair in ready)}/{sum(pair[1] for pair in ready)}" if ready else ""
    glyph = there[0].text[:1] if there else "○"
    here = compose_words([resource for resource, _ in compose])
    return Cell(f"{here} compose {glyph}{counts} k8s", next((tone for tone in worst_first if tone in tones), "quiet"))


def worst(healths: Iterable[Health]) -> Health:
    """Return the one that matters most."""
    known = set(healths)
    order = (Health.UNHEALTHY, Health.STARTING, Health.HEALTHY)
    return next((health for health in order if health in known), Health.NONE)


def worst_verdict(said: Iterable[Cell]) -> Cell:
    """Return what the smoke tests said of the runtime where it is worst; of those that say nothing, nothing."""
    order: tuple[Tone, ...] = ("bad", "warn", "quiet", "good")
    return min((cell for cell in said if cell.text), key=lambda cell: order.index(cell.tone), default=NO_VERDICT)


def compose_words(resources: Sequence[Resource]) -> str:
    """Return the Compose side of a joint line: a glyph, and numbers where there are several."""
    up = sum(resource.state is State.RUNNING for resource in resources)
    glyph = "●" if up and up == len(resources) else "◐" if up else "○"
    return f"{glyph} {up}/{len(resources)}" if len(resources) > 1 else glyph


def arranged(cells: Mapping[str, Cell], names: Iterable[str] = CELLS) -> tuple[Cell, ...]:
    """Put cells into the order of the columns, harmless; a column that has nothing to say here is empty."""
    return tuple(Cell(safe(cell.text), cell.tone) for cell in (cells.get(name, EMPTY) for name in names))
