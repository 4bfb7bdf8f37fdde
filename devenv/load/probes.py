"""The verdict on probes under load: which failed, whether pods flapped, whether load alone caused a restart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from devenv.load.outcome import Judgement
from devenv.load.recording import Recording
from devenv.runs.criteria import Verdict

NAME: Final = "probes"
BUSY: Final = 0.9  # of all cores: from there on everything waits for everything
_KILLED: Final = "liveness"


def judge_probes(recording: Recording, reasons: Sequence[str] = ()) -> Judgement | None:
    """Judge them; None for a target without a kubelet."""
    if recording.run["target"]["kind"] != "kubernetes" or not recording.load:
        return None
    since, until = recording.load[0].t, recording.load[-1].t
    lost = [f"{line['what']}: {line['why']}" for line in recording.missing if line["what"].startswith("probe counters")]
    failures = count_failures(recording.probes, since)
    flaps = readiness_flaps(recording, since, until)
    restarts = liveness_restarts(recording, since, until)
    facts = [
        f"{service}/{container}: {count} {kind} probes failed"
        for (service, container, kind), count in sorted(failures.items())
    ]
    facts += [f"{pod} became unready {count} times" for pod, count in sorted(flaps.items())]
    problems = [f"the liveness probe made {pod} restart under load" for pod in restarts]
    problems += [f"{pod} became unready under load" for pod in sorted(flaps)]
    killing = sum(count for (_, _, kind), count in failures.items() if kind == _KILLED)
    problems += [f"{killing} liveness probes failed under load"] if killing else []
    values = {"failures": float(sum(failures.values())), "flaps": float(sum(flaps.values()))}
    values["restarts"] = float(len(restarts))
    if problems:
        # The load is what this run changed; with another cause at hand (a node, a rollout) nobody can tell.
        causes = _other_causes(recording, since, until)
        verdict = Verdict.INCONCLUSIVE if causes else Verdict.FAILED
        return Judgement(NAME, verdict, (*causes, *problems), facts=tuple(facts), values=values)
    if not recording.probes or lost or reasons:
        why = (*reasons, *(lost or (["no probe counter was read"] if not recording.probes else [])))
        return Judgement(NAME, Verdict.INCONCLUSIVE, why, facts=tuple(facts), values=values)
    return Judgement(NAME, Verdict.PASSED, facts=tuple(facts), values=values)


def count_failures(lines: Sequence[dict[str, Any]], since: float) -> Counter[tuple[str, str, str]]:
    """Return the failed probes under load by (pod, container, type); startup probes may fail, that is their work.

    Counters of a container that is new begin at 0; one that went back was made anew.
    """
    failures: Counter[tuple[str, str, str]] = Counter()
    before: dict[str, int] = {}
    for index, line in enumerate(lines):
        for key, value in line["counters"].items():
            pod, container, kind, result = key.split("/")
            known = before.get(key, 0 if index else value)
            grown = value - known if value >= known else value
            before[key] = value
            if result == "failed" and kind != "startup" and line["t"] >= since and grown > 0:
                failures[(pod, container, kind)] += grown
    return failures


def readiness_flaps(recording: Recording, since: float, until: float) -> Counter[str]:
    """Return how often each pod went from ready to unready while it was to stay."""
    flaps: Counter[str] = Counter()
    ready: dict[str, bool] = {}
    for line in recording.resources:
        if line["type"] == "gone" or line["kind"] != "pod":
            continue
        now = line["health"] == "healthy"
        leaves = line["state"] in ("removing", "exited")
        if ready.get(line["key"]) and not now and not leaves and since <= line["t"] <= until:
            flaps[line["name"]] += 1
        ready[line["key"]] = now
    return flaps


def liveness_restarts(recording: Recording, since: float, until: float) -> list[str]:
    """Return the pods whose container the kubelet killed for its liveness probe."""
    return [
        line["name"]
        for line in recording.events
        if line["action"] == "Killing"
        and _KILLED in line["text"].lower()
        and since <= line.get("t_of", line["t"]) <= until
    ]


def _other_causes(recording: Recording, since: float, until: float) -> list[str]:
    others = ("NodeNotReady", "Evicted", "Preempted")
    causes = [line for line in recording.events if line["action"] in others and since <= line["t"] <= until]
    return [*dict.fromkeys(f"{line['action']}: {line['text']}" for line in causes), *_busy_machine(recording)]


def _busy_machine(recording: Recording) -> list[str]:
    """Say so where other programs than the generator and the target took most of this machine."""
    used = [value for _, value in recording.machine]
    if not used or not recording.cores:
        return []
    ours = sum(
        sum(use.cpu or 0.0 for use in track.uses) / len(track.uses) for track in recording.tracks.values() if track.uses
    )
    ours += sum(sum(tick.cpu) / 100 for tick in recording.load) / len(recording.load)
    mean = sum(used) / len(used)
    if mean < BUSY * recording.cores or ours > mean / 2:
        return []
    return [f"other programs used {mean - ours:.1f} of this machine's {recording.cores} cores"]
