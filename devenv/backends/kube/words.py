"""What the joined lists say together, in words: which pods hold a workload back, what a service leads to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from msgspec.structs import replace

from devenv.backends.kube.parse.common import joined
from devenv.core.model import Health, Resource, State
from devenv.core.text import human_age

_LOOKED_AT = 8  # pods; the words name one, and counting is cheap: a change costs the same with 7,000 of them

_TRIES = 6  # failed readiness probes until one is not starting any more: twice the API's default failureThreshold


def holds_back(pod: Resource) -> bool:
    """Whether its workload waits for this pod; a failed one that was replaced holds nothing back, but in a job."""
    if pod.state is State.REMOVING:
        return bool(pod.why)
    if pod.state is State.EXITED:
        return bool(pod.exit_code) and dict(pod.facts).get("controlled by", "").startswith("Job/")
    return pod.health is not Health.HEALTHY


def explained(resource: Resource, notes: Iterable[tuple[str, int]], overdue: str = "") -> Resource:
    """Add to a resource what events (words, and how often) and the clock say about it."""
    told = list(notes)
    if not told and not overdue:
        return resource
    fresh = [
        f"{text} ({count} times)" if count > 1 else text for text, count in told if text and text not in resource.why
    ]
    health = resource.health
    if health is Health.STARTING and any(text.startswith("readiness") and count > _TRIES for text, count in told):
        health = Health.UNHEALTHY  # it runs, has passed its startup probe, and is not on its way to be ready
    return replace(resource, why=joined((overdue, resource.why, *fresh)), health=health)


def overdue_words(deadline: float | None, now: float) -> str:
    """Say of an object under deletion that it should be gone (`deadline`: its deletionTimestamp)."""
    if deadline is None or now - deadline < 1:
        return ""
    return f"should have been gone {human_age(now - deadline)} ago"


def with_pods(workload: Resource, held: Sequence[Iterable[Resource]], count: int, scaler: Resource | None) -> Resource:
    """Add to a workload the pods that hold it back (`count` of them) and what its autoscaler complains about."""
    looked_at = list(islice((pod for pods in held for pod in pods), _LOOKED_AT))
    first = next((pod for pod in looked_at if pod.health is Health.UNHEALTHY), looked_at[0] if looked_at else None)
    words = [workload.why]
    health = workload.health
    if first is not None and workload.kind != "cronjob":
        verb = "failed" if first.state is State.EXITED else "waits" if count == 1 else "wait"
        shown = f"{first.name}: {first.why}" if first.why else first.name
        words.append(f"{count} {'pod' if count == 1 else 'pods'} {verb}: {shown}")
        if health is Health.STARTING and any(pod.health is Health.UNHEALTHY for pod in looked_at):
            health = Health.UNHEALTHY
    facts = workload.facts
    if scaler is not None:
        facts = (*facts, ("autoscaler", f"{scaler.name}: {scaler.status}"))
        if scaler.why and scaler.why != "held at its minimum" and scaler.health is not Health.STARTING:
            words.append(f"autoscaler {scaler.name}: {scaler.why}")
    return replace(workload, why=joined(words), health=health, facts=facts)


def with_endpoints(service: Resource, ready: int, unready: int, workload: str) -> Resource:
    """Add to a service how many endpoints it has, and that it leads nowhere."""
    selector = dict(service.facts).get("selector", "")
    why, health = service.why, service.health
    if selector and not ready:
        nobody = f"no pod matches its selector {selector}"
        why = joined((why, nobody if not unready else f"none of its {unready} pods is ready"))
        health = Health.UNHEALTHY
    elif ready and health is Health.NONE:
        health = Health.HEALTHY
    return replace(service, why=why, health=health, ready=(ready, ready + unready), service=workload or service.service)
