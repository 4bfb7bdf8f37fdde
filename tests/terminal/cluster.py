"""A scripted cluster for the terminal: records in, wishes out; the seams without any network."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from msgspec.structs import replace

from devenv.backends.kube.kinds import KNOWN, Kind
from devenv.backends.kube.kubeconfig import ContextInfo, Contexts, Target
from devenv.backends.look import Seen as Looked
from devenv.backends.look import Subject
from devenv.control.protocol import Plan
from devenv.core.errors import DevenvError
from devenv.core.model import (
    Connection,
    ConnectionState,
    Gone,
    Health,
    PodFacts,
    Port,
    Resource,
    Runtime,
    Seen,
    Snapshot,
    State,
    WorkloadFacts,
)
from devenv.tui.app import DevenvApp
from devenv.tui.kube.controller import ClusterController
from devenv.watch.background import BackgroundWatch
from tests.terminal.driving import Driver
from tests.terminal.forwarded import Forwarded
from tests.terminal.scripted import Buffer, ScriptedBackend, ScriptedControl

NAME = "kubernetes/minikube"


class ClusterBackend(Buffer):
    def __init__(self, target: Target) -> None:
        super().__init__()
        self.target = target
        self.stats: frozenset[str] = frozenset()
        self.logs: frozenset[str] = frozenset()
        self.detail: str | None = None
        self.kinds: tuple[Kind, ...] = ()
        self.namespace: str | None = None
        self.started = False
        self.seen_of: dict[str, Looked] = {}

    @property
    def name(self) -> str:
        return self.target.backend

    def start(self, wake: Any) -> None:
        self.started = True
        super().start(wake)

    def watch_stats(self, keys: Collection[str]) -> None:
        self.stats = frozenset(keys)

    def follow_logs(self, keys: Collection[str], tail: int = 500) -> None:
        self.logs = frozenset(keys)

    def watch_detail(self, key: str | None) -> None:
        self.detail = key

    def look(self, resource: Resource, subject: Subject) -> Looked:
        if subject not in self.seen_of:
            raise DevenvError(f"no {subject} of {resource.name}", "Look again.")
        return self.seen_of[subject]

    def address(self, port: Port) -> str:
        return ""

    def watch_kinds(self, kinds: Collection[Kind], namespace: str | None) -> None:
        self.kinds, self.namespace = tuple(kinds), namespace

    def switch(self, target: Target) -> None:
        if target.context != self.target.context:
            self.emit(*(Snapshot(f"{self.name}#{kind.plural}", ()) for kind in KNOWN))
        self.target = target

    def live(self, *resources: Resource, kind: str = "pods") -> None:
        self.emit(Snapshot(f"{self.name}#{kind}", resources), connected(backend=self.name))

    def seen(self, *resources: Resource, kind: str = "pods") -> None:
        self.emit(*(Seen(f"{self.name}#{kind}", resource) for resource in resources))

    def gone(self, *keys: str, kind: str = "pods") -> None:
        self.emit(*(Gone(f"{self.name}#{kind}", key) for key in keys))


@dataclass
class FakeSession:
    """`devenv.tui.kube.session.ClusterSession`; `objects` are what `read` finds, `planned` what was asked for."""

    target: Target
    allowed: bool = True
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    planned: list[tuple[str, str, str]] = field(default_factory=list)
    handed: list[list[str]] = field(default_factory=list)
    made: list[Forwarded] = field(default_factory=list)
    losses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.backend = ClusterBackend(self.target)
        self.control = ScriptedControl()

    @property
    def may_change(self) -> bool:
        return self.allowed

    def move(self, target: Target) -> None:
        self.target = target
        self.backend.switch(target)

    def kinds(self) -> tuple[Kind, ...]:
        return (*KNOWN, Kind("shop.example.com", "v1", "widgets", "Widget", short=("wd",)))

    def namespaces(self) -> tuple[str, ...]:
        return ("default", "kube-system", "shop")

    def read(self, resource: Resource) -> Mapping[str, Any]:
        if resource.name not in self.objects:
            raise DevenvError(f"There is no {resource.name}", "Look again.")
        return self.objects[resource.name]

    def compose_service(self, name: str) -> Mapping[str, Any]:
        return self.services.get(name, {})

    def config_map(self, namespace: str, name: str) -> Mapping[str, str]:
        return {"MODE": "cluster"} if (namespace, name) == ("shop", "web-config") else {}

    def previous_log(self, pod: Resource) -> str:
        return "── container web ──\nlast words, password=hunter2"

    def forward(self, resource: Resource, port: str, local_port: int) -> Forwarded:
        made = Forwarded(f"{resource.kind}/{resource.name}", port, local_port)
        self.made.append(made)
        return made

    def plan(self, verb: str, resource: Resource, argument: str = "") -> Plan:
        self.planned.append((verb, f"{resource.kind}/{resource.name}", argument))
        return Plan(
            verb,
            (f"{resource.kind}/{resource.namespace}/{resource.name}",),
            allowed=self.allowed,
            needs_confirmation=verb in ("delete", "drain", "undo", "evict"),
            sentences=(f"{verb} hits 3 pods.",),
            losses=self.losses,
            reason="" if self.allowed else "the context prod is not on the list of those that may be changed",
            hint="" if self.allowed else "To allow it, write into devenv.toml: allow",
            context=self.target.context.name,
        )

    def kubectl(self, namespace: str, *arguments: str) -> list[str]:
        return ["kubectl", "--namespace", namespace, *arguments]

    def hand_over(self, plan: Plan, command: list[str]) -> int:
        self.handed.append(command)
        return 0


@dataclass
class FakeConnector:
    session: FakeSession | None
    known: Contexts = field(default_factory=lambda: Contexts((context("minikube"), context("prod")), "minikube"))
    version: int = 0
    now: str = "minikube"
    error: DevenvError | None = None
    alone: bool = False
    asked: int = 0  # how often there was a cluster to connect to

    def connect(self) -> FakeSession | None:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.session

    def open(self, name: str) -> FakeSession:
        return FakeSession(self.target(name), allowed=self.may_change(name))

    def target(self, name: str) -> Target:
        found = self.known.find(name)
        if found is None:
            raise DevenvError(f"The kubeconfig has no context '{name}'", "Did you mean minikube?")
        return Target(found, found.namespace or "default")

    def contexts(self) -> Contexts:
        return self.known

    def may_change(self, name: str) -> bool:
        return name == "minikube"

    def stamp(self) -> object:
        return self.version

    def current(self) -> str:
        return self.now


@dataclass
class ClusterDriver(Driver):
    session: FakeSession
    connector: FakeConnector

    @property
    def controller(self) -> ClusterController:
        return cast(ClusterController, self.app.main.controller)

    @property
    def cluster(self) -> ClusterBackend:
        return self.session.backend

    @property
    def rows(self) -> list[str]:
        """The first cells of the table's lines."""
        return [row.cells[0].text.strip() for row in self.main.table.rows]

    async def order(self, text: str) -> None:
        """Type an order into the command line."""
        await self.press("colon")
        line = self.main.command_line
        assert line is not None
        await self.until(lambda: line.display)
        line.input.value = text
        await self.press("enter")

    async def go(self, title: str) -> None:
        """Put the cursor on the line of that title."""
        table = self.main.table
        await self.until(lambda: any(row.title == title for row in table.rows))
        table.select(next(index for index, row in enumerate(table.rows) if row.title == title))
        await self.until(lambda: table.selected is not None and table.selected.title == title)
        await self.pilot.pause()


