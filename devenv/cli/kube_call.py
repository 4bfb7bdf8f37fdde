"""What every command for a cluster starts from: settings, cluster, guard. No Compose project."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Mapping
from typing import TypeVar

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.kubeconfig import find_target
from devenv.cli.console import tell, warn
from devenv.cli.options import read_settings
from devenv.cli.progress import pump
from devenv.control.guard import ClusterIdentity, Guard
from devenv.control.protocol import Plan
from devenv.control.runner import Work
from devenv.core.settings import Config

Result = TypeVar("Result")


class ClusterCall:
    """One call of devenv for a cluster. Raises UsageError when made, BadKubeconfig at the first use of `client`."""

    def __init__(self, arguments: Namespace) -> None:
        self.arguments = arguments
        self.environ = dict(os.environ)
        self.config: Config = read_settings(arguments)
        self.no_color: bool | None = arguments.no_color
        self.guard = Guard.of(self.config)
        self._client: KubeClient | None = None

    @property
    def client(self) -> KubeClient:
        """The client of the chosen context and namespace."""
        if self._client is None:
            self._client = KubeClient(find_target(self.config.kubernetes, self.environ), self.environ)
        return self._client

    def confirm(self, plan: Plan) -> None:
        """Show what the plan hits, and ask where it is to be confirmed; raises Refused (recorded)."""
        for sentence in plan.sentences:
            tell(sentence, no_color=self.no_color)
        for loss in plan.losses:
            tell(f"Lost for ever: {loss}.", no_color=self.no_color, color="yellow")
        if not plan.allowed:
            self.guard.begin(plan)  # raises, and writes it down
        if not plan.needs_confirmation or self.arguments.yes:
            return
        where = f"{plan.verb} {', '.join(plan.targets)} in {plan.context}"
        if not sys.stdin.isatty():
            hint = "Add --yes to do it." + (" --dry-run only shows it." if hasattr(self.arguments, "dry_run") else "")
            raise self.guard.refuse(plan, f"{where} is to be confirmed, and there is no terminal to ask", hint)
        sys.stderr.write(f"{where}? Type yes: ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("yes", "y"):
            raise self.guard.refuse(plan, "Not confirmed: everything is as it was", "")

    def carry_out(self, plan: Plan, work: Work, now: ClusterIdentity | None) -> None:
        """Let the guard pass the plan, run the work with progress, and record its end."""
        with self.guard.passing(plan, now=now) as outcome:
            if outcome.warning:
                warn(outcome.warning, no_color=self.no_color)
            pump(plan.verb, work.run, work.interrupt, no_color=self.no_color)


def plan_data(plan: Plan) -> dict[str, object]:
    """Return a plan as JSON knows it."""
    return {
        "verb": plan.verb,
        "targets": list(plan.targets),
        "context": plan.context,
        "namespace": plan.namespace,
        "cluster": plan.cluster,
        "allowed": plan.allowed,
        "needs_confirmation": plan.needs_confirmation,
        "sentences": list(plan.sentences),
        "losses": list(plan.losses),
        "reason": plan.reason,
        "hint": plan.hint,
        "options": {name: value for name, value in plan.options if name != "uids"},
    }


def print_json(data: Mapping[str, object] | list[object]) -> None:
    """Write data to stdout."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_lines(lines: list[str]) -> None:
    """Write lines to stdout."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def show_plan(plan: Plan, *, as_json: bool) -> None:
    """Write a plan to stdout: the answer of --dry-run."""
    if as_json:
        print_json(plan_data(plan))
        return
    lines = [*plan.sentences, *(f"Lost for ever: {loss}." for loss in plan.losses)]
    if not plan.allowed:
        lines.append(f"Not allowed: {plan.reason}. {plan.hint}")
    elif plan.needs_confirmation:
        lines.append("Asks for confirmation.")
    print_lines(lines)
