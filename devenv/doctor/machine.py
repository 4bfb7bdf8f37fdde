"""Checks of this machine, its Docker Engine and the Compose project."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from devenv.backends.docker.endpoint import config_problem
from devenv.backends.docker.parse import started_elsewhere
from devenv.backends.listeners import find_listener
from devenv.backends.programs import finish
from devenv.core.errors import DevenvError, ProjectError
from devenv.core.model import Port
from devenv.core.settings import FILE_NAME, Config
from devenv.core.text import human_bytes, sanitize
from devenv.core.toml import place_of
from devenv.doctor.check import Context, Finding, Level, NotApplicable

PYTHON_NEEDED = (3, 11)  # pyproject.toml's requires-python


def check_python(_: Context) -> Finding:
    """The Python that runs devenv, and the packages that devenv is made of."""
    said = f"Python {sys.version.split()[0]} at {sys.executable}"
    if sys.version_info < PYTHON_NEEDED:
        return Finding("python", Level.FAILED, f"{said} is too old", "Install 3.11 or newer, and devenv with it.")
    try:
        required = metadata.requires("devenv") or []
    except metadata.PackageNotFoundError:
        return Finding("python", Level.WARNING, f"{said}: devenv is not installed in it", "pip install .")
    names = [match[0] for line in required if "extra ==" not in line and (match := re.match(r"[\w.-]+", line))]
    missing = [name for name in names if not _installed(name)]
    if missing:
        fix = "Install devenv anew: pip install --force-reinstall ."
        return Finding("python", Level.FAILED, f"{said} lacks {', '.join(missing)}", fix)
    return Finding("python", Level.OK, f"{said}, with the {len(names)} packages that devenv needs")


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def check_settings(context: Context) -> Finding:
    """devenv.toml as a whole, also the names in it of what is elsewhere.

    Raises UsageError with the file, the line and what may stand there.
    """
    config = context.config()
    root = config.root
    if root is None:
        return Finding("settings", Level.OK, f"there is no {FILE_NAME}: the defaults hold (devenv init writes one)")
    services: set[str] | None = None
    with suppress(DevenvError):  # the project's own check reports it
        services = {service.name for service in context.project().services}
    if wrong := list(_dangling(config, root, services)):
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        key, what = wrong[0]
        return Finding(
            "settings", Level.WARNING, f"{place_of(root / FILE_NAME, key)}: {key}: {what}{more}", "Correct it."
        )
    return Finding("settings", Level.OK, f"{root / FILE_NAME} is right (devenv config shows what holds)")


def _dangling(config: Config, root: Path, services: set[str] | None) -> Iterator[tuple[str, str]]:
    """Yield the keys that name what is not there; with `services` None, those of Compose's services are left out."""
    named = [(f"verify.endpoint[{at}].service", item.service) for at, item in enumerate(config.verify.endpoints)]
    named += [(f"verify.reload[{at}].service", item.service) for at, item in enumerate(config.verify.reloads)]
    named += [("load.service", config.load.service)] if config.load.service else []
    for key, name in named if services is not None else ():
        if name not in (services or ()):
            yield key, f"the Compose project has no active service {name!r}"
    for at, reload in enumerate(config.verify.reloads):
        if not reload.file.is_file():
            yield f"verify.reload[{at}].file", "there is no such file"
    overlays = config.manifests.overlays
    for name, overlay in overlays.items():
        if not overlay.path.is_dir():
            yield f"manifests.overlays.{name}.path", "there is no such folder"
    for key in ("overlay", "rolling"):
        name = getattr(config.verify.kubernetes, key)
        if name and name not in overlays and not (root / name).is_dir():
            yield f"verify.kubernetes.{key}", f"there is no overlay {name!r}"


# 25 is the first that knows start_interval, with which Compose refuses an older engine (docsearch has it). 2.30: see
# COMPOSE_NEEDED. 0.12 is the first buildx with `--progress rawjson`, which Compose builds on.
DOCKER_NEEDED = (25, 0)
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


ENGINE_NEEDED = DOCKER_NEEDED[0]  # major version


def check_engine(context: Context) -> Finding:
    """The Docker Engine; raises EngineUnreachable with its hint where none answers."""
    facts = context.engine()
    said = f"Engine {facts.version} at {facts.endpoint} ({facts.system})"
    major = facts.version.split(".")[0]
    if major.isdigit() and int(major) < ENGINE_NEEDED:
        fix = f"Upgrade it: Compose needs {ENGINE_NEEDED} for start_interval, and devenv is tested with nothing older."
        return Finding("engine", Level.FAILED, f"{said} is too old", fix)
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


