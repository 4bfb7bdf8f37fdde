"""The engine's JSON and Compose's labels as devenv's records: pure, tolerant of fields that are missing, null or new.

Docker's answers are those of the Engine API 1.41 and newer; Podman's docker-compatible API differs in details. The
labels are those of docker/compose, pkg/api/labels.go; its own `-p NAME stop` reads a project from them alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from devenv.core.model import Dependency, Health, HealthCheck, Port, Project, Resource, Runtime, Service, State
from devenv.core.text import sanitize

LABEL_PROJECT: Final = "com.docker.compose.project"
LABEL_SERVICE: Final = "com.docker.compose.service"
LABEL_NUMBER: Final = "com.docker.compose.container-number"
LABEL_ONE_OFF: Final = "com.docker.compose.oneoff"
LABEL_FOLDER: Final = "com.docker.compose.project.working_dir"
LABEL_FILES: Final = "com.docker.compose.project.config_files"
LABEL_DEPENDS_ON: Final = "com.docker.compose.depends_on"
OUTPUT_KEPT: Final = 4096  # characters; the engine itself keeps 4096 bytes of a check's output (moby daemon/health.go)
TEXT_KEPT: Final = 4096
# Podman's words for what Docker calls created, exited and running.
_PODMAN_STATES: Final = {"configured": "created", "initialized": "created", "stopped": "exited", "stopping": "running"}
_HEALTH_IN_STATUS: Final = re.compile(r"\((healthy|unhealthy|health: starting|starting)\)\s*$")
_EXIT_IN_STATUS: Final = re.compile(r"^(?:Exited|Restarting) \((-?\d{1,10})\)")
_DIGEST: Final = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}$")


def container_key(container_id: str) -> str:
    """Return the key of a container's resource."""
    return f"docker/{container_id}"


def from_list(entry: Mapping[str, Any]) -> Resource:
    """Make a resource of one entry of GET /containers/json: all but restarts, times, pid, tty and checks."""
    labels = _mapping(entry.get("Labels"))
    state = parse_state(entry.get("State"))
    status = _text(entry.get("Status"))
    container_id = _text(entry.get("Id"))
    return Resource(
        key=container_key(container_id),
        runtime=Runtime.COMPOSE,
        kind="container",
        name=_name(entry.get("Names"), container_id),
        state=state,
        health=_health(_mapping(entry.get("Health")).get("Status") or _first_group(_HEALTH_IN_STATUS, status), state),
        image=image_name(entry.get("Image")),
        image_id=_text(entry.get("ImageID")),
        command=_text(entry.get("Command")),
        status=status,
        created_at=_number(entry.get("Created")),
        exit_code=_int(_first_group(_EXIT_IN_STATUS, status)),
        ports=fold_ports(map(_listed_port, _items(entry.get("Ports")))),
        container_id=container_id,
        **_compose_fields(labels),
    )


def from_inspect(data: Mapping[str, Any]) -> Resource:
    """Make a resource of GET /containers/{id}/json: everything that is known."""
    config, state_data = _mapping(data.get("Config")), _mapping(data.get("State"))
    labels = _mapping(config.get("Labels"))
    state = _state_of_inspect(state_data)
    container_id = _text(data.get("Id"))
    exit_code = None if state in (State.RUNNING, State.PAUSED, State.CREATED) else _int(state_data.get("ExitCode"))
    health = _mapping(state_data.get("Health") or state_data.get("Healthcheck"))
    return Resource(
        key=container_key(container_id),
        runtime=Runtime.COMPOSE,
        kind="container",
        name=_name([data.get("Name")], container_id),
        state=state,
        health=_health(health.get("Status"), state),
        image=image_name(config.get("Image") or data.get("Image")),
        image_id=_text(data.get("Image")),
        command=_command([data.get("Path"), *_items(data.get("Args"))]),
        status=status_sentence(state, exit_code, _health(health.get("Status"), state)),
        created_at=parse_time(data.get("Created")),
        started_at=parse_time(state_data.get("StartedAt")),
        finished_at=parse_time(state_data.get("FinishedAt")),
        exit_code=exit_code,
        restarts=_int(data.get("RestartCount")) or 0,
        oom_killed=state_data.get("OOMKilled") is True,
        error=_text(state_data.get("Error")),
        ports=fold_ports(_bound_ports(_mapping(_mapping(data.get("NetworkSettings")).get("Ports")))),
        checks=tuple(_check(item) for item in _items(health.get("Log")) if isinstance(item, Mapping)),
        tty=config.get("Tty") is True,
        container_id=container_id,
        pid=(_int(state_data.get("Pid")) or None) if state.is_up else None,
        **_compose_fields(labels),
    )


