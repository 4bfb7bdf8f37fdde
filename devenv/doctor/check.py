"""A check of the doctor, what it finds, and what several checks read together; they run at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeVar

from devenv.backends.docker.snapshot import EngineFacts, read_containers, read_engine
from devenv.backends.kube.errors import Forbidden, KubeError
from devenv.backends.programs import CommandFailed
from devenv.core.errors import DevenvError, EngineUnreachable, ProjectError, ToolMissing, UsageError
from devenv.core.model import Project, Resource
from devenv.core.settings import Config

if TYPE_CHECKING:
    from devenv.backends.kube.client import KubeClient
    from devenv.manifests.rendering import Rendering


class Level(StrEnum):
    """How a check ended. `devenv doctor` exits with 1 when one failed or crashed."""

    OK = "ok"
    WARNING = "warning"  # works now, will annoy later
    FAILED = "failed"
    CRASHED = "crashed"  # the check itself has a fault
    UNKNOWN = "unknown"  # it could not look; the message says why


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result: `check` is its name, `fix` what to do.

    `command` is a safe fix, which takes nothing away: words that follow `devenv`, for `devenv doctor --fix`.
    """

    check: str
    level: Level
    message: str
    fix: str = ""
    command: tuple[str, ...] = ()


class Context:
    """The user's environment, settings, project, engine and cluster. What several checks need is read once.

    `document` is Compose's JSON of the project, after it was resolved.
    """

    def __init__(
        self,
        resolve_project: Callable[[], Project],
        environ: Mapping[str, str] | None = None,
        engine: Callable[[Mapping[str, str]], EngineFacts] = read_engine,
        containers: Callable[[str, Mapping[str, str]], tuple[Resource, ...]] = read_containers,
        config: Callable[[], Config] = Config,
        document: Callable[[], bytes] = bytes,
    ) -> None:
        self.environ: Mapping[str, str] = dict(os.environ) if environ is None else environ
        self._project = _Once(resolve_project)
        self._engine = _Once(lambda: engine(self.environ))
        self._containers = _Once(lambda: containers(self.project().name, self.environ))
        self._config = _Once(config)
        self._cluster = _Once(self._connect)
        self._rendering = _Once(self._render)
        self._document = document

    def project(self) -> Project:
        """The Compose project here; raises DevenvError as resolving it does."""
        return self._project.get()

    def document(self) -> bytes:
        """Compose's JSON of the project; raises DevenvError as resolving it does."""
        self.project()
        return self._document()

    def config(self) -> Config:
        """The settings that hold here; raises UsageError."""
        return self._config.get()

    def engine(self) -> EngineFacts:
        """What the engine says of itself; raises EngineUnreachable."""
        return self._engine.get()

    def containers(self) -> tuple[Resource, ...]:
        """The project's containers; raises DevenvError as both others."""
        self.engine()  # the failure that all have in common
        return self._containers.get()

    def cluster(self) -> KubeClient:
        """A connection to the cluster that the settings mean, and that has answered.

        Raises NotApplicable where the kubeconfig has none, and KubeError.
        """
        return self._cluster.get()

    def rendering(self) -> Rendering:
        """What Kustomize makes of the overlay that a cluster of this project's gets first.

        That is `[verify.kubernetes] overlay`, else the one called dev, else the first of `[manifests.overlays]`.
        Raises NotApplicable where devenv.toml has none, UsageError, ToolMissing.
        """
        return self._rendering.get()

    def _render(self) -> Rendering:
        from devenv.manifests.check import Outside, load
        from devenv.manifests.targets import choose_targets

        config = self.config()
        overlays = config.manifests.overlays
        if not overlays or config.root is None:
            raise NotApplicable("devenv.toml has no [manifests.overlays]")
        chosen = config.verify.kubernetes.overlay
        name = chosen if chosen in overlays else "dev" if "dev" in overlays else next(iter(overlays))
        targets = choose_targets((), (name,), config.manifests, config.root)
        loaded = load(targets[0], (), Outside(config.root, config.manifests, environ=self.environ))
        if loaded.rendered.problems:
            problem = loaded.rendered.problems[0].message
            raise UsageError(f"overlay {name} cannot be rendered: {problem}", "Look: devenv manifests check")
        return loaded.rendering

    def _connect(self) -> KubeClient:
        from devenv.backends.kube.client import KubeClient
        from devenv.backends.kube.kubeconfig import contexts, find_target

        settings = self.config().kubernetes
        known = contexts(self.environ)
        if not known.all or not (settings.context or known.current):
            raise NotApplicable("no cluster is configured; Compose needs none")
        client = KubeClient(find_target(settings, self.environ), self.environ)
        client.get("/version")
        return client


