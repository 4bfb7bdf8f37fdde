"""The verbs that change objects of a cluster: weighed by asking the cluster, passed by the guard, carried out.

For the terminal several run at a time, never two of the same object. A target is "deployment/NAMESPACE/web", or
"node/minikube" for a kind without a namespace (`Ref.target`); it may have "kubernetes:" before it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from devenv.backends.kube.client import KubeClient
from devenv.control.guard import Guard
from devenv.control.kube import delete, drain, rollout
from devenv.control.kube.change import Call, Do, Impact, Ref, Survey, cluster_identity, parse_ref
from devenv.control.protocol import Options, Plan
from devenv.control.runner import Report, Runner
from devenv.core.errors import Refused
from devenv.core.model import Action


@dataclass(frozen=True, slots=True)
class Verb:
    """`survey` asks the cluster and changes nothing; `what` is the sentence where nobody asked yet.

    `takes_away`: it is to be confirmed even before it was surveyed.
    """

    survey: Survey
    do: Do
    what: str
    takes_away: bool = False


VERBS: dict[str, Verb] = {
    "restart": Verb(rollout.survey_restart, rollout.restart, "Replaces the pods of {targets}."),
    "undo": Verb(rollout.survey_undo, rollout.undo, "Brings back an earlier revision of {targets}.", True),
    "pause": Verb(rollout.survey_pause, rollout.pause, "Keeps back changes of {targets}."),
    "resume": Verb(rollout.survey_resume, rollout.resume, "Rolls out what was kept back of {targets}."),
    "scale": Verb(rollout.survey_scale, rollout.scale, "Changes the number of replicas of {targets}."),
    "delete": Verb(delete.survey_delete, delete.delete, "Deletes {targets} and all that belongs to it.", True),
    "evict": Verb(drain.survey_evict, drain.evict, "Evicts {targets} as far as disruption budgets allow.", True),
    "cordon": Verb(drain.survey_cordon, drain.cordon, "Closes {targets} to new pods."),
    "uncordon": Verb(drain.survey_uncordon, drain.uncordon, "Opens {targets} to new pods."),
    "drain": Verb(drain.survey_drain, drain.drain, "Evicts all pods of {targets}.", True),
}


_HINT = "Look at what is there now, and ask for the change again."


def plan_for(guard: Guard, client: KubeClient, verb: str, call: Call, impact: Impact) -> Plan:
    """Return the guard's answer to a change whose impact is known; names the cluster as it is now."""
    namespace = next((ref.namespace for ref in call.refs if ref.namespace), client.target.namespace)
    return guard.plan_cluster(
        verb,
        tuple(ref.target for ref in call.refs),
        cluster_identity(client, namespace, ask=True),
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
            raise Refused(
                f"The cluster behind the context {plan.context} was created again after this was planned", _HINT
            )
        refs = tuple(parse_ref(target, self._client) for target in plan.targets)
        call = Call(self._client, refs, dict(plan.options), report, self._stop, self._environ)
        return VERBS[plan.verb].do(call)

    def interrupt(self) -> None:
        """Let it end at the next possible moment."""
        self._stop.set()


class KubeControl(Runner):
    """`devenv.control.protocol.Control` of one cluster; `client` returns the one of the present target.

    A plan from `plan` says what the verb means; `survey` asks the cluster what it would hit: call it in a worker,
    show its plan, and request that one.
    """

    def __init__(
        self, client: Callable[[], KubeClient], guard: Guard, environ: Mapping[str, str] | None = None
    ) -> None:
        self._client = client
        super().__init__(guard)
        self._environ = environ

    def plan(
        self,
        verb: str,
        targets: tuple[str, ...] = (),
        *,
        volumes: bool = False,
        options: Options = None,
    ) -> Plan:
        """Return the guard's answer without asking the cluster; raises BadKubeconfig. `volumes` means nothing here."""
        known = VERBS.get(verb)
        if known is None:
            raise ValueError(f"no such verb: {verb}")
        names = ", ".join(targets) or "nothing"
        return self._guard.plan_cluster(
            verb,
            targets,
            cluster_identity(self._client(), _namespace(targets)),
            sentences=(known.what.format(targets=names),),
            needs_confirmation=known.takes_away,
            options=tuple((options or {}).items()),
        )

    def reach(self, plan: Plan) -> Plan:
        """Return the plan as the cluster is now; as `survey`."""
        return self.survey(plan.verb, plan.targets, dict(plan.options))

    def survey(self, verb: str, targets: tuple[str, ...], options: Mapping[str, str] | None = None) -> Plan:
        """Return the plan with its blast radius. Blocks on the network; raises KubeError and UsageError."""
        client = self._client()
        refs = tuple(parse_ref(target, client) for target in targets)
        return replace(weigh(self._guard, client, verb, refs, options), targets=targets)

    def request(self, plan: Plan) -> Action:
        """Begin to carry the plan out.

        Raises Refused by policy, when the context leads to another cluster than the plan's, and while another change
        of the same object runs.
        """
        client = self._client()
        busy = self.busy(plan.targets)
        if busy is not None:
            hint = "Wait for it, or cancel it."
            raise self._guard.refuse(plan, f"{plan.verb} was not begun: {busy.verb} is still running", hint)
        ticket = self._guard.begin(plan, now=cluster_identity(client, plan.namespace))
        return self.begin(ticket, KubeWork(client, plan, self._environ), plan.targets)


def _namespace(targets: tuple[str, ...]) -> str:
    return next((target.split("/")[1] for target in targets if target.count("/") == 2), "")
