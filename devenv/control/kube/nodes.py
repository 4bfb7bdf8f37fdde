"""Close a node to new pods and open it again."""

from __future__ import annotations

from typing import Any

from devenv.backends.kube.kinds import NODES
from devenv.control.kube.impact import Call, Impact
from devenv.control.kube.refs import Ref
from devenv.core.errors import UsageError

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
