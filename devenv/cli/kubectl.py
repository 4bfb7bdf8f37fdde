"""`devenv kubectl ...`: kubectl with its own flags, output and exit codes, and every change passed by the guard."""

from __future__ import annotations

import sys
import tempfile
from argparse import Namespace
from collections.abc import Mapping, Sequence

from devenv.cli.console import warn
from devenv.cli.kube_call import ClusterCall
from devenv.control.guard import Place
from devenv.control.kube.kubectl import hand_over
from devenv.control.kube.kubectl_line import Effect, parse_line, without_yes
from devenv.control.kube.kubectl_plan import KubectlPlan, KubectlRefused
from devenv.control.protocol import Plan
from devenv.core.errors import EXIT_OK, DevenvError


def run(arguments: Namespace) -> int:
    """Run it and return kubectl's exit code. Raises Refused, ToolMissing, UsageError, BadKubeconfig."""
    words, arguments.yes = without_yes(arguments.rest)
    call = ClusterCall(arguments)
    line = parse_line(words)
    planned = KubectlPlan(line, call.config.kubernetes, call.guard, call.environ)
    try:
        if line.effect is Effect.READS:
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
    now: Place | None,
    command: Sequence[str],
    environ: Mapping[str, str],
    stdin: bytes | None = None,
) -> int:
    """Let the guard pass the plan, run the command in this terminal, and record its end. Returns its exit code."""
    ticket = call.guard.begin(plan, now=now)
    if ticket.warning:
        warn(ticket.warning, no_color=call.no_color)
    failure: BaseException | None = None
    try:
        with tempfile.TemporaryFile() as given:
            if stdin is not None:  # the trial has read it: the command gets it again
                given.write(stdin)
                given.seek(0)
            code = hand_over(command, environ, stdin=given if stdin is not None else None)
        failure = DevenvError(f"exit code {code}") if code != EXIT_OK else None
        return code
    except BaseException as error:
        failure = error
        raise
    finally:
        call.guard.finish(ticket, failure)
