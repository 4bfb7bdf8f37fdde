"""`devenv kube load IMAGE ...`: bring images of the local engine to the nodes, by what made the cluster."""

from __future__ import annotations

import threading
from argparse import Namespace
from collections.abc import Callable

from devenv.cli.kube_call import ClusterCall, show_plan
from devenv.control.deploy.images import loader_for
from devenv.control.kube.change import place_now
from devenv.control.runner import Report
from devenv.core.errors import EXIT_OK, Interrupted, ToolMissing
from devenv.core.model import Progress


def run(arguments: Namespace) -> int:
    """Load them with minikube, kind or k3d; raises ToolMissing where that program is not here."""
    call = ClusterCall(arguments)
    context = call.client.target.context
    loader, why = loader_for(context, call.environ)
    place = place_now(call.client)
    sentence = f"Loads {', '.join(arguments.images)} into the nodes of {context.name}."
    plan = call.guard.plan_cluster("load", tuple(arguments.images), place, sentences=(sentence,))
    if arguments.dry_run:
        show_plan(plan, as_json=False)
        return EXIT_OK
    if loader is None:
        hint = "Load them with the tool that made the cluster, or push them to a registry that its nodes can pull from."
        raise ToolMissing(f"Images cannot be loaded into {context.name}: {why}", hint)
    call.carry_out(plan, _Load(loader.load, tuple(arguments.images)), place)
    return EXIT_OK


class _Load:
    def __init__(self, load: Callable[[str], None], images: tuple[str, ...]) -> None:
        self._load = load
        self._images = images
        self._stop = threading.Event()

    def run(self, report: Report) -> str:
        for image in self._images:
            if self._stop.is_set():
                raise Interrupted("The rest was not loaded")
            report(Progress(f"Image {image}", "Loading"))
            self._load(image)
            report(Progress(f"Image {image}", "Loaded", "done"))
        return ""

    def interrupt(self) -> None:
        self._stop.set()
