"""`devenv minikube COMMAND`: minikube's own verbs, guarded, with progress. The program is never assumed to be here."""

from __future__ import annotations

from argparse import Namespace

from devenv.backends.kube.access import contexts
from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError
from devenv.backends.kube.kinds import PODS, PVCS
from devenv.cli.kube_call import ClusterCall, print_json, print_lines, show_plan
from devenv.cli.table import format_table
from devenv.control.guard import Place
from devenv.control.kube.impact import counted
from devenv.control.kube.kubectl import hand_over
from devenv.control.minikube import Minikube, sentence
from devenv.core.errors import EXIT_OK, UsageError

_DEFAULT = "minikube"  # the profile that minikube itself takes


def run(arguments: Namespace) -> int:
    """Run the command. Raises ToolMissing, Refused, UsageError for a context of another tool, DevenvError."""
    if arguments.subcommand == "image":
        from devenv.cli.kube_load import run as load

        return load(arguments)
    call = ClusterCall(arguments)
    profile, is_there = _profile(call)
    minikube = Minikube(profile, call.environ)
    addons = getattr(arguments, "addons_command", "")
    if addons == "list":
        return _list_addons(minikube, as_json=arguments.json)
    addon = getattr(arguments, "addon", "")
    verb = f"addons {addons}" if addons else arguments.subcommand
    if verb == "tunnel":
        return hand_over(minikube.line("tunnel", *arguments.rest), call.environ)
    sentences, losses = [sentence(verb, profile, addon)], ()
    if verb == "delete" and is_there:
        sentences.append(_contents(call))
    plan = call.guard.plan_cluster(
        f"minikube {verb}",
        (addon or profile,),
        Place(profile, "", ""),
        sentences=tuple(sentences),
        losses=("the data of every volume in the cluster",) if verb == "delete" else losses,
    )
    if arguments.dry_run:
        show_plan(plan, as_json=arguments.json)
        return EXIT_OK
    call.confirm(plan)
    call.carry_out(plan, minikube.work(verb, [addon] if addon else arguments.rest), None)
    return EXIT_OK


def _profile(call: ClusterCall) -> tuple[str, bool]:
    """Return the profile that is meant, and whether a context of it exists; minikube names both alike."""
    known = contexts(call.environ)
    wanted = call.config.kubernetes.context or known.current or _DEFAULT
    found = known.find(wanted)
    if found is not None and found.flavour not in ("minikube", ""):
        hint = f"Name a profile of minikube with --context, or use {found.flavour} itself."
        raise UsageError(f"The context {wanted} is a cluster of {found.flavour}, not of minikube", hint)
    if found is not None and found.flavour == "" and not call.config.kubernetes.context:
        return _DEFAULT, known.find(_DEFAULT) is not None
    return wanted, found is not None


def _contents(call: ClusterCall) -> str:
    """Say what is in the cluster; one that does not answer is deleted unseen."""
    client: KubeClient = call.client
    try:
        pods, _ = client.list(PODS, None)
        claims, _ = client.list(PVCS, None)
    except KubeError as error:
        return f"What is in it is not known: {error.message}."
    spaces = {pod["metadata"]["namespace"] for pod in pods}
    where = f"{counted(len(pods), 'pod')} in {counted(len(spaces), 'namespace')}"
    return f"In it are {where}, and {counted(len(claims), 'claim')} with their data."


def _list_addons(minikube: Minikube, *, as_json: bool) -> int:
    found = minikube.addons()
    if as_json:
        print_json([{"name": addon.name, "status": addon.status} for addon in found])
    else:
        print_lines(format_table(("ADDON", "STATUS"), [(addon.name, addon.status) for addon in found]))
    return EXIT_OK
