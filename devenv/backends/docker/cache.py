"""What is known of the project's containers: listings, events and inspections become one consistent set of records.

Three sources arrive in different threads and overlap in time. The rules: a listing replaces everything; an event
changes at once what it tells and asks for an inspection of the rest; an inspection that an event overtook is thrown
away, because another one is already asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from devenv.backends.docker import parse
from devenv.backends.docker.events import EngineEvent, happening_of
from devenv.core.model import Beyond, Gone, Health, Project, Resource, Runtime, Seen, Snapshot, State

BACKEND: Final = "docker"
# What an event does not tell, and an inspection must: pid, ports and times after a start, restart count after a die.
_ASKS: Final = frozenset(("create", "start", "restart", "die", "unpause", "update", "health_status", "oom"))


def absent_key(project: str, service: str) -> str:
    """Return the key of a service that is declared and for which nothing exists."""
    return f"compose/{project}/{service}"


def absent_services(
    project: Project, resources: Iterable[Resource], inactive: Iterable[str] = ()
) -> tuple[Resource, ...]:
    """Make a resource of each declared service that has no container of its own; `inactive` are those of profiles."""
    present = {resource.service for resource in resources if not resource.one_off}
    absent = tuple(
        Resource(
            key=absent_key(project.name, service.name),
            runtime=Runtime.COMPOSE,
            kind="service",
            name=service.name,
            service=service.name,
            state=State.PROVIDED if service.provider else State.ABSENT,
            project=project.name,
            image=service.image,
            ports=service.ports,
            depends_on=tuple(one.service for one in service.depends_on),
            profiles=service.profiles,
            why=f"made by the provider {service.provider}" if service.provider else "",
        )
        for service in project.services
        if service.name not in present
    )
    present |= {service.name for service in project.services}
    return absent + tuple(
        Resource(
            key=absent_key(project.name, name),
            runtime=Runtime.COMPOSE,
            kind="service",
            name=name,
            service=name,
            state=State.ABSENT,
            project=project.name,
            beyond=Beyond.INACTIVE,
        )
        for name in inactive
        if name not in present
    )


class ContainerCache:
    """The containers of one project as they are now; every change is handed to `emit`, in order, under one lock."""

    def __init__(self, emit: Callable[..., None], inactive: Callable[[], Collection[str]] = frozenset[str]) -> None:
        """Begin empty; `inactive` tells the services of profiles that are not active, and is asked when it matters."""
        self._emit = emit
        self._find_inactive = inactive
        self._inactive: Collection[str] | None = None
        self._shown_inactive: tuple[Project | None, Collection[str]] = (None, ())
        self._lock = threading.RLock()
        self._project: Project | None = None
        self._containers: dict[str, Resource] = {}
        self._absent: dict[str, Resource] = {}
        self._touched: dict[str, int] = {}
        self._checked: set[str] = set()  # keys of containers that have a health check
        self._oom: set[str] = set()  # the engine forgets it with the next start
        self._fresh_oom: set[str] = set()  # out of memory in the present run
        self._detail: str | None = None

    def resource(self, key: str) -> Resource | None:
        """Return the container of that key."""
        with self._lock:
            return self._containers.get(key)

    def containers(self) -> tuple[Resource, ...]:
        """Return all containers."""
        with self._lock:
            return tuple(self._containers.values())

    def touched(self, key: str) -> int:
        """Return a number that grows with each event of that container: to be passed to `inspected`."""
        return self._touched.get(key, 0)

    def show_checks_of(self, key: str | None) -> None:
        """Keep the health-check outputs of this container alone."""
        with self._lock:
            old, self._detail = self._detail, key
            resource = self._containers.get(old) if old and old != key else None
            if resource is not None and resource.checks:
                self._set(replace(resource, checks=()))

    def load(self, project: Project, listed: Iterable[Resource]) -> None:
        """Replace everything by a listing; what a list cannot tell is kept where the state is still the same."""
        with self._lock:
            self._project, self._inactive = project, None
            self._containers = {new.key: self._placed(self._with_known(new)) for new in listed if new.container_id}
            self._absent = self._absent_now(project)
            self._forget_missing()
            self._emit(Snapshot(BACKEND, (*self._containers.values(), *self._absent.values())))

    def declare(self, project: Project) -> None:
        """Take in that the files declare other services now, of the same containers."""
        with self._lock:
            self._project, self._inactive = project, None
            for resource in self.containers():
                self._set(resource)
            self._renew_absent()

    def apply(self, event: EngineEvent, *, old: bool = False) -> bool:
        """Take in an event, and tell whether an inspection is needed.

        `old`: it happened before the listing, which is right already; only what the engine forgets is learnt from it.
        """
        with self._lock:
            self._emit(happening_of(event))
            self._touched[event.key] = self._touched.get(event.key, 0) + 1
            self._learn_oom(event)
            known = self._containers.get(event.key)
            if old:
                if known is not None and known.oom_killed != (event.key in self._oom):
                    self._set(replace(known, oom_killed=event.key in self._oom))
                return False
            if event.action == "destroy":
                self.gone(event.key)
                return False
            self._set(self._changed(event, known or _preliminary(event)))
            return known is None or event.action in _ASKS

    def inspected(self, key: str, data: Mapping[str, Any], touched: int) -> None:
        """Take in an inspection that was asked for when the container was `touched` so often."""
        with self._lock:
            if self._touched.get(key, 0) != touched:
                return
            resource = parse.from_inspect(data)
            if resource.key != key:
                return
            (self._checked.add if parse.has_healthcheck(data) else self._checked.discard)(key)
            if resource.oom_killed:
                self._oom.add(key)
            self._set(
                replace(
                    resource,
                    oom_killed=key in self._oom,
                    checks=resource.checks if key == self._detail else (),
                )
            )

    def gone(self, key: str) -> None:
        """Take in that a container no longer exists."""
        with self._lock:
            if self._containers.pop(key, None) is not None:
                self._emit(Gone(BACKEND, key))
                self._renew_absent()
            self._forget_missing()

    def _placed(self, resource: Resource) -> Resource:
        """Say of a container what its service depends on; where the project has none, where it comes from."""
        if self._project is None:
            return resource if resource.beyond is None else replace(resource, beyond=None)
        service = next((one for one in self._project.services if one.name == resource.service), None)
        if service is not None:
            needs = tuple(one.service for one in service.depends_on)
            known = (None, needs, service.profiles)
            if (resource.beyond, resource.depends_on, resource.profiles) == known:
                return resource
            return replace(resource, beyond=None, depends_on=needs, profiles=service.profiles)
        if self._inactive is None:
            self._inactive = self._find_inactive()
        return replace(resource, beyond=Beyond.INACTIVE if resource.service in self._inactive else Beyond.ORPHAN)

    def _set(self, resource: Resource) -> None:
        resource = self._placed(resource)
        old = self._containers.get(resource.key)
        if old == resource:
            return
        self._containers[resource.key] = resource
        self._emit(Seen(BACKEND, resource))
        if old is None or (old.service, old.one_off) != (resource.service, resource.one_off):
            self._renew_absent()

    def show_inactive(self) -> None:
        """Show the services of inactive profiles as such; to be called again when the project may be another one.

        It asks for them, which may take a moment, once for each project.
        """
        with self._lock:
            project = self._project
            if project is None or project is self._shown_inactive[0]:
                return
            if self._inactive is None and not project.by_labels:
                self._inactive = self._find_inactive()
            self._shown_inactive = (project, self._inactive or ())
            self._renew_absent()

    def _absent_now(self, project: Project) -> dict[str, Resource]:
        absent = absent_services(project, self._containers.values(), self._shown_inactive[1])
        return {resource.key: resource for resource in absent}

    def _renew_absent(self) -> None:
        if self._project is None:
            return
        new = self._absent_now(self._project)
        for key in self._absent.keys() - new.keys():
            self._emit(Gone(BACKEND, key))
        for key, resource in new.items():
            if self._absent.get(key) != resource:
                self._emit(Seen(BACKEND, resource))
        self._absent = new

    def _forget_missing(self) -> None:
        # `_touched` stays: it guards against inspections still under way. One integer a container is little.
        self._checked &= self._containers.keys()
        self._oom &= self._containers.keys()

    def _with_known(self, listed: Resource) -> Resource:
        known = self._containers.get(listed.key)
        if known is None or known.state is not listed.state:
            return replace(listed, oom_killed=listed.key in self._oom)
        return replace(
            known,
            name=listed.name,
            health=listed.health,
            status=listed.status,
            ports=listed.ports or known.ports,
        )

    def _learn_oom(self, event: EngineEvent) -> None:
        # The oom event precedes the die event; a later death without one had another reason.
        if event.action == "oom":
            self._oom.add(event.key)
            self._fresh_oom.add(event.key)
        elif event.action == "die":
            if event.key not in self._fresh_oom:
                self._oom.discard(event.key)
            self._fresh_oom.discard(event.key)

    def _changed(self, event: EngineEvent, resource: Resource) -> Resource:
        oom = event.key in self._oom
        match event.action:
            case "die":
                return replace(
                    resource,
                    state=State.EXITED,
                    health=Health.NONE,
                    status=parse.status_sentence(State.EXITED, event.exit_code, Health.NONE),
                    exit_code=event.exit_code,
                    finished_at=event.at or resource.finished_at,
                    pid=None,
                    oom_killed=oom,
                )
            case "start":
                health = Health.STARTING if event.key in self._checked else Health.NONE
                return replace(_running(resource, State.RUNNING, health), started_at=event.at, exit_code=None)
            case "pause":
                return _running(resource, State.PAUSED, resource.health)
            case "unpause":
                return _running(resource, State.RUNNING, resource.health)
            case "health_status":
                # A check that ends after the container's death still reports.
                return (
                    _running(resource, resource.state, parse.parse_health(event.detail))
                    if resource.state.is_up
                    else resource
                )
            case "oom":
                return replace(resource, oom_killed=True)
            case "rename":
                return replace(resource, name=event.attributes.get("name") or resource.name)
            case _:
                return resource


def _running(resource: Resource, state: State, health: Health) -> Resource:
    return replace(resource, state=state, health=health, status=parse.status_sentence(state, None, health))


def _preliminary(event: EngineEvent) -> Resource:
    """Make what the event alone tells of a container not seen before; the engine puts the labels into it."""
    return parse.from_list(
        {
            "Id": event.container_id,
            "Names": [event.attributes.get("name")],
            "Image": event.attributes.get("image"),
            "State": "created",
            "Status": "Created",
            "Created": int(event.at),
            "Labels": {name: value for name, value in event.attributes.items() if "." in name},
        }
    )
