"""The API's JSON as devenv's records, one module a family of kinds: pure, keeping only the fields that are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from devenv.backends.kube.parse.autoscaler import parse_autoscaler
from devenv.backends.kube.parse.claim import parse_claim, parse_volume
from devenv.backends.kube.parse.common import Parsed
from devenv.backends.kube.parse.generic import parse_any
from devenv.backends.kube.parse.ingress import parse_ingress
from devenv.backends.kube.parse.job import parse_cron_job, parse_job
from devenv.backends.kube.parse.node import parse_node
from devenv.backends.kube.parse.pod import parse_pod
from devenv.backends.kube.parse.service import parse_endpoint_slice, parse_service
from devenv.backends.kube.parse.workload import (
    parse_daemon_set,
    parse_deployment,
    parse_replica_set,
    parse_stateful_set,
)

__all__ = ["Parsed", "parse"]

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


def parse(raw: Mapping[str, Any], kind: str, context: str) -> Parsed:
    """Make a resource of an object of that kind ("Pod"); kinds without a parser of their own by their conditions."""
    parser = _PARSERS.get(kind)
    return parser(raw, context) if parser is not None else parse_any(raw, context, kind)
