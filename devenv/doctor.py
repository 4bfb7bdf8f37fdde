"""What is wrong with this machine or project, and how to mend it: checks that run at once, each with its fix."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Generic, TypeVar

from devenv.backends.docker.endpoint import config_problem
from devenv.backends.docker.parse import started_elsewhere
from devenv.backends.docker.snapshot import EngineFacts, read_containers, read_engine
from devenv.backends.listeners import find_listener
from devenv.backends.programs import CommandFailed, finish
from devenv.core.errors import DevenvError, EngineUnreachable, ProjectError, ToolMissing
from devenv.core.model import Project, Resource
from devenv.core.text import human_bytes, sanitize


class Level(StrEnum):
    """How bad it is; only FAILED makes `devenv doctor` exit with 1."""

    OK = "ok"
    WARNING = "warning"  # works now, will annoy later
    FAILED = "failed"
    UNKNOWN = "unknown"  # could not be checked; the message says why


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result: `check` is its stable id, `fix` what to do (a command where there is one)."""

    check: str
    level: Level
    message: str
    fix: str = ""


class Context:
    """The user's environment, project and engine. What several checks need is read once, by whichever comes first."""

    def __init__(
        self,
        resolve_project: Callable[[], Project],
        environ: Mapping[str, str] | None = None,
        engine: Callable[[Mapping[str, str]], EngineFacts] = read_engine,
        containers: Callable[[str, Mapping[str, str]], tuple[Resource, ...]] = read_containers,
    ) -> None:
        self.environ: Mapping[str, str] = dict(os.environ) if environ is None else environ
        self._project = _Once(resolve_project)
        self._engine = _Once(lambda: engine(self.environ))
        self._containers = _Once(lambda: containers(self.project().name, self.environ))

    def project(self) -> Project:
        """The Compose project here; raises DevenvError as resolving it does."""
        return self._project.get()

    def engine(self) -> EngineFacts:
        """What the engine says of itself; raises EngineUnreachable."""
        return self._engine.get()

    def containers(self) -> tuple[Resource, ...]:
        """The project's containers; raises DevenvError as both others."""
        self.engine()  # the failure that all have in common
        return self._containers.get()


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


# 24: task T001. 2.30: see COMPOSE_NEEDED. 0.12 is the first buildx with `--progress rawjson`, which Compose builds on.
DOCKER_NEEDED = (24, 0)
COMPOSE_NEEDED = (2, 30)
BUILDX_NEEDED = (0, 12)
ANSWER_WITHIN = 20.0  # seconds; a CLI on a cold, busy disk needs a few
_PLUGIN = ("docker", "--context", "default")  # a context that is broken is what the engine's check tells
_NUMBER = re.compile(r"(\d+)\.(\d+)(?:\.\d+)?")


def check_docker_cli(context: Context) -> Finding:
    """The docker CLI, which finds the engine and carries Compose."""
    return _version(
        context, "docker-cli", ["docker", "--version"], DOCKER_NEEDED, "https://docs.docker.com/engine/install/"
    )


def check_compose(context: Context) -> Finding:
    """The Compose plugin, which reads and starts projects."""
    return _version(
        context, "compose", [*_PLUGIN, "compose", "version"], COMPOSE_NEEDED, "https://docs.docker.com/compose/install/"
    )


def check_buildx(context: Context) -> Finding:
    """The buildx plugin, with which Compose builds images."""
    return _version(
        context, "buildx", [*_PLUGIN, "buildx", "version"], BUILDX_NEEDED, "https://github.com/docker/buildx#installing"
    )


def _version(context: Context, check: str, command: Sequence[str], needed: tuple[int, int], guide: str) -> Finding:
    name = " ".join(word for word in command[:-1] if word not in _PLUGIN[1:])
    install = f"Install it: {guide}"
    try:
        done = finish(command, dict(context.environ), timeout=ANSWER_WITHIN, what=name)
    except DevenvError as error:
        return Finding(check, Level.FAILED, error.message, install)
    said = sanitize(done.stdout.strip().split(b"\n")[0])
    number = _NUMBER.search(said)
    if done.returncode != 0 or number is None:
        complaint = sanitize(done.stderr.strip() or done.stdout.strip())[:300]
        return Finding(check, Level.FAILED, f"{name} does not work: {complaint}", install)
    if (int(number[1]), int(number[2])) < needed:
        least = ".".join(map(str, needed))
        return Finding(check, Level.FAILED, f"{name} is too old: {number[0]}, {least} is needed", install)
    return Finding(check, Level.OK, said)


ENGINE_NEEDED = 24  # major version; task T001. docsearch itself needs 25, which its setup checks


