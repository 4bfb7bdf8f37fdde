"""What `devenv build` prints: the graph, the plan, why a service is built, and what was done (docs/MONOREPO.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from devenv.builds.graph import DEPENDS_ON, IMAGE, Edge, Graph, shared_folders
from devenv.builds.key import KeyReader
from devenv.builds.plan import BuildPlan, Step
from devenv.builds.record import Change
from devenv.cli.console import format_table
from devenv.core.model import Project
from devenv.core.text import human_duration, sanitize

if TYPE_CHECKING:
    from devenv.control.builder import Built

SCHEMA = 1  # grows when a field changes its meaning or goes away; new fields do not count
_SHORT = 12  # characters of a hash, as docker shows them
_WORDS = {IMAGE: "made from {} (as {})", "context": "made from {} (its context {})", DEPENDS_ON: "runs with {}"}


def graph_text(graph: Graph, reader: KeyReader, form: str) -> str:
    """Return the graph as text, as a Mermaid flowchart, or as JSON."""
    shared = shared_folders({name: reader.folders(name) for name in graph.services})
    if form == "json":
        return json.dumps({"schema": SCHEMA, **_graph_json(graph), "shared_folders": shared}, indent=2)
    return "\n".join(_mermaid(graph, shared) if form == "mermaid" else _text(graph, shared))


def _text(graph: Graph, shared: dict[str, tuple[str, ...]]) -> list[str]:
    lines = []
    for service in graph.services:
        lines.append(sanitize(service))
        lines += [
            f"  {_WORDS[edge.kind].format(sanitize(edge.needs), sanitize(edge.name))}"
            for edge in graph.edges
            if edge.service == service
        ]
    lines += [f"{sanitize(folder)}: in {', '.join(map(sanitize, users))}" for folder, users in shared.items()]
    return lines or ["no service here has a build section"]


def _mermaid(graph: Graph, shared: dict[str, tuple[str, ...]]) -> list[str]:
    ids = {service: f"s{number}" for number, service in enumerate(graph.services)}
    lines = ["flowchart BT", *(f'  {ids[service]}["{_quoted(service)}"]' for service in graph.services)]
    for edge in graph.edges:
        arrow = "-.->" if edge.kind == DEPENDS_ON else "-->"
        lines.append(f"  {ids[edge.service]} {arrow}|{edge.kind}| {ids[edge.needs]}")
    for number, (folder, users) in enumerate(shared.items()):
        lines.append(f'  f{number}[("{_quoted(Path(folder).name)}")]')
        lines += [f"  {ids[user]} -->|folder| f{number}" for user in users]
    return lines


def _quoted(text: str) -> str:
    return re.sub(r'["#<>]', lambda match: f"#{ord(match[0])};", sanitize(text))


def _graph_json(graph: Graph) -> dict[str, object]:
    return {"services": list(graph.services), "edges": [_edge_json(edge) for edge in graph.edges]}


def _edge_json(edge: Edge) -> dict[str, str]:
    return {"service": edge.service, "needs": edge.needs, "kind": edge.kind, "name": edge.name}


def plan_lines(plan: BuildPlan, reader: KeyReader) -> list[str]:
    """Return the graph, and a table of what would be built and why."""
    rows = [
        (
            sanitize(step.service),
            "up to date" if step.is_current else "build",
            step.key[:_SHORT],
            sanitize(step.images[0]),
            "; ".join(step.why),
        )
        for step in plan.steps
    ]
    return [*graph_text(plan.graph, reader, "text").splitlines(), "", *format_table(_HEAD, rows)]


_HEAD = ("SERVICE", "ACTION", "KEY", "IMAGE", "WHY")


def why_lines(step: Step) -> list[str]:
    """Return why one service is built or not, with the hashes of what changed."""
    if step.is_current:
        return [f"{sanitize(step.service)} is up to date: {sanitize(step.images[0])} has the key {step.key}"]
    lines = [f"{sanitize(step.service)} has to be built:", *(f"  {reason}" for reason in step.why)]
    if step.built_key:
        lines.append(f"  key {step.built_key} -> {step.key}")
    if step.changes:
        rows = [
            (change.kind, sanitize(change.name), _shown(change.before), _shown(change.after)) for change in step.changes
        ]
        lines += ["", *format_table(("KIND", "NAME", "BEFORE", "NOW"), rows)]
    elif step.built_key and step.record is None and step.built_key != step.key:
        lines.append("  what the image was built from is not kept here: it was built elsewhere, or long ago")
    return lines


def _shown(value: str) -> str:
    return sanitize(re.sub(r"\b[0-9a-f]{64}\b", lambda match: match[0][:_SHORT], value)) or "-"


def summary_lines(
    plan: BuildPlan, built: Iterable[Built], seconds: float, loaded: Mapping[str, bool] | None = None
) -> list[str]:
    """Return what was done, for people; `loaded` says of services whether they had to be brought to the cluster."""
    if not plan.graph.services:
        return ["Nothing to build: no service here has a build section"]
    done = list(built)
    lines = [f"{sanitize(one.service)}: built in {human_duration(one.seconds)}" for one in done]
    lines += [f"{sanitize(step.service)}: up to date" for step in plan.current]
    lines += [
        f"{sanitize(one.service)}: its files changed while it was built, so it is built again the next time"
        for one in done
        if one.changing
    ]
    words = {True: "brought to the nodes", False: "on the nodes already"}
    lines += [f"{sanitize(service)}: {words[was_missing]}" for service, was_missing in (loaded or {}).items()]
    if plan.steps:
        saved = f", saved about {human_duration(plan.seconds_saved)}" if plan.seconds_saved else ""
        lines.append(f"{len(done)} built, {len(plan.current)} up to date in {human_duration(seconds)}{saved}")
    return lines


def plan_json(
    plan: BuildPlan,
    project: Project,
    built: Iterable[Built] = (),
    seconds: float | None = None,
    loaded: Mapping[str, bool] | None = None,
) -> dict[str, object]:
    """Return the documented object: of a plan, and of a run where `seconds` is how long it took."""
    done = {one.service: one for one in built}
    return {
        "schema": SCHEMA,
        "project": project.name,
        **_graph_json(plan.graph),
        "steps": [_step_json(step, done.get(step.service)) for step in plan.steps],
        **({} if loaded is None else {"loaded": dict(loaded)}),
        "seconds": None if seconds is None else round(seconds, 3),
        "seconds_saved": round(plan.seconds_saved, 3),
    }


def _step_json(step: Step, built: Built | None) -> dict[str, object]:
    return {
        "service": step.service,
        "images": list(step.images),
        "key": step.key,
        "action": "built" if built is not None else "up to date" if step.is_current else "build",
        "why": list(step.why),
        "changes": [_change_json(change) for change in step.changes],
        "seconds": None if built is None else round(built.seconds, 3),
        "inputs": {"facts": step.reading.inputs.facts, "trees": step.reading.inputs.trees},
    }


def _change_json(change: Change) -> dict[str, str]:
    return {"kind": change.kind, "name": change.name, "before": change.before, "after": change.after}