class NotApplicable(DevenvError):
    """What is to be looked at is not part of this machine or project; says what."""


T = TypeVar("T")


class _Once(Generic[T]):
    """A value that is made by the first who asks; a failure is remembered too."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[T] = []
        self._failed: Exception | None = None

    def get(self) -> T:
        with self._lock:
            if self._failed is not None:
                raise self._failed
            if not self._made:
                try:
                    self._made.append(self._make())
                except Exception as error:
                    self._failed = error
                    raise
            return self._made[0]


@dataclass(frozen=True, slots=True)
class Check:
    """One entry of the table. `about` says in a line what it looks at.

    `after` names the check that tells the cause where both fail.
    """

    name: str
    about: str
    look: Callable[[Context], Finding]
    after: str = ""


# Which check an error belongs to, whichever meets it: the first of them that failed tells it.
_OWNERS: tuple[tuple[type[DevenvError], tuple[str, ...]], ...] = (
    (ToolMissing, ("docker-cli", "compose")),
    (CommandFailed, ("docker-cli",)),
    (EngineUnreachable, ("engine",)),
    (ProjectError, ("project",)),
    (UsageError, ("settings",)),
    (KubeError, ("cluster",)),
)


def run_checks(context: Context, checks: Sequence[Check]) -> tuple[Finding, ...]:
    """Run the checks at once and return their findings in the order of the table.

    What a check could not look at since it met the failure of another one is reported by that one alone.
    """
    errors: dict[str, DevenvError] = {}

    def run(check: Check) -> Finding:
        try:
            return check.look(context)
        except (NotApplicable, Forbidden) as error:
            return Finding(check.name, Level.UNKNOWN, f"not checked: {error.message}")
        except DevenvError as error:
            errors[check.name] = error
            return Finding(check.name, Level.FAILED, error.message, error.hint)
        except Exception as error:  # noqa: BLE001  # a broken check must not hide the others
            return Finding(check.name, Level.CRASHED, f"the check itself broke: {error!r}", "Please report this.")

    with ThreadPoolExecutor(max_workers=max(1, len(checks)), thread_name_prefix="doctor") as pool:
        findings = list(pool.map(run, checks))
    failed = {finding.check: finding.message for finding in findings if finding.level is Level.FAILED}
    # A cluster that is away is a warning, since Compose needs none; what is asked of it is reported all the same.
    telling = {finding.check for finding in findings if finding.level in (Level.FAILED, Level.WARNING)}
    after = {check.name: check.after for check in checks if check.after}

    def cause(finding: Finding) -> str:
        owners = next((names for kind, names in _OWNERS if isinstance(errors.get(finding.check), kind)), ())
        same = (name for name, message in failed.items() if message == finding.message)
        named = (after.get(finding.check, ""), *owners)
        return next((name for name in named if name in telling), next(same, finding.check))

    return tuple(
        finding
        if finding.check not in failed or cause(finding) == finding.check
        else Finding(finding.check, Level.UNKNOWN, f"not checked: see {cause(finding)}")
        for finding in findings
    )