def check_engine(context: Context) -> Finding:
    """The Docker Engine; raises EngineUnreachable with its hint where none answers."""
    facts = context.engine()
    said = f"Engine {facts.version} at {facts.endpoint} ({facts.system})"
    major = facts.version.split(".")[0]
    if major.isdigit() and int(major) < ENGINE_NEEDED:
        return Finding("engine", Level.WARNING, said, f"devenv is tested with {ENGINE_NEEDED} and newer: upgrade it.")
    return Finding("engine", Level.OK, said)


CLOCK_TOLERATED = 2.0  # seconds: above it, ages, log times and "since" filters visibly lie


def check_clock(context: Context) -> Finding:
    """The difference of the clocks, in seconds: after a laptop slept, a virtual machine's is often behind."""
    skew = context.engine().clock_skew
    if skew is None:
        return Finding("clock", Level.UNKNOWN, "The engine does not tell its time")
    if abs(skew) > CLOCK_TOLERATED:
        ahead = "ahead of" if skew > 0 else "behind"
        return Finding(
            "clock",
            Level.WARNING,
            f"The engine's clock is {abs(skew):.0f} s {ahead} this machine's",
            "Restart the engine's virtual machine, or synchronize its clock.",
        )
    return Finding("clock", Level.OK, f"The engine's clock agrees within {CLOCK_TOLERATED:.0f} s")


MEMORY_NEEDED = 2 * 1024**3  # bytes: docsearch with headroom; task T001's 8 GB is for a Kubernetes node beside it


def check_memory(context: Context) -> Finding:
    """Memory and processors that the engine may use."""
    facts = context.engine()
    said = f"{human_bytes(facts.memory)} of memory, {facts.cpus} processors"
    if facts.memory < MEMORY_NEEDED:
        return Finding(
            "memory",
            Level.WARNING,
            f"The engine has only {said}",
            f"Give its virtual machine {human_bytes(MEMORY_NEEDED)} or more.",
        )
    return Finding("memory", Level.OK, said)


DISK_LOW = 2 * 1024**3  # bytes: below it one build can fill the disk
DISK_FULL = 256 * 1024**2  # bytes: below it writes and starts fail already


def check_disk(context: Context) -> Finding:
    """Free space where the engine keeps its data, while that is on this machine."""
    facts = context.engine()
    if not facts.local or not Path(facts.root).is_dir():
        return Finding("disk", Level.UNKNOWN, "The engine's disk is not on this machine", "Look with: docker system df")
    free = shutil.disk_usage(facts.root).free
    said = f"{human_bytes(free)} free in {facts.root}"
    fix = "See what takes the room: docker system df"
    if free < DISK_FULL:
        return Finding("disk", Level.FAILED, said, fix)
    return Finding("disk", Level.WARNING, said, fix) if free < DISK_LOW else Finding("disk", Level.OK, said)


def check_project(context: Context) -> Finding:
    """The project; raises ProjectError with the file and the line where Compose rejects it."""
    project = context.project()
    if project.problem:
        fix = "Compose shows and stops what there is; `up` needs it."
        return Finding("project", Level.WARNING, f"{project.name}: {project.problem}", fix)
    if not project.services:
        return Finding(
            "project",
            Level.WARNING,
            f"Project {project.name} has no service",
            "Services with a profile need --profile or COMPOSE_PROFILES.",
        )
    return Finding("project", Level.OK, f"{project.name}: {len(project.services)} services, {', '.join(project.files)}")


def check_ports(context: Context) -> Finding:
    """Every fixed published port; one that a container of this project publishes already is fine."""
    project = context.project()
    facts = context.engine()
    published = [(service.name, port) for service in project.services for port in service.ports if port.host]
    if not facts.local:
        return Finding("ports", Level.UNKNOWN, "The engine is not on this machine: its ports cannot be looked at")
    taken = []
    for service, port in published:
        assert port.host is not None
        owner = facts.published.get((port.host, port.protocol))
        if owner == project.name:
            continue
        if owner is not None:
            taken.append(f"{port.host}/{port.protocol} of {service}: Compose project or container {owner}")
            continue
        listener = find_listener(port.host, port.protocol, port.host_ip)
        if listener is not None:
            taken.append(f"{port.host}/{port.protocol} of {service}: {listener}")
    if taken:
        return Finding(
            "ports",
            Level.FAILED,
            f"In use: {'; '.join(taken)}",
            "Stop what holds the port, or publish another one in the Compose file or .env.",
        )
    return Finding("ports", Level.OK, f"{len(published)} published ports are free or this project's own")


_KUBECONFIG = "kubeconfig"


