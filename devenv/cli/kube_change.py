"""`devenv kube rollout undo`: weigh, confirm, do."""

from __future__ import annotations

from argparse import Namespace

from devenv.cli.kube_call import ClusterCall, plan_data, print_json, show_plan
from devenv.control.kube.change import parse_refs, place_now
from devenv.control.kube.control import KubeWork, weigh
from devenv.core.errors import EXIT_OK

_OPTIONS = ("revision",)


def run(arguments: Namespace, verb: str) -> int:
    """Carry a verb out. Raises Refused, and what the verb raises."""
    call = ClusterCall(arguments)
    options = {
        name: f"{value:g}" if isinstance(value, float) else str(value)
        for name in _OPTIONS
        if (value := getattr(arguments, name, None)) is not None
    }
    refs = parse_refs(tuple(arguments.targets), call.client)
    plan = weigh(call.guard, call.client, verb, refs, options)
    if arguments.dry_run:
        show_plan(plan, as_json=arguments.json)
        return EXIT_OK
    call.confirm(plan)
    call.carry_out(plan, KubeWork(call.client, plan, call.environ), place_now(call.client, plan.namespace))
    if arguments.json:
        print_json({**plan_data(plan), "done": True})
    return EXIT_OK
