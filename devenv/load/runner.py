"""Starts load tests in the background: what was asked for passes the guard, as every change does."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from devenv.control.guard import ClusterIdentity, Guard, Ticket
from devenv.control.protocol import Plan
from devenv.core.errors import DevenvError
from devenv.core.kube_settings import KubeSettings
from devenv.core.load_settings import LoadSettings
from devenv.runs.identity import owner_of, runs_folder
from devenv.runs.lines import write_text
from devenv.runs.process import BackgroundRun, start_process

OUTPUT: Final = "locust.log"  # what Locust prints; a file, so that nobody has to read it for the run to go on
STARTED: Final = "started.json"  # who runs it, for which project and what was asked for: before there is a recording
_SPAWNED_WITHIN: Final = 5  # seconds in which all users are there


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What shall be run. `seconds` None: as long as the shape takes; `more` are further options of Locust."""

    target: str = "compose"
    shape: str = "steady"
    users: int = 20
    seconds: int | None = None
    more: tuple[str, ...] = ()
    context: str = ""  # of a cluster, with the namespace
    namespace: str = ""

    def arguments(self) -> list[str]:
        """Return the command line for `locust`."""
        rate = max(1, -(-self.users // _SPAWNED_WITHIN))
        given = ["--target", self.target, "--shape", self.shape, "--users", str(self.users), "--spawn-rate", str(rate)]
        length = ["--run-time", f"{self.seconds}s"] if self.seconds else []
        return [*given, *length, *self.more]


class LiveLoad(BackgroundRun):
    """One run of Locust in the background; it outlives this process."""

    def __init__(self, folder: Path, owner: str, process: subprocess.Popen[bytes] | None = None) -> None:
        super().__init__(folder / OUTPUT, process, owner)
        self.folder = folder

    def stop(self) -> None:
        """Interrupt it as ctrl-c does: it judges, removes its collections and writes its reports."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once; its collections stay until the next load test on this machine removes them."""
        self._send(signal.SIGKILL)


def start(options: LoadOptions, tests: Path, root: Path, environ: Mapping[str, str]) -> LiveLoad:
    """Start Locust on the load tests in `tests` for the project in `root`; raises DevenvError where it cannot be."""
    if not tests.is_dir():
        raise DevenvError(f"There are no load tests: {tests} is no folder", "Name it in devenv.toml: [load] tests.")
    folder = runs_folder() / uuid.uuid4().hex[:10] / "load"
    command = [sys.executable, "-m", "locust", "-f", str(tests), "--headless", "--only-summary"]
    places = {"DEVENV_CONTEXT": options.context, "DEVENV_NAMESPACE": options.namespace}
    try:
        folder.mkdir(parents=True, mode=0o700)
        surroundings = dict(environ) | {name: value for name, value in places.items() if value}
        process = start_process(
            [*command, *options.arguments(), "--record", str(folder)], root, surroundings, folder / OUTPUT
        )
    except OSError as error:
        raise DevenvError(f"the load test cannot be started: {error}") from error
    try:
        owner = str(owner_of(process.pid))
        write_text(folder / STARTED, json.dumps({"owner": owner, "folder": str(root), "wish": asdict(options)}) + "\n")
    except DevenvError:
        process.kill()  # nobody could find it
        raise
    return LiveLoad(folder, owner, process)


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

    def plan(self, options: LoadOptions) -> Plan:
        """Weigh a load test; reads the kubeconfig. Raises BadKubeconfig."""
        users = f"{options.users} user{'s' if options.users != 1 else ''}"
        service = self.load.service or "the published service"
        sentence = f"Sends the load of {users} to {service}, into collections that it makes and removes."
        return self.guard.plan_cluster(VERB, (self.load.service,), self._place(options), sentences=(sentence,))

    def start(self, plan: Plan, options: LoadOptions) -> LiveLoad:
        """Start it; raises Refused, and DevenvError where Locust cannot be started."""
        ticket = self.guard.begin(plan, directory=str(self.root))
        try:
            live = start(options, self.root / self.load.tests, self.root, self._environ)
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

    def _place(self, options: LoadOptions) -> ClusterIdentity:
        if options.target != "kubernetes":
            return ClusterIdentity("", "", "")
        from msgspec.structs import replace

        from devenv.backends.kube.client import KubeClient
        from devenv.backends.kube.kubeconfig import find_target
        from devenv.control.kube.change import cluster_identity

        settings = self._kubernetes
        if options.context:
            settings = replace(settings, context=options.context, namespace=options.namespace)
        client = KubeClient(find_target(settings, self._environ), self._environ)
        try:
            return cluster_identity(client)
        finally:
            client.close()


MakeRunner = Callable[[], LoadRunner]
