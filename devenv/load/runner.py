"""Load tests in the background: started past the guard, as every change is, and all that this machine remembers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from devenv.control.guard import ClusterIdentity, Guard, Ticket
from devenv.control.protocol import Plan
from devenv.core.errors import EXIT_INTERRUPTED, DevenvError
from devenv.core.kube_settings import KubeSettings
from devenv.core.load_settings import LoadSettings
from devenv.core.stored import Count, Unreadable, changed_at, find, make_private, read_json
from devenv.core.text import sanitize
from devenv.load.outcome import OUTCOME, OutcomeFile
from devenv.load.recording import BASE, RunFile
from devenv.runs.identity import BackgroundRun, is_alive, owner_in, owner_of, runs_folder, start_process
from devenv.runs.lines import write_text

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
        raise DevenvError(f"There are no load tests: {tests} is not a folder", "Name it in devenv.toml: [load] tests.")
    folder = runs_folder() / uuid.uuid4().hex[:10] / "load"
    command = [sys.executable, "-m", "locust", "-f", str(tests), "--headless", "--only-summary"]
    places = {"DEVENV_CONTEXT": options.context, "DEVENV_NAMESPACE": options.namespace}
    try:
        make_private(folder.parent)
        folder.mkdir(mode=0o700)
        surroundings = dict(environ) | {name: value for name, value in places.items() if value}
        process = start_process(
            [*command, *options.arguments(), "--record", str(folder)], root, surroundings, folder / OUTPUT
        )
    except OSError as error:
        raise DevenvError(f"the load test cannot be started: {error}") from error
    try:
        owner = str(owner_of(process.pid))
        write_text(
            folder / STARTED, json.dumps({"owner": owner, "folder": str(root), "options": asdict(options)}) + "\n"
        )
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


T = TypeVar("T")
SHOWN: Final = 20  # runs


@dataclass(frozen=True, slots=True)
class KnownRun:
    """One run: what was asked for, and how it ended; `owner` is the process that runs it, "" where nobody knows."""

    folder: Path
    began: float
    owner: str
    goes_on: bool
    kind: str  # of the target
    project: str
    shape: str
    users: int
    verdict: str = ""
    exit_code: int | None = None
    requests: int | None = None
    rps: float | None = None
    p95: float | None = None

    def attach(self) -> LiveLoad:
        """Return the run, to be followed and stopped."""
        return LiveLoad(self.folder, self.owner)


def known_runs(root: Path) -> list[KnownRun]:
    """Return the newest runs of the project in `root` and the folders below it, newest first."""
    folders = sorted(find(runs_folder(), "*/load"), key=changed_at, reverse=True)
    runs: list[KnownRun] = []
    for folder in folders:
        run = _read(folder, root)
        if run is not None:
            runs.append(run)
        if len(runs) == SHOWN:
            break
    return sorted(runs, key=lambda run: run.began, reverse=True)


def running(root: Path) -> KnownRun | None:
    """Return the newest run of the project that goes on."""
    return next((run for run in known_runs(root) if run.goes_on), None)


def find_running(make: MakeRunner) -> KnownRun | None:
    """Return the load test of the project that goes on, whoever started it; reads files."""
    if not find(runs_folder(), "*/load"):
        return None  # the usual case costs nothing more
    try:
        return running(make().root)
    except DevenvError:
        return None  # the screen says why


class _Options(msgspec.Struct):
    target: str = ""
    shape: str = ""
    users: Count = 0


class _Started(msgspec.Struct):
    owner: str = ""
    folder: str = ""
    options: _Options = msgspec.field(default_factory=_Options)


class _Figures(msgspec.Struct):
    requests: int | None = None
    rps: float | None = None
    p95: float | None = None


class _Report(msgspec.Struct):
    figures: dict[str, _Figures] = {}


def _read(folder: Path, root: Path) -> KnownRun | None:
    started, run = _stored(folder / STARTED, _Started), _stored(folder / BASE, RunFile)
    place = Path(started.folder or run.folder)
    if not (started.folder or run.folder) or not place.is_relative_to(root):
        return None
    owner = started.owner or owner_in(folder.parent)
    outcome = _stored(folder / OUTCOME, OutcomeFile)
    figures = _stored(folder / "report.json", _Report).figures.get("total", _Figures())
    return KnownRun(
        folder=folder,
        began=run.began or changed_at(folder),
        owner=owner,
        goes_on=not outcome.verdict and outcome.exit_code is None and is_alive(owner),
        kind=sanitize(run.target.kind or started.options.target),
        project=sanitize(run.target.project),
        shape=sanitize(run.options.shape or started.options.shape),
        users=run.options.num_users or started.options.users,
        verdict="interrupted" if outcome.exit_code == EXIT_INTERRUPTED else outcome.verdict or "",
        exit_code=outcome.exit_code,
        requests=figures.requests,
        rps=figures.rps,
        p95=figures.p95,
    )


def _stored(path: Path, kind: type[T]) -> T:
    """Return what a file of a run says; nothing of it where it is not there or not what it should be."""
    try:
        return read_json(path, kind) or kind()
    except Unreadable:
        return kind()
