"""`devenv kubectl` and `devenv minikube`: their own flags, output and exit codes, and changes passed by the guard."""

from __future__ import annotations

import sys
import tempfile
from argparse import Namespace
from collections.abc import Mapping, Sequence

from devenv.backends.clusters import need_minikube
from devenv.cli.console import warn
from devenv.cli.kube_call import ClusterCall
from devenv.control.guard import ClusterIdentity
from devenv.control.kube.kubectl import Effect, parse_line, without_yes
from devenv.control.kube.kubectl_plan import KubectlPlan, KubectlRefused
from devenv.control.kube.minikube import MinikubeCall, parse_minikube, with_contents
from devenv.control.protocol import Plan
from devenv.core.signals import hand_over


def run_kubectl(arguments: Namespace) -> int:
    """Run it and return kubectl's exit code. Raises Refused, ToolMissing, UsageError, BadKubeconfig."""
    words, arguments.yes = without_yes(arguments.rest)
    call = ClusterCall(arguments)
    line = parse_line(words)
    planned = KubectlPlan(line, call.config.kubernetes, call.guard, call.environ)
    try:
        if line.effect is Effect.READS:
            planned.find_cluster()
            return hand_over(planned.command(), call.environ)
        plan = planned.plan()
        call.confirm(plan)
        # kuberc's aliases and defaults could make another command of it than the one that was weighed.
        environ = {**call.environ, "KUBECTL_KUBERC": "false"}
        return carry_out(call, plan, planned.now(plan), planned.command(), environ, planned.stdin)
    except KubectlRefused as refused:
        sys.stderr.write(refused.said)
        return refused.code
    finally:
        planned.close()


def carry_out(
    call: ClusterCall,
    plan: Plan,
    now: ClusterIdentity | None,
    command: Sequence[str],
    environ: Mapping[str, str],
    stdin: bytes | None = None,
) -> int:
    """Let the guard pass the plan, run the command in this terminal, and record its end. Returns its exit code."""
    with call.guard.passing(plan, now=now) as outcome:
        if outcome.warning:
            warn(outcome.warning, no_color=call.no_color)
        with tempfile.TemporaryFile() as given:
            if stdin is not None:  # the trial has read it: the command gets it again
                given.write(stdin)
                given.seek(0)
            outcome.code = hand_over(command, environ, stdin=given if stdin is not None else None)
    return outcome.code


def run_minikube(arguments: Namespace) -> int:
    """Run it and return its exit code. Raises ToolMissing, Refused, UsageError for a context of another tool."""
    words, arguments.yes = without_yes(arguments.rest)
    call = ClusterCall(arguments)
    program = need_minikube(call.environ)
    planned = MinikubeCall.of(parse_minikube(words), call.config.kubernetes, call.environ)
    command = [program, *planned.command[1:]]
    if planned.line.effect is Effect.READS:
        return hand_over(command, call.environ)
    plan = planned.plan(call.guard)
    if plan.allowed and not planned.line.all_profiles:
        plan = with_contents(plan, call.environ)
    call.confirm(plan)
    return carry_out(call, plan, None, command, call.environ)
