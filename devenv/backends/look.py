"""What is read about one resource when somebody looks at it, in the words of both runtimes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from msgspec import Struct

Subject = Literal["inspect", "environment", "mounts", "networks", "processes", "image"]


class Variable(NamedTuple):
    """One variable of a container; `value` is None where it is not known here; `source` says where it comes from."""

    container: str
    name: str
    value: str | None
    source: str = ""


class Mount(NamedTuple):
    """What a container sees at a path; `size` is how many bytes are in it, None where nobody counts them."""

    target: str
    kind: str  # bind, volume, tmpfs; in a cluster the volume's type
    source: str
    read_only: bool = False
    size: int | None = None
    container: str = ""


class Network(NamedTuple):
    """One network that it is in."""

    name: str
    addresses: tuple[str, ...]
    gateway: str = ""
    names: tuple[str, ...] = ()  # under which others find it


class Processes(NamedTuple):
    """What runs inside, as `ps` on the engine's host prints it."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Layer(NamedTuple):
    """One step of an image's history, `size` 0 where it changed no file."""

    command: str
    size: int
    created_at: float | None


class Image(Struct, frozen=True):
    """An image; the newest layer first, and none where the runtime tells none."""

    name: str
    id: str
    size: int | None = None
    created_at: float | None = None
    platform: str = ""
    layers: tuple[Layer, ...] = ()


Seen = Mapping[str, Any] | list[Variable] | list[Mount] | list[Network] | Processes | list[Image]