MEMORY_NEEDED = 2 * 1024**3  # bytes: less is too little for docsearch itself
MEMORY_RECOMMENDED = 8 * 1000**3  # bytes: task T001, with room for a Kubernetes node; a machine "of 8 GB" tells 7.6 GiB
CPUS_RECOMMENDED = 2  # docsearch's limits; a Kubernetes node beside it wants four


def check_memory(context: Context) -> Finding:
    """Memory that the engine may use."""
    memory = context.engine().memory
    said = f"The engine has {human_bytes(memory)} of memory"
    give = "Docker Desktop: Settings, Resources; Colima: colima start --memory 8; else give its machine more."
    if memory < MEMORY_NEEDED:
        return Finding("memory", Level.FAILED, f"{said}: {human_bytes(MEMORY_NEEDED)} is the least", give)
    if memory < MEMORY_RECOMMENDED:
        return Finding("memory", Level.WARNING, f"{said}: 8 GB are recommended, also for Kubernetes", give)
    return Finding("memory", Level.OK, said)


def check_cpu(context: Context) -> Finding:
    """Processors that the engine may use."""
    cpus = context.engine().cpus
    said = f"The engine has {cpus} processor{'s' if cpus != 1 else ''}"
    if cpus < CPUS_RECOMMENDED:
        give = f"Give its machine {CPUS_RECOMMENDED} or more (Docker Desktop: Settings, Resources)."
        return Finding("cpu", Level.WARNING, said, give)
    return Finding("cpu", Level.OK, said)


DISK_LOW = 2 * 1024**3  # bytes: below it one build can fill the disk
DISK_FULL = 256 * 1024**2  # bytes: below it writes and starts fail already


def check_disk(context: Context) -> Finding:
    """Free space where the engine keeps its data, while that is on this machine."""
    facts = context.engine()
    if not facts.local or not Path(facts.root).is_dir():
        return Finding("disk", Level.UNKNOWN, "The engine's disk is not on this machine", "Look with: docker system df")
    free = shutil.disk_usage(facts.root).free
    said = f"{human_bytes(free)} free in {facts.root}"
    fix = "See what takes the space: docker system df"
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
        listener = find_listener(port.host, port.protocol, port.host_ip) or _bound(port)
        if listener:
            taken.append(f"{port.host}/{port.protocol} of {service}: {listener}")
    if taken:
        return Finding(
            "ports",
            Level.FAILED,
            f"In use: {'; '.join(taken)}",
            "Stop what holds the port, or publish another one in the Compose file or .env.",
        )
    text = f"Each of {len(published)} published ports is free or this project's own" if published else ""
    return Finding("ports", Level.OK, text or "The project publishes no fixed port")


def _bound(port: Port) -> str:
    """Say how to find who has it where there is no /proc to look in; "" where it is free."""
    if Path("/proc/net").is_dir() or port.protocol != "tcp" or port.host is None:
        return ""
    try:
        with socket.create_server((port.host_ip or "0.0.0.0", port.host)):  # as Docker would publish it
            return ""
    except OSError:
        return f"a process (sudo lsof -nP -iTCP:{port.host} -sTCP:LISTEN)"


def check_docker_config(context: Context) -> Finding:
    """Tell what is wrong with the docker CLI's config.json; a warning, since docker goes on without it."""
    if problem := config_problem(context.environ):
        hint = "Correct it, or point DOCKER_CONFIG elsewhere: until then docker's defaults hold."
        return Finding("docker-config", Level.WARNING, problem, hint)
    return Finding("docker-config", Level.OK, "the docker CLI's config.json can be read, or is not there")


def check_origin(context: Context) -> Finding:
    """The labels of the project's containers: two clones of a project have one name, and change the same containers."""
    project = context.project()
    other = started_elsewhere(project, context.containers())
    if other:
        fix = "Work there, or give this one a name of its own: -p NAME or COMPOSE_PROJECT_NAME."
        return Finding("origin", Level.WARNING, f"{other[0].upper()}{other[1:]}", fix)
    state = "were started from here" if context.containers() else "do not exist yet"
    return Finding("origin", Level.OK, f"The containers of {project.name} {state}")


