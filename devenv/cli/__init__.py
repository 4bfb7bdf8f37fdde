"""The program: which function carries out what was typed. Imports that one's module, and nothing heavy before."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from devenv.backends.plugin import Begun
from devenv.cli.options import merge_options
from devenv.core.errors import EXIT_INTERRUPTED, DevenvError
from devenv.core.signals import interrupt_once

if TYPE_CHECKING:
    from argparse import Namespace

# Where a command is, unless it is `run` in the module of its name.
_FUNCTIONS = {
    "down": ("change", "run_down"),
    "restart": ("change", "run_restart"),
    "stop": ("change", "run_stop"),
    "start": ("change", "run_start"),
    "prune": ("change", "run_prune"),
    **dict.fromkeys(("ps", "top", "port", "images", "exec", "cp", "kill"), ("change", "run_passed")),
    **dict.fromkeys(("pause", "unpause", "rm", "pull", "scale"), ("change", "run_passed")),
    "audit-log": ("change", "run_audit_log"),
    "history": ("verify", "run_history"),
    "evidence": ("verify", "run_evidence"),
    "manifests": ("checks", "run_manifests"),
    "secrets": ("checks", "run_secrets"),
    "scan": ("delivery", "run_scan"),
    "release": ("delivery", "run_release"),
    "notify": ("delivery", "run_notify"),
    "kube contexts": ("kube_contexts", "run_contexts"),
    "kube events": ("kube_events", "run"),
    "kube logs": ("kube_logs", "run"),
    "kube apply": ("kube_apply", "run_apply"),
    "kube rollout undo": ("kube_rollout", "run_undo"),
    "kube rollout status": ("kube_rollout", "run_status"),
    "kube rollout history": ("kube_rollout", "run_history"),
    "kube forward": ("kube_forward", "run"),
    "kube port-forward": ("kube_forward", "run"),
    "kube load": ("kube_contexts", "run_load"),
    "kube kubectl": ("programs", "run_kubectl"),
    "kubectl": ("programs", "run_kubectl"),
    "minikube": ("programs", "run_minikube"),
}
EXIT_BROKEN_PIPE = 128 + signal.SIGPIPE  # as shells report it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every failure is reported on stderr with its hint."""
    no_color: bool | None = None
    words = sys.argv[1:] if arguments is None else arguments
    try:
        Begun.begin(words)
        namespace = _typed(words)
        no_color = namespace.no_color
        restore = interrupt_once()
        try:
            code = function_of(namespace)(namespace)
            sys.stdout.flush()  # what cannot be written is reported here, and not by Python at its exit
            return code
        finally:
            restore()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _give_up_output()  # the reader (head, less) has enough
        return EXIT_BROKEN_PIPE
    except Exception as error:  # noqa: BLE001  # the last resort: whatever it was, the user gets a sentence
        console = import_module("devenv.cli.console")
        known: DevenvError = error if isinstance(error, DevenvError) else console.as_fault(error)
        console.tell_error(known, no_color=no_color)
        try:
            sys.stdout.flush()
        except OSError:
            _give_up_output()
        return known.exit_code
    finally:
        Begun.end()


def _give_up_output() -> None:
    """Write to nowhere: Python would complain once more when it flushes stdout at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def function_of(namespace: Namespace) -> Callable[[Namespace], int]:
    """Import what carries out the command, and nothing else."""
    name: str = namespace.command
    if name == "kube":
        name = " ".join(filter(None, (name, namespace.subcommand, getattr(namespace, "rollout_command", ""))))
    module, function = _FUNCTIONS.get(name, (name, "run"))
    carry_out: Callable[[Namespace], int] = getattr(import_module(f"devenv.cli.{module}"), function)
    return carry_out


def _typed(words: Sequence[str]) -> Namespace:
    """Parse the words. Without any nothing is parsed: to describe 60 commands takes a tenth of the first paint."""
    if words or "_ARGCOMPLETE" in os.environ:
        parsed: Namespace = import_module("devenv.cli.parser").parse_arguments(words)
        return parsed
    return merge_options(cast("Namespace", SimpleNamespace(command="")))
