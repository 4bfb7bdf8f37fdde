"""Evict pods: removed as a drain removes them, only as far as their disruption budgets allow."""

from __future__ import annotations

from typing import Any

from devenv.backends.kube.errors import TooManyRequests
from devenv.backends.kube.kinds import PODS
from devenv.control.kube.budgets import budgets_of, read_budgets
from devenv.control.kube.impact import Call, Impact
from devenv.control.kube.pod_losses import last_ready, losses_with, owner_kind
from devenv.control.kube.refs import Ref
from devenv.control.kube.rewording import reworded
from devenv.core.errors import UsageError


def survey_evict(call: Call) -> Impact:
    """Say which budgets hold the pods, and what goes with them."""
    sentences: list[str] = []
    pods = [(ref, ref.read(call.client)) for ref in _pods(call)]
    for ref, pod in pods:
        maker = owner_kind(pod)
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
    pod: dict[str, Any] = ref.read(call.client)
    budgets = budgets_of(pod, read_budgets(call.client, ref.namespace))
    blocking = [budget for budget in budgets if not budget.allowed] or budgets
    if not blocking:
        return error
    message = f"{ref.text} may not be evicted: {'; '.join(budget.words for budget in blocking)}"
    hint = "Scale up, or wait until other pods are ready, and evict again; `delete` does not ask the budget."
    return reworded(error, message, hint)


def _pods(call: Call) -> tuple[Ref, ...]:
    other = next((ref for ref in call.refs if ref.kind != PODS), None)
    if other is not None:
        raise UsageError(f"Only pods are evicted, and {other.text} is none", "Of a node: devenv kubectl drain NODE.")
    return call.refs
