"""Bring changed files into containers: one archive and at most one `rm` for a batch, the same to every replica."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, NamedTuple

from devenv.backends.inside import CommandFailed, Containers, Inside
from devenv.core.errors import DevenvError
from devenv.core.text import sanitize
from devenv.watch.observe import Kind, PathEvent
from devenv.watch.rules import Rule, ServiceRules

ARGUMENTS = 100_000  # bytes of paths for one `rm`: Linux takes 128 KiB at least (ARG_MAX, and MAX_ARG_STRLEN a path)
IN_MEMORY = 32 * 2**20  # bytes of files: an archive of more is a temporary file
MANY = 1000  # files in an archive: of more, which nobody saves by hand, a second header for each is half of the cost
_ROOT = "0:0"


@dataclass(slots=True)
class Changes:
    """What a batch means for the containers of one service."""

    copies: dict[str, str] = field(default_factory=dict)  # path in the container -> path here
    deletions: dict[str, str] = field(default_factory=dict)  # the same, of what is here no more
    rules: list[Rule] = field(default_factory=list)  # those that something of the batch belongs to, each once
    names: dict[str, None] = field(default_factory=dict)  # what changed, for people: relative to the rule's path

    def __bool__(self) -> bool:
        """Whether something is to be written or removed."""
        return bool(self.copies or self.deletions)


def changes_of(rules: ServiceRules, paths: Mapping[str, PathEvent]) -> Changes:
    """Look at what is there now, whatever the events said: all that follows is of this moment."""
    changes = Changes()
    for rule in rules.rules:
        names: list[str] = []
        for path, event in paths.items():
            if rule.place(path) is None:
                continue
            try:
                mode = os.lstat(path).st_mode
            except OSError:
                # Written and removed within the batch (editors' temporary files): no container has it.
                gone = event.kind is not Kind.CREATED and (rule.is_file or path != rule.path)
                if gone and rules.matches(rule, path):
                    names.append(path)
                    if rule.action.syncs:
                        changes.deletions[rule.target_of(path)] = path
                continue
            for item in rules.files(rule, path) if stat.S_ISDIR(mode) else (path,):
                if rules.matches(rule, item) and (rule.is_file or item != rule.path):
                    names.append(item)
                    if rule.action.syncs:
                        changes.copies[rule.target_of(item)] = item
        if names:
            changes.rules.append(rule)
            changes.names |= dict.fromkeys(_name(rule, path) for path in names)
    for target in changes.copies:  # one rule's file may take the place that another's has left
        changes.deletions.pop(target, None)
    return changes


def _name(rule: Rule, path: str) -> str:
    place = rule.place(path)
    return Path(path).name if place in (".", None) else str(place)


def initial(rules: ServiceRules) -> Changes:
    """Return all files of the rules with `initial_sync`."""
    changes = Changes()
    for rule in rules.rules:
        if rule.initial_sync:
            items = (rule.path,) if rule.is_file else rules.files(rule, rule.path)
            paths = [item for item in items if item != rule.path or rule.is_file]
            changes.copies |= {rule.target_of(path): path for path in paths}
            changes.names |= dict.fromkeys(_name(rule, path) for path in paths)
    return changes


class Entry(NamedTuple):
    """One path to be written: where to, from where, and what it is now."""

    target: str
    path: str
    status: os.stat_result
    link: str  # what a symbolic link leads to


class Content:
    """What is to be written, looked at once for all replicas: a context that holds their archives.

    `gone` are targets of files that are here no more, `unreadable` says what nobody here may read. Sockets, pipes and
    devices are left out.
    """

    def __init__(self, copies: Mapping[str, str]) -> None:
        self.entries: list[Entry] = []
        self.gone: list[str] = []
        self.unreadable: list[str] = []
        self._archives: dict[tuple[str, str, int, int], IO[bytes]] = {}
        for target, path in sorted(copies.items()):
            try:
                status = os.lstat(path)
                link = str(Path(path).readlink()) if stat.S_ISLNK(status.st_mode) else ""
            except OSError:
                self.gone.append(target)
                continue
            if stat.S_ISREG(status.st_mode) and not os.access(path, os.R_OK):
                self.unreadable.append(f"{sanitize(path)} cannot be read")
            elif stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode) or link:
                self.entries.append(Entry(target, path, status, link))

    def __enter__(self) -> Content:
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the archives."""
        for file in self._archives.values():
            file.close()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.status.st_size for entry in self.entries if stat.S_ISREG(entry.status.st_mode))

    def archives(self, inside: Inside) -> Iterator[tuple[str, IO[bytes]]]:
        """Yield what a container needs: a folder and a tar archive to unpack there, all owned by its user.

        Its root file system takes one archive; each mount gets its own, since the engine refuses "/" of a read-only
        container also where a mount below could be written.
        """
        places = {entry.target: inside.mount_over(entry.target)[0] for entry in self.entries}
        for place in sorted(set(places.values())):
            key = (inside.id if place else "", place, inside.uid, inside.gid)
            if key not in self._archives:
                own = [entry for entry in self.entries if places[entry.target] == place]
                self._archives[key] = _archive(own, place or "/", inside.uid, inside.gid)
            self._archives[key].seek(0)
            yield place or "/", self._archives[key]


