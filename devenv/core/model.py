"""The facts that flow through devenv: frozen records, the same for every runtime.

Backends make them, the state keeps them, the terminal and the commands show them. All text in them came through
`devenv.core.text.sanitize`. Times are seconds since the epoch (UTC) as float, sizes are bytes, durations are seconds.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct, field


class Runtime(StrEnum):
    """Where a resource runs."""

    COMPOSE = "compose"
    KUBERNETES = "kubernetes"


class State(StrEnum):
    """A resource's life-cycle state; the engine's own words where it has one."""

    ABSENT = "absent"  # declared by the project, but nothing was created for it
    PROVIDED = "provided"  # a Compose service of a provider: a program makes it, and there is no container
    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"
    UNKNOWN = "unknown"  # the engine said a word that this version does not know

    @property
    def is_up(self) -> bool:
        """Whether a process of the resource may be alive."""
        return self in (State.RUNNING, State.PAUSED, State.RESTARTING)


class Health(StrEnum):
    """What the resource's own health check says."""

    NONE = "none"  # it has no health check
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class Beyond(StrEnum):
    """Why a container of a Compose project belongs to no active service of it."""

    ONE_OFF = "one-off"  # made by `docker compose run`
    INACTIVE = "inactive profile"  # its service is declared, but only in profiles that are not active
    ORPHAN = "orphan"  # the files declare no such service


class Port(Struct, frozen=True):
    """A port of a resource and, where it is published, the host's side of it."""

    container: int
    protocol: str = "tcp"
    host: int | None = None
    host_ip: str = ""


class HealthCheck(Struct, frozen=True):
    """One run of a health check: exit code 0 is healthy; `output` is what the check printed."""

    started_at: float
    ended_at: float
    exit_code: int
    output: str


class PodFacts(Struct, frozen=True, tag=True):
    """What is decided by of a pod: the node that it was placed on ("" before that), and the kind of its owner."""

    node: str = ""
    owner_kind: str = ""


class WorkloadFacts(Struct, frozen=True, tag=True):
    """What is decided by of a workload: whether its rollout is paused, and the number of its revision (0: unknown)."""

    paused: bool = False
    revision: int = 0


class ServiceFacts(Struct, frozen=True, tag=True):
    """What is decided by of a cluster's service: its selector in words; "" where it selects no pods."""

    selector: str = ""


class AutoscalerFacts(Struct, frozen=True, tag=True):
    """What is decided by of an autoscaler: the kind and the name of what it scales."""

    target_kind: str = ""
    target_name: str = ""


# Tagged with their names: evidence is read back from JSON.
KindFacts = PodFacts | WorkloadFacts | ServiceFacts | AutoscalerFacts


class Resource(Struct, frozen=True):
    """Something that runs or should run: a container today, a pod or a workload in Kubernetes.

    `key` is stable for the life of the thing and unique over all runtimes. A service that the project declares and
    for which nothing exists is a resource too, with the state ABSENT, or PROVIDED where nothing ever will. `restarts`
    and what follows it are None until they have been read: a list shows at once what one call can tell, the rest
    arrives later.
    """

    key: str
    runtime: Runtime
    kind: str  # "container", "service" (declared, nothing exists), later "pod", "deployment" ...
    name: str
    service: str  # the Compose service or the workload of that name; "" where it has none
    state: State
    health: Health = Health.NONE
    project: str = ""
    image: str = ""
    image_id: str = ""
    command: str = ""
    status: str = ""  # the engine's own sentence, e.g. "Up 3 minutes (healthy)"
    created_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    exit_code: int | None = None
    restarts: int | None = None
    restarted_at: float | None = None  # when the run before the newest restart ended, where the runtime says so
    oom_killed: bool = False
    error: str = ""  # why it could not start, in the engine's words
    ports: tuple[Port, ...] = ()
    checks: tuple[HealthCheck, ...] = ()  # oldest first, as many as the engine keeps
    labels: tuple[tuple[str, str], ...] = ()
    one_off: bool = False  # made by `docker compose run`
    tty: bool = False
    number: int = 1  # replica number within the service
    container_id: str = ""  # the runtime's full id; "" while nothing exists
    depends_on: tuple[str, ...] = ()  # services that the Compose project lets it wait for
    profiles: tuple[str, ...] = ()  # of its service; none: it is always active
    beyond: Beyond | None = None  # INACTIVE or ORPHAN: it has no service among those of the project
    pid: int | None = None  # on the host (or in the engine's virtual machine), while running
    # Only in Kubernetes; what a kind has beyond these stands in `facts`.
    context: str = ""
    namespace: str = ""  # "" for a kind without
    owner: str = ""  # key of the controlling owner
    why: str = ""  # what its state and health come from, in words; "" where there is nothing to say
    ready: tuple[int, int] | None = None  # ready and desired: containers of a pod, pods of a workload
    config_hash: str = ""  # of a workload: what its pods are made of, but for the images
    facts: tuple[tuple[str, str], ...] = ()  # what its kind has to show: node, IP, hosts, capacity ..., by column name
    kind_facts: KindFacts | None = None  # what code decides by, where its kind has more than the fields above


