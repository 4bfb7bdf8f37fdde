"""What is noticed of a tree of files, by which means, and what is said when the system has no more room for it."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from watchdog.observers.inotify_c import InotifyEvent, InotifyFD

from devenv.core.errors import DevenvError
from devenv.watch import observe
from devenv.watch.observe import Kind, Observer, PathEvent, Root, limit_reached


class Noticed:
    """Collects what an observer tells."""

    def __init__(self) -> None:
        self.events: list[PathEvent] = []
        self.failures: list[DevenvError] = []
        self.lost = 0

    def lose(self) -> None:
        self.lost += 1

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, self.events
            time.sleep(0.01)

    def of(self, path: Path) -> list[Kind]:
        return [event.kind for event in self.events if event.path == str(path)]


@contextmanager
def observing(*roots: Root, **options: Any) -> Iterator[tuple[Observer, Noticed]]:
    noticed = Noticed()
    made = Observer(roots, noticed.events.append, lost=noticed.lose, failed=noticed.failures.append, **options)
    made.start()
    try:
        yield made, noticed
    finally:
        made.stop()


@pytest.mark.parametrize("poll", [False, True])
def test_files_come_change_move_and_go(tmp_path: Path, poll: bool) -> None:
    (tmp_path / "there").write_text("x")
    with observing(Root(str(tmp_path)), poll=poll) as (made, noticed):
        assert made.how == ("polling every 1 s (as asked)" if poll else "inotify")
        (tmp_path / "new").write_text("x")
        noticed.until(lambda: Kind.CREATED in noticed.of(tmp_path / "new"))
        (tmp_path / "there").write_text("more")
        noticed.until(lambda: Kind.CHANGED in noticed.of(tmp_path / "there"))
        (tmp_path / "there").rename(tmp_path / "moved")
        noticed.until(lambda: bool(noticed.of(tmp_path / "moved")) and Kind.DELETED in noticed.of(tmp_path / "there"))
        assert Kind.CREATED not in noticed.of(tmp_path / "moved"), "it may have replaced another"
        (tmp_path / "a" / "b").mkdir(parents=True)
        (tmp_path / "a" / "b" / "c").write_text("x")
        noticed.until(lambda: bool(noticed.of(tmp_path / "a")))
        noticed.until(lambda: not poll or bool(noticed.of(tmp_path / "a" / "b" / "c")))
        shutil.rmtree(tmp_path / "a")
        noticed.until(lambda: Kind.DELETED in noticed.of(tmp_path / "a"))


def test_reading_is_no_change(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with observing(Root(str(tmp_path))) as (_, noticed):
        (tmp_path / "file").read_text()
        list(tmp_path.iterdir())
        (tmp_path / "last").write_text("x")
        noticed.until(lambda: bool(noticed.of(tmp_path / "last")))
        assert noticed.of(tmp_path / "file") == []


def test_a_folder_that_is_skipped_costs_nothing(tmp_path: Path) -> None:
    for name in ("src", "node_modules", "node_modules/deep"):
        (tmp_path / name).mkdir()
    with observing(Root(str(tmp_path)), skips=lambda folder: folder.endswith("node_modules")) as (_, noticed):
        (tmp_path / "node_modules" / "x").write_text("x")
        (tmp_path / "node_modules" / "deep" / "x").write_text("x")
        (tmp_path / "src" / "x").write_text("x")
        noticed.until(lambda: bool(noticed.of(tmp_path / "src" / "x")))
        assert {event.path for event in noticed.events} == {str(tmp_path / "src" / "x")}


def test_of_a_shallow_root_only_its_own_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    with observing(Root(str(tmp_path), deep=False)) as (_, noticed):
        (tmp_path / "deep" / "x").write_text("x")
        (tmp_path / "Dockerfile").write_text("x")
        noticed.until(lambda: bool(noticed.of(tmp_path / "Dockerfile")))
        assert noticed.of(tmp_path / "deep" / "x") == []


def test_a_folder_that_was_moved_is_told_of_under_its_new_name(tmp_path: Path) -> None:
    (tmp_path / "tree" / "old" / "deep").mkdir(parents=True)
    with observing(Root(str(tmp_path / "tree"))) as (_, noticed):
        (tmp_path / "tree" / "old").rename(tmp_path / "tree" / "new")
        noticed.until(lambda: bool(noticed.of(tmp_path / "tree" / "new")))
        (tmp_path / "tree" / "new" / "deep" / "x").write_text("x")
        noticed.until(lambda: bool(noticed.of(tmp_path / "tree" / "new" / "deep" / "x")))
        (tmp_path / "tree" / "new").rename(tmp_path / "away")
        noticed.until(lambda: Kind.DELETED in noticed.of(tmp_path / "tree" / "new"))
        (tmp_path / "away" / "deep" / "y").write_text("y")
        (tmp_path / "tree" / "last").write_text("x")
        noticed.until(lambda: bool(noticed.of(tmp_path / "tree" / "last")))
        assert not any(event.path.endswith("/y") for event in noticed.events)


def test_a_folder_that_was_moved_away_is_told_of_at_once(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for number in range(5):
        (tree / f"{number}").mkdir(parents=True)
    took = []
    with observing(Root(str(tree))) as (_, noticed):
        for number in range(5):  # on a busy machine one of them may be late
            began = time.monotonic()
            (tree / f"{number}").rename(tmp_path / f"away-{number}")
            noticed.until(lambda: Kind.DELETED in noticed.of(tree / f"{number}"))  # noqa: B023
            took.append(time.monotonic() - began)
    assert min(took) < 0.4, "watchdog's own emitter holds each back for 0.5 s"


@pytest.mark.parametrize("poll", [False, True])
def test_a_root_that_was_replaced_is_watched_again(tmp_path: Path, poll: bool) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with observing(Root(str(root)), poll=poll) as (made, noticed):
        assert made.returned() == ()
        shutil.rmtree(root)
        noticed.until(lambda: poll or Kind.DELETED in noticed.of(root))
        assert made.returned() == ()
        root.mkdir()
        found: list[str] = []
        noticed.until(lambda: bool(found.extend(made.returned()) or found))
        assert found == [str(root)]
        (root / "x").write_text("x")
        noticed.until(lambda: bool(noticed.of(root / "x")))


def test_a_reached_limit_is_an_error_that_names_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is played at watchdog's call of the system, for a folder below: its own emitter drops that error."""
    (tmp_path / "first" / "second").mkdir(parents=True)
    original = InotifyFD.add_callback

    def full(self: InotifyFD, path: bytes, *rest: Any) -> Any:
        if path.endswith(b"second"):
            raise OSError(errno.ENOSPC, "inotify watch limit reached")
        return original(self, path, *rest)

    monkeypatch.setattr(InotifyFD, "add_callback", full)
    with pytest.raises(DevenvError) as raised, observing(Root(str(tmp_path))):
        pass
    now = int(Path("/proc/sys/fs/inotify/max_user_watches").read_text())
    assert raised.value.message == (
        f"The system's limit of watched folders is reached: fs.inotify.max_user_watches = {now}"
    )
    assert f"sudo sysctl fs.inotify.max_user_watches={max(524288, now * 2)}" in raised.value.hint
    shutil.rmtree(tmp_path / "first")
    with observing(Root(str(tmp_path))) as (_, noticed):  # the same while it runs
        (tmp_path / "first" / "second").mkdir(parents=True)
        noticed.until(lambda: bool(noticed.failures))
        assert "max_user_watches" in noticed.failures[0].message
    assert "fs.inotify.max_user_instances" in limit_reached(OSError(errno.EMFILE, "x")).message


