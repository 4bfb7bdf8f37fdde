"""The project's services with their containers, and what is there without belonging to a service of it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from devenv.core.model import Health, Project, Resource, Service, State
from devenv.core.why import why


class Summary(StrEnum):
    """One word for a service. Of several that hold, the first in this order."""

    FAILED = "failed"  # a container exited with an error, is dead, or could not be started
    RESTARTING = "restarting"
    UNHEALTHY = "unhealthy"
    PARTIAL = "partial"  # fewer containers than declared
    STARTING = "starting"  # a health check has not succeeded yet
    PAUSED = "paused"
    CREATED = "created"
    STOPPED = "stopped"  # ended on a signal to stop: exit code 130, 137 or 143
    HEALTHY = "healthy"
    RUNNING = "running"  # without a health check
    COMPLETED = "completed"  # every container ended with 0
    PROVIDED = "provided"  # made by a provider's program: it has no container
    ABSENT = "absent"


_STOP_CODES = (130, 137, 143)  # 128 + SIGINT, SIGKILL, SIGTERM


class ServiceGroup(Struct, frozen=True):
    """A declared service and what exists of it; `one_offs` were made by `docker compose run`."""

    service: Service
    containers: tuple[Resource, ...]
    one_offs: tuple[Resource, ...]

    @property
    def summary(self) -> Summary:
        """One word for the whole."""
        if not self.containers and self.service.provider:
            return Summary.PROVIDED
        if not self.containers:
            return Summary.RUNNING if self.service.replicas == 0 else Summary.ABSENT
        summaries = {_word(container) for container in self.containers}
        if len(self.containers) < self.service.replicas:
            summaries.add(Summary.PARTIAL)
        return next(word for word in Summary if word in summaries)

    def why(self, grouped: Grouped) -> str:
        """Say why it is not up, by the first container that tells a reason; "" where there is nothing to say."""
        if not self.containers:
            missing = [file for file in self.service.env_files if not Path(file).exists()]
            if missing:
                return f"its env_file {', '.join(missing)} does not exist"
            return f"made by the provider {self.service.provider}" if self.service.provider else ""
        waits = self.waits_for(grouped) if self.summary is Summary.CREATED else ""
        return waits or next((reason for item in self.containers if (reason := why(item))), "")

    def waits_for(self, grouped: Grouped) -> str:
        """Say which dependencies keep Compose from starting what it created; "" where none does."""
        groups = {item.service.name: item for item in grouped.services}
        waits = [
            f"{needed.service} to be {word}"
            for needed in self.service.depends_on
            if needed.service in groups and (word := groups[needed.service].lacks(needed.condition))
        ]
        return f"not started: waits for {' and '.join(waits)}" if waits else ""

    def lacks(self, condition: str) -> str:
        """Return the word for what a dependency with this condition still wants of it; "" where it is fulfilled."""
        if condition == "service_completed_successfully":
            return "" if self.summary is Summary.COMPLETED else "completed"
        if condition == "service_healthy":
            return "" if self.summary is Summary.HEALTHY else "healthy"
        return "" if self.running or self.summary in (Summary.COMPLETED, Summary.PROVIDED) else "started"

    @property
    def running(self) -> int:
        """How many containers run."""
        return sum(container.state is State.RUNNING for container in self.containers)

    @property
    def healthy(self) -> int:
        """How many containers are healthy."""
        return sum(container.health is Health.HEALTHY for container in self.containers)


class Grouped(Struct, frozen=True):
    """All services of the project in Compose's order, and the orphans: containers of no service of it."""

    services: tuple[ServiceGroup, ...]
    orphans: tuple[Resource, ...]


def group(project: Project, resources: Iterable[Resource]) -> Grouped:
    """Sort the containers to their services, by replica number."""
    ordered = sorted(
        (item for item in resources if item.kind == "container"),
        key=lambda item: (item.service, item.number, item.name),
    )
    names = {service.name for service in project.services}
    services = []
    for service in project.services:
        own = [item for item in ordered if item.service == service.name]
        regular = tuple(item for item in own if not item.one_off)
        services.append(ServiceGroup(service, regular, tuple(item for item in own if item.one_off)))
    return Grouped(tuple(services), tuple(item for item in ordered if item.service not in names))


def _word(container: Resource) -> Summary:
    if container.state is State.RUNNING:
        return {
            Health.NONE: Summary.RUNNING,
            Health.STARTING: Summary.STARTING,
            Health.HEALTHY: Summary.HEALTHY,
            Health.UNHEALTHY: Summary.UNHEALTHY,
        }[container.health]
    if container.state is State.EXITED:
        if container.exit_code == 0:
            return Summary.COMPLETED
        is_stop = container.exit_code in _STOP_CODES and not container.oom_killed
        return Summary.STOPPED if is_stop else Summary.FAILED
    if container.state is State.CREATED:
        return Summary.FAILED if container.error else Summary.CREATED
    return {
        State.RESTARTING: Summary.RESTARTING,
        State.PAUSED: Summary.PAUSED,
        State.REMOVING: Summary.STOPPED,
    }.get(container.state, Summary.FAILED)
