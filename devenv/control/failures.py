"""Why `docker compose up`, `build` and the like failed, as errors that name the service and say what to do.

Compose and the engine say it in words alone, so words are what is recognized: those of Compose 5.6 and Engine 28.5
(measured) with the older forms that are still in use. What registries and BuildKit say is read in `image_failures`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from devenv.backends.compose.failures import environment_failure, project_failure
from devenv.backends.docker.parse import LABEL_ONE_OFF, LABEL_PROJECT, LABEL_SERVICE
from devenv.backends.programs import finish
from devenv.control.image_failures import build_failed, is_build_failure, pull_failed, short
from devenv.control.stream import Step
from devenv.core.errors import DevenvError, PortTaken, ProjectError, ServiceFailed, ToolMissing, UsageError
from devenv.core.model import Project
from devenv.core.text import sanitize

ANSWER_WITHIN = 20.0  # seconds; an error is reported without what could not be asked


class EngineQuestions:
    """Asks with the docker program, so that the same engine answers that Compose spoke to. What fails is unknown."""

    def __init__(self, directory: str, environ: Mapping[str, str] | None = None) -> None:
        self._directory = directory
        self._environ = environ

    def publishers(self, port: int, protocol: str) -> tuple[str, ...]:
        """Return the containers that publish a port."""
        return tuple(self._lines("ps", "--filter", f"publish={port}/{protocol}", "--format", "{{.Names}}"))

    def holder(self, name: str) -> tuple[str, str, bool] | None:
        """Return project and service of the container of this name, both "" for one that is not Compose's.

        The last is whether it was made by `docker compose run`. None: there is none, or it is not known.
        """
        try:
            labels: dict[str, Any] = json.loads("".join(self._inspect("{{json .Config.Labels}}", name))) or {}
        except ValueError:
            return None
        project, service = (sanitize(str(labels.get(key, ""))) for key in (LABEL_PROJECT, LABEL_SERVICE))
        return project, service, str(labels.get(LABEL_ONE_OFF)).lower() == "true"

    def start_errors(self, names: Sequence[str]) -> dict[str, str]:
        """Return why these containers did not start, by name, where the engine noted a reason."""
        errors = {}
        for line in self._inspect("{{json .Name}} {{json .State.Error}}", *names):
            name, _, error = line.partition(" ")
            if error not in ("", '""'):
                errors[sanitize(json.loads(name)).removeprefix("/")] = sanitize(json.loads(error))
        return errors

    def _inspect(self, form: str, *names: str) -> list[str]:
        return self._lines("container", "inspect", "--format", form, "--", *names) if names else []

    def _lines(self, *arguments: str) -> list[str]:
        try:
            done = finish(["docker", *arguments], self._environ, timeout=ANSWER_WITHIN, folder=self._directory)
        except DevenvError:
            return []
        return [line for line in sanitize(done.stdout, newlines=True).splitlines() if line]


PublishersOf = Callable[[int, str], tuple[str, ...]]
HolderOf = Callable[[str], "tuple[str, str, bool] | None"]


class Around(Struct, frozen=True):
    """What is known around a failure: whose it is, and whom to ask."""

    project: Project | None = None
    service: str = ""
    publishers: PublishersOf = lambda port, protocol: ()
    holder: HolderOf = lambda name: None
    is_local: bool = True

    @property
    def who(self) -> str:
        """The service in a sentence that begins with it."""
        return f"Service {self.service}" if self.service else "A container"


# Missing, too old, or there and no program: "failed to fetch metadata: fork/exec /usr/.../docker-buildx: ..."
_NO_BUILDX = re.compile(
    r"requires buildx|'buildx' is not a docker command|unknown command: docker buildx|failed to fetch .*docker-buildx"
    r"|buildx Docker CLI plugin not found"
)
_PORT = re.compile(
    r"port is already allocated|ports are not available|(?:bind|listen|exposing).*address already in use", re.I
)
_ADDRESS = re.compile(r"(?:for|on|tcp[46]?|TCP|udp[46]?|UDP) (\[[0-9A-Fa-f:.%]*\]|[0-9.]*):(\d+)")
_BOUND = re.compile(r"Bind for (?P<ip>\S*):(?P<port>\d+) failed")
_ENDPOINT = re.compile(r"endpoint (\S+) \(")
_CONFLICT = re.compile(r'container name "/?([^"]+)" is already in use')

# What of a service the engine does not accept: its key in the Compose file, and what to do beside correcting it.
_SETTINGS: tuple[tuple[str, str, str], ...] = (
    (r"range of CPUs is", "cpus", ""),
    (r"memory limit allowed|memory reservation|memoryswap", "mem_limit", ""),
    (
        r"could not select device driver",
        "deploy.resources (or gpus)",
        "for a GPU the engine needs its container toolkit",
    ),
    (r"runtime name", "runtime", ""),
    (r"unable to find (?:user|group)", "user", ""),
    (r"gathering device information|not a device node", "devices", ""),
    (r"unknown capability|invalid Cap(?:Add|Drop)", "cap_add (or cap_drop)", ""),
    (r"logging plugin|log driver|log opt", "logging", ""),
    (r"Cannot mkdir: ", "working_dir", ""),
    (r"seccomp|apparmor|security.opt", "security_opt", ""),
    (r"sysctl", "sysctls", ""),
    (r"ulimit|rlimit", "ulimits", ""),
    (r"hostname", "hostname", ""),
    (r"No such container: ", "network_mode, pid, ipc or volumes_from", "it names a container that is not there"),
)
_MOUNT = re.compile(
    r"invalid mount|bind source path does not exist|invalid volume spec|error mounting|trying to mount"
    r"|mount local volume|error while mounting|volume plugin|error while creating mount source|Duplicate mount point"
    r"|mounts denied|not shared from the host",
    re.IGNORECASE,
)
_MOUNTED = re.compile(
    r'error mounting "(?P<source>[^"]+)" to rootfs at "(?P<target>[^"]+)".*not a directory', re.DOTALL
)
_NO_SOURCE = re.compile(r"bind source path does not exist: (\S+)")
_REFUSED_VOLUME = re.compile(r"create (\S+): (error .*volume plugin.*)")
_NETWORK_NAME = re.compile(r"failed to create network (\S+?): ")
_REFUSED_NETWORK: tuple[tuple[str, str], ...] = (
    (r"pool overlaps", "Another network has these addresses (docker network ls): choose another subnet for it."),
    (r"(?:address pools|predefined).*subnetted", "Remove networks that nothing uses: docker network ls."),
    (r"plugin \S+ not found", "Correct `driver` of the network, or install its plugin."),
    (r"network \S+ not found", "Create it, or correct the service's networks or network_mode."),
)
_START = re.compile(r"oci runtime|failed to create task|failed to create shim|executable file not found", re.IGNORECASE)
_START_HINTS: tuple[tuple[str, str], ...] = (
    (r"exec format error", "It is for another processor, or a script without its #! line."),
    (r"permission denied", "Make the program executable in the image (chmod +x), or run it through a shell."),
)


def refused(message: str, around: Around) -> DevenvError | None:
    """Recognize what the engine refused; None: it is something else."""
    tries: tuple[Callable[[str, Around], DevenvError | None], ...]
    tries = (_name_taken, _disk, _port_taken, _address, _mount, _network, _setting, _start)
    return next((error for attempt in tries if (error := attempt(message, around)) is not None), None)


def _name_taken(message: str, around: Around) -> DevenvError | None:
    match = _CONFLICT.search(message)
    if match is None:
        return None
    name = sanitize(match[1])
    held = around.holder(name)
    other = "give the service another container_name"
    if held is None:
        by, hint = "another container", f"Remove it (docker rm -f {name}), or {other}."
    elif not held[0]:
        by, hint = "a container made by hand", f"Remove it (docker rm -f {name}), or {other}."
    else:
        project, service, one_off = held
        by = f"a one-off run of service {service}" if one_off else f"service {service}"
        own = around.project is not None and around.project.name == project
        by = f"{by} of {'this' if own else 'the'} project{'' if own else f' {project}'}"
        hint = f"Take that project down (docker compose -p {project} down), or {other}."
        if own:
            hint = f"Remove it (docker rm -f {name}; what the files no longer declare: devenv up --remove-orphans)."
    return DevenvError(f"{around.who} needs the container name {name}, which is held by {by}", hint)


def _port_taken(message: str, around: Around) -> DevenvError | None:
    if not _PORT.search(message) and not ("address already in use" in message.lower() and _ADDRESS.search(message)):
        return None
    address = _BOUND.search(message) or _ADDRESS.search(message)
    if address is None:
        return PortTaken(f"{around.who}: {short(message)}", "Free the port, or publish another one.")
    host_ip, port = address[1].strip("[]"), int(address[2])
    protocol = "udp" if "/udp" in message or "udp" in address[0].lower() else "tcp"
    service = around.service or _service_of_port(message, around.project, port)
    holders = around.publishers(port, protocol)
    if holders:
        by = f"container {', '.join(holders)}"
        hint = f"Stop it (docker stop {holders[0]}), or publish another port."
    else:
        from devenv.backends.listeners import find_listener  # deferred: a failure needs it, a start does not

        listener = find_listener(port, protocol, host_ip) if around.is_local else None
        by = str(listener) if listener else "a process that could not be found from here"
        hint = "End it, or publish another port."
    what = f"Port {port}/{protocol}" + (f" on {host_ip}" if host_ip else "")
    return PortTaken(f"{what}{f', which service {service} publishes,' if service else ''} is in use by {by}", hint)


def _service_of_port(message: str, project: Project | None, port: int) -> str:
    if project is None:
        return ""
    endpoint = _ENDPOINT.search(message)
    if endpoint and (owner := service_of_container(endpoint[1], project)):
        return owner
    return next((service.name for service in project.services if any(p.host == port for p in service.ports)), "")


def service_of_container(name: str, project: Project) -> str:
    """Return the service whose container has this name, by the name that Compose makes of it; "" where none has."""
    for service in project.services:
        made = rf"{re.escape(project.name)}[-_]{re.escape(service.name)}[-_]\d+"
        if (name and name == service.container_name) or re.fullmatch(made, name):
            return service.name
    return ""


def _address(message: str, around: Around) -> DevenvError | None:
    if "cannot assign requested address" in message:
        address = _ADDRESS.search(message)
        what = f"the address {address[1].strip('[]')}" if address else "an address"
        hint = "Publish the port on an address of the engine's machine, or on all: without one."
        return DevenvError(
            f"{_owner(message, around)} publishes a port on {what}, which the engine does not have", hint
        )
    if "address already in use" in message.lower():  # without a port: it is the container's own
        hint = "Choose another ipv4_address (ipv6_address) for it, or none."
        return DevenvError(f"{around.who} has an IP address that another container in its network has", hint)
    return None


def _owner(message: str, around: Around) -> str:
    endpoint = _ENDPOINT.search(message)
    service = service_of_container(endpoint[1], around.project) if endpoint and around.project else ""
    return f"Service {service}" if service else around.who


def _mount(message: str, around: Around) -> DevenvError | None:
    if not _MOUNT.search(message):
        return None
    if match := _MOUNTED.search(message):
        source, target = sanitize(match["source"]), sanitize(match["target"])
        return DevenvError(
            f"{around.who} could not be started: of {source} on the engine's machine and {target} in the image one is "
            "a file, the other a folder",
            f"Look at {source}: where a file is missing, Docker makes a folder of its name. Or correct the target.",
        )
    if match := _NO_SOURCE.search(message):
        text = f"{around.who} could not be created: {sanitize(match[1])}, which it mounts, does not exist"
        return DevenvError(text, "Make it, or correct the service's volumes, secrets or configs, then: devenv up")
    if match := _REFUSED_VOLUME.search(message):
        said = f"The volume {sanitize(match[1])} could not be created: {short(match[2])}"
        return DevenvError(said, "Correct `driver` or `driver_opts` of the volume, or install its plugin.")
    hint = "Correct the service's volumes, then: devenv up"
    if re.search(r"mounts denied|not shared from the host", message, re.IGNORECASE):
        hint = "Share the folder with the engine's virtual machine: Docker Desktop, Settings, Resources, File sharing."
    return DevenvError(f"{around.who} could not be {_done(message)}: {short(message)}", hint)


def _done(message: str) -> str:
    return "started" if _START.search(message) or "error while mounting volume" in message else "created"


def _disk(message: str, around: Around) -> DevenvError | None:
    if "no space left on device" not in message:
        return None
    sentence = f"{around.who} could not be {_done(message)}, since the engine's disk is full: {short(message)}"
    return DevenvError(sentence, "See what takes the space: docker system df")


def _network(message: str, around: Around) -> DevenvError | None:
    for pattern, hint in _REFUSED_NETWORK:
        named = _NETWORK_NAME.search(message)
        if re.search(pattern, message, re.IGNORECASE) and (named or "network" in message or "pool" in message.lower()):
            said = short(message.rpartition("Error response from daemon: ")[2])
            who = f"The network {sanitize(named[1])} could not be created" if named else f"{around.who} has no network"
            return DevenvError(f"{who}: {said}", hint)
    return None


def _setting(message: str, around: Around) -> DevenvError | None:
    for pattern, key, more in _SETTINGS:
        if re.search(pattern, message, re.IGNORECASE):
            hint = f"Correct {key} of the service in the Compose file{f': {more}' if more else ''}."
            return DevenvError(f"{around.who} could not be {_done(message)}: {short(message)}", hint)
    return None


def _start(message: str, around: Around) -> DevenvError | None:
    if not _START.search(message):
        return None
    hints = (hint for pattern, hint in _START_HINTS if re.search(pattern, message, re.IGNORECASE))
    text = f"{around.who} could not be started: {short(message)}"
    return ServiceFailed(text, next(hints, "Check its command and image."))


_NETWORK = re.compile(r"network (\S+) declared as external, but could not be found")
_VOLUME = re.compile(r'external volume "([^"]+)" not found')
_NO_SERVICE = re.compile(r"no such service: (\S+)")
_NO_CONTAINER = re.compile(
    r'(service|project) "([^"]+)" has no container to start|no container found for (project) "([^"]+)"'
)
_DEPENDENCY = re.compile(
    r"dependency failed to start: container (\S+) (.*)|service \"(\S+)\" didn't complete successfully: (.*)"
)
# Compose puts several errors under each other. A line that begins otherwise belongs to the one above.
_BEGINS = re.compile(
    r"Error response from daemon: |error while |failed to |unable to |dependency failed |no such |network |container "
    r"|service "
)


class FailedStep(Struct, frozen=True):
    """A step that Compose called an error: what it said of it, and whose it is as far as its id tells."""

    text: str
    service: str = ""
    image: str = ""


def unknown_service(name: str, known: tuple[str, ...]) -> UsageError:
    """Say which services there are, the nearest first."""
    import difflib  # deferred: it is for who mistypes

    near = difflib.get_close_matches(name, known, 3)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"The project has: {', '.join(known) or 'no services'}."
    return UsageError(f"The project has no service {sanitize(name)!r}", hint)


def translate(
    message: str,
    project: Project | None,
    *,
    step: Step | None = None,
    service: str = "",
    failed: Sequence[FailedStep] = (),
    publishers: PublishersOf = lambda port, protocol: (),
    holder: HolderOf = lambda name: None,
    is_local: bool = True,
) -> DevenvError:
    """Turn Compose's final error into one of ours; of several, the others stand in its `also`.

    `step` is the build step that failed, if one did; `failed` are the steps that Compose called errors, and `service`
    is whose error it is where they do not tell.
    """
    known = environment_failure(message) or project_failure(message, project.files if project else (), project)
    if known is not None:
        return known
    if step is not None or is_build_failure(message):
        return build_failed(message, project, step, service)
    around = Around(project, service, publishers, holder, is_local)
    errors: dict[str, DevenvError] = {}
    for part, whose in _parts(message, failed):
        owner = whose.service or (service if len(errors) == 0 else "")
        error = _one(part, replace(around, service=owner), whose.image)
        errors.setdefault(error.message, error)
    first, *others = errors.values()
    first.also = tuple(others)
    return first


def _parts(message: str, failed: Sequence[FailedStep]) -> Iterator[tuple[str, FailedStep]]:
    """Take the errors apart, each with the step that tells whose it is; those that only a step tells come last."""
    parts: list[str] = []
    for line in message.splitlines():
        if parts and not _BEGINS.match(line):
            parts[-1] = f"{parts[-1]}\n{line}"
        elif line.strip():
            parts.append(line)
    named = [step for step in failed if step.text and step.text != "Error"]
    for part in parts or [""]:
        yield part, next((step for step in named if step.text in part), FailedStep(""))
    for step in named:
        if step.text not in message and (step.service or step.image):
            yield step.text, step


def _one(message: str, around: Around, image: str) -> DevenvError:
    project, service = around.project, around.service
    provider = next((item.provider for item in project.services if item.name == service), "") if project else ""
    if provider:
        return _provider_failed(message, provider, service)
    if message.startswith("Docker Compose itself crashed"):
        return DevenvError(
            short(message), "It is a fault of Compose: look for a newer one. See what is left: devenv status"
        )
    known = (
        _missing(message, project)
        or _dependency_failed(message, project)
        or pull_failed(message, project, service, image)
        or refused(message, around)
    )
    if known is not None:
        return known
    said = short(message) or "Compose failed without a reason"
    left = f"devenv logs {service}" if service else "devenv doctor"
    return DevenvError(f"Service {service}: {said}" if service else said, f"See what is left: devenv status; {left}")


def _missing(message: str, project: Project | None) -> DevenvError | None:
    if match := _NETWORK.search(message):
        return ProjectError(
            f"The external network {match[1]} does not exist", f"Create it: docker network create {match[1]}"
        )
    if match := _VOLUME.search(message):
        return ProjectError(
            f"The external volume {match[1]} does not exist", f"Create it: docker volume create {match[1]}"
        )
    if match := _NO_SERVICE.search(message):
        return unknown_service(match[1], tuple(service.name for service in project.services) if project else ())
    if "requires Docker Model plugin" in message:
        return ToolMissing(
            "The project uses models, and docker has no model command",
            "Install Docker Model Runner: https://docs.docker.com/ai/model-runner/",
        )
    if _NO_BUILDX.search(message):
        return ToolMissing(
            f"Images are built with BuildKit, for which docker needs its buildx plugin: {short(message)}",
            "Install it: https://github.com/docker/buildx#installing",
        )
    if message.strip() == "no service selected":
        hint = "Services with a profile need --profile NAME or COMPOSE_PROFILES; all of them: devenv --profile '*' up"
        return DevenvError("No service of the project is active", hint)
    if match := _NO_CONTAINER.search(message):
        kind, name = match[1] or match[3], match[2] or match[4]
        return DevenvError(f"Nothing to start: {kind} {sanitize(name)} has no container", "Create it: devenv up")
    return None


def _dependency_failed(message: str, project: Project | None) -> DevenvError | None:
    match = _DEPENDENCY.search(message)
    if match is None:
        return None
    container, how, needed, exit_text = match.groups()
    if container:
        needed = service_of_container(container, project) if project else ""
    who = f"container {container} {how}" if container else f"service {needed} did not complete: {exit_text}"
    return ServiceFailed(f"A dependency failed: {who}", f"See why: devenv logs {needed or ''}".rstrip())


def _provider_failed(message: str, provider: str, service: str) -> DevenvError:
    if "executable file not found" in message:
        return ToolMissing(
            f"Service {service} is made by the provider {provider}, which is not installed",
            f"Install the docker CLI plugin docker-{provider}, or a program {provider} on PATH.",
        )
    return ServiceFailed(
        f"The provider {provider} of service {service} failed: {short(message)}",
        "The message is the provider's own: its documentation says what it needs.",
    )
