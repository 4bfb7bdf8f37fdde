"""What the tabs of the details say about one resource, in either runtime. Knows no widget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from msgspec import Struct

from devenv.backends.look import Image, Mount, Network, Processes, Subject, Variable
from devenv.core.masking import mask_secrets, shown_value
from devenv.core.model import Happening, HealthCheck, Port, Resource, Runtime, Sample
from devenv.core.text import human_age, human_bytes, human_duration
from devenv.tui.chart import BARS, chart, sparkline
from devenv.tui.detail import HAPPENINGS_SHOWN, TONES, clock, sample_age
from devenv.tui.probes import Answer
from devenv.tui.safe_text import Part, fit, safe, safe_lines
from devenv.tui.table.cells import health_cell, memory_cell, port_text

CHART_LINES: Final = 6
OUTPUT_LINES: Final = 20  # of one health check
LAYERS_SHOWN: Final = 200
TIMELINE: Final = 3600.0  # seconds: as long as the API keeps events (--event-ttl)

Show = Callable[["Subjects"], list[Part]]


class Subjects(Struct, frozen=True):
    """What a tab is drawn from. `data` is what was read for it; None: nothing is to be read, or not yet."""

    resource: Resource
    happenings: Sequence[Happening]
    samples: Sequence[Sample]
    now: float
    width: int
    data: Any = None
    revealed: bool = False  # the values of the environment are shown for a moment
    checks: Sequence[HealthCheck] = ()  # seen so far, oldest first: the engine keeps five
    answers: Sequence[Answer] = ()
    probed: str = ""  # the address that is probed
    address: Callable[[Port], str] = lambda port: ""


class Tab(NamedTuple):
    """One tab; `reads` is what is asked of the runtime when it is opened, "" for nothing."""

    name: str
    title: str
    show: Show | None  # None: the details as they are without tabs, or a tree of what was read
    reads: Subject | None = None
    of_cluster: Subject | None = None  # what is read where it is an object of a cluster


def _label(text: str, width: int = 11) -> Part:
    return f"{fit(text, width - 1)} ", "$quiet"


def _line(label: str, text: str, style: str = "$foreground") -> list[Part]:
    return [_label(label), (f"{safe(mask_secrets(text))}\n", style)]


# Figures


class Figure(NamedTuple):
    """One measured quantity: its values over the samples, the newest one in words, and a limit where it has one."""

    name: str
    values: tuple[float | None, ...]
    text: str
    limit: float | None = None


def figures(samples: Sequence[Sample]) -> list[Figure]:
    """Return what the samples tell, oldest first; a quantity that none of them has is left out."""
    if not samples:
        return []
    newest = samples[-1]
    memory = human_bytes(newest.memory) if newest.memory is not None else "–"
    if newest.memory is not None and newest.memory_limit:
        memory += f" of {human_bytes(newest.memory_limit)} ({newest.memory / newest.memory_limit:.0%})"
    cpu = "–" if newest.cpu is None else f"{newest.cpu:.1%}"
    known = [
        Figure("cpu", tuple(sample.cpu for sample in samples), cpu),
        Figure("memory", tuple(sample.memory for sample in samples), memory, newest.memory_limit),
        *(
            Figure(name, rates, f"{_rate(rates[-1])}, {human_bytes(getattr(newest, field) or 0)} in all")
            for name, field in (("received", "received"), ("sent", "sent"), ("read", "read"), ("written", "written"))
            for rates in (_rates(samples, field),)
        ),
        Figure("processes", tuple(sample.processes for sample in samples), str(newest.processes or "–")),
    ]
    return [figure for figure in known if any(value is not None for value in figure.values)]


def _rates(samples: Sequence[Sample], field: str) -> tuple[float | None, ...]:
    """Return bytes a second between the samples; None before the second one and where the counter began again."""
    rates: list[float | None] = [None]
    for before, after in pairwise(samples):
        first, second = getattr(before, field), getattr(after, field)
        known = first is not None and second is not None and second >= first and after.at > before.at
        rates.append((second - first) / (after.at - before.at) if known else None)
    return tuple(rates)


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{human_bytes(value)}/s"


def figures_parts(about: Subjects) -> list[Part]:
    """Draw a line of bars for each figure, and two larger charts."""
    if about.resource.runtime is Runtime.COMPOSE and not about.resource.state.is_up:
        return [("It does not run: it uses nothing.\n", "$quiet")]
    if not about.samples:
        return [("measuring…\n", "$quiet")]
    newest = about.samples[-1]
    parts = sample_age(newest, about.now)
    span = newest.at - about.samples[0].at
    parts.append((f", {human_duration(span)} shown\n\n" if span else "\n\n", "$quiet"))
    room = max(8, about.width - 12)
    known = figures(about.samples)
    for figure in known:
        tone = TONES[memory_cell(newest).tone] if figure.name == "memory" else "$foreground"
        parts += [_label(figure.name), (f"{figure.text}\n", tone)]
        values = [value or 0.0 for value in figure.values[-room:]]
        floor = 0.1 if figure.name == "cpu" else figure.limit or 1.0
        parts.append((f"{'':<11}{sparkline(values, floor=floor)}\n", "$primary"))
    for figure in known[:2]:
        scale, unit = (100.0, "%") if figure.name == "cpu" else (1 / 2**20, "MiB")
        scaled = [None if value is None else value * scale for value in figure.values]
        # A limit far above all values would press them to the ground.
        top = max((value for value in scaled if value is not None), default=0.0)
        limit = figure.limit * scale if figure.limit and figure.limit * scale < 4 * top else None
        parts.append((f"\n{figure.name.upper()}, {unit}{', limit ┄' if limit else ''}\n", "bold"))
        lines = chart(scaled, about.width, CHART_LINES, mark=limit, label=5)
        parts += [(f"{line}\n", "$primary") for line in lines]
    return parts


# Health


def health_parts(about: Subjects) -> list[Part]:
    """Show the health checks with what they printed, the conditions of an object, and our own probes."""
    resource = about.resource
    cell = health_cell(resource.health)
    parts = _line("health", cell.text or "none", TONES[cell.tone])
    if resource.why:
        parts += _line("why", resource.why, "$warning")
    parts += _conditions(about.data) if isinstance(about.data, Mapping) else []
    checks = list(about.checks)
    if checks:
        parts.append(("\nHEALTH CHECKS  ", "bold"))
        parts += [("✓" if check.exit_code == 0 else "✗", _good(check.exit_code == 0)) for check in checks[-60:]]
        parts.append(("\n", ""))
    elif resource.runtime is Runtime.COMPOSE:
        parts.append(("\nno health check has run\n", "$quiet"))
    for check in checks[:-11:-1]:
        good = check.exit_code == 0
        parts.append((f"{clock(check.started_at)}  ", "$quiet"))
        parts.append(("✓ passed" if good else f"✗ failed ({check.exit_code})", _good(good)))
        parts.append((f"  {human_duration(max(0.0, check.ended_at - check.started_at))}\n", "$quiet"))
        lines = [line for line in safe_lines(mask_secrets(check.output)) if line.strip()]
        parts += [(f"  {line}\n", "$foreground") for line in lines[:OUTPUT_LINES]]
        if len(lines) > OUTPUT_LINES:
            parts.append((f"  … {len(lines) - OUTPUT_LINES} more lines\n", "$quiet"))
    return parts + _probe_parts(about)


def _good(good: bool) -> str:
    return "$success" if good else "bold $error"


def _conditions(raw: Mapping[str, Any]) -> Iterator[Part]:
    status = raw.get("status")
    conditions = status.get("conditions") if isinstance(status, Mapping) else None
    for item in conditions if isinstance(conditions, list) else ():
        if isinstance(item, Mapping):
            good = item.get("status") == "True"
            words = f"{item.get('reason') or ''} {item.get('message') or ''}".strip()
            yield _label(safe(str(item.get("type"))), 18)
            yield f"{safe(str(item.get('status'))):<8}", "$success" if good else "$warning"
            yield f"{safe(mask_secrets(words))}\n", "$quiet"


def _probe_parts(about: Subjects) -> list[Part]:
    if not about.probed:
        return [("\nno HTTP probe: no port of it is reached from here\n", "$quiet")]
    parts: list[Part] = [("\nHTTP PROBES  ", "bold"), (f"GET {safe(about.probed)}\n", "$quiet")]
    if not about.answers:
        return [*parts, ("asking…\n", "$quiet")]
    newest = about.answers[-1]
    parts.append((newest.words, _good(newest.good)))
    parts.append((f"  {newest.seconds * 1000:.0f} ms, {human_age(about.now - newest.at)} ago\n", "$quiet"))
    slow = [answer.seconds for answer in about.answers if answer.status]
    if slow:
        middle = sorted(slow)[len(slow) // 2]
        good = sum(answer.good for answer in about.answers)
        parts.append((f"{sparkline(slow[-about.width :], floor=0.001)}\n", "$primary"))
        parts.append((f"median {middle * 1000:.0f} ms, slowest {max(slow) * 1000:.0f} ms, ", "$quiet"))
        parts.append((f"{good} of {len(about.answers)} good\n", "$quiet"))
    for answer in [answer for answer in about.answers if not answer.good][:-6:-1]:
        parts.append((f"{clock(answer.at)}  {safe(mask_secrets(answer.words))}\n", "$error"))
    return parts


# What is read when the tab is opened


def environment_parts(about: Subjects) -> list[Part]:
    """Show the variables by name, secret values masked unless they are revealed."""
    variables: list[Variable] = sorted(about.data, key=lambda item: (item.container, item.name))
    if not variables:
        return [("It has no variables.\n", "$quiet")]
    hint = "shown for 10 seconds" if about.revealed else "secret values are masked, V shows them for 10 seconds"
    parts: list[Part] = [(f"{hint}\n", "$warning" if about.revealed else "$quiet")]
    container = ""
    for variable in variables:
        if variable.container != container:
            container = variable.container
            parts.append((f"\n{safe(container)}\n", "bold"))
        value = variable.value
        text = "(not known here)" if value is None else value if about.revealed else shown_value(variable.name, value)
        parts += [(safe(variable.name), "$primary"), ("=", "$quiet")]
        parts.append(("␊".join(safe_lines(text)), "$quiet" if value is None else "$foreground"))
        parts.append((f"  {safe(variable.source)}\n" if variable.source else "\n", "$quiet"))
    return parts


def mounts_parts(about: Subjects) -> list[Part]:
    """Show what is mounted where, with its size."""
    mounts: list[Mount] = about.data
    if not mounts:
        return [("Nothing is mounted.\n", "$quiet")]
    parts: list[Part] = []
    for mount in mounts:
        size = human_bytes(mount.size) if mount.size is not None else "size not counted"
        inside = f"{safe(mount.container)}: " if mount.container else ""
        parts.append((f"{inside}{safe(mount.target)}", "bold"))
        parts.append((f"  {size}", "$primary" if mount.size is not None else "$quiet"))
        parts.append((", read only\n" if mount.read_only else "\n", "$quiet"))
        parts.append((f"  {safe(mount.kind)} {safe(mask_secrets(mount.source))}\n", "$quiet"))
    return parts


def networks_parts(about: Subjects) -> list[Part]:
    """Show its networks with its addresses and names there."""
    networks: list[Network] = about.data
    if not networks:
        return [("It is in no network.\n", "$quiet")]
    parts: list[Part] = []
    for network in networks:
        parts.append((f"{safe(network.name)}\n", "bold"))
        parts += _line("  address", ", ".join(network.addresses) or "none now")
        parts += _line("  gateway", network.gateway) if network.gateway else []
        parts += _line("  names", ", ".join(network.names)) if network.names else []
    return parts


def url_of(port: Port, address: Callable[[Port], str]) -> str:
    """Return where a browser reaches the port; "" where it does not."""
    host = address(port) if port.host is not None and port.protocol == "tcp" else ""
    scheme = "https" if port.container in (443, 8443) else "http"
    return f"{scheme}://{host}:{port.host}/" if host else ""


def ports_parts(about: Subjects) -> list[Part]:
    """Show its ports, and where they are reached from here."""
    parts: list[Part] = []
    for port in about.resource.ports:
        url = url_of(port, about.address)
        parts.append((f"{safe(port_text(port, full=True))}\n", "bold"))
        parts.append((f"  {safe(url)}  o opens it\n" if url else "  not published\n", "$primary" if url else "$quiet"))
    for name, number, protocol in _declared(about.data):
        parts.append((f"{safe(number)}/{safe(protocol)}", "bold"))
        parts.append((f"  {safe(name)}\n", "$quiet"))
    if about.data is not None and parts:
        parts.append(("\nf forwards one to this machine\n", "$quiet"))
    return parts or [("It has no ports.\n", "$quiet")]


def _declared(raw: Any) -> Iterator[tuple[str, str, str]]:
    """Yield the ports that an object of a cluster declares: of its containers, or a service's own."""
    spec = raw.get("spec") if isinstance(raw, Mapping) else None
    if not isinstance(spec, Mapping):
        return
    template = spec.get("template")
    inner = template.get("spec") if isinstance(template, Mapping) else spec
    holders = [spec, *((inner.get("containers") or ()) if isinstance(inner, Mapping) else ())]
    for holder in holders:
        for port in (holder.get("ports") or ()) if isinstance(holder, Mapping) else ():
            number = port.get("containerPort") or port.get("port") or "?"
            yield str(port.get("name") or holder.get("name") or ""), str(number), str(port.get("protocol") or "TCP")