def check_docker_config(context: Context) -> Finding:
    """Tell what is wrong with the docker CLI's config.json; a warning, since docker goes on without it."""
    if problem := config_problem(context.environ):
        hint = "Correct it, or point DOCKER_CONFIG elsewhere: until then docker's defaults hold."
        return Finding("docker-config", Level.WARNING, problem, hint)
    return Finding("docker-config", Level.OK, "the docker CLI's config.json can be read, or is not there")


def check_kubeconfig(context: Context) -> Finding:
    """Tell what is wrong with the kubeconfig; a warning at most, since Compose needs no cluster."""
    from devenv.backends.kube.errors import BadKubeconfig
    from devenv.backends.kube.kubeconfig import contexts  # deferred: it reads YAML

    try:
        known = contexts(context.environ)
    except BadKubeconfig as error:
        return Finding(_KUBECONFIG, Level.WARNING, error.message, error.hint)
    if not known.all:
        return Finding(_KUBECONFIG, Level.OK, "no cluster is configured")
    broken = [f"{info.name}: {info.problem}" for info in known.all if info.problem]
    if broken:
        more = f" (and {len(broken) - 1} more: devenv kube contexts)" if len(broken) > 1 else ""
        return Finding(
            _KUBECONFIG, Level.WARNING, f"a context cannot be used: {broken[0]}{more}", "Correct the kubeconfig."
        )
    if known.current and known.find(known.current) is None:
        what = f"the current context does not exist: {known.current}"
        return Finding(_KUBECONFIG, Level.WARNING, what, "Choose one: kubectl config use-context NAME")
    many = f"{len(known.all)} contexts" if len(known.all) > 1 else "1 context"
    return Finding(_KUBECONFIG, Level.OK, f"{many}, {known.current or 'none'} is current")


def check_origin(context: Context) -> Finding:
    """The labels of the project's containers: two clones of a project have one name, and change the same containers."""
    project = context.project()
    other = started_elsewhere(project, context.containers())
    if other:
        fix = "Work there, or give this one a name of its own: -p NAME or COMPOSE_PROJECT_NAME."
        return Finding("origin", Level.WARNING, f"{other[0].upper()}{other[1:]}", fix)
    state = "were started from here" if context.containers() else "do not exist yet"
    return Finding("origin", Level.OK, f"The containers of {project.name} {state}")


Check = Callable[[Context], Finding]
CHECKS: tuple[tuple[str, Check], ...] = (
    ("docker-cli", check_docker_cli),
    ("compose", check_compose),
    ("buildx", check_buildx),
    ("engine", check_engine),
    ("clock", check_clock),
    ("memory", check_memory),
    ("disk", check_disk),
    ("project", check_project),
    ("ports", check_ports),
    ("docker-config", check_docker_config),
    ("kubeconfig", check_kubeconfig),
    ("origin", check_origin),
)
_PLUGINS = {"compose": ("docker-cli",), "buildx": ("docker-cli",)}  # what does not work where docker does not
# Which check an error belongs to, whichever meets it: the first of them that failed tells it.
_OWNERS: tuple[tuple[type[DevenvError], tuple[str, ...]], ...] = (
    (ToolMissing, ("docker-cli", "compose")),
    (CommandFailed, ("docker-cli",)),
    (EngineUnreachable, ("engine",)),
    (ProjectError, ("project",)),
)


def run_checks(context: Context, checks: Sequence[tuple[str, Check]] = CHECKS) -> tuple[Finding, ...]:
    """Run the checks at once and return their findings in the order of the list.

    What a check could not look at since it met the failure of another one is reported by that one alone.
    """
    errors: dict[str, DevenvError] = {}

    def run(entry: tuple[str, Check]) -> Finding:
        name, check = entry
        try:
            return check(context)
        except DevenvError as error:
            errors[name] = error
            return Finding(name, Level.FAILED, error.message, error.hint)
        except Exception as error:  # noqa: BLE001  # a broken check must not hide the others
            return Finding(name, Level.FAILED, f"the check itself broke: {error!r}", "Please report this.")

    with ThreadPoolExecutor(max_workers=len(checks), thread_name_prefix="doctor") as pool:
        findings = list(pool.map(run, checks))
    failed = {finding.check: finding.message for finding in findings if finding.level is Level.FAILED}

    def cause(finding: Finding) -> str:
        owners = (names for kind, names in _OWNERS if isinstance(errors.get(finding.check), kind))
        same = (name for name, message in failed.items() if message == finding.message)
        return next(
            (name for name in (*_PLUGINS.get(finding.check, ()), *next(owners, ()), *same) if name in failed),
            finding.check,
        )

    return tuple(
        finding
        if finding.check not in failed or cause(finding) == finding.check
        else Finding(finding.check, Level.UNKNOWN, f"not checked: see {cause(finding)}")
        for finding in findings
    )
