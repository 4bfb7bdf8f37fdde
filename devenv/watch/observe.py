"""File events of many folders from one watchdog observer: inotify, the platform's own, or polling where neither helps.

watchdog's own inotify emitter follows every folder below the one it is given, drops the error of a reached limit, and
holds what was moved away back for half a second. On Linux `TreeEmitter` takes its place on the same descriptor.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirModifiedEvent,
    FileClosedNoWriteEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileOpenedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver, EventEmitter

from devenv.core.errors import DevenvError
from devenv.watch.rules import is_below

if TYPE_CHECKING:
    from watchdog.observers.api import EventQueue, ObservedWatch
    from watchdog.observers.inotify_c import InotifyEvent, InotifyFD, WatchDescriptor

POLL_SECONDS = 1.0  # a listing of 20,000 files takes 0.2 s of CPU
# Network and shared folders: what another machine changes in them comes without an event.
WITHOUT_EVENTS = (
    *("9p", "cifs", "fuse.grpcfuse", "fuse.osxfs", "fuse.prl_fsd", "fuse.sshfs", "fuse.vmhgfs-fuse"),
    *("nfs", "nfs4", "prl_fs", "smb3", "smbfs", "vboxsf", "virtiofs"),
)


class Kind(Enum):
    """What happened to a path."""

    CREATED = "created"  # it was not there before
    CHANGED = "changed"  # it is new or other, and may have been there before
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class PathEvent:
    """One event."""

    path: str
    kind: Kind
    is_folder: bool


@dataclass(frozen=True, slots=True, order=True)
class Root:
    """A folder to be watched, with all below or only what is in it."""

    path: str
    deep: bool = True


class Observer:
    """Tells `seen` of every change below the roots, from a thread of its own.

    `skips` says which folders need not be watched. `lost` is called when events were lost, so that all has to be
    looked at again; `failed` when a new folder could not be watched. Raises DevenvError by `start` when a limit of the
    system is reached.
    """

    def __init__(
        self,
        roots: Iterable[Root],
        seen: Callable[[PathEvent], None],
        *,
        skips: Callable[[str], bool] = lambda folder: False,
        lost: Callable[[], None] = lambda: None,
        failed: Callable[[DevenvError], None] = lambda error: None,
        poll: bool = False,
    ) -> None:
        self._roots = _outermost(roots)
        self._handler = _Handler(seen)
        self._why = "as asked" if poll else _eventless(self._roots)
        self._observer: Any = _make(bool(self._why), skips, lost, failed)
        self._missing: set[Root] = set()
        self._watched: dict[Root, tuple[ObservedWatch, tuple[int, int]]] = {}

    @property
    def how(self) -> str:
        """How changes are noticed, in a person's words."""
        if not self._why:
            return "inotify" if sys.platform == "linux" else type(self._observer).__name__.removesuffix("Observer")
        return f"polling every {POLL_SECONDS:g} s ({self._why})"

    def start(self) -> None:
        """Begin; when it returns, every change from now on is reported."""
        try:
            for root in self._roots:
                self._schedule(root)
            self._observer.start()
        except OSError as error:
            raise limit_reached(error) from error

    def stop(self) -> None:
        """End, and wait for the threads."""
        self._observer.stop()
        if self._observer.is_alive():
            self._observer.join()

    def returned(self) -> tuple[str, ...]:
        """Watch roots that were removed or replaced, and are there again, anew; return them. To be called often."""
        alive = {emitter.watch for emitter in self._observer.emitters if emitter.is_alive()}
        for root, (watch, identity) in tuple(self._watched.items()):
            if watch not in alive or _identity(root.path) != identity:
                with suppress(KeyError):  # the emitter ended by itself with its folder
                    self._observer.unschedule(watch)
                del self._watched[root]
                self._missing.add(root)
        back = []
        for root in sorted(self._missing):
            if Path(root.path).is_dir():
                with suppress(OSError):  # gone again in this moment: the next call sees it
                    self._schedule(root)
                    self._missing.discard(root)
                    back.append(root.path)
        return tuple(back)

    def _schedule(self, root: Root) -> None:
        identity = _identity(root.path)
        watch = self._observer.schedule(self._handler, root.path, recursive=root.deep)
        self._watched[root] = (watch, identity)


