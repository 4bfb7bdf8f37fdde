"""From a wish to its end: weighed by asking the cluster, passed by the guard, carried out as `Work` of a runner."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from devenv.backends.kube.client import KubeClient
from devenv.control.guard import Guard
from devenv.control.kube.impact import Call, Impact
from devenv.control.kube.place import place_now
from devenv.control.kube.refs import Ref, parse_ref
from devenv.control.kube.verbs import VERBS
from devenv.control.protocol import Plan
from devenv.control.runner import Report
from devenv.core.errors import Refused

_HINT = "Look at what is there now, and ask for the change again."


def plan_for(guard: Guard, client: KubeClient, verb: str, call: Call, impact: Impact) -> Plan:
    """Return the guard's answer to a change whose impact is known; names the cluster as it is now."""
    namespace = next((ref.namespace for ref in call.refs if ref.namespace), client.target.namespace)
    return guard.plan_cluster(
        verb,
        tuple(ref.target for ref in call.refs),
        place_now(client, namespace, ask=True),
        sentences=impact.sentences,
        losses=impact.losses,
        needs_confirmation=impact.confirm,
        options=(*call.options.items(), *impact.options),
    )


def weigh(
    guard: Guard, client: KubeClient, verb: str, refs: tuple[Ref, ...], options: Mapping[str, str] | None = None
) -> Plan:
    """Ask the cluster what the verb would hit. Blocks on the network; raises KubeError, UsageError."""
    call = Call(client, refs, dict(options or {}))
    return plan_for(guard, client, verb, call, VERBS[verb].survey(call))


class KubeWork:
    """`devenv.control.runner.Work` of one plan for a cluster."""

    def __init__(self, client: KubeClient, plan: Plan, environ: Mapping[str, str] | None = None) -> None:
        self._client = client
        self._plan = plan
        self._environ = os.environ if environ is None else environ
        self._stop = threading.Event()

    def run(self, report: Report) -> str:
        """Do it. Raises Refused where the cluster is another one than the plan's, Interrupted, and KubeError."""
        plan = self._plan
        if plan.cluster_uid and self._client.identity() != plan.cluster_uid:
            raise Refused(f"The cluster behind the context {plan.context} was made anew since this was planned", _HINT)
        refs = tuple(parse_ref(target, self._client) for target in plan.targets)
        call = Call(self._client, refs, dict(plan.options), report, self._stop, self._environ)
        return VERBS[plan.verb].do(call)

    def interrupt(self) -> None:
        """Let it end at the next possible moment."""
        self._stop.set()
