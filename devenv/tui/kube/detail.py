"""What the detail pane says about a cluster's resource, and about a service that runs in both runtimes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from devenv.core.model import Happening, Health, Resource, Sample
from devenv.core.text import human_age, human_bytes, mask_secrets
from devenv.tui.kube import cells
from devenv.tui.kube.differences import Difference
from devenv.tui.shown import Part, shown, shown_lines
from devenv.tui.widgets.detail_text import HAPPENINGS_SHOWN, SPARKS, TONES, clock, sparkline

_WIDTH = 12


def describe(
    resource: Resource, owner: Resource | None, happenings: Sequence[Happening], sample: Sample | None, now: float
) -> list[Part]:
    """Return the text about one resource of a cluster."""
    state = cells.state_cell(resource)
    lines = [("state", shown(state.text), TONES[state.tone])]
    if resource.health is not Health.NONE:
        health = cells.health_cell(resource.health)
        lines.append(("health", health.text, TONES[health.tone]))
    if resource.why:
        lines.append(("why", "\n".join(shown_lines(mask_secrets(resource.why))), "$warning"))
    plain = "$foreground"
    lines.append((shown(resource.kind), shown(resource.name), plain))
    if resource.namespace:
        lines.append(("namespace", shown(resource.namespace), plain))
    if owner is not None:
        lines.append(("owner", shown(f"{owner.kind} {owner.name}"), plain))
    if resource.image:
        lines.append(("image", shown(resource.image), plain))
    if resource.ready is not None:
        lines.append(("ready", f"{resource.ready[0]} of {resource.ready[1]}", plain))
    lines += [(shown(name), shown(mask_secrets(value)), plain) for name, value in resource.facts if value]
    if resource.restarts is not None:
        lines.append(("restarts", str(resource.restarts), TONES["warn" if resource.restarts else "plain"]))
    if resource.created_at:
        age = human_age(now - resource.created_at)
        lines.append(("created", f"{clock(resource.created_at, now)}  ({age} ago)", plain))
    if sample is not None:
        window = f", mean over {sample.window:.0f} s" if sample.window else ""
        lines.append(("measured", f"{human_age(now - sample.at)} ago{window}", "$quiet"))
    parts: list[Part] = []
    for label, text, style in lines:
        parts += [(f"{label:<{_WIDTH - 1}} ", "$quiet"), (f"{text}\n", style)]
    parts += events(happenings)
    return parts


def events(happenings: Sequence[Happening]) -> list[Part]:
    """Return the events, newest first."""
    if not happenings:
        return []
    parts: list[Part] = [("\nEVENTS\n", "bold")]
    for happening in list(reversed(happenings))[:HAPPENINGS_SHOWN]:
        facts = dict(happening.attributes)
        warning = facts.get("type") == "Warning"
        count = facts.get("count", "")
        times = f" ×{shown(count)}" if count not in ("", "1") else ""
        parts.append((f"{clock(happening.at)}  ", "$quiet"))
        parts.append((f"{shown(happening.action)}{times}", "$warning" if warning else "bold"))
        parts.append((f"  {shown(mask_secrets(happening.text))}\n", "$foreground"))
    return parts


def use(sample: Sample | None, history: Sequence[float]) -> list[Part]:
    """Return the one line about what it uses."""
    parts: list[Part] = []
    if sample is not None and sample.cpu is not None:
        parts += [(" cpu ", "$quiet"), (f"{sample.cpu:.1%} ", "$foreground")]
        parts.append((sparkline(history[-SPARKS:]), "$primary"))
    if sample is not None and sample.memory is not None:
        limit = f" of {human_bytes(sample.memory_limit)}" if sample.memory_limit else ""
        parts += [("  memory ", "$quiet"), (f"{human_bytes(sample.memory)}{limit}", "$foreground")]
    return parts or [(" not measured", "$quiet")]


def use_of_all(samples: Iterable[Sample | None]) -> list[Part]:
    """Return the line about what several use together."""
    known = [sample for sample in samples if sample is not None]
    if not known:
        return [(" not measured", "$quiet")]
    cpu, memory = sum(sample.cpu or 0.0 for sample in known), sum(sample.memory or 0 for sample in known)
    return use(Sample("", max(sample.at for sample in known), cpu, memory, None), ())


def describe_joint(
    service: str, compose: Sequence[Resource], cluster: Sequence[Resource], found: Iterable[Difference] | str
) -> list[Part]:
    """Return the text about a service in both runtimes; `found` are its differences, or why they are not known."""
    parts: list[Part] = [("service     ", "$quiet"), (f"{shown(service)}, in both runtimes\n", "bold")]
    for resource in (*compose, *cluster):
        cell = cells.state_cell(resource) if resource.namespace else None
        word = cell.text if cell is not None else f"{resource.state} {resource.health}".removesuffix(" none")
        style = TONES[cell.tone] if cell is not None else "$foreground"
        label = "compose" if cell is None else resource.kind
        parts += [(f"{shown(label):<{_WIDTH}}", "$quiet"), (f"{shown(word)}", style)]
        parts.append((f"  {shown(resource.why)}\n" if resource.why else "\n", "$warning"))
    parts.append(("\nDIFFERENCES\n", "bold"))
    if isinstance(found, str):
        parts.append((f"{shown(found)}\n", "$quiet"))
        return parts
    known = list(found)
    if not known:
        parts.append(("none in image, environment, ports, health check and resources\n", "$success"))
    for difference in known:
        parts.append((f"{shown(difference.what)}\n", "bold $accent"))
        parts += [("  compose     ", "$quiet"), (f"{shown(mask_secrets(difference.compose)) or '–'}\n", "$foreground")]
        parts += [("  kubernetes  ", "$quiet"), (f"{shown(mask_secrets(difference.cluster)) or '–'}\n", "$foreground")]
    return parts
