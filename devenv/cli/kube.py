"""`devenv kube COMMAND`: which module does it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from importlib import import_module

_MODULES = {
    "apply": ("kube_apply", "run_apply"),
    "forward": ("kube_forward", "run"),
    "port-forward": ("kube_forward", "run"),
    "kubectl": ("kubectl", "run"),
    "load": ("kube_load", "run"),
    "rollout status": ("kube_rollout", "run_status"),
    "rollout history": ("kube_rollout", "run_history"),
}


def run(arguments: Namespace) -> int:
    """Run the command; reading ones that are no verb of ours name their module in `arguments.module`."""
    name = " ".join(filter(None, (arguments.subcommand, getattr(arguments, "rollout_command", ""))))
    if name in _MODULES:
        module, function = _MODULES[name]
        command: Callable[[Namespace], int] = getattr(import_module(f"devenv.cli.{module}"), function)
        return command(arguments)
    reader = getattr(arguments, "module", "")
    if reader:
        command = import_module(f"devenv.cli.{reader}").run
        return command(arguments)
    from devenv.cli.kube_change import run as change

    return change(arguments, name.removeprefix("rollout "))
