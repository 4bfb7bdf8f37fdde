"""What starts load tests for the terminal: what was asked for passes the guard, as every change does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from devenv.control.guard import Guard, Place, Ticket
from devenv.control.protocol import Plan
from devenv.core.errors import DevenvError
from devenv.core.kube_settings import KubeSettings
from devenv.core.load_settings import LoadSettings
from devenv.core.stored import find
from devenv.load.live.process import LiveLoad, LoadWish, start
from devenv.runs.identity import runs_folder

if TYPE_CHECKING:
    from devenv.load.live.runs import KnownRun

VERB = "load test"


class LoadRunner:
    """Of one project: `root` is where Locust starts, `environ` what makes it find the same project."""

    def __init__(
        self, root: Path, load: LoadSettings, kubernetes: KubeSettings, guard: Guard, environ: Mapping[str, str]
    ) -> None:
        self.root = root
        self.load = load
        self._kubernetes = kubernetes
        self.guard = guard
        self._environ = environ
        self._tickets: dict[Path, Ticket] = {}

    def plan(self, wish: LoadWish) -> Plan:
        """Weigh a load test; reads the kubeconfig. Raises BadKubeconfig."""
        users = f"{wish.users} user{'s' if wish.users != 1 else ''}"
        service = self.load.service or "the published service"
        sentence = f"Sends the load of {users} to {service}, into collections that it makes and removes."
        return self.guard.plan_cluster(VERB, (self.load.service,), self._place(wish), sentences=(sentence,))

    def start(self, plan: Plan, wish: LoadWish) -> LiveLoad:
        """Start it; raises Refused, and DevenvError where Locust cannot be started."""
        ticket = self.guard.begin(plan, directory=str(self.root))
        try:
            live = start(wish, self.root / self.load.tests, self.root, self._environ)
        except DevenvError as error:
            self.guard.finish(ticket, error)
            raise
        self._tickets[live.folder] = ticket
        return live

    def ended(self, live: LiveLoad, code: int | None) -> None:
        """Record how a load test ended that was started here."""
        ticket = self._tickets.pop(live.folder, None)
        if ticket is not None:
            self.guard.finish(ticket, None if code == 0 else DevenvError(f"Locust ended with exit code {code}"))

    def known(self) -> list[KnownRun]:
        """Return the newest load tests of this project; reads files."""
        from devenv.load.live.runs import known_runs

        return known_runs(self.root)

    def _place(self, wish: LoadWish) -> Place:
        if wish.target != "kubernetes":
            return Place("", "", "")
        from msgspec.structs import replace

        from devenv.backends.kube.client import KubeClient
        from devenv.backends.kube.kubeconfig import find_target
        from devenv.control.kube.change import place_now

        settings = self._kubernetes
        if wish.context:
            settings = replace(settings, context=wish.context, namespace=wish.namespace)
        client = KubeClient(find_target(settings, self._environ), self._environ)
        try:
            return place_now(client)
        finally:
            client.close()


MakeRunner = Callable[[], LoadRunner]


def find_running(make: MakeRunner) -> KnownRun | None:
    """Return the load test of the project that goes on, whoever started it; reads files."""
    if not find(runs_folder(), "*/load"):
        return None  # the usual case costs nothing more
    from devenv.load.live.runs import running

    try:
        return running(make().root)
    except DevenvError:
        return None  # whoever opens the screen is told why