def _identity(path: str) -> tuple[int, int]:
    try:
        status = Path(path).stat()
    except OSError:
        return (0, 0)
    return (status.st_dev, status.st_ino)


def limit_reached(error: OSError) -> DevenvError:
    """Translate what the system says when no more can be watched."""
    which = {errno.ENOSPC: "max_user_watches", errno.EMFILE: "max_user_instances"}.get(error.errno or 0)
    if which is None:
        return DevenvError(f"{error.filename or 'a folder'} cannot be watched: {error.strerror or error}")
    name = f"fs.inotify.{which}"
    try:
        now = int(Path(f"/proc/sys/fs/inotify/{which}").read_text("ascii"))
    except (OSError, ValueError):
        now = 0
    what = "folders" if which == "max_user_watches" else "programs"
    more = max(524288 if which == "max_user_watches" else 512, now * 2)
    return DevenvError(
        f"The system's limit of watched {what} is reached: {name}{f' = {now}' if now else ''}",
        f"Raise it: sudo sysctl {name}={more} (for good: a line {name}={more} in /etc/sysctl.d/99-inotify.conf). "
        "Or ignore folders that nobody edits, in .dockerignore or the rule's `ignore`; or use --poll.",
    )


class _Handler(FileSystemEventHandler):
    def __init__(self, seen: Callable[[PathEvent], None]) -> None:
        self._seen = seen

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Say it in our words: a path that came, changed or went. What only tells of reading is left out."""
        if isinstance(event, FileOpenedEvent | FileClosedNoWriteEvent | DirModifiedEvent):
            return
        source, goal = os.fsdecode(event.src_path), os.fsdecode(event.dest_path)
        gone = event.event_type in ("deleted", "moved")
        kind = Kind.DELETED if gone else Kind.CREATED if event.event_type == "created" else Kind.CHANGED
        if source:
            self._seen(PathEvent(source, kind, event.is_directory))
        if goal:
            self._seen(PathEvent(goal, Kind.CHANGED, event.is_directory))


class TreeEmitter(EventEmitter):
    """inotify(7) of a folder and all below that is not skipped; made by watchdog's observer."""

    def __init__(
        self,
        event_queue: EventQueue,
        watch: ObservedWatch,
        *,
        skips: Callable[[str], bool],
        lost: Callable[[], None],
        failed: Callable[[DevenvError], None],
        **options: Any,
    ) -> None:
        super().__init__(event_queue, watch, **options)
        from watchdog.observers.inotify_c import InotifyConstants as Inotify
        from watchdog.observers.inotify_c import Mask

        written = Inotify.IN_CREATE | Inotify.IN_MODIFY | Inotify.IN_ATTRIB | Inotify.IN_CLOSE_WRITE | Inotify.IN_MOVE
        removed = Inotify.IN_DELETE | Inotify.IN_DELETE_SELF
        self._mask = Mask(written | removed | Inotify.IN_ONLYDIR | Inotify.IN_DONT_FOLLOW)
        self._skips, self._lost, self._failed = skips, lost, failed
        self._top = os.fsdecode(watch.path)
        self._lock = threading.RLock()
        self._folders: dict[WatchDescriptor, str] = {}
        self._descriptors: dict[str, WatchDescriptor] = {}
        self._fd: InotifyFD | None = None

    def on_thread_start(self) -> None:
        """Watch what is there; raises OSError, also of a folder far below."""
        from watchdog.observers.inotify_c import InotifyFD

        self._fd = InotifyFD.get_instance()
        self._add(self._top)

    def on_thread_stop(self) -> None:
        """Watch nothing any more."""
        with self._lock:
            self._remove(tuple(self._folders))

    def queue_events(self, timeout: float) -> None:
        """Wait for the end: events are queued by the thread that reads the descriptor."""
        self.stopped_event.wait()

    def on_event(self, event: InotifyEvent) -> None:
        """Take one event of one of the folders."""
        with self._lock:
            folder = self._folders.get(event.wd)
        if folder is None or not self.should_keep_running():
            return
        if event.is_delete_self and folder == self._top:
            self.queue_event(DirDeletedEvent(folder))
            self.stop()
        if not event.name:
            return
        path = f"{folder}/{os.fsdecode(event.name)}"
        if event.is_directory:
            self._on_folder(event, path)
        elif event.is_create:
            self.queue_event(FileCreatedEvent(path))
        elif event.is_delete or event.is_moved_from:
            self.queue_event(FileDeletedEvent(path))
        else:  # written, moved here (perhaps over another), or its mode changed
            self.queue_event(FileModifiedEvent(path))

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """Forget a folder that is gone."""
        with self._lock:
            self._forget(wd)

    def on_queue_overflow(self) -> None:
        """Watch what may have come meanwhile, and have everything looked at."""
        self._try_to_add(self._top)
        self._lost()

    def _on_folder(self, event: InotifyEvent, path: str) -> None:
        if event.is_moved_from:  # its descriptors would go on to tell of it under its old name
            with self._lock:
                self._remove(tuple(wd for wd, name in self._folders.items() if is_below(name, path)))
        if event.is_create or event.is_moved_to:
            if not self._skips(path):
                if self.watch.is_recursive:
                    self._try_to_add(path)
                self.queue_event(DirCreatedEvent(path))
        elif event.is_delete or event.is_moved_from:
            self.queue_event(DirDeletedEvent(path))

    def _try_to_add(self, path: str) -> None:
        try:
            self._add(path)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):  # it is gone again
                self._failed(limit_reached(error))

    def _add(self, top: str) -> None:
        assert self._fd is not None  # the thread was started
        todo = [top]
        while todo:
            folder = todo.pop()
            try:
                with self._lock:
                    if folder in self._descriptors:  # added twice, watchdog warns; what changes now is looked for below
                        self._remove((self._descriptors[folder],))
                    wd = self._fd.add_callback(os.fsencode(folder), self._mask, self, id(self))  # type: ignore[arg-type]
                    self._folders[wd], self._descriptors[folder] = folder, wd
                with os.scandir(folder) as entries:
                    below = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                if folder == self._top:
                    raise
                continue  # it went away, or nobody here may look into it
            if self.watch.is_recursive:
                todo += [path for path in below if not self._skips(path)]

    def _remove(self, descriptors: tuple[WatchDescriptor, ...]) -> None:
        for wd in descriptors:
            self._forget(wd)
        if self._fd is not None:
            self._fd.remove_callbacks([(wd, id(self)) for wd in descriptors])  # type: ignore[misc]

    def _forget(self, wd: WatchDescriptor) -> None:
        folder = self._folders.pop(wd, "")
        if self._descriptors.get(folder) == wd:
            del self._descriptors[folder]


