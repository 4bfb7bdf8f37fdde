"""Containers from inside, in whichever runtime: their owner, files put into them, commands run in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Final, Protocol

from devenv.core.errors import DevenvError
from devenv.core.model import Resource

_NOT_STARTED: Final = (126, 127)  # exit codes for a command that is not there or cannot be run (POSIX shell, 2.8.2)


@dataclass(frozen=True, slots=True)
class Inside:
    """What a container is made of: who runs in it, and where files can be put.

    `mounts` maps a folder to "rw", "ro" or "tmpfs"; the engine's archive calls do not see what is in a tmpfs.
    `as_root` says that files are put by the runtime, which may write everywhere, and commands may be run as root.
    """

    id: str
    name: str
    user: str = ""
    uid: int = 0
    gid: int = 0
    read_only: bool = False
    mounts: Mapping[str, str] = field(default_factory=dict)
    key: str = ""  # of its resource
    as_root: bool = True

    def mount_over(self, path: str) -> tuple[str, str]:
        """Return the mount that has the path, and its kind; ("", "") for the container's own file system."""
        over = [place for place in self.mounts if f"{path}/".startswith(f"{place.rstrip('/')}/")]
        return (max(over, key=len), self.mounts[max(over, key=len)]) if over else ("", "")


class CommandFailed(DevenvError):
    """A command inside a container could not be started or ended with an error; the message has its last lines."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message, "It was run in the container: docker exec or kubectl exec shows more.")
        self.code = code

    @property
    def is_missing(self) -> bool:
        """Whether the image has no such program."""
        return self.code in _NOT_STARTED


class Containers(Protocol):
    """The containers of one project or namespace, for one thread. All raise DevenvError."""

    def of_service(self, service: str) -> tuple[Resource, ...]:
        """Return those of a service that were started; `container_id` is what the other methods take."""
        ...

    def look_inside(self, resource: Resource) -> Inside:
        """Find out who runs in a container, and what is mounted."""
        ...

    def put(self, container_id: str, folder: str, archive: IO[bytes]) -> None:
        """Unpack a tar archive in a folder that is there."""
        ...

    def run(
        self,
        container_id: str,
        command: Sequence[str],
        *,
        user: str = "",
        privileged: bool = False,
        working_dir: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """Run a command in a running container and return what it wrote; raises CommandFailed."""
        ...

    def close(self) -> None:
        """Close the connection; another call makes a new one."""
        ...