def has_healthcheck(data: Mapping[str, Any]) -> bool:
    """Whether an inspected container has a health check that is not disabled."""
    test = _items(_mapping(_mapping(data.get("Config")).get("Healthcheck")).get("Test"))
    return (bool(test) and test[0] != "NONE") or bool(_mapping(data.get("State")).get("Health"))


def check_interval(data: Mapping[str, Any], *, starting: bool = False) -> float:
    """Return the seconds between two health checks of an inspected container; 30 s is the engine's default."""
    check = _mapping(_mapping(data.get("Config")).get("Healthcheck"))
    nanoseconds = (starting and _number(check.get("StartInterval"))) or _number(check.get("Interval")) or 30e9
    return max(nanoseconds / 1e9, 0.001)


def parse_state(word: object) -> State:
    """Return the state that the engine's word means, Podman's words included."""
    text = str(word).lower() if isinstance(word, str) else ""
    try:
        return State(_PODMAN_STATES.get(text, text))
    except ValueError:
        return State.UNKNOWN


def parse_health(word: object) -> Health:
    """Return the health that the engine's word means; what it does not know is no health."""
    text = str(word).lower().removeprefix("health: ") if isinstance(word, str) else ""
    return Health(text) if text in ("starting", "healthy", "unhealthy") else Health.NONE


def status_sentence(state: State, exit_code: int | None, health: Health) -> str:
    """Say a state as the engine's list does, without an age that would be wrong a second later."""
    code = f" ({exit_code})" if exit_code is not None else ""
    if state is State.RUNNING:
        return {Health.NONE: "Up", Health.STARTING: "Up (health: starting)"}.get(health, f"Up ({health})")
    if state is State.PAUSED:
        return "Up (Paused)"
    return f"{state.value.capitalize()}{code if state in (State.EXITED, State.RESTARTING) else ''}"


@lru_cache(maxsize=256)
def _minute(text: str) -> float:
    return datetime.fromisoformat(text + "+00:00").timestamp()


def parse_time(text: object) -> float | None:
    """Parse RFC 3339 with up to nanoseconds into seconds since the epoch; None for Go's zero time and for nonsense."""
    if not isinstance(text, str) or text.startswith("0001-"):
        return None
    try:
        if text.endswith("Z"):
            return _minute(text[:16]) + float(text[17:-1])
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).timestamp()
    except (ValueError, OverflowError):
        return None


def image_name(name: object) -> str:
    """Return an image's name for people: a digest is shortened to 12 digits, as the docker CLI does."""
    return _DIGEST.sub(r"\1", _text(name))


def fold_ports(ports: Iterable[Port | None]) -> tuple[Port, ...]:
    """Sort ports, and show a port published on the same number of IPv4 and IPv6 once (with the IPv4 address)."""
    ports_seen: dict[tuple[int, str, int | None, str], Port] = {}
    for port in ports:
        if port is not None:
            side = {"::": "0.0.0.0", "::1": "127.0.0.1", "": "0.0.0.0"}.get(port.host_ip, port.host_ip)
            key = (port.container, port.protocol, port.host, side if port.host is not None else "")
            if key not in ports_seen or ":" in ports_seen[key].host_ip:
                ports_seen[key] = port
    return tuple(sorted(ports_seen.values(), key=lambda p: (p.container, p.protocol, p.host or 0, p.host_ip)))


def _listed_port(entry: object) -> Port | None:
    data = _mapping(entry)
    private, public = _int(data.get("PrivatePort")), _int(data.get("PublicPort"))
    if not private:
        return None
    return Port(private, _text(data.get("Type")) or "tcp", public or None, _text(data.get("IP")) if public else "")


def _bound_ports(ports: Mapping[str, Any]) -> Iterable[Port | None]:
    for name, bindings in ports.items():
        number, _, protocol = str(name).partition("/")
        private = _int(number)
        if not private:
            continue
        hosts = [_mapping(binding) for binding in _items(bindings)]
        if not hosts:
            yield Port(private, _text(protocol) or "tcp")
        for host in hosts:
            public = _int(host.get("HostPort")) or None
            yield Port(private, _text(protocol) or "tcp", public, _text(host.get("HostIp")) if public else "")