def _make(
    poll: bool, skips: Callable[[str], bool], lost: Callable[[], None], failed: Callable[[DevenvError], None]
) -> BaseObserver:
    if poll:
        from watchdog.observers.polling import PollingObserver

        return PollingObserver(timeout=POLL_SECONDS)
    if sys.platform == "linux":
        return BaseObserver(TreeEmitter, skips=skips, lost=lost, failed=failed)
    from watchdog.observers import Observer as PlatformObserver

    return PlatformObserver()


def _outermost(roots: Iterable[Root]) -> tuple[Root, ...]:
    """Leave out what another root watches too."""
    every = set(roots)

    def covered(root: Root) -> bool:
        return any(outer.deep and outer != root and is_below(root.path, outer.path) for outer in every)

    return tuple(root for root in sorted(every) if not covered(root))


def _eventless(roots: Iterable[Root]) -> str:
    """Say why events cannot be relied on: the file system of a root, by /proc/self/mounts; "" where they can."""
    try:
        lines = Path("/proc/self/mounts").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:  # not Linux
        return ""
    mounts = [(fields[1].replace("\\040", " "), fields[2]) for fields in map(str.split, lines) if len(fields) > 2]
    for root in roots:
        over = [(len(place), kind) for place, kind in mounts if is_below(root.path, place)]
        kind = max(over, default=(0, ""))[1]
        if kind in WITHOUT_EVENTS:
            return f"{root.path} is on {kind}, which gives no events of changes made elsewhere"
    return ""