def test_lost_events_are_told_and_folders_that_came_meanwhile_are_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overflow = InotifyEvent(-1, 0x4000, 0, b"")  # type: ignore[arg-type]  # IN_Q_OVERFLOW, as inotify(7) describes it
    with observing(Root(str(tmp_path))) as (_, noticed):
        InotifyFD.get_instance().handle_event(overflow)
        assert noticed.lost == 1
        (tmp_path / "x").write_text("x")
        noticed.until(lambda: bool(noticed.of(tmp_path / "x")))


def test_a_file_system_without_events_is_polled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = next(
        fields[2]
        for fields in sorted(
            map(str.split, Path("/proc/self/mounts").read_text().splitlines()), key=lambda f: -len(f[1])
        )
        if str(tmp_path).startswith(fields[1])
    )
    monkeypatch.setattr(observe, "WITHOUT_EVENTS", (kind,))
    with observing(Root(str(tmp_path))) as (made, noticed):
        assert made.how == (
            f"polling every 1 s ({tmp_path} is on {kind}, which gives no events of changes made elsewhere)"
        )
        (tmp_path / "x").write_text("x")
        noticed.until(lambda: bool(noticed.of(tmp_path / "x")))


def test_20_000_files_are_watched_at_once(tmp_path: Path) -> None:
    for folder in range(200):
        (tmp_path / f"f{folder}").mkdir()
        for file in range(100):
            (tmp_path / f"f{folder}" / f"{file}").touch()
    began = time.process_time()
    with observing(Root(str(tmp_path))) as (_, noticed):
        assert time.process_time() - began < 1.0
        idle = time.process_time()
        time.sleep(1)
        assert time.process_time() - idle < 0.05
        (tmp_path / "f199" / "99").write_text("x")
        noticed.until(lambda: bool(noticed.of(tmp_path / "f199" / "99")))