_WIDE: Final = ("CMD", "COMMAND", "ARGS")
_SHOWN: Final = ("UID", "USER", "PID", "C", "TIME", *_WIDE)


def processes_parts(about: Subjects) -> list[Part]:
    """Show the processes as a table; commands with their secrets masked, cut at the width."""
    processes: Processes = about.data
    columns = [index for index, title in enumerate(processes.head) if title in _SHOWN] or range(len(processes.head))
    rows = [tuple(safe(mask_secrets(row[index])) for index in columns) for row in processes.rows]
    head = tuple(safe(processes.head[index]) for index in columns)
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)]
    parts: list[Part] = [(f"{len(rows)} processes\n", "$quiet")]
    for index, line in enumerate(lines):
        parts.append((f"{fit(line, about.width).rstrip()}\n", "$foreground" if index else "bold $quiet"))
    return parts


def image_parts(about: Subjects) -> list[Part]:
    """Show the image of each container, with its layers where they are known."""
    images: list[Image] = about.data
    parts: list[Part] = []
    for image in images:
        parts.append((f"{safe(image.name)}\n", "bold"))
        parts += _line("id", image.id.removeprefix("docker-pullable://")[:71] or "not pulled yet")
        if image.created_at:
            age = human_age(about.now - image.created_at)
            parts += _line("built", f"{clock(image.created_at, about.now)}  ({age} ago)")
        parts += _line("size", human_bytes(image.size)) if image.size is not None else []
        parts += _line("platform", image.platform) if image.platform else []
        if not image.layers:
            parts.append(("the cluster tells no layers\n\n", "$quiet"))
            continue
        filled = sum(layer.size > 0 for layer in image.layers)
        parts.append((f"\n{len(image.layers)} STEPS, {filled} LAYERS, the newest first\n", "bold"))
        for layer in image.layers[:LAYERS_SHOWN]:
            age = human_age(about.now - layer.created_at) if layer.created_at else ""
            command = " ".join(safe(mask_secrets(layer.command)).split())
            size = human_bytes(layer.size) if layer.size else "–"
            parts += [
                (f"{size:>8} {age:>4}  ", "$quiet"),
                (f"{fit(command, about.width - 15).rstrip()}\n", "$foreground"),
            ]
    return parts


