"""`devenv kube exec|debug|cp`: kubectl does them; devenv finds it, guards it and names the cluster."""

from __future__ import annotations

import sys
from argparse import Namespace

from devenv.backends.kube.kinds import PODS
from devenv.cli.kube_call import ClusterCall, show_plan
from devenv.control.kube.kubectl import command, hand_over
from devenv.control.kube.place import place_now
from devenv.control.kube.refs import Ref, parse_ref
from devenv.core.errors import EXIT_OK, DevenvError, UsageError

_SHELL = "command -v bash >/dev/null 2>&1 && exec bash || exec sh"
_DEBUG_IMAGE = "busybox"


def run_exec(arguments: Namespace) -> int:
    """Run a command, or a shell, in a container; returns its exit code."""
    call = ClusterCall(arguments)
    ref = _pod_of(call, arguments.target)
    wanted = list(arguments.rest) or ["sh", "-c", _SHELL]
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    line = ["exec", *(["--stdin"] if is_terminal or not arguments.rest else []), ref.text]
    line += ["--tty"] if is_terminal else []
    line += ["--container", arguments.container] if arguments.container else []
    return _hand_over(call, "exec", ref, [*line, "--", *wanted], f"Runs a command in {ref.text}.")


def run_debug(arguments: Namespace) -> int:
    """Add a debug container to a pod and attach to it; returns its exit code."""
    call = ClusterCall(arguments)
    ref = parse_ref(arguments.target if "/" in arguments.target else f"pod/{arguments.target}", call.client)
    if ref.kind.name not in ("Pod", "Node"):
        raise UsageError(f"{ref.text} is neither a pod nor a node", "Name a pod: pod/NAME.")
    line = ["debug", ref.text, "--image", arguments.image or _DEBUG_IMAGE]
    line += ["--target", arguments.container] if arguments.container else []
    line += ["--stdin", "--tty"] if sys.stdin.isatty() else ["--attach"]
    line += [f"--image-pull-policy={arguments.pull}"] if arguments.pull else []
    line += ["--", *arguments.rest] if arguments.rest else []
    sentence = f"Adds a container of {arguments.image or _DEBUG_IMAGE} to {ref.text}; it stays until the pod goes."
    return _hand_over(call, "debug", ref, line, sentence)


def run_cp(arguments: Namespace) -> int:
    """Copy files to or from a container (POD:PATH on one side)."""
    call = ClusterCall(arguments)
    remote = [name for name in (arguments.source, arguments.destination) if _pod_name(name)]
    if len(remote) != 1:
        raise UsageError("Exactly one side must be in a pod", "Write POD:PATH, as in devenv kube cp web-1:/tmp/x .")
    name = _pod_name(remote[0])
    namespace, _, pod = name.rpartition("/")
    ref = Ref(PODS, namespace or call.client.target.namespace, pod)
    line = ["cp", arguments.source, arguments.destination]
    line += ["--container", arguments.container] if arguments.container else []
    if remote[0] == arguments.source:  # out of the pod: nothing there is changed
        code = hand_over(command(call.client.target, call.environ, *line), call.environ)
    else:
        code = _hand_over(call, "cp", ref, line, f"Writes {arguments.source} into {ref.text}.")
    if code:
        raise DevenvError(f"kubectl cp ended with exit code {code}", "It needs `tar` in the container.")
    return EXIT_OK


def _hand_over(call: ClusterCall, verb: str, ref: Ref, line: list[str], sentence: str) -> int:
    place = place_now(call.client, ref.namespace)
    plan = call.guard.plan_cluster(verb, (ref.target,), place, sentences=(sentence,))
    if getattr(call.arguments, "dry_run", False):
        show_plan(plan, as_json=False)
        return EXIT_OK
    ticket = call.guard.begin(plan, now=place)
    failure: BaseException | None = None
    try:
        code = hand_over(command(call.client.target, call.environ, *line, namespace=ref.namespace), call.environ)
        failure = DevenvError(f"exit code {code}") if code else None
        return code
    except BaseException as error:
        failure = error
        raise
    finally:
        call.guard.finish(ticket, failure)


def _pod_of(call: ClusterCall, word: str) -> Ref:
    ref = parse_ref(word if "/" in word else f"pod/{word}", call.client)
    ref.read(call.client)  # a clear error before kubectl is started
    return ref


def _pod_name(text: str) -> str:
    """Return the pod of POD:PATH; "" for a path of this machine (kubectl cp reads it so)."""
    name, colon, _ = text.partition(":")
    return name if colon and name and not name.startswith((".", "/")) else ""