def check_inotify(context: Context) -> Finding:
    """The kernel's limits of watched folders, against what `devenv watch` of this project needs."""
    from devenv.watch.observe import limit_reached

    limits = Path("/proc/sys/fs/inotify")
    if not limits.is_dir():
        raise NotApplicable("only Linux has such limits")
    used_watches, used_instances = inotify_in_use(Path("/proc"))
    watches = int((limits / "max_user_watches").read_text("ascii")) - used_watches
    instances = int((limits / "max_user_instances").read_text("ascii")) - used_instances
    needed = _watched_folders(context.document())
    folders = f"{needed} folder{'' if needed == 1 else 's'} to watch"
    said = f"{folders}; the kernel has {watches} watches and {instances} instances left for this user"
    enough = (2 * needed <= watches, instances >= INSTANCES_SPARE)
    if all(enough):
        return Finding("inotify", Level.OK, said)
    level = Level.FAILED if watches < needed or instances < 1 else Level.WARNING
    return Finding("inotify", level, said, limit_reached(OSError(errno.EMFILE if enough[0] else errno.ENOSPC, "")).hint)


INSTANCES_SPARE = 8  # inotify instances: an editor, a language server and a few watchers take one each


def _watched_folders(document: bytes) -> int:
    from devenv.watch.rules import read_rules

    try:
        services, _ = read_rules(json.loads(document))
    except ProjectError as error:  # also where no service has develop.watch
        raise NotApplicable(error.message) from error
    folders = set()
    for rules in services:
        for rule in rules.rules:
            for folder, below, _files in os.walk(rule.path):
                folders.add(folder)
                below[:] = [name for name in below if not rules.skips(f"{folder}/{name}")]
    return len(folders)


def inotify_in_use(proc: Path) -> tuple[int, int]:
    """Return how many watches and instances this user's processes have (proc(5): pid/fdinfo)."""
    watches = instances = 0
    for process in proc.glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile, or may not be looked into
            if process.stat().st_uid != os.getuid():
                continue
            for link in (process / "fd").iterdir():
                with suppress(OSError):
                    if str(link.readlink()) == "anon_inode:inotify":
                        instances += 1
                        watches += (process / "fdinfo" / link.name).read_text("ascii").count("inotify wd:")
    return watches, instances


EVENT_WITHIN = 3.0  # seconds; an event takes milliseconds, a busy machine some hundred
_PROBE = ".#devenv-doctor"  # a name that every watcher leaves alone (devenv/watch/rules.py, EPHEMERAL)


def check_file_events(context: Context) -> Finding:
    """Whether a file that is saved in the project is heard of, without which hot reload needs polling."""
    from devenv.watch.observe import Observer, Root

    folder, heard = Path(context.project().directory), threading.Event()
    observer = Observer([Root(str(folder), deep=False)], lambda event: heard.set())
    if observer.how.startswith("polling"):
        fix = "Move the project to a file system of this machine, or use: devenv watch --poll"
        return Finding("file-events", Level.WARNING, f"Changes are noticed by {observer.how}", fix)
    observer.start()
    try:
        (folder / _PROBE).touch()
        (folder / _PROBE).unlink()
        heard.wait(EVENT_WITHIN)
    except OSError as error:
        raise NotApplicable(f"{folder} cannot be written to: {error.strerror}") from error
    finally:
        observer.stop()
    if not heard.is_set():
        what = f"A file was written in {folder}, and no event came within {EVENT_WITHIN:.0f} s"
        return Finding("file-events", Level.FAILED, what, "Until that is mended: devenv watch --poll")
    return Finding("file-events", Level.OK, f"A file that is saved in {folder} is noticed at once, by {observer.how}")


CLEAN = ("doctor", "--clean")


def check_leftovers(context: Context) -> Finding:
    """What runs of smoke tests left that were killed, or were to keep their stacks."""
    from devenv.verify import leftovers
    from devenv.verify.kube import leftovers as on_clusters

    context.engine()
    in_clusters, problems = on_clusters.of_dead_runs(context.config().kubernetes)
    left = leftovers.in_words([*leftovers.of_dead_runs(context.environ), *in_clusters])
    if left:
        what = f"Left by smoke tests that have ended: {left}"
        return Finding("leftovers", Level.WARNING, what, f"devenv {' '.join(CLEAN)}", CLEAN)
    if problems:
        return Finding("leftovers", Level.UNKNOWN, f"Not looked at: {'; '.join(problems)}")
    return Finding("leftovers", Level.OK, "Nothing is left of smoke tests that have ended")
