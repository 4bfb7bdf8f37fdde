"""Drain nodes with kubectl; which pods that hits, what holds them and what is lost is said before.

Source of the classes of pods: kubernetes/kubectl, pkg/drain/filters.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from devenv.backends.kube.errors import Forbidden
from devenv.backends.kube.kinds import PODS
from devenv.control.kube.budgets import Budget, budgets_of, read_budgets
from devenv.control.kube.impact import Call, Impact, counted
from devenv.control.kube.kubectl import command, failed, follow
from devenv.control.kube.nodes import check_nodes, others
from devenv.control.kube.pod_losses import is_finished, last_ready, losses_with, owner_kind, pod_name
from devenv.control.kube.refs import Ref
from devenv.core.errors import Interrupted
from devenv.core.model import Progress
from devenv.core.text import sanitize

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
    gone: list[dict[str, Any]] = []
    for ref in call.refs:
        leaving: list[dict[str, Any]] = []
        staying: list[dict[str, Any]] = []
        for pod in _pods_on(call, ref):
            (staying if _stays(pod) else leaving).append(pod)
        names = ", ".join(pod_name(pod) for pod in leaving[:8]) + (" and more" if len(leaving) > 8 else "")
        sentences.append(f"Cordons {ref.text} and evicts {counted(len(leaving), 'pod')}{': ' if names else ''}{names}.")
        elsewhere = {str(pod["metadata"]["namespace"]) for pod in leaving} - {call.client.target.namespace}
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
        # Both were told as losses and confirmed; without the flags kubectl only refuses.
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


def _pods_on(call: Call, ref: Ref) -> list[dict[str, Any]]:
    labels = call.options.get("selector", "")
    return call.client.list(PODS, None, labels=labels, fields=f"spec.nodeName={ref.name}")[0]


def _stays(pod: Mapping[str, Any]) -> bool:
    is_mirror = _MIRROR in (pod["metadata"].get("annotations") or {})
    return is_mirror or (owner_kind(pod) == "DaemonSet" and not is_finished(pod))
