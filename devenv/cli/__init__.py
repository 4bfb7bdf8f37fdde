"""The program: which function carries out what was typed. Imports that one's module, and nothing heavy before."""

from __future__ import annotations

import errno
import gc
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from devenv.backends.plugin import Prefetch
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
    "cache": ("run", "run_cache"),
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
    _take_streams()
    words = sys.argv[1:] if arguments is None else arguments
    try:
        Prefetch.begin(words)
        try:
            with _collector_at_rest():
                namespace = _typed(words)
        finally:
            sys.stdout.flush()  # help and version end in SystemExit
        no_color = namespace.no_color
        restore = interrupt_once()
        try:
            with _collector_at_rest():
                carry_out = function_of(namespace)
            code = carry_out(namespace)
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
        except (OSError, DevenvError):
            _give_up_output()
        return known.exit_code
    finally:
        Prefetch.end()


class _Output(io.TextIOWrapper):
    """stdout: what it does not take (a full disk, a terminal that is gone) ends the command with a sentence."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            return self._failed(error)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> int:
        if isinstance(error, BrokenPipeError):
            raise error
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        hint = "Free some space there, and try again." if full else "Send its output to a file or an open terminal."
        raise DevenvError(f"What it prints cannot be written: {error.strerror}", hint) from error


class _Words(_Output):
    """stderr: words that it does not take are lost, and what is being done goes on."""

    def _failed(self, error: OSError) -> int:
        if isinstance(error, BrokenPipeError):
            raise error
        return 0


def _take_streams() -> None:
    """Let output fail as above, also where the caller closed it (`>&-`): else the next file would get its number."""
    for name, flags in (("stdin", os.O_RDONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, flags)  # the lowest that is free; nothing can be written to stdout then
            os.set_inheritable(number, True)
            stream = os.fdopen(number, "r" if name == "stdin" else "w", errors="backslashreplace", closefd=False)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
    for name, kind in (("stdout", _Output), ("stderr", _Words)):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__") and isinstance(stream, io.TextIOWrapper):
            own = kind(stream.buffer, stream.encoding, stream.errors, line_buffering=stream.line_buffering)
            own.reconfigure(write_through=stream.write_through)
            setattr(sys, name, own)


def _give_up_output() -> None:
    """Write to nowhere: Python would complain once more when it flushes stdout at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Let the garbage collector rest: what is loaded stays, and to walk it takes a twentieth of a short call."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


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
