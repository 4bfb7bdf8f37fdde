"""What the table of services needs to be watched."""

from __future__ import annotations

from typing import Final

from devenv.backends.kube import kinds

SERVICES: Final = (
    kinds.PODS,
    kinds.DEPLOYMENTS,
    kinds.REPLICA_SETS,
    kinds.STATEFUL_SETS,
    kinds.DAEMON_SETS,
    kinds.JOBS,
    kinds.HPAS,
    kinds.SERVICES,
    kinds.EVENTS,
)