class ConnectionState(StrEnum):
    """How fresh the data of a backend is."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALE = "stale"  # connection lost a moment ago; data are shown with their age
    RETRYING = "retrying"  # the next try is `retry_in` seconds after `since`, or (None) under way
    FAILED = "failed"  # will not heal by itself soon; the hint says what to do. It is still retried.


class Connection(Struct, frozen=True):
    """The visible state of one backend's connection. `since`: when this state began; `last_live`: newest fresh data."""

    backend: str  # "docker", later "kubernetes/<context>"
    state: ConnectionState
    endpoint: str = ""  # e.g. unix:///var/run/docker.sock (context default)
    version: str = ""
    message: str = ""
    hint: str = ""
    since: float = 0.0
    last_live: float | None = None
    retry_in: float | None = None


class Sample(Struct, frozen=True):
    """Resource use of one resource at one time. `cpu` is a fraction of one core (1.0 = one core fully busy)."""

    key: str
    at: float
    cpu: float | None  # None for the first sample: a rate needs two
    memory: int | None  # working set, without reclaimable page cache, as `docker stats` shows
    memory_limit: int | None
    window: float | None = None  # seconds that `cpu` is a mean over, where the runtime says so (metrics.k8s.io)
    # Bytes since the start, as `docker stats` counts them, and processes with threads; None: the runtime tells none.
    received: int | None = None
    sent: int | None = None
    read: int | None = None
    written: int | None = None
    processes: int | None = None


class Happening(Struct, frozen=True):
    """Something that happened to a resource at a time: the engine's events in a developer's words."""

    key: str
    at: float
    action: str  # die, start, oom, health_status, kill, restart, create, destroy ...
    text: str
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def exit_code(self) -> int | None:
        """With which exit code a container died; None where the engine does not say so."""
        text = self._attribute("exitCode")
        return int(text) if text.isdigit() else None

    @property
    def seconds(self) -> float:
        """How long it took; 0 where that is not known."""
        return float(self._attribute("seconds") or 0)

    @property
    def is_warning(self) -> bool:
        """Whether a cluster calls it a warning."""
        return self._attribute("type") == "Warning"

    @property
    def count(self) -> str:
        """How often a cluster saw it; "" where it does not say so."""
        return self._attribute("count")

    def _attribute(self, name: str) -> str:
        return next((value for known, value in self.attributes if known == name), "")


class LogLine(Struct, frozen=True):
    """One line of output. `cut` counts bytes of an overlong line that are not in `text`."""

    key: str
    at: float | None
    stream: str  # "stdout", "stderr", or "devenv" for a marker of our own (gap, reconnect, restart)
    text: str
    cut: int = 0
    styles: tuple[tuple[int, int, str], ...] = ()  # its colours, of `devenv.core.text.sanitize_styled`


class LogsDropped(Struct, frozen=True):
    """`count` lines of a resource were dropped between the reader and the screen, because the reader was faster."""

    key: str
    count: int


class WatchStatus(Struct, frozen=True):
    """The terminal's watch of saved files: `word` is "" while there is none. `trouble` is what went wrong last."""

    word: str = ""
    trouble: str = ""
    hint: str = ""


