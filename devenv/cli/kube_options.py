"""What may be typed after `devenv kube`."""

from __future__ import annotations

import argparse

from devenv.cli.kube_read import add_kube_read
from devenv.cli.options import add_project_options
from devenv.cli.rest_parser import RestParser

_Commands = argparse._SubParsersAction  # argparse gives the type no public name
_EPILOG = """exit codes:
  0 done                             1 the cluster refused it, or a field conflict (apply)
  2 wrong command line or kubeconfig 4 not signed in, or no permission
  6 local port taken (forward)       7 cannot roll out (rollout status --watch)
  8 timed out                        9 kubectl, minikube or another tool is missing
 10 refused: context not on the list, read-only, not confirmed
 11 objects differ (diff)           13 no cluster answers
exec and debug end with the exit code of what they ran.

Targets are KIND/NAME, KIND/NAMESPACE/NAME, or KIND NAME. What takes something away asks first; --yes does not."""


def add_kube_commands(commands: _Commands[argparse.ArgumentParser]) -> None:
    """Add `kube` with its commands."""
    kube = _group(commands, "kube", "see and change a Kubernetes cluster")
    add_kube_read(kube)
    apply = _command(kube, "apply", "apply objects server-side, with the difference shown", short_file=False)
    _objects(apply)
    apply.add_argument("--force-conflicts", action="store_true", help="take fields over that others own")
    _planned(apply)
    diff = _command(kube, "diff", "show what apply would change (exit 11 where it would)", short_file=False)
    _objects(diff)
    diff.add_argument("--json", action="store_true", help="as JSON")

    delete = _changing(kube, "delete", "delete objects; says first what goes with them")
    delete.add_argument(
        "--cascade", choices=("background", "foreground", "orphan"), help="what becomes of what it owns"
    )
    delete.add_argument("--grace-period", dest="grace", type=int, metavar="S", help="seconds that pods get to end")
    delete.add_argument("--timeout", type=float, metavar="S", help="seconds to wait until it is gone (0: do not wait)")
    scale = _changing(kube, "scale", "set the number of replicas; says when an autoscaler undoes it")
    scale.add_argument("--replicas", type=int, required=True, metavar="N", help="how many")
    _changing(kube, "evict", "evict pods as far as their disruption budgets allow")
    _changing(kube, "cordon", "close nodes to new pods")
    _changing(kube, "uncordon", "open nodes again")
    drain = _changing(kube, "drain", "evict all pods of nodes; says first what holds it up and what is lost")
    drain.add_argument("--pod-selector", dest="selector", metavar="LABELS", help="only pods with these labels")
    drain.add_argument("--grace-period", dest="grace", type=int, metavar="S", help="seconds that pods get to end")
    drain.add_argument("--timeout", type=float, metavar="S", help="seconds to try at most (default 120)")
    _add_rollout(kube)
    _add_tools(kube)


def _add_rollout(kube: _Commands[RestParser]) -> None:
    group = kube.add_parser("rollout", help="restart, undo, pause, resume, status, history", allow_abbrev=False)
    rollout = group.add_subparsers(dest="rollout_command", metavar="COMMAND", title="commands", required=True)
    _changing(rollout, "restart", "replace all pods")
    undo = _changing(rollout, "undo", "bring back an earlier revision")
    undo.add_argument("--to-revision", dest="revision", metavar="N", help="which one (default: the one before)")
    _changing(rollout, "pause", "keep changes back")
    _changing(rollout, "resume", "roll out what was kept back")
    status = _command(rollout, "status", "say how far it is")
    status.add_argument("targets", nargs="+", metavar="TARGET", help="KIND/NAME")
    status.add_argument("--watch", "-w", action="store_true", help="wait until it is rolled out, or cannot be")
    status.add_argument("--timeout", type=float, default=120.0, metavar="S", help="seconds to wait (default 120)")
    status.add_argument("--json", action="store_true", help="as JSON")
    history = _command(rollout, "history", "list the revisions that can come back")
    history.add_argument("targets", nargs="+", metavar="TARGET", help="KIND/NAME")
    history.add_argument("--json", action="store_true", help="as JSON")


def _add_tools(kube: _Commands[RestParser]) -> None:
    run = _command(kube, "exec", "run what stands after --, or a shell, in a container")
    run.add_argument("target", metavar="TARGET", help="POD or KIND/NAME")
    run.add_argument("-c", "--container", metavar="NAME", help="which container")
    run.takes_rest = True
    debug = _command(kube, "debug", "add a debug container to a pod, run what stands after --, and attach to it")
    debug.add_argument("target", metavar="TARGET", help="POD or KIND/NAME")
    debug.add_argument("--image", metavar="IMAGE", help="what it runs (default busybox)")
    debug.add_argument(
        "--image-pull-policy", dest="pull", choices=("Always", "IfNotPresent", "Never"), help="as kubectl's"
    )
    debug.add_argument("-c", "--container", metavar="NAME", help="the container whose processes it sees")
    debug.takes_rest = True
    copy = _command(kube, "cp", "copy files to or from a container")
    copy.add_argument("source", metavar="SOURCE", help="PATH or POD:PATH")
    copy.add_argument("destination", metavar="DESTINATION", help="PATH or POD:PATH")
    copy.add_argument("-c", "--container", metavar="NAME", help="which container")
    forward = _command(kube, "forward", "lead local ports to pods, also when these are replaced")
    forward.add_argument("target", metavar="TARGET", help="service/NAME, deployment/NAME or POD")
    forward.add_argument("ports", nargs="+", metavar="[LOCAL:]PORT", help="a free local port where none is given")
    forward.add_argument("--spread", action="store_true", help="each connection to the next ready pod")
    forward.add_argument("--seconds", type=float, metavar="S", help="end by itself after that time")
    forward.add_argument("--json", action="store_true", help="print the local ports as JSON")
    _changing(kube, "edit", "edit an object's YAML in your editor, tried before it is changed")
    load = _command(kube, "load", "load local images into the nodes (minikube, kind, k3d)")
    load.add_argument("images", nargs="+", metavar="IMAGE", help="as the local engine names it")
    load.add_argument("--dry-run", action="store_true", help="only say what would be done")


def _objects(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--filename", action="append", dest="filenames", metavar="FILE", help="file, folder or -")
    parser.add_argument("-k", "--kustomize", metavar="FOLDER", help="Kustomize folder")


def _changing(commands: _Commands[RestParser], name: str, what: str) -> RestParser:
    parser = _command(commands, name, what)
    parser.add_argument("targets", nargs="+", metavar="TARGET", help="KIND/NAME")
    _planned(parser)
    return parser


def _planned(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="show what it would do and change nothing")
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")


def _group(commands: _Commands[argparse.ArgumentParser], name: str, what: str) -> _Commands[RestParser]:
    parser = commands.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}.",
        epilog=_EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser.add_subparsers(
        dest="subcommand", metavar="COMMAND", title="commands", required=True, parser_class=RestParser
    )


def _command(commands: _Commands[RestParser], name: str, what: str, *, short_file: bool = True) -> RestParser:
    description = f"{what[0].upper()}{what[1:]}."
    parser = commands.add_parser(name, help=what, description=description, allow_abbrev=False)
    add_project_options(parser, "after_", short_file=short_file)
    return parser
