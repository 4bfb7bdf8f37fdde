"""What is asked about one container when somebody looks at it; nothing of it is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from devenv.backends.docker.client import connect, engine_errors, inspect
from devenv.backends.docker.endpoint import Endpoint
from devenv.backends.docker.parse import parse_time
from devenv.backends.look import Image, Layer, Mount, Network, Processes, Seen, Subject, Variable
from devenv.core.errors import DevenvError
from devenv.core.model import Resource
from devenv.core.text import sanitize

ANSWER_WITHIN: Final = 60.0  # seconds: the engine adds up what is in its volumes


def look(endpoint: Endpoint, resource: Resource, subject: Subject) -> Seen:
    """Ask the engine; blocks. Raises DevenvError, also where the container is gone or does not run."""
    from docker.errors import NotFound

    client = connect(endpoint, timeout=ANSWER_WITHIN)
    try:
        with engine_errors(endpoint):
            try:
                return _READERS[subject](client, resource)
            except NotFound as error:
                hint = "Its service may have a new container."
                raise DevenvError(f"{resource.name} is not there any more", hint) from error
    finally:
        client.close()


def _inspect(client: Any, resource: Resource) -> Seen:
    return inspect(client, resource.container_id)


def _environment(client: Any, resource: Resource) -> Seen:
    from docker.errors import APIError

    data = inspect(client, resource.container_id)
    of_image: set[str] = set()
    with suppress(APIError):  # the image was removed from under it
        of_image |= set((client.inspect_image(data.get("Image")).get("Config") or {}).get("Env") or ())
    pairs = [(entry, *entry.partition("=")[::2]) for entry in (data.get("Config") or {}).get("Env") or ()]
    return [Variable("", name, value, "image" if entry in of_image else "") for entry, name, value in pairs]


def _mounts(client: Any, resource: Resource) -> Seen:
    data = inspect(client, resource.container_id)
    used: dict[str, Any] = client.df()
    volumes = {item.get("Name"): (item.get("UsageData") or {}).get("Size") for item in used.get("Volumes") or ()}
    own = [item.get("SizeRw") for item in used.get("Containers") or () if item.get("Id") == resource.container_id]
    mounts = [Mount("/", "container", "its own changes", size=(own[0] or 0) if own else None)]
    for item in data.get("Mounts") or ():
        size = volumes.get(item.get("Name"))
        mounts.append(
            Mount(
                str(item.get("Destination")),
                str(item.get("Type")),
                str(item.get("Name") or item.get("Source") or ""),
                item.get("RW") is not True,
                size if isinstance(size, int) and size >= 0 else None,  # -1: a driver that does not count
            )
        )
    for path, options in ((data.get("HostConfig") or {}).get("Tmpfs") or {}).items():
        mounts.append(Mount(path, "tmpfs", options))
    return mounts


def _networks(client: Any, resource: Resource) -> Seen:
    networks = (inspect(client, resource.container_id).get("NetworkSettings") or {}).get("Networks") or {}
    return [_network(name, item or {}) for name, item in networks.items()]


def _network(name: str, item: Mapping[str, Any]) -> Network:
    fields = (("IPAddress", "IPPrefixLen"), ("GlobalIPv6Address", "GlobalIPv6PrefixLen"))
    addresses = tuple(f"{item[address]}/{item.get(length)}" for address, length in fields if item.get(address))
    names = dict.fromkeys((*(item.get("DNSNames") or ()), *(item.get("Aliases") or ())))
    return Network(name, addresses, str(item.get("Gateway") or ""), tuple(names))


def _processes(client: Any, resource: Resource) -> Seen:
    if not resource.state.is_up:
        raise DevenvError(f"{resource.name} does not run: it has no processes", "")
    data: Mapping[str, Any] = client.top(resource.container_id)
    head = tuple(str(title) for title in data.get("Titles") or ())
    rows = (tuple(map(str, row)) for row in data.get("Processes") or ())
    return Processes(head, tuple(row for row in rows if len(row) == len(head)))


def _image(client: Any, resource: Resource) -> Seen:
    name = resource.image_id or resource.image
    data: Mapping[str, Any] = client.inspect_image(name)
    layers = (
        Layer(str(item.get("CreatedBy") or ""), int(item.get("Size") or 0), float(item.get("Created") or 0) or None)
        for item in client.history(name)
    )
    platform = "/".join(str(data[key]) for key in ("Os", "Architecture", "Variant") if data.get(key))
    tags = sanitize(", ".join(data.get("RepoTags") or ()) or resource.image)
    created = parse_time(data.get("Created"))
    return [Image(tags, str(data.get("Id") or ""), data.get("Size"), created, platform, tuple(layers))]


_READERS: Final[Mapping[Subject, Callable[[Any, Resource], Seen]]] = {
    "inspect": _inspect,
    "environment": _environment,
    "mounts": _mounts,
    "networks": _networks,
    "processes": _processes,
    "image": _image,
}