class Snapshot(Struct, frozen=True):
    """All resources of one source at one moment: what is not in it is gone.

    A backend that reads several lists names each: "kubernetes/minikube#pods".
    """

    backend: str
    resources: tuple[Resource, ...]


class Seen(Struct, frozen=True):
    """One resource as it is now: new or changed."""

    backend: str
    resource: Resource


class Gone(Struct, frozen=True):
    """One resource no longer exists."""

    backend: str
    key: str


class ScalingMetric(Struct, frozen=True):
    """One metric that an autoscaler follows: what it is now (None: unknown) and what it shall be, in `unit`."""

    name: str  # "cpu", "memory", or the metric's name
    unit: str  # "%" of the request, or the quantity's unit
    current: float | None
    target: float


class Scaling(Struct, frozen=True):
    """An autoscaler's state at a time. `conditions` are (type, status, reason, message), as the controller says."""

    key: str  # of the autoscaler's resource
    at: float
    target: str  # "Deployment/frontend"
    minimum: int
    maximum: int
    current: int
    desired: int
    metrics: tuple[ScalingMetric, ...] = ()
    conditions: tuple[tuple[str, str, str, str], ...] = ()
    last_scaled_at: float | None = None


class Phase(StrEnum):
    """Where an action is in its life."""

    REQUESTED = "requested"
    REFUSED = "refused"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Action(Struct, frozen=True):
    """A change that somebody asked for, and how far it got. `detail` is progress, or the error's message at the end."""

    id: int
    verb: str  # of `devenv.control.verbs`, or of a cluster
    targets: tuple[str, ...]  # services; empty means the whole project
    phase: Phase
    at: float
    detail: str = ""
    hint: str = ""
    exit_code: int | None = None


class Progress(Struct, frozen=True):
    """One step of a running action, from Compose's own progress stream or from ours."""

    id: str  # e.g. "Container docsearch-backend-1", "Image docsearch-backend"
    text: str  # e.g. "Creating", "Built"
    status: str = "working"  # "working", "done", "warning", "error"
    details: str = ""
    current: int | None = None
    total: int | None = None
    percent: int | None = None
    parent_id: str = ""
    action: int = 0  # whose step it is, where several run


class Dependency(NamedTuple):
    """One entry of `depends_on`. One that is not `required` may fail: Compose then warns and goes on."""

    service: str
    condition: str = "service_started"
    required: bool = True


class Service(Struct, frozen=True):
    """A service as the Compose project declares it, as far as devenv needs it."""

    name: str
    image: str = ""
    builds: bool = False
    replicas: int = 1  # 0 for a service of a provider
    provider: str = ""  # the type of its provider: a program that Compose calls instead of creating containers
    restart: str = "no"  # Compose's restart policy: no, always, on-failure[:n], unless-stopped
    has_healthcheck: bool = False
    depends_on: tuple[Dependency, ...] = ()
    shares: tuple[str, ...] = ()  # services whose network, pid or ipc namespace it lives in
    ports: tuple[Port, ...] = ()
    container_name: str = ""  # where the file chooses it
    context: str = ""  # the folder that its image is built from; "" where nothing is built, or not from a folder
    profiles: tuple[str, ...] = ()  # it is active with any of them; none: always
    env_files: tuple[str, ...] = ()  # files of variables that it cannot be created without, where they were not read


class Project(Struct, frozen=True):
    """A Compose project, resolved by Compose itself."""

    name: str
    directory: str
    files: tuple[str, ...]
    services: tuple[Service, ...]
    profiles: tuple[str, ...] = ()
    env_files: tuple[str, ...] = ()
    volumes: tuple[str, ...] = field(default=())  # full names on the engine, external ones excluded
    problem: str = ""  # why Compose can create no container of it, or not of every service
    hint: str = ""  # what to do about the problem, or what it means for what is shown
    # Its files cannot be read: it is what the labels of its containers tell, or what the files said before.
    by_labels: bool = False


Happened = Sample | Scaling | Happening | LogLine | LogsDropped | WatchStatus
Change = Snapshot | Seen | Gone | Connection | Action | Progress | Happened
