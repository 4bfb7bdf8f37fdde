"""`devenv kube delete|scale|evict|cordon|uncordon|drain|rollout restart ...`: weigh, confirm, do."""

from __future__ import annotations

from argparse import Namespace

from devenv.cli.kube_call import ClusterCall, plan_data, print_json, show_plan
from devenv.control.kube.change import KubeWork, weigh
from devenv.control.kube.place import place_now
from devenv.control.kube.refs import Ref, parse_refs
from devenv.core.errors import EXIT_OK

_OPTIONS = ("replicas", "revision", "cascade", "grace", "timeout", "selector")
_NODE_VERBS = ("cordon", "uncordon", "drain")


def run(arguments: Namespace, verb: str) -> int:
    """Carry a verb out. Raises Refused, and what the verb raises."""
    call = ClusterCall(arguments)
    options = {
        name: f"{value:g}" if isinstance(value, float) else str(value)
        for name in _OPTIONS
        if (value := getattr(arguments, name, None)) is not None
    }
    refs = _refs(call, verb, tuple(arguments.targets))
    plan = weigh(call.guard, call.client, verb, refs, options)
    if arguments.dry_run:
        show_plan(plan, as_json=arguments.json)
        return EXIT_OK
    call.confirm(plan)
    call.carry_out(plan, KubeWork(call.client, plan, call.environ), place_now(call.client, plan.namespace))
    if arguments.json:
        print_json({**plan_data(plan), "done": True})
    return EXIT_OK


def _refs(call: ClusterCall, verb: str, words: tuple[str, ...]) -> tuple[Ref, ...]:
    if verb in _NODE_VERBS:
        words = tuple(word if "/" in word else f"node/{word}" for word in words)
    elif verb == "evict":
        words = tuple(word if "/" in word else f"pod/{word}" for word in words)
    return parse_refs(words, call.client)
