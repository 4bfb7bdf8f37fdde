"""The API's JSON as devenv's records, one module a family of kinds: pure, keeping only the fields that are shown.

Any other kind, custom resources included, by its phase and its conditions, as most controllers write them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from devenv.backends.kube.fields import Parsed, base, conditions, facts, joined, mapping, number, why_not, word
from devenv.backends.kube.parse.infrastructure import (
    parse_claim,
    parse_endpoint_slice,
    parse_ingress,
    parse_node,
    parse_service,
    parse_volume,
)
from devenv.backends.kube.parse.pod import PodPage, parse_pod
from devenv.backends.kube.parse.workload import (
    parse_autoscaler,
    parse_cron_job,
    parse_daemon_set,
    parse_deployment,
    parse_job,
    parse_replica_set,
    parse_stateful_set,
)
from devenv.core.model import Health, State

__all__ = ["PAGES", "Parsed", "left_in", "parse"]

_PARSERS: Final[dict[str, Callable[[Mapping[str, Any], str], Parsed]]] = {
    "Pod": parse_pod,
    "Deployment": parse_deployment,
    "ReplicaSet": parse_replica_set,
    "StatefulSet": parse_stateful_set,
    "DaemonSet": parse_daemon_set,
    "Job": parse_job,
    "CronJob": parse_cron_job,
    "HorizontalPodAutoscaler": parse_autoscaler,
    "Service": parse_service,
    "EndpointSlice": parse_endpoint_slice,
    "Ingress": parse_ingress,
    "PersistentVolumeClaim": parse_claim,
    "PersistentVolume": parse_volume,
    "Node": parse_node,
}
PAGES: Final[dict[str, type]] = {"Pod": PodPage}  # what the parsers read of a page, where that is much less than all


def parse(raw: Mapping[str, Any], kind: str, context: str) -> Parsed:
    """Make a resource of an object of that kind ("Pod"); kinds without a parser of their own by their conditions."""
    parser = _PARSERS.get(kind)
    return parser(raw, context) if parser is not None else parse_any(raw, context, kind)


# The kstatus conventions (sigs.k8s.io/cli-utils, pkg/kstatus) and the conditions that most controllers use.
_GOOD: Final = ("Ready", "Available", "Healthy", "Established", "Accepted", "Synced", "Programmed")
_BAD: Final = ("Failed", "Stalled", "Degraded", "ReconcileError")
_UNDER_WAY: Final = ("Reconciling", "Progressing")
# What a namespace under deletion waits for (core/v1 NamespaceConditionType): all are true while something is left.
_LEFT: Final = (
    "NamespaceContentRemaining",
    "NamespaceFinalizersRemaining",
    "NamespaceDeletionContentFailure",
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
)
_PHASES: Final = {"Pending": State.CREATED, "Failed": State.DEAD, "Terminating": State.REMOVING}


def parse_any(raw: Mapping[str, Any], context: str, kind: str) -> Parsed:
    """Make a resource of an object of any kind; without a status it is simply there."""
    status, meta, spec = mapping(raw.get("status")), mapping(raw.get("metadata")), mapping(raw.get("spec"))
    states = conditions(status)
    phase = word(status.get("phase"))
    failing = [item for name, item in states.items() if name in _BAD and item.get("status") == "True"]
    failing += [item for name, item in states.items() if name in _GOOD and item.get("status") == "False"]
    waiting = [item for name, item in states.items() if name in _GOOD and item.get("status") == "Unknown"]
    waiting += [item for name, item in states.items() if name in _UNDER_WAY and item.get("status") == "True"]
    good = any(name in _GOOD and item.get("status") == "True" for name, item in states.items())
    seen, generation = status.get("observedGeneration"), number(meta.get("generation"))
    behind = isinstance(seen, int) and seen < generation
    if failing or phase == "Failed":
        health = Health.UNHEALTHY
    elif waiting or behind:
        health = Health.STARTING
    else:
        health = Health.HEALTHY if good else Health.NONE
    words = [f"{word(item.get('type'))}: {why_not(item)}" for item in (*failing, *waiting)]
    words.append("its controller has not seen the newest change yet" if behind else "")
    words += left_in(status)
    data = raw.get("data")
    resource = base(
        raw,
        kind.lower(),
        context,
        _PHASES.get(phase, State.RUNNING),
        status=phase or word(next((item.get("type") for item in states.values() if item.get("status") == "True"), "")),
        health=health,
        why=joined(words),
        facts=facts(
            # Names alone: a Secret's values are never kept.
            ("keys", ",".join(map(word, data)) if isinstance(data, dict) else ""),
            ("type", word(raw.get("type"))),
            ("class", word(spec.get("storageClassName"))),
        ),
    )
    return Parsed(resource)


def left_in(status: Mapping[str, Any]) -> list[str]:
    """Say what keeps a namespace that is being deleted, from its status."""
    states = conditions(status)
    return [why_not(states[name]) for name in _LEFT if mapping(states.get(name)).get("status") == "True"]
