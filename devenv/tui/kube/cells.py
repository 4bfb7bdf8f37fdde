"""A cluster's resources in the cells of the table: glyph, word and tone. Knows no widget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from devenv.core.model import Health, Resource, Sample, State
from devenv.core.text import human_age, human_restarts
from devenv.tui import facts
from devenv.tui.facts import Cell, Tone
from devenv.tui.rows import CELLS, NO_VERDICT
from devenv.tui.shown import shown

WORKLOADS: Final = frozenset({"deployment", "statefulset", "daemonset", "job", "cronjob", "replicaset"})
_PHASES: Final = ("Pending", "Running", "Succeeded", "Failed", "Unknown", "Terminating", "Completed", "Complete")
OPEN, CLOSED, MEMBER = "▾ ", "▸ ", "  "


def state_cell(resource: Resource, *, with_count: bool = True) -> Cell:
    """Return the state: how many are ready of a workload, kubectl's word of a pod.

    `with_count` says of a pod that runs how many of its containers are ready.
    """
    if resource.kind in WORKLOADS and resource.ready is not None:
        ready, wanted = resource.ready
        if not wanted:
            return Cell("○ scaled to 0", "quiet")
        tone: Tone = "good" if ready >= wanted else "bad" if resource.health is Health.UNHEALTHY else "warn"
        return Cell(f"{'●' if ready >= wanted else '◐'} {ready}/{wanted} ready", tone)
    # A phase is written as Compose's states are; a reason is the API's own word.
    word = resource.status.lower() if resource.status in _PHASES else resource.status
    match resource.state:
        case State.RUNNING:
            if resource.ready is not None and resource.ready[0] < resource.ready[1]:
                if not with_count:
                    return Cell(f"◐ {word or 'running'}", "warn")
                other = f"{word} " if word not in ("", "running") else ""  # NotReady, Error
                return Cell(f"◐ {other}{resource.ready[0]}/{resource.ready[1]} ready", "warn")
            return Cell(f"● {word or 'running'}", "warn" if resource.health is Health.UNHEALTHY else "good")
        case State.CREATED:
            return Cell(f"◌ {word or 'pending'}", "bad" if resource.health is Health.UNHEALTHY else "warn")
        case State.RESTARTING:
            count = f" ({resource.restarts})" if with_count and resource.restarts else ""
            return Cell(f"↻ {word or 'crash loop'}{count}", "alarm")
        case State.REMOVING:
            return Cell(f"◌ {word or 'terminating'}", "warn")
        case State.EXITED:
            failed = resource.exit_code not in (0, None) or resource.health is Health.UNHEALTHY
            return Cell(f"✗ {word or 'failed'}", "alarm") if failed else Cell(f"■ {word or 'completed'}", "quiet")
        case State.DEAD:
            return Cell(f"✗ {word or 'failed'}", "alarm")
        case State.UNKNOWN:
            return Cell(f"? {word or 'unknown'}", "warn")
        case _:
            return Cell(word or str(resource.state), "plain")


def health_cell(health: Health) -> Cell:
    """Return what readiness says."""
    match health:
        case Health.HEALTHY:
            return Cell("✓ healthy", "good")
        case Health.UNHEALTHY:
            return Cell("✗ unhealthy", "bad")
        case Health.STARTING:
            return Cell("◌ starting", "warn")
        case _:
            return Cell("–", "quiet")


def age_cell(resource: Resource, now: float) -> Cell:
    """Return for how long it has been there; what has ended: since when."""
    since = resource.finished_at or resource.started_at or resource.created_at
    return Cell(human_age(now - since) if since else "–", "quiet")


def sample_cells(resource: Resource, sample: Sample | None) -> tuple[Cell, Cell]:
    """Return the processor's and the memory's cell."""
    if sample is None:
        return Cell("", "quiet"), Cell("", "quiet")
    cpu = Cell("", "quiet") if sample.cpu is None else facts.cpu_cell(_running(resource), sample)
    return cpu, facts.memory_cell(_running(resource), sample)


def _running(resource: Resource) -> Resource:
    # A pod that is not ready, a node or a workload uses what it uses, whatever its state is called.
    if resource.state.is_up:
        return resource
    return Resource(resource.key, resource.runtime, resource.kind, resource.name, resource.service, State.RUNNING)


def why_cell(resource: Resource) -> Cell:
    """Return why it is as it is; where there is nothing to say, the ports that it listens on."""
    if resource.why:
        good = resource.health in (Health.HEALTHY, Health.NONE)
        return Cell(resource.why, "quiet" if good else "warn")
    return Cell(", ".join(dict.fromkeys(facts.port_text(port) for port in resource.ports)), "quiet")


def line(
    name: Cell,
    resource: Resource,
    sample: Sample | None,
    now: float,
    *,
    restarts: int | None = None,
    verdict: Cell = NO_VERDICT,
) -> tuple[Cell, ...]:
    """Return the cells of a pod or a workload; `restarts` are those of its pods together."""
    cpu, memory = sample_cells(resource, sample)
    since = None if restarts is not None or resource.restarted_at is None else now - resource.restarted_at
    restarts = resource.restarts if restarts is None else restarts
    return arranged(
        {
            "service": name,
            "state": state_cell(resource),
            "health": health_cell(resource.health),
            "restarts": Cell(human_restarts(restarts, since), "warn" if restarts else "quiet"),
            "cpu": cpu,
            "memory": memory,
            "ports": why_cell(resource),
            "age": age_cell(resource, now),
            "verdict": verdict,
        }
    )


def arranged(cells: Mapping[str, Cell]) -> tuple[Cell, ...]:
    """Put cells into the table's order, harmless; a column that has nothing to say here is empty."""
    return tuple(Cell(shown(cell.text), cell.tone) for cell in (cells.get(name, Cell("", "quiet")) for name in CELLS))