def _state_of_inspect(state: Mapping[str, Any]) -> State:
    if isinstance(state.get("Status"), str):
        return parse_state(state["Status"])
    flags = ("Paused", State.PAUSED), ("Restarting", State.RESTARTING), ("Running", State.RUNNING), ("Dead", State.DEAD)
    return next((value for name, value in flags if state.get(name) is True), State.EXITED if state else State.UNKNOWN)


def _health(word: object, state: State) -> Health:
    # A stopped container keeps its last health in the engine's answer, where it only misleads.
    return parse_health(word) if state in (State.RUNNING, State.PAUSED) else Health.NONE


def _check(item: Mapping[str, Any]) -> HealthCheck:
    output = item.get("Output")
    text = sanitize(output, newlines=True) if isinstance(output, str) else ""
    return HealthCheck(
        started_at=parse_time(item.get("Start")) or 0.0,
        ended_at=parse_time(item.get("End")) or 0.0,
        exit_code=_int(item.get("ExitCode")) or 0,
        output=text if len(text) <= OUTPUT_KEPT else text[:OUTPUT_KEPT] + "…",
    )


def _compose_fields(labels: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "service": _text(labels.get(LABEL_SERVICE)),
        "project": _text(labels.get(LABEL_PROJECT)),
        "labels": tuple(sorted((_text(name), _text(value)) for name, value in labels.items())),
        "one_off": str(labels.get(LABEL_ONE_OFF)).lower() == "true",
        "number": _int(labels.get(LABEL_NUMBER)) or 1,
    }


def _name(names: object, container_id: str) -> str:
    # A linked container has further names like /other/alias; its own has the fewest slashes.
    own = min((text for text in map(_text, _items(names)) if text), key=lambda text: text.count("/"), default="")
    return own.removeprefix("/") or container_id[:12]


def _command(words: Iterable[object]) -> str:
    texts = [word for word in words if isinstance(word, str)]
    return _text(" ".join(f"'{word}'" if " " in word else word for word in texts))


def _text(value: object) -> str:
    if not isinstance(value, str):
        return ""
    return sanitize(value if len(value) <= TEXT_KEPT else value[:TEXT_KEPT] + "…")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _items(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _first_group(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return match.group(1) if match else None


def _int(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        return None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def project_of(name: str, containers: Iterable[Resource]) -> Project:
    """Return the project that the labels tell of. A service is as many replicas as there are."""
    regular = sorted((item for item in containers if item.service and not item.one_off), key=lambda item: item.service)
    replicas: dict[str, list[Resource]] = {}
    for item in regular:
        replicas.setdefault(item.service, []).append(item)
    labels = dict(regular[0].labels) if regular else {}
    return Project(
        name=name,
        directory=labels.get(LABEL_FOLDER, ""),
        files=_listed(labels.get(LABEL_FILES, "")),
        services=tuple(_service(service, items) for service, items in replicas.items()),
        by_labels=True,
    )


def started_elsewhere(project: Project, resources: Iterable[Resource]) -> str:
    """Say that containers of the project were started from another folder or with other files; "" where none were.

    Two clones of a project have one name, and to Compose they are one project.
    """
    if not project.files or project.by_labels:
        return ""  # COMPOSE_FILE names them, so that Compose alone knows the folder
    here, files = Path(project.directory).resolve(), _resolved(project.files)
    for resource in resources:
        labels = dict(resource.labels)
        folder = labels.get(LABEL_FOLDER, "")
        if folder and Path(folder).resolve() != here:
            return f"project {project.name} was started from {folder}"
        others = _listed(labels.get(LABEL_FILES, ""))
        if others and "-" not in others and _resolved(others) != files:  # "-": Compose read it from a pipe
            return f"project {project.name} was started with other files: {', '.join(others)}"
    return ""


def _service(name: str, containers: list[Resource]) -> Service:
    first = containers[0]
    return Service(
        name,
        first.image,
        replicas=len(containers),
        has_healthcheck=first.health is not Health.NONE,
        depends_on=tuple(_dependencies(dict(first.labels).get(LABEL_DEPENDS_ON, ""))),
    )


def _dependencies(label: str) -> Iterable[Dependency]:
    # service:condition:restart, with commas between them
    for entry in _listed(label):
        service, _, rest = entry.partition(":")
        yield Dependency(service, rest.partition(":")[0] or "service_started")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(entry for entry in text.split(",") if entry)


def _resolved(files: Iterable[str]) -> set[Path]:
    return {Path(file).resolve() for file in files}
