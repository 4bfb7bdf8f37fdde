"""Why `docker compose up`, `build` and the like failed, as errors that name the service and say what to do.

Compose says it in words alone, so words are what is recognized: those of Compose 5.6 and Engine 28.5 (measured) with
the older forms that are still in use. The rules that need no more than the words stand in `image_failures` (registries,
builds) and `engine_failures` (what the engine refused).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from devenv.backends.compose.failures import environment_failure, project_failure
from devenv.control.asking import HolderOf, PublishersOf
from devenv.control.engine_failures import Around, refused, service_of_container
from devenv.control.image_failures import build_failed, is_build_failure, pull_failed, short
from devenv.control.stream import Step
from devenv.core.errors import DevenvError, ProjectError, ServiceFailed, ToolMissing, UsageError
from devenv.core.model import Project
from devenv.core.text import sanitize

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


@dataclass(frozen=True, slots=True)
class FailedStep:
    """A step that Compose called an error: what it said of it, and whose it is as far as its id tells."""

    text: str
    service: str = ""
    image: str = ""


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
    if "requires buildx" in message or "'buildx' is not a docker command" in message:
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
