"""Where a target is saturated: the last step of rising load that it still followed, and what was used up then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from devenv.load.recording import LoadTick, Recording

SETTLING: Final = 0.3  # part of each step that is left out: users start, and containers are read every 2 s
FOLLOWED: Final = 0.9  # of what was offered has to be answered
SLOWER: Final = 5.0  # times the p95 of the first step, and at least:
SLOW: Final = 100.0  # ms
FAILED: Final = 0.01  # of the requests
FULL: Final = 0.9  # of a limit
MIN_TICKS: Final = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One step: offered (None in the closed model) and answered requests a second, p95 in ms, and whether it held."""

    name: str
    since: float
    until: float
    users: int
    offered: float | None
    rps: float
    p95: float | None
    fail_ratio: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Knee:
    """The result: `at` is the last step that held (None: not even the first), `beyond` the first that did not."""

    steps: tuple[Step, ...]
    at: Step | None
    beyond: Step | None
    resource: str = ""


def find_knee(recording: Recording, rate: float | None) -> Knee:
    """Judge the steps of a recording; `rate` is what each user offers in the open model, None in the closed one."""
    steps: list[Step] = []
    for name, ticks in _stretches(recording.load):
        settled = ticks[int(len(ticks) * SETTLING) :]
        if len(settled) >= MIN_TICKS:
            steps.append(_judge(name, settled, recording, rate, steps))
    good = [step for step in steps if not step.problem]
    bad = next((step for step in steps if step.problem), None)
    if bad is not None:
        good = [step for step in good if step.until <= bad.since]
    resource = limiting(recording, bad.since, bad.until) if bad is not None else ""
    return Knee(tuple(steps), good[-1] if good else None, bad, resource)


def is_saturated(recording: Recording, rate: float | None) -> bool:
    """Whether a finished step did not hold, so that more load would show nothing more."""
    names = [name for _, name in recording.phases if name.startswith("step ")]
    beyond = find_knee(recording, rate).beyond
    return beyond is not None and bool(names) and beyond.name != names[-1]


def limiting(recording: Recording, since: float, until: float) -> str:
    """Say what was used up in a time: a service's CPU or memory limit, the generator, the machine, or nothing known."""
    limits: Mapping[str, Mapping[str, float]] = recording.run["target"].get("limits", {})
    shares: list[tuple[float, str]] = []
    for track in recording.tracks.values():
        uses = [use for use in track.uses if since < use.t <= until]
        cpu = [use.cpu for use in uses if use.cpu is not None]
        limit = limits.get(track.service, {}).get("cpu")
        if cpu and limit:
            share = sum(cpu) / len(cpu) / limit
            shares.append((share, f"CPU of {track.name} ({share:.0%} of its limit of {limit:g} cores)"))
        memory = [use.memory / use.limit for use in uses if use.memory and use.limit]
        if memory:
            shares.append((max(memory), f"memory of {track.name} ({max(memory):.0%} of its limit)"))
    ticks = recording.load_between(since, until)
    busy = [max(tick.cpu) / 100 for tick in ticks if tick.cpu]
    if busy:
        share = sum(busy) / len(busy)
        shares.append((share, f"the generator itself ({share:.0%} of a core)"))
    cores = recording.cores
    machine = [value for t, value in recording.machine if since < t <= until]
    if cores and machine:
        share = sum(machine) / len(machine) / cores
        shares.append((share, f"CPU of the machine ({share:.0%} of {cores} cores)"))
    full = [item for item in shares if item[0] >= FULL]
    if full:
        # A limit of its own explains more than the machine that everything shares.
        return min(full, key=lambda item: ("machine" in item[1], -item[0]))[1]
    nearest = f"; nearest to its limit: {max(shares)[1]}" if shares else ""
    return f"none that was measured: a lock, a pool or a disk{nearest}"


def _judge(name: str, ticks: Sequence[LoadTick], recording: Recording, rate: float | None, before: list[Step]) -> Step:
    figures = recording.figures(ticks)["total"]
    users = max(tick.users for tick in ticks)
    offered = users * rate if rate is not None else None
    p95 = figures.percentile(95)
    problem = ""
    first = before[0] if before else None
    limit = max(SLOW, SLOWER * first.p95) if first is not None and first.p95 is not None else None
    if figures.fail_ratio > FAILED:
        problem = f"{figures.fail_ratio:.1%} of the requests failed"
    elif offered is not None and figures.rps < FOLLOWED * offered:
        problem = f"{figures.rps:.0f} of {offered:.0f} requests a second were answered"
    elif limit is not None and p95 is not None and p95 > limit:
        problem = f"p95 was {p95:.0f} ms, {p95 / (first.p95 or 1):.0f} times that of the first step" if first else ""
    elif offered is None and before and users > before[-1].users:
        grown = (figures.rps / before[-1].rps if before[-1].rps else 1.0) - 1
        if grown < 0.25 * (users / before[-1].users - 1):
            problem = f"{users} users got no more through than {before[-1].users} did"
    return Step(name, ticks[0].t, ticks[-1].t, users, offered, figures.rps, p95, figures.fail_ratio, problem)


def _stretches(load: Sequence[LoadTick]) -> list[tuple[str, list[LoadTick]]]:
    stretches: list[tuple[str, list[LoadTick]]] = []
    for tick in load:
        if not tick.phase.startswith("step "):
            continue
        if not stretches or stretches[-1][0] != tick.phase:
            stretches.append((tick.phase, []))
        stretches[-1][1].append(tick)
    return stretches
