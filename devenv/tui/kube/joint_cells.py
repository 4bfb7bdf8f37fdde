"""The cells of one line that stands for a service in both runtimes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from devenv.core.model import Resource, Sample
from devenv.core.state import Store
from devenv.tui import facts
from devenv.tui.facts import Cell, Tone
from devenv.tui.kube import cells
from devenv.tui.kube.groups import compose_words, worst
from devenv.tui.rows import NO_VERDICT

_WORST_FIRST: Final[tuple[Tone, ...]] = ("alarm", "bad", "warn", "good")
_VERDICTS: Final[tuple[Tone, ...]] = ("bad", "warn", "quiet", "good")  # the one first that a joint line tells


def worst_verdict(cells: Sequence[Cell]) -> Cell:
    """Return what the smoke tests said of the runtime where it is worst; of those that say nothing, nothing."""
    said = [cell for cell in cells if cell.text]
    return min(said, key=lambda cell: _VERDICTS.index(cell.tone), default=NO_VERDICT)


def joint_cells(
    store: Store,
    name: Cell,
    compose: Sequence[Resource],
    cluster: Sequence[Resource],
    restarts: int,
    now: float,
    verdict: Cell,
) -> tuple[Cell, ...]:
    """Return what containers and workloads of one name amount to: the worst of their states, the sum of their use.

    `verdict` is what the smoke tests last said about the service.
    """
    ready = [resource.ready for resource in cluster if resource.ready is not None]
    counts = f" {sum(pair[0] for pair in ready)}/{sum(pair[1] for pair in ready)}" if ready else ""
    other = [cells.state_cell(resource) for resource in cluster]
    own = [facts.state_cell(resource, store.happenings(resource.key), now) for resource in compose]
    tones = {cell.tone for cell in (*own, *other)}
    tone: Tone = next((tone for tone in _WORST_FIRST if tone in tones), "quiet")
    glyph = other[0].text[:1] if other else "○"
    some = [*compose, *cluster]
    cpu, memory = Cell("", "quiet"), Cell("", "quiet")
    samples = [found for resource in some if (found := store.sample(resource.key)) is not None]
    if some and samples:
        used = sum(sample.cpu or 0.0 for sample in samples)
        held = sum(sample.memory or 0 for sample in samples)
        cpu, memory = cells.sample_cells(some[0], Sample("", now, used, held, None))
    restarts += sum(resource.restarts or 0 for resource in compose)
    troubled = [resource for resource in cluster if resource.why]
    said = cells.why_cell(troubled[0]) if troubled else facts.ports_cell(some[0]) if some else Cell("")
    return cells.arranged(
        {
            "service": name,
            "state": Cell(f"{compose_words(compose)} compose {glyph}{counts} k8s", tone),
            "health": cells.health_cell(worst([resource.health for resource in some])),
            "restarts": Cell(str(restarts), "warn" if restarts else "quiet"),
            "cpu": cpu,
            "memory": memory,
            "ports": said,
            "age": cells.age_cell((*cluster, *compose)[0], now) if some else Cell("–", "quiet"),
            "verdict": verdict,
        }
    )
