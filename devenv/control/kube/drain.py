"""Nodes closed, opened and drained, and pods evicted; what that hits and what holds the pods is said before.

Source of the classes of pods: kubernetes/kubectl, pkg/drain/filters.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Forbidden, TooManyRequests
from devenv.backends.kube.fields import labels_match, mapping
from devenv.backends.kube.kinds import NODES, PDBS, PODS
from devenv.backends.kube.pod import Pod, read_pod
from devenv.control.kube.change import Call, Impact, Ref, last_ready, losses_with, pod_name, pods_in, reworded
from devenv.control.kube.kubectl import command, failed, follow
from devenv.core.errors import Interrupted, UsageError
from devenv.core.model import Progress
from devenv.core.text import counted, sanitize

_STRATEGIC = "application/strategic-merge-patch+json"


def survey_cordon(call: Call) -> Impact:
    """Say what a closed node means."""
    check_nodes(call.refs)
    sentences = [f"No new pod is put on {ref.text} until it is uncordoned; the ones there stay." for ref in call.refs]
    if not others(call):
        sentences.append("It is the only node that takes pods: none starts anywhere meanwhile, restarts included.")
    return Impact(tuple(sentences))


def survey_uncordon(call: Call) -> Impact:
    """Say what opening a node means."""
    check_nodes(call.refs)
    return Impact(tuple(f"Pods may be put on {ref.text} again." for ref in call.refs))


def cordon(call: Call) -> str:
    """Close the nodes."""
    return _set(call, closed=True)


def uncordon(call: Call) -> str:
    """Open the nodes."""
    return _set(call, closed=False)


def others(call: Call) -> list[str]:
    """Return the names of the other nodes that take pods."""
    named = {ref.name for ref in call.refs}
    return [
        node["metadata"]["name"]
        for node in call.client.list(NODES)[0]
        if node["metadata"]["name"] not in named and not (node.get("spec") or {}).get("unschedulable")
    ]


def check_nodes(refs: tuple[Ref, ...]) -> None:
    """Raise UsageError for anything that is no node."""
    other = next((ref for ref in refs if ref.kind != NODES), None)
    if other is not None:
        raise UsageError(f"{other.text} is not a node", "Write its name, as `kubectl get nodes` shows it.")


def _set(call: Call, *, closed: bool) -> str:
    for ref in call.refs:
        node: dict[str, Any] = ref.read(call.client)
        already = bool((node.get("spec") or {}).get("unschedulable")) == closed
        if not already:
            body = {"spec": {"unschedulable": True if closed else None}}
            query = {"fieldManager": "devenv"}
            call.client.request("PATCH", ref.path(), query=query, body=body, content_type=_STRATEGIC)
        call.step(ref, ("Cordoned" if closed else "Uncordoned") + (" already" if already else ""))
    return ""


@dataclass(frozen=True, slots=True)
class Budget:
    """One budget as its controller last counted it."""

    namespace: str
    name: str
    selector: Mapping[str, Any] | None
    allowed: int
    healthy: int
    needed: int
    rule: str

    @property
    def words(self) -> str:
        """Say what it allows now and why."""
        counts = f"{self.healthy} pods are healthy and {self.needed} must be"
        now = "no disruption" if not self.allowed else f"{self.allowed} disruption{'s' if self.allowed != 1 else ''}"
        return f"PodDisruptionBudget {self.name} ({self.rule}) allows {now} now: {counts}"


def read_budgets(client: KubeClient, namespace: str | None) -> tuple[Budget, ...]:
    """Return the budgets of a namespace, of all where None; raises KubeError."""
    items, _ = client.list(PDBS, namespace)
    return tuple(_budget(item) for item in items)


def budgets_of(pod: Pod, budgets: tuple[Budget, ...]) -> list[Budget]:
    """Return those that count this pod."""
    return [one for one in budgets if one.namespace == pod.namespace and labels_match(one.selector, pod.labels)]


def _budget(item: Mapping[str, Any]) -> Budget:
    spec, status, metadata = item.get("spec") or {}, item.get("status") or {}, item["metadata"]
    kept = spec.get("minAvailable")
    rule = f"minAvailable {kept}" if kept is not None else f"maxUnavailable {spec.get('maxUnavailable', 1)}"
    return Budget(
        namespace=str(metadata.get("namespace")),
        name=sanitize(str(metadata["name"])),
        selector=spec.get("selector"),
        allowed=int(status.get("disruptionsAllowed") or 0),
        healthy=int(status.get("currentHealthy") or 0),
        needed=int(status.get("desiredHealthy") or 0),
        rule=sanitize(rule),
    )


TIMEOUT = 120.0  # seconds until a drain that a budget holds up is given up
_MIRROR = "kubernetes.io/config.mirror"
_EVICTING = re.compile(r"^evicting pod (?P<pod>\S+)")
_EVICTED = re.compile(r"^pod/(?P<pod>\S+) evicted")
_HELD = re.compile(r'^error when evicting pods/"(?P<pod>[^"]+)" -n "(?P<namespace>[^"]+)" \(will retry')


def survey_drain(call: Call) -> Impact:
    """Say which pods go, which budgets hold them up, and which local data and pods are lost."""
    check_nodes(call.refs)
    budgets = _budgets(call)
    sentences: list[str] = []
    losses: list[str] = []
    held: dict[str, Budget] = {}
    gone: list[Pod] = []
    for ref in call.refs:
        leaving: list[Pod] = []
        staying: list[Pod] = []
        for pod in _pods_on(call, ref):
            (staying if _stays(pod) else leaving).append(pod)
        names = ", ".join(pod_name(pod) for pod in leaving[:8]) + (" and more" if len(leaving) > 8 else "")
        sentences.append(f"Cordons {ref.text} and evicts {counted(len(leaving), 'pod')}{': ' if names else ''}{names}.")
        elsewhere = {pod.namespace for pod in leaving} - {call.client.target.namespace}
        if elsewhere:
            sentences.append(sanitize(f"A drain reaches every namespace; here also {', '.join(sorted(elsewhere))}."))
        if staying:
            sentences.append(f"{counted(len(staying), 'pod')} of DaemonSets or of the node itself stay.")
        for pod in leaving:
            held |= {budget.name: budget for budget in budgets_of(pod, budgets) if not budget.allowed}
        losses += losses_with(leaving)
        gone += leaving
    sentences += last_ready(call.client, gone)
    sentences += [f"{budget.words}: it holds the drain up." for budget in held.values()]
    if not others(call):
        sentences.append("There is no other node for the pods: they wait until this one is uncordoned.")
    return Impact(tuple(sentences), tuple(losses), confirm=True)


def drain(call: Call) -> str:
    """Run `kubectl drain`; raises WaitTimeout's words of kubectl, and Interrupted: the node then stays cordoned."""
    timeout = float(call.options.get("timeout") or TIMEOUT)
    for ref in call.refs:
        arguments = ["drain", ref.name, "--ignore-daemonsets", f"--timeout={timeout:g}s"]
        # Both were shown as losses and confirmed; without the flags kubectl only refuses.
        arguments += ["--delete-emptydir-data", "--force"]
        if call.options.get("selector"):
            arguments.append(f"--pod-selector={call.options['selector']}")
        if call.options.get("grace"):
            arguments.append(f"--grace-period={call.options['grace']}")
        line = command(call.client.target, call.environ, *arguments)
        hint = f"The node stays cordoned. To open it again: devenv kubectl uncordon {ref.name}"
        try:
            code, said = follow(line, call.environ, _teller(call), call.stop)
        except Interrupted as error:
            raise Interrupted(f"The drain of {ref.text} was interrupted", hint) from error
        if code:
            raise failed(f"{ref.text} was not drained", code, said, hint)
        call.step(ref, "Drained")
    return ""


