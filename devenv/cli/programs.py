"""`devenv kubectl` and `devenv minikube`: their own flags, output and exit codes, and changes passed by the guard."""

from __future__ import annotations

import sys
import tempfile
from argparse import Namespace
from collections.abc import Mapping, Sequence

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError
from devenv.backends.kube.kinds import PODS, PVCS
from devenv.backends.kube.kubeconfig import contexts, find_target
from devenv.cli.console import warn
from devenv.cli.kube_call import ClusterCall
from devenv.control.guard import ClusterIdentity
from devenv.control.kube.kubectl import Effect, parse_line, without_yes
from devenv.control.kube.kubectl_plan import KubectlPlan, KubectlRefused, MinikubeLine, find_minikube, parse_minikube
from devenv.control.protocol import Plan
from devenv.core.errors import UsageError
from devenv.core.kube_settings import KubeSettings
from devenv.core.signals import hand_over
from devenv.core.text import counted, sanitize


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


_DEFAULT_PROFILE = "minikube"  # the profile that minikube itself takes


def run_minikube(arguments: Namespace) -> int:
    """Run it and return its exit code. Raises ToolMissing, Refused, UsageError for a context of another tool."""
    words, arguments.yes = without_yes(arguments.rest)
    call = ClusterCall(arguments)
    line = parse_minikube(words)
    program = find_minikube(call.environ)
    profile, is_there = _profile(call, line)
    command = [program, *line.words] if line.profile else [program, f"--profile={profile}", *line.words]
    if line.effect is Effect.READS:
        return hand_over(command, call.environ)
    takes = line.effect is Effect.TAKES_AWAY
    sentences = [line.sentence(profile)] if takes else []
    if line.verb == "delete" and is_there and not line.all_profiles:
        sentences.append(_contents(call, profile))
    plan = call.guard.plan_cluster(
        f"minikube {line.verb}",
        tuple(line.names) or (profile,),
        ClusterIdentity(profile, "", ""),
        sentences=tuple(sentences),
        losses=("the data of every volume in the cluster",) if line.verb == "delete" else (),
        needs_confirmation=takes,
    )
    call.confirm(plan)
    return carry_out(call, plan, None, command, call.environ)


def _profile(call: ClusterCall, line: MinikubeLine) -> tuple[str, bool]:
    """Return the chosen profile, and whether a context of it exists; minikube names both alike."""
    known = contexts(call.environ)
    if line.profile:
        return line.profile, known.find(line.profile) is not None
    chosen = call.config.kubernetes.context
    profile = chosen or call.environ.get("MINIKUBE_PROFILE") or known.current or _DEFAULT_PROFILE
    context = known.find(profile)
    if context is None or context.flavour == "minikube" or (chosen and not context.flavour):
        return profile, context is not None
    if not context.flavour:
        return _DEFAULT_PROFILE, known.find(_DEFAULT_PROFILE) is not None
    hint = f"Name a profile of minikube with --profile, or use {context.flavour} itself."
    raise UsageError(f"The context {sanitize(profile)} is a cluster of {context.flavour}, not of minikube", hint)


def _contents(call: ClusterCall, profile: str) -> str:
    """Say what is in the cluster; one that does not answer is deleted unseen."""
    known = call.config.kubernetes
    try:
        client = KubeClient(find_target(KubeSettings(profile, known.namespace), call.environ), call.environ)
        pods, _ = client.list(PODS, None)
        claims, _ = client.list(PVCS, None)
    except KubeError as error:
        return f"What is in it is not known: {error.message}."
    spaces = {pod["metadata"]["namespace"] for pod in pods}
    where = f"{counted(len(pods), 'pod')} in {counted(len(spaces), 'namespace')}"
    return f"In it are {where}, and {counted(len(claims), 'claim')} with their data."