def context(name: str, namespace: str = "shop") -> ContextInfo:
    return ContextInfo(name, name, f"https://{name}.example.com", "dev", namespace)


@asynccontextmanager
async def cluster_opened(
    size: tuple[int, int] = (120, 40),
    *,
    name: str = "minikube",
    allowed: bool = True,
    connected: bool = True,
    watch: Callable[[], BackgroundWatch] | None = None,
) -> AsyncIterator[ClusterDriver]:
    session = FakeSession(Target(context(name), "shop"), allowed=allowed)
    connector = FakeConnector(session if connected else None, now=name)
    backend, control = ScriptedBackend(), ScriptedControl()
    app = DevenvApp(backend, control, title="shop", theme="dark", cluster=cast(Any, connector), watch=watch)
    async with app.run_test(size=size, notifications=True) as pilot:
        driver = ClusterDriver(app, pilot, backend, control, session, connector)
        await driver.until(lambda: session.backend.started if connected else connector.asked)
        yield driver


def connected(state: ConnectionState = ConnectionState.LIVE, backend: str = NAME, **facts: Any) -> Connection:
    known = {"endpoint": "https://minikube.example.com", "version": "v1.36.2"}
    times = {"since": time.time(), "last_live": time.time()}
    return Connection(backend, state, **(known | times | facts))


def workload(name: str, ready: tuple[int, int] = (1, 1), kind: str = "deployment", **facts: Any) -> Resource:
    health = Health.HEALTHY if ready[0] >= ready[1] else Health.STARTING
    known: dict[str, Any] = {
        "namespace": "shop",
        "context": "minikube",
        "health": health,
        "ready": ready,
        "image": f"{name}:dev",
        "created_at": time.time() - 600,
        "facts": (("up to date", f"{ready[1]}/{ready[1]}"), ("revision", "2")),
        "kind_facts": WorkloadFacts(revision=2),
    }
    key = f"kubernetes:{kind}-{name}"
    return Resource(key, Runtime.KUBERNETES, kind, name, name, State.RUNNING, **(known | facts))


def pod(service: str, number: int = 1, state: State = State.RUNNING, **facts: Any) -> Resource:
    up = state is State.RUNNING
    known: dict[str, Any] = {
        "namespace": "shop",
        "context": "minikube",
        "health": Health.HEALTHY if up else Health.STARTING,
        "ready": (1, 1) if up else (0, 1),
        "status": "Running" if up else "",
        "image": f"{service}:dev",
        "restarts": 0,
        "created_at": time.time() - 300,
        "owner": f"kubernetes:replicaset-{service}-7d9",
        "facts": (("node", "minikube"), ("ip", f"10.0.0.{number}")),
        "kind_facts": PodFacts("minikube", "ReplicaSet"),
    }
    name = f"{service}-7d9-{number:05d}"
    return Resource(f"kubernetes:{name}", Runtime.KUBERNETES, "pod", name, service, state, **(known | facts))


def replica_set(service: str, **facts: Any) -> Resource:
    made = workload(f"{service}-7d9", kind="replicaset", **({"owner": f"kubernetes:deployment-{service}"} | facts))
    return replace(made, service=service, key=f"kubernetes:replicaset-{service}-7d9")
