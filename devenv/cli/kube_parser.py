"""What may be typed after `devenv kube`, and after the names of programs that are passed on."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from devenv.cli.options import add_log_options, add_project_options, described, flag, lines_of_tail


class RestParser(argparse.ArgumentParser):
    """Takes another program's words as they are: into `rest`, --help and `--` included, where `takes_rest` is set.

    `own` are the commands of a group with those below them (none: all); every other one is kubectl's.
    """

    takes_rest = False
    own: Mapping[str, Sequence[str]] | None = None

    def parse_known_args(  # type: ignore[override]  # argparse's overloads differ in the namespace's type only
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse what is devenv's own, and keep the rest."""
        words = list(args or ())
        if not self.takes_rest and not self._is_kubectls(words):
            return super().parse_known_args(args, namespace)
        parsed = argparse.Namespace() if namespace is None else namespace
        parsed.rest = words
        if self.own is not None:
            parsed.subcommand = "kubectl"
        return parsed, []

    def _is_kubectls(self, words: list[str]) -> bool:
        if self.own is None or not words or words[0].startswith("-"):
            return False
        below = self.own.get(words[0])
        if below is None:
            return True
        return bool(below) and len(words) > 1 and not words[1].startswith("-") and words[1] not in below


_Commands = argparse._SubParsersAction  # argparse gives the type no public name
_OWN = {
    **dict.fromkeys(("contexts", "events", "logs", "apply", "forward", "port-forward", "load"), ()),
    "rollout": ("undo", "status", "history"),
}
_EPILOG = """exit codes:
  0 done                             1 the cluster refused it, or a field conflict (apply)
  2 wrong command line or kubeconfig 4 not signed in, or no permission
  6 local port taken (forward)       7 cannot roll out (rollout status --watch)
  8 timed out                        9 kubectl or another tool is missing
 10 refused: context not on the list, read-only, not confirmed
 13 no cluster answers
Any other command goes to kubectl: `devenv kube get pods` is `devenv kubectl get pods`.

A target is KIND/NAME, KIND/NAMESPACE/NAME, or KIND NAME. devenv asks before it removes anything, except with --yes."""


def add_kube_commands(commands: _Commands[RestParser]) -> None:
    """Add `kube` with its commands."""
    kube = _group(commands, "kube", "see and change a Kubernetes cluster")
    _add_reading(kube)
    apply = _command(kube, "apply", "apply objects server-side, and show the difference")
    _objects(apply)
    flag(apply, "--force-conflicts", help="take over fields that another manager owns")
    _planned(apply)
    _add_rollout(kube)
    _add_tools(kube)


def _add_rollout(kube: _Commands[RestParser]) -> None:
    group = kube.add_parser("rollout", help="undo, status, history", allow_abbrev=False)
    rollout = group.add_subparsers(dest="rollout_command", metavar="COMMAND", title="commands", required=True)
    undo = _changing(rollout, "undo", "go back to an earlier revision")
    undo.add_argument("--to-revision", dest="revision", metavar="N", help="which one (default: the one before)")
    status = _command(rollout, "status", "show how far a rollout is")
    status.add_argument("targets", nargs="+", metavar="TARGET", help="KIND/NAME")
    flag(status, "--watch", "-w", help="wait until it is rolled out or has failed")
    status.add_argument("--timeout", type=float, default=120.0, metavar="S", help="seconds to wait (default 120)")
    flag(status, "--json", help="as JSON")
    history = _command(rollout, "history", "list the revisions that undo can go back to")
    history.add_argument("targets", nargs="+", metavar="TARGET", help="KIND/NAME")
    flag(history, "--json", help="as JSON")


def _add_tools(kube: _Commands[RestParser]) -> None:
    for name in ("forward", "port-forward"):
        _add_forward(kube, name)
    load = _command(kube, "load", "load local images into the nodes (minikube, kind, k3d)")
    load.add_argument("images", nargs="+", metavar="IMAGE", help="its name in the local engine")
    flag(load, "--dry-run", help="only show what would be done")


def _add_forward(kube: _Commands[RestParser], name: str) -> None:
    forward = _command(kube, name, "forward local ports to pods, also after a pod is replaced")
    forward.add_argument("target", metavar="TARGET", help="service/NAME, deployment/NAME or POD")
    forward.add_argument("ports", nargs="+", metavar="[LOCAL:]PORT", help="without LOCAL, a free local port is used")
    flag(forward, "--spread", help="send each connection to the next ready pod")
    forward.add_argument("--seconds", type=float, metavar="S", help="end after S seconds")
    flag(forward, "--json", help="print the local ports as JSON")


def _objects(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--filename", action="append", dest="filenames", metavar="FILE", help="file, folder or -")
    parser.add_argument("-k", "--kustomize", metavar="FOLDER", help="Kustomize folder")


def _changing(commands: _Commands[RestParser], name: str, what: str) -> RestParser:
    parser = _command(commands, name, what)
    parser.add_argument("targets", nargs="+", metavar="TARGET", help="KIND/NAME")
    _planned(parser)
    return parser


def _planned(parser: argparse.ArgumentParser) -> None:
    flag(parser, "--dry-run", help="show what would change, and change nothing")
    flag(parser, "--json", help="print the plan as JSON")
    flag(parser, "--yes", "-y", help="do not ask")


def _group(commands: _Commands[RestParser], name: str, what: str) -> _Commands[RestParser]:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = described(commands, name, what, epilog=_EPILOG, formatter_class=formatter)
    parser.own = _OWN
    return parser.add_subparsers(
        dest="subcommand", metavar="COMMAND", title="commands", required=True, parser_class=RestParser
    )


def _command(commands: _Commands[RestParser], name: str, what: str) -> RestParser:
    parser = described(commands, name, what)
    add_project_options(parser, "after_", cluster=True)
    return parser


def _add_reading(commands: _Commands[RestParser]) -> None:
    """Add the reading commands: contexts, events, logs."""
    listing = _command(commands, "contexts", "list the clusters of the kubeconfig and their state")
    flag(listing, "--json", help="as JSON")

    events = _command(commands, "events", "show events, oldest first")
    events.add_argument("target", nargs="?", metavar="KIND/NAME", help="only events of this object")
    events.add_argument("--for", dest="about", metavar="KIND/NAME", help="the same, as in kubectl")
    flag(events, "-A", "--all-namespaces", help="in all namespaces")
    flag(events, "--warnings", help="only warnings")
    events.add_argument(
        "-w", "--watch", "-f", "--follow", dest="follow", action="store_true", help="keep showing new events"
    )
    flag(events, "--json", help="one JSON object per line")

    logs = _command(commands, "logs", "show what containers print, of a pod or of all pods of a workload")
    logs.add_argument("targets", nargs="*", metavar="TARGET", help="POD or KIND/NAME")
    logs.add_argument("-l", "--selector", metavar="SELECTOR", help="instead: all pods with these labels, as a=b,c!=d")
    flag(logs, "--all", help="instead: all pods of the namespace")
    logs.add_argument("-c", "--container", default="", metavar="NAME", help="only this container")
    add_log_options(logs, "devenv kube logs -f --level warn --grep '!/healthz' deployment/web statefulset/db")
    what = "the last N lines of each container (-1: all; default 500, or all with --since or a filter)"
    logs.add_argument("--tail", type=lines_of_tail, metavar="N", help=what)
    flag(logs, "-p", "--previous", help="of the run before the current one")
