"""Why `docker compose up`, `build` and the like failed, as errors that name the service and say what to do.

The phrases are those of Compose 5.6 and Engine 28.5 (measured) with the older forms that are still in use.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping

from devenv.backends.compose.failures import environment_failure, project_failure
from devenv.backends.programs import finish
from devenv.control.build import Step
from devenv.core.errors import DevenvError, PortTaken, ProjectError, ServiceFailed, ToolMissing, UsageError
from devenv.core.model import Project
from devenv.core.text import sanitize

_PORT_PHRASES = ("address already in use", "port is already allocated", "ports are not available")
_ADDRESS = re.compile(r"(?:for|on|tcp[46]?|TCP|udp[46]?|UDP) (\[[0-9A-Fa-f:]*\]|[0-9.]*):(\d+)")
_ENDPOINT = re.compile(r"endpoint (\S+) \(")
_NETWORK = re.compile(r"network (\S+) declared as external, but could not be found")
_VOLUME = re.compile(r'external volume "([^"]+)" not found')
_NO_SERVICE = re.compile(r"no such service: (\S+)")
_NO_CONTAINER = re.compile(r'service "([^"]+)" has no container to start')
_DEPENDENCY = re.compile(
    r"dependency failed to start: container (\S+) (.*)|service \"(\S+)\" didn't complete successfully: (.*)"
)
_IMAGE_PHRASES = (
    "no such image",
    "pull access denied",
    "manifest unknown",
    "manifest for",
    "failed to resolve reference",
    "failed to resolve source metadata",
    "no such host",
    "unauthorized",
    "toomanyrequests",
)
_MOUNT_PHRASES = ("invalid mount config", "bind source path does not exist", "invalid volume specification")
_START_PHRASES = ("oci runtime", "failed to create task", "failed to create shim", "executable file not found")
_DOCKERFILE_PLACE = re.compile(r"^(?P<file>\S+):(?P<line>\d+)\s*$", re.MULTILINE)
_DOCKERFILE_MARK = re.compile(r"^\s*\d+ \| >>> (?P<code>.*)$", re.MULTILINE)
_TARGET = re.compile(r"target ([\w.-]+): ")

PublishersOf = Callable[[int, str], tuple[str, ...]]


def unknown_service(name: str, known: tuple[str, ...]) -> UsageError:
    """Say which services there are, the nearest first."""
    near = difflib.get_close_matches(name, known, 3)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"The project has: {', '.join(known) or 'no services'}."
    return UsageError(f"The project has no service {sanitize(name)!r}", hint)


def translate(
    message: str,
    project: Project | None,
    *,
    step: Step | None = None,
    service: str = "",
    publishers: PublishersOf = lambda port, protocol: (),
    is_local: bool = True,
) -> DevenvError:
    """Turn Compose's final error into one of ours.

    `step` is the build step that failed, if one did; `service` is whose step failed, where the steps told.
    """
    known = environment_failure(message)
    if known is not None:
        return known
    invalid = project_failure(message, project.files if project else (), project)
    if invalid is not None:
        return invalid
    if step is not None or "failed to solve" in message:
        return _build_failed(message, step, service)
    lower = message.lower()
    if any(phrase in lower for phrase in _PORT_PHRASES):
        return _port_taken(message, project, publishers, is_local)
    provider = next((item.provider for item in project.services if item.name == service), "") if project else ""
    if provider:
        return _provider_failed(message, provider, service)
    if message.startswith("Docker Compose itself crashed"):
        return DevenvError(
            _short(message), "It is a fault of Compose: look for a newer one. See what is left: devenv status"
        )
    simple = _missing(message, project)
    if simple is not None:
        return simple
    dependency = _DEPENDENCY.search(message)
    if dependency is not None:
        container, how, needed, exit_text = dependency.groups()
        who = f"container {container} {how}" if container else f"service {needed} did not complete: {exit_text}"
        return ServiceFailed(f"A dependency failed: {who}", f"See why: devenv logs {needed or ''}".rstrip())
    if any(phrase in lower for phrase in _MOUNT_PHRASES):
        who = f"Service {service}" if service else "A container"
        return DevenvError(
            f"{who} could not be created: {_short(message)}",
            "Make what is missing, or correct the service's volumes, then: devenv up",
        )
    if any(phrase in lower for phrase in _START_PHRASES):
        who = f"Service {service}" if service else "A container"
        return ServiceFailed(f"{who} could not be started: {_short(message)}", "Check its command and image.")
    of_service = f" of service {service}" if service else ""
    if any(phrase in lower for phrase in _IMAGE_PHRASES):
        return DevenvError(
            f"{f'The image{of_service}' if service else 'An image'} cannot be had: {_short(message)}",
            "Check the image's name, the network and the registry login (docker login), or build it: devenv build",
        )
    said = _short(message) or "Compose failed without a reason"
    return DevenvError(f"Service {service}: {said}" if service else said, "Try: docker compose up")


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
    if match := _NO_CONTAINER.search(message):
        return DevenvError(f"Nothing to start: service {match[1]} has no container", "Create it: devenv up")
    return None


def _provider_failed(message: str, provider: str, service: str) -> DevenvError:
    if "executable file not found" in message:
        return ToolMissing(
            f"Service {service} is made by the provider {provider}, which is not installed",
            f"Install the docker CLI plugin docker-{provider}, or a program {provider} on PATH.",
        )
    return ServiceFailed(
        f"The provider {provider} of service {service} failed: {_short(message)}",
        "The message is the provider's own: its documentation says what it needs.",
    )


def _build_failed(message: str, step: Step | None, service: str) -> DevenvError:
    target = _TARGET.search(message)
    name = target[1] if target else service
    place = _DOCKERFILE_PLACE.search(message)
    code = _DOCKERFILE_MARK.search(message)
    parts = [f"The image{f' of service {name}' if name else ''} could not be built"]
    if place is not None:
        said = f": {code['code'].strip()}" if code else ""
        parts.append(f"{place['file']} line {place['line']}{said}")
    reason = step.error if step is not None and step.error else _short(message.rpartition("failed to solve: ")[2])
    parts.append(reason)
    text = "\n  ".join(part for part in parts if part)
    if step is not None and step.last_lines:
        text += "\n  last output of the step:\n" + "\n".join(f"    {line}" for line in step.last_lines)
    return DevenvError(text, f"Correct the Dockerfile, then: devenv build {name}".rstrip())


def _port_taken(message: str, project: Project | None, publishers: PublishersOf, is_local: bool) -> DevenvError:
    address = _ADDRESS.search(message)
    if address is None:
        return PortTaken(_short(message), "Free the port, or publish another one.")
    host_ip, port = address[1].strip("[]"), int(address[2])
    protocol = "udp" if "/udp" in message or "udp" in address[0].lower() else "tcp"
    service = _service_of_port(message, project, port)
    holders = publishers(port, protocol)
    if holders:
        by = f"container {', '.join(holders)}"
        hint = f"Stop it (docker stop {holders[0]}), or publish another port."
    else:
        from devenv.backends.listeners import find_listener  # deferred: a failure needs it, a start does not

        listener = find_listener(port, protocol, host_ip) if is_local else None
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
        if re.fullmatch(rf"{re.escape(project.name)}[-_]{re.escape(service.name)}[-_]\d+", name):
            return service.name
    return ""


def _short(message: str) -> str:
    text = " ".join(sanitize(message.removeprefix("Error response from daemon: "), newlines=True).split())
    return text if len(text) <= 600 else f"{text[:600]}…"


def docker_publishers(directory: str, environ: Mapping[str, str] | None = None) -> PublishersOf:
    """Return a function that asks the engine which of its containers publish a port."""

    def ask(port: int, protocol: str) -> tuple[str, ...]:
        command = ["docker", "ps", "--filter", f"publish={port}/{protocol}", "--format", "json"]
        try:
            done = finish(command, environ, timeout=20, folder=directory)
        except DevenvError:
            return ()  # this is asked to explain an error, which is told without a name too
        names = []
        for line in done.stdout.splitlines():
            names.append(sanitize(str(json.loads(line).get("Names", ""))))
        return tuple(names)

    return ask
