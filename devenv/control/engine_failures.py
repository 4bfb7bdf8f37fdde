"""Why the engine refused to create or start a container, by its words, and what of the Compose file is to be corrected.

The phrases are those of Engine 28.5 (measured) with the older forms that are still in use.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from devenv.control.asking import HolderOf, PublishersOf
from devenv.control.image_failures import short
from devenv.core.errors import DevenvError, PortTaken, ServiceFailed
from devenv.core.model import Project
from devenv.core.text import sanitize


@dataclass(frozen=True, slots=True)
class Around:
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
_VOLUME = re.compile(r"create (\S+): (error .*volume plugin.*)")
_NETWORK_NAME = re.compile(r"failed to create network (\S+?): ")
_NETWORK: tuple[tuple[str, str], ...] = (
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
    if endpoint and (found := service_of_container(endpoint[1], project)):
        return found
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
    found = service_of_container(endpoint[1], around.project) if endpoint and around.project else ""
    return f"Service {found}" if found else around.who


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
        told = f"{around.who} could not be created: {sanitize(match[1])}, which it mounts, does not exist"
        return DevenvError(told, "Make it, or correct the service's volumes, secrets or configs, then: devenv up")
    if match := _VOLUME.search(message):
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
    told = f"{around.who} could not be {_done(message)}, since the engine's disk is full: {short(message)}"
    return DevenvError(told, "See what takes the room: docker system df")


def _network(message: str, around: Around) -> DevenvError | None:
    for pattern, hint in _NETWORK:
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
    told = f"{around.who} could not be started: {short(message)}"
    return ServiceFailed(told, next(hints, "Check its command and image."))
