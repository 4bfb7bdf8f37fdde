"""`devenv kube rollout undo`: weigh, confirm, do."""

from __future__ import annotations

from argparse import Namespace

from devenv.cli.kube_call import ClusterCall, plan_data, print_json, show_plan
from devenv.control.kube.change import parse_refs, place_now
from devenv.control.kube.control import KubeWork, weigh
from devenv.core.errors import EXIT_OK


def run_undo(arguments: Namespace) -> int:
    """Bring an earlier revision back. Raises Refused, and what is wrong with the revision."""
    call = ClusterCall(arguments)
    options = {} if arguments.revision is None else {"revision": arguments.revision}
    refs = parse_refs(tuple(arguments.targets), call.client)
    plan = weigh(call.guard, call.client, "undo", refs, options)
    if arguments.dry_run:
        show_plan(plan, as_json=arguments.json)
        return EXIT_OK
    call.confirm(plan)
    call.carry_out(plan, KubeWork(call.client, plan, call.environ), place_now(call.client, plan.namespace))
    if arguments.json:
        print_json({**plan_data(plan), "done": True})
    return EXIT_OK
