"""The containers of a Compose service from inside: their owner, files put into them, commands run in them."""

from __future__ import annotations

import io
import posixpath
import tarfile
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Final

from devenv.backends.docker.client import connect, engine_errors, inspect
from devenv.backends.docker.endpoint import Endpoint
from devenv.backends.docker.watcher import list_project
from devenv.backends.inside import CommandFailed, Inside
from devenv.core.model import Resource, State
from devenv.core.text import sanitize

if TYPE_CHECKING:
    from docker import APIClient

ANSWER_WITHIN: Final = 600.0  # seconds for one request: a command inside may be an installation
_THERE: Final = (State.RUNNING, State.PAUSED, State.RESTARTING, State.EXITED)  # its files are those of its service


class EngineContainers:
    """`devenv.backends.inside.Containers` of one Compose project. All raise EngineUnreachable and DevenvError."""

    def __init__(self, endpoint: Endpoint, project: str) -> None:
        self._endpoint = endpoint
        self._project = project
        self._made: APIClient | None = None

    @property
    def _client(self) -> APIClient:
        if self._made is None:
            self._made = connect(self._endpoint, timeout=ANSWER_WITHIN)
        return self._made

    def close(self) -> None:
        """Close the connection; another call makes a new one."""
        if self._made is not None:
            self._made.close()
            self._made = None

    def of_service(self, service: str) -> tuple[Resource, ...]:
        """Return its containers that were started, by number; one-off ones and those being removed are left out."""
        listed = list_project(self._client, self._endpoint, self._project)
        own = (item for item in listed if item.service == service and not item.one_off and item.state in _THERE)
        return tuple(sorted(own, key=lambda item: item.number))

    def look_inside(self, resource: Resource) -> Inside:
        """Inspect a container and find out who runs in it, by its own /etc/passwd and /etc/group."""
        with engine_errors(self._endpoint):
            data = inspect(self._client, resource.container_id)
        host, config = data.get("HostConfig") or {}, data.get("Config") or {}
        mounts = {}
        for mount in data.get("Mounts") or ():
            way = "rw" if mount.get("RW") else "ro"
            mounts[str(mount.get("Destination"))] = "tmpfs" if mount.get("Type") == "tmpfs" else way
        mounts |= dict.fromkeys(host.get("Tmpfs") or {}, "tmpfs")
        user = str(config.get("User") or "")
        uid, gid = self._ids(resource.container_id, user)
        read_only = host.get("ReadonlyRootfs") is True
        return Inside(resource.container_id, resource.name, user, uid, gid, read_only, mounts, resource.key)

    def put(self, container_id: str, folder: str, archive: IO[bytes]) -> None:
        """Unpack a tar archive in a folder that is there."""
        with engine_errors(self._endpoint):
            self._client.put_archive(container_id, folder, archive)

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
        with engine_errors(self._endpoint):
            made = self._client.exec_create(
                container_id,
                list(command),
                user=user,
                privileged=privileged,
                workdir=working_dir or None,
                environment=dict(environment or {}),
            )
            output: bytes = self._client.exec_start(made["Id"])
            code = self._client.exec_inspect(made["Id"]).get("ExitCode")
        text = sanitize(output, newlines=True).strip()
        if code != 0:
            last = "\n  ".join(text.splitlines()[-10:]) or "it wrote nothing"
            raise CommandFailed(f"{sanitize(' '.join(command))[:200]} ended with {code}: {last}", int(code or 1))
        return text

    def _ids(self, container_id: str, user: str) -> tuple[int, int]:
        name, _, group = user.partition(":")
        if not name or (name.isdecimal() and group.isdecimal()):
            return int(name or 0), int(group or 0)
        people = [line.split(":") for line in self._text(container_id, "/etc/passwd").splitlines()]
        fields_of_user = next((fields for fields in people if len(fields) > 3 and name in (fields[0], fields[2])), None)
        uid = int(name) if name.isdecimal() else int(fields_of_user[2]) if fields_of_user else 0
        if group and not group.isdecimal():
            groups = [line.split(":") for line in self._text(container_id, "/etc/group").splitlines()]
            return uid, next((int(fields[2]) for fields in groups if len(fields) > 2 and fields[0] == group), 0)
        return uid, int(group) if group else int(fields_of_user[3]) if fields_of_user else 0

    def _text(self, container_id: str, path: str) -> str:
        """Return a small file of the container; "" where it has none."""
        from docker.errors import NotFound

        with engine_errors(self._endpoint):
            try:
                stream, _ = self._client.get_archive(container_id, path)
                data = b"".join(stream)
            except NotFound:
                return ""
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            member = archive.extractfile(posixpath.basename(path))
            return member.read().decode("utf-8", "replace") if member is not None else ""