# Events


def events_parts(about: Subjects) -> list[Part]:
    """Show what happened, newest first, below a line of the last hour."""
    if not about.happenings:
        return [("Nothing happened while devenv looked.\n", "$quiet")]
    parts = timeline(about.happenings, about.now, max(10, min(about.width, 120) - 11))
    shown = list(reversed(about.happenings))
    for happening in shown[: 4 * HAPPENINGS_SHOWN]:
        bad = happening.is_warning or happening.action in ("die", "oom")
        parts.append((f"{clock(happening.at, about.now)}  {human_age(about.now - happening.at):>4}  ", "$quiet"))
        parts.append((f"{'▲' if bad else '·'} {safe(happening.action)}", "$warning" if bad else "bold"))
        parts.append((f" ×{safe(happening.count)}" if happening.count not in ("", "1") else "", "$accent"))
        text = mask_secrets(happening.text) if happening.text != happening.action else ""
        parts.append((f"  {safe(text)}\n", "$foreground"))
    return parts


def timeline(happenings: Sequence[Happening], now: float, room: int) -> list[Part]:
    """Draw the last hour as a line of `room` bars, those with a warning marked."""
    counts, warned = [0] * room, [False] * room
    for happening in happenings:
        age = now - happening.at
        if 0 <= age < TIMELINE:
            place = room - 1 - int(age / TIMELINE * room)
            counts[place] += 1
            warned[place] |= happening.is_warning or happening.action in ("die", "oom")
    top = max((*counts, 1))
    parts: list[Part] = [("-1 h ", "$quiet")]
    for count, warning in zip(counts, warned, strict=True):
        bar = BARS[min(7, count * 8 // (top + 1))] if count else "·"
        parts.append((bar, "$warning" if warning else "$primary" if count else "$quiet"))
    return [*parts, (" now\n\n", "$quiet")]


OVERVIEW: Final = Tab("overview", "Overview", None)
INSPECT: Final = Tab("inspect", "Inspect", None, "inspect", "inspect")
TABS: Final = (
    OVERVIEW,
    Tab("figures", "Figures", figures_parts),
    Tab("health", "Health", health_parts, None, "inspect"),
    Tab("environment", "Environment", environment_parts, "environment", "environment"),
    Tab("mounts", "Mounts", mounts_parts, "mounts", "mounts"),
    Tab("networks", "Networks", networks_parts, "networks", "networks"),
    Tab("ports", "Ports", ports_parts, None, "inspect"),
    INSPECT,
    Tab("processes", "Processes", processes_parts, "processes", "processes"),
    Tab("image", "Image", image_parts, "image", "image"),
    Tab("events", "Events", events_parts),
)


def tab_line(chosen: Tab, width: int, tabs: Sequence[Tab] = TABS) -> list[Part]:
    """Return the names of the tabs, as many around the chosen one as there is room for."""
    at = tabs.index(chosen)
    first, last = at, at + 1
    used = len(chosen.title) + 8
    while first > 0 or last < len(tabs):
        grown = False
        for index in (last if last < len(tabs) else -1, first - 1):
            if index >= 0 and used + len(tabs[index].title) + 2 <= width:
                used += len(tabs[index].title) + 2
                first, last, grown = min(first, index), max(last, index + 1), True
        if not grown:
            break
    parts: list[Part] = [("[‹ " if first else "[  ", "$quiet")]
    for tab in tabs[first:last]:
        parts.append((f"{tab.title}  ", "bold $primary" if tab is chosen else "$quiet"))
    return [*parts, ("›]" if last < len(tabs) else "]", "$quiet")]