def _teller(call: Call) -> Any:
    budgets: list[tuple[Budget, ...]] = []

    def tell(text: str) -> None:
        evicting, evicted, held = _EVICTING.match(text), _EVICTED.match(text), _HELD.match(text)
        if held:
            if not budgets:
                budgets.append(_budgets(call))
            why = [one.words for one in budgets[0] if one.namespace == held["namespace"] and not one.allowed]
            call.report(
                Progress(f"pod/{held['pod']}", "Held up", "working", "; ".join(why) or "by a disruption budget")
            )
        elif evicted:
            call.report(Progress(f"pod/{evicted['pod']}", "Evicted", "done"))
        elif evicting:
            call.report(Progress(f"pod/{evicting['pod'].rpartition('/')[2]}", "Evicting"))

    return tell


def _budgets(call: Call) -> tuple[Budget, ...]:
    try:
        return read_budgets(call.client, None)
    except Forbidden:
        return ()  # the drain itself tells which budget holds it


def _pods_on(call: Call, ref: Ref) -> list[Pod]:
    labels = call.options.get("selector", "")
    return pods_in(call.client, None, labels=labels, fields=f"spec.nodeName={ref.name}")


def _stays(pod: Pod) -> bool:
    is_mirror = _MIRROR in mapping(pod.meta.get("annotations"))
    return is_mirror or (pod.owner[0] == "DaemonSet" and not pod.is_finished)


def survey_evict(call: Call) -> Impact:
    """Say which budgets hold the pods, and what goes with them."""
    sentences: list[str] = []
    pods = [(ref, read_pod(ref.read(call.client))) for ref in _pods(call)]
    for ref, pod in pods:
        maker = pod.owner[0]
        if maker:
            sentences.append(f"Removes {ref.text}; its {maker} makes another one.")
        budgets = budgets_of(pod, read_budgets(call.client, ref.namespace))
        sentences += [f"{budget.words}." for budget in budgets]
    going = [pod for _, pod in pods]
    return Impact((*sentences, *last_ready(call.client, going)), losses_with(going), confirm=True)


def evict(call: Call) -> str:
    """Evict the pods one after another. Raises TooManyRequests that names the budget which forbids it."""
    for ref in _pods(call):
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": ref.name, "namespace": ref.namespace},
        }
        try:
            call.client.request("POST", ref.path("eviction"), body=body)
        except TooManyRequests as error:
            raise _explained(call, ref, error) from error
        call.step(ref, "Evicted")
    return ""


def _explained(call: Call, ref: Ref, error: TooManyRequests) -> TooManyRequests:
    budgets = budgets_of(read_pod(ref.read(call.client)), read_budgets(call.client, ref.namespace))
    blocking = [budget for budget in budgets if not budget.allowed] or budgets
    if not blocking:
        return error
    message = f"{ref.text} may not be evicted: {'; '.join(budget.words for budget in blocking)}"
    hint = "Scale up, or wait until other pods are ready, and evict again; `delete` does not ask the budget."
    return reworded(error, message, hint)


def _pods(call: Call) -> tuple[Ref, ...]:
    other = next((ref for ref in call.refs if ref.kind != PODS), None)
    if other is not None:
        raise UsageError(
            f"Only pods can be evicted, and {other.text} is not one", "Of a node: devenv kubectl drain NODE."
        )
    return call.refs