def _archive(entries: Sequence[Entry], folder: str, uid: int, gid: int) -> IO[bytes]:
    is_large = sum(entry.status.st_size for entry in entries) > IN_MEMORY
    made: IO[bytes] = TemporaryFile() if is_large else io.BytesIO()  # noqa: SIM115  # Content closes it
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry.target[len(folder) :].lstrip("/"))
            info.mode = stat.S_IMODE(entry.status.st_mode)
            seconds, rest = divmod(entry.status.st_mtime_ns, 10**9)
            info.mtime = seconds
            if len(entries) <= MANY:  # a reloader needs the fraction: two saves in one second are two changes
                info.pax_headers = {"mtime": f"{seconds}.{rest:09d}"}
            info.uid, info.gid = uid, gid
            if entry.link:
                info.type, info.linkname = tarfile.SYMTYPE, entry.link
                archive.addfile(info)
            elif stat.S_ISDIR(entry.status.st_mode):
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            else:
                with suppress(FileNotFoundError), Path(entry.path).open("rb") as file:  # gone: an event says so too
                    info.size = os.fstat(file.fileno()).st_size
                    archive.addfile(info, _Padded(file))
    return made


class _Padded(io.RawIOBase):
    """A file that gives as many bytes as it is asked for: one that shrinks meanwhile has an event of its own."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size).ljust(max(0, size), b"\0")


def write(containers: Containers, inside: Inside, content: Content) -> None:
    """Put the files into a container."""
    for folder, archive in content.archives(inside):
        containers.put(inside.id, folder, archive)


def delete(containers: Containers, inside: Inside, targets: Iterable[str], user: str = "") -> str:
    """Remove these paths in a container by its own `rm`, as this user ("": its own), or as root where that may not.

    Returns the user that could. Raises CommandFailed.
    """
    kept: list[str] = []
    for target in sorted(targets):
        if not kept or not target.startswith(f"{kept[-1]}/"):
            kept.append(target)
    while kept:
        part, size = [], 0
        while kept and size < ARGUMENTS:
            part.append(kept.pop())
            size += len(os.fsencode(part[-1])) + 1
        command = ("rm", "-rf", "--", *part)
        try:
            containers.run(inside.id, command, user=user)
        except CommandFailed as error:
            if error.is_missing or inside.uid == 0 or user == _ROOT or not inside.as_root:
                raise
            user = _ROOT
            containers.run(inside.id, command, user=user)
    return user


def obstacles(containers: Containers, inside: Inside, rules: ServiceRules, *, running: bool) -> list[str]:
    """Say where the rules cannot write in this container, and why; nothing is written to find out."""
    reasons: list[str] = []
    for target in dict.fromkeys(rule.target for rule in rules.rules if rule.action.syncs):
        place, kind = inside.mount_over(target)
        where = f"{inside.name}: {sanitize(target)} cannot be written"
        if kind == "ro":
            reasons.append(f"{where}: {place} is mounted read-only")
        elif kind == "tmpfs":
            reasons.append(f"{where}: {place} is a tmpfs, which the engine's archive calls do not reach; use a volume")
        elif not kind and inside.read_only:
            reasons.append(f"{where}: the root file system is read-only (`read_only: true`); mount a volume there")
        elif running and inside.uid != 0:
            reasons += _owner(containers, inside, target)
    return reasons


def _owner(containers: Containers, inside: Inside, target: str) -> list[str]:
    """Files are written by the engine, which may all; `rm` needs the right of the user that runs it, here as below.

    In a pod, everything is done by the container's own user.
    """
    for user in ("", _ROOT) if inside.as_root else ("",):
        try:
            containers.run(inside.id, ("test", "!", "-e", target, "-o", "-w", target), user=user)
            return []
        except CommandFailed as error:
            if error.is_missing:
                return []  # an image without a shell: it cannot be known before the first deletion
        except DevenvError:
            return []  # it has ended meanwhile
    who = inside.user or str(inside.uid)
    if not inside.as_root:
        return [f"{inside.name}: {sanitize(target)} cannot be written by the container's user ({who})"]
    return [
        f"{inside.name}: {sanitize(target)} belongs to another user than the container's ({who}): files are written "
        f"by the engine, but none can be deleted there; COPY --chown={who} in the Dockerfile gives it to that user"
    ]
