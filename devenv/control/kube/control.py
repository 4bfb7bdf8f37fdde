"""Changes of a cluster for the terminal: several at a time, never two of the same object.

A target is "deployment/NAMESPACE/web", or "node/minikube" for a kind without a namespace (`Ref.target`); it may have
"kubernetes:" before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from devenv.backends.kube.client import KubeClient
from devenv.control.guard import Guard
from devenv.control.kube.change import KubeWork, weigh
from devenv.control.kube.place import place_now
from devenv.control.kube.refs import parse_ref
from devenv.control.kube.verbs import VERBS
from devenv.control.protocol import Plan
from devenv.control.runner import Runner
from devenv.core.model import Action, Change

AT_A_TIME = 4


class KubeControl:
    """`devenv.control.protocol.Control` of one cluster; `client` returns the one of the present target.

    A plan from `plan` says what the verb means; `survey` asks the cluster what it would hit: call it in a worker,
    show its plan, and request that one.
    """

    def __init__(
        self, client: Callable[[], KubeClient], guard: Guard, environ: Mapping[str, str] | None = None
    ) -> None:
        self._client = client
        self._guard = guard
        self._environ = environ
        self._runner = Runner(guard, AT_A_TIME)

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to take requests."""
        self._runner.start(wake)

    def stop(self) -> None:
        """Interrupt what runs and wait a short while for it."""
        self._runner.stop()

    def drain(self) -> list[Change]:
        """Take the records since the last call."""
        return self._runner.drain()

    def plan(
        self,
        verb: str,
        targets: tuple[str, ...] = (),
        *,
        volumes: bool = False,
        options: Mapping[str, str] | None = None,
    ) -> Plan:
        """Return the guard's answer without asking the cluster; raises BadKubeconfig. `volumes` means nothing here."""
        known = VERBS.get(verb)
        if known is None:
            raise ValueError(f"no such verb: {verb}")
        names = ", ".join(targets) or "nothing"
        return self._guard.plan_cluster(
            verb,
            targets,
            place_now(self._client(), _namespace(targets)),
            sentences=(known.what.format(targets=names),),
            needs_confirmation=known.takes_away,
            options=tuple((options or {}).items()),
        )

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
        busy = self._runner.busy(plan.targets)
        if busy is not None:
            hint = "Wait for it, or cancel it."
            raise self._guard.refuse(plan, f"{plan.verb} was not begun: {busy.verb} is still running", hint)
        ticket = self._guard.begin(plan, now=place_now(client, plan.namespace))
        return self._runner.begin(ticket, KubeWork(client, plan, self._environ))

    def cancel(self, action_id: int) -> None:
        """Interrupt the action if it still runs."""
        self._runner.cancel(action_id)


def _namespace(targets: tuple[str, ...]) -> str:
    return next((target.split("/")[1] for target in targets if target.count("/") == 2), "")
