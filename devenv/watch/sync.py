"""Bring changed files into containers: one archive and at most one `rm` for a batch, the same to every replica."""

from __future__ import annotations

import io
import os
import posixpath
import stat
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devenv.backends.docker.containers import CommandFailed, Containers, Inside
from devenv.core.errors import DevenvError
from devenv.core.text import sanitize
from devenv.watch.observe import Kind, PathEvent
from devenv.watch.rules import Rule, ServiceRules

ARGUMENTS = 100_000  # bytes of paths for one `rm`: Linux takes 128 KiB at least (ARG_MAX, and MAX_ARG_STRLEN a path)
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
    found = Changes()
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
                        found.deletions[rule.target_of(path)] = path
                continue
            for item in rules.files(rule, path) if stat.S_ISDIR(mode) else (path,):
                if rules.matches(rule, item) and (rule.is_file or item != rule.path):
                    names.append(item)
                    if rule.action.syncs:
                        found.copies[rule.target_of(item)] = item
        if names:
            found.rules.append(rule)
            found.names |= dict.fromkeys(_name(rule, path) for path in names)
    for target in found.copies:  # one rule's file may take the place that another's has left
        found.deletions.pop(target, None)
    return found


def _name(rule: Rule, path: str) -> str:
    place = rule.place(path)
    return Path(path).name if place in (".", None) else str(place)


def initial(rules: ServiceRules) -> Changes:
    """Return all files of the rules with `initial_sync`."""
    found = Changes()
    for rule in rules.rules:
        if rule.initial_sync:
            items = (rule.path,) if rule.is_file else rules.files(rule, rule.path)
            paths = [item for item in items if item != rule.path or rule.is_file]
            found.copies |= {rule.target_of(path): path for path in paths}
            found.names |= dict.fromkeys(_name(rule, path) for path in paths)
    return found


@dataclass(frozen=True, slots=True)
class Content:
    """What the files hold at one moment. `gone`: of those to be copied, what is here no more."""

    entries: tuple[tuple[str, os.stat_result, bytes, str], ...]  # target, status, bytes, link target
    gone: tuple[str, ...]
    unreadable: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(len(data) for _, _, data, _ in self.entries)

    def archive(self, folder: str, uid: int, gid: int) -> bytes:
        """Return a tar archive to be unpacked in `folder`; every entry belongs to this user."""
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for target, status, data, link in self.entries:
                entry = tarfile.TarInfo(posixpath.relpath(target, folder))
                entry.mode = stat.S_IMODE(status.st_mode)
                entry.mtime = status.st_mtime_ns / 1e9  # a PAX header takes fractions
                entry.uid, entry.gid = uid, gid
                if stat.S_ISLNK(status.st_mode):
                    entry.type, entry.linkname = tarfile.SYMTYPE, link
                elif stat.S_ISDIR(status.st_mode):
                    entry.type = tarfile.DIRTYPE
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        return file.getvalue()


def read(copies: Mapping[str, str]) -> Content:
    """Read the files once for all replicas; sockets, pipes and devices are left out."""
    entries, gone, unreadable = [], [], []
    for target, path in sorted(copies.items()):
        try:
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                entries.append((target, status, b"", str(Path(path).readlink())))
            elif stat.S_ISDIR(status.st_mode):
                entries.append((target, status, b"", ""))
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:  # noqa: PTH123  # the same with a Path costs a third more, times 20,000
                    entries.append((target, status, file.read(), ""))
        except (FileNotFoundError, NotADirectoryError):
            gone.append(target)
        except OSError as error:
            unreadable.append(f"{sanitize(path)}: {error.strerror}")
    return Content(tuple(entries), tuple(gone), tuple(unreadable))


def write(containers: Containers, inside: Inside, content: Content) -> None:
    """Put the files into a container. Its root file system is written by one archive; each mount gets its own."""
    by_folder: dict[str, list[tuple[str, os.stat_result, bytes, str]]] = {}
    for entry in content.entries:
        # The engine refuses "/" of a read-only container, also where a mount below could be written.
        place, _ = inside.mount_over(entry[0])
        by_folder.setdefault(place or "/", []).append(entry)
    for folder, entries in by_folder.items():
        part = Content(tuple(entries), (), ())
        containers.put(inside.id, folder, part.archive(folder, inside.uid, inside.gid))


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
            if error.is_missing or inside.uid == 0 or user == _ROOT:
                raise
            user = _ROOT
            containers.run(inside.id, command, user=user)
    return user


def obstacles(containers: Containers, inside: Inside, rules: ServiceRules, *, running: bool) -> list[str]:
    """Say where the rules cannot write in this container, and why; nothing is written to find out."""
    found: list[str] = []
    for target in dict.fromkeys(rule.target for rule in rules.rules if rule.action.syncs):
        place, kind = inside.mount_over(target)
        where = f"{inside.name}: {sanitize(target)} cannot be written"
        if kind == "ro":
            found.append(f"{where}: {place} is mounted read-only")
        elif kind == "tmpfs":
            found.append(f"{where}: {place} is a tmpfs, which the engine's archive calls do not reach; use a volume")
        elif not kind and inside.read_only:
            found.append(f"{where}: the root file system is read-only (`read_only: true`); mount a volume there")
        elif running and inside.uid != 0:
            found += _owner(containers, inside, target)
    return found


def _owner(containers: Containers, inside: Inside, target: str) -> list[str]:
    """Files are written by the engine, which may all; `rm` needs the right of the user that runs it, here as below."""
    for user in ("", _ROOT):
        try:
            containers.run(inside.id, ("test", "!", "-e", target, "-o", "-w", target), user=user)
            return []
        except CommandFailed as error:
            if error.is_missing:
                return []  # an image without a shell: it cannot be known before the first deletion
        except DevenvError:
            return []  # it has ended meanwhile
    who = inside.user or str(inside.uid)
    return [
        f"{inside.name}: {sanitize(target)} belongs to another user than the container's ({who}): files are written "
        f"by the engine, but none can be deleted there; COPY --chown={who} in the Dockerfile gives it to that user"
    ]
