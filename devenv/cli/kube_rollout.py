"""`devenv kube rollout undo|status|history`: how far a rollout is, and the revisions that can come back."""

from __future__ import annotations

import threading
from argparse import Namespace

from devenv.backends.kube.workload import progress_of, read_workload
from devenv.cli.console import format_table, tell
from devenv.cli.kube_call import ClusterCall, plan_data, print_json, print_lines, show_plan
from devenv.control.kube.change import Call, cluster_identity, parse_refs
from devenv.control.kube.control import KubeWork, weigh
from devenv.control.kube.rollout import check_rolled, history, status_words
from devenv.control.kube.wait import Patience, Waiting, wait_for
from devenv.core.errors import EXIT_OK, ServiceFailed, UsageError, WaitTimeout


def run_status(arguments: Namespace) -> int:
    """Say how far the rollouts are; with --watch wait for them.

    Raises ServiceFailed (7) for what cannot heal, WaitTimeout (8).
    """
    call = ClusterCall(arguments)
    refs = parse_refs(arguments.targets, call.client)
    for ref in refs:
        check_rolled(ref)
    if arguments.watch:
        for ref in refs:
            ref.read(call.client)  # what is not there is not waited for
        _watch(call, [(ref.kind.name.lower(), ref.namespace, ref.name) for ref in refs])
    states = [(ref, ref.read(call.client)) for ref in refs]
    if arguments.json:
        data: list[object] = []
        for ref, item in states:
            progress = progress_of(read_workload(ref.kind.name.lower(), item))
            counts = {"desired": progress.desired, "updated": progress.updated, "ready": progress.ready}
            data.append({"target": ref.target, "done": progress.done, **counts, "words": status_words(ref, item)})
        print_json(data)
    else:
        print_lines([f"{ref.text}: {status_words(ref, item)}" for ref, item in states])
    return EXIT_OK


def run_history(arguments: Namespace) -> int:
    """List the revisions of one workload, newest first."""
    call = ClusterCall(arguments)
    refs = parse_refs(arguments.targets, call.client)
    if len(refs) != 1:
        raise UsageError("The history of one workload is shown at a time", "Name one: KIND/NAME.")
    ref = refs[0]
    revisions = history(Call(call.client, (ref,)), ref)
    if arguments.json:
        print_json(
            [
                {
                    "revision": one.number,
                    "current": one.current,
                    "created": one.created,
                    "images": list(one.images),
                    "cause": one.cause,
                    "replicas": one.replicas,
                }
                for one in revisions
            ]
        )
        return EXIT_OK
    rows = [
        (
            f"{one.number}{' *' if one.current else ''}",
            one.created,
            "" if one.replicas is None else str(one.replicas),
            ", ".join(one.images),
            one.cause,
        )
        for one in revisions
    ]
    print_lines(format_table(("REVISION", "CREATED", "PODS", "IMAGES", "CAUSE"), rows))
    return EXIT_OK


def _watch(call: ClusterCall, workloads: list[tuple[str, str, str]]) -> None:
    shown: set[str] = set()

    def report(waiting: Waiting) -> None:
        for words in waiting.words:
            if words not in shown:
                shown.add(words)
                tell(words, no_color=call.no_color)

    timeout = call.arguments.timeout
    stop = threading.Event()
    patience = Patience(timeout=timeout)
    outcome = wait_for(call.client, workloads, patience, after_change=False, report=report, stop=stop)
    if outcome.stuck is not None:
        kind, _, name = next(item for item in workloads if f"{item[0]}/{item[2]}" == outcome.stuck.workload)
        goes_back = "" if outcome.stuck.reason == "Paused" else f"Go back: devenv kube rollout undo {kind}/{name}"
        raise ServiceFailed(outcome.reason, goes_back)
    if not outcome.done:
        raise WaitTimeout(outcome.reason, "Wait longer with --timeout S.")


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
    call.carry_out(plan, KubeWork(call.client, plan, call.environ), cluster_identity(call.client, plan.namespace))
    if arguments.json:
        print_json({**plan_data(plan), "done": True})
    return EXIT_OK
