"""What a batch becomes: the archive, the deletions, and what is said of targets that cannot be written."""

from __future__ import annotations

import os
import socket
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import pytest

from devenv.backends.docker.containers import EngineContainers
from devenv.backends.docker.endpoint import Endpoint
from devenv.backends.inside import CommandFailed, Inside
from devenv.watch import sync
from devenv.watch.observe import Kind, PathEvent
from devenv.watch.rules import ServiceRules, read_rules
from devenv.watch.sync import Changes, Content, changes_of, delete, initial, obstacles, write


class Played(EngineContainers):
    """Containers that keep what they are given. `forbidden` maps a user to the exit code of its commands."""

    def __init__(self, **forbidden: int) -> None:
        super().__init__(Endpoint("unix:///none"), "p")
        self.archives: list[tuple[str, dict[str, tarfile.TarInfo], dict[str, bytes]]] = []
        self.commands: list[tuple[str, tuple[str, ...]]] = []
        self.forbidden = forbidden

    def put(self, container_id: str, folder: str, archive: IO[bytes]) -> None:
        with tarfile.open(fileobj=archive) as found:
            members = {member.name: member for member in found}
            read = {name: found.extractfile(name) for name, member in members.items() if member.isreg()}
            self.archives.append((folder, members, {name: file.read() for name, file in read.items() if file}))

    def run(self, container_id: str, command: Sequence[str], *, user: str = "", **options: Any) -> str:
        self.commands.append((user, tuple(command)))
        code = self.forbidden.get("root" if user else "own", 0)
        if code:
            raise CommandFailed("no", code)
        return ""


def rules_of(folder: Path, *entries: dict[str, Any]) -> ServiceRules:
    for entry in entries:
        (folder / entry["path"]).mkdir(exist_ok=True)
    watch = [{"action": "sync", "target": "/app", **entry, "path": str(folder / entry["path"])} for entry in entries]
    (found,), _ = read_rules({"services": {"web": {"develop": {"watch": watch}}}})
    return found


def changes(rules: ServiceRules, *events: tuple[Path, Kind]) -> Changes:
    return changes_of(rules, {str(path): PathEvent(str(path), kind, path.is_dir()) for path, kind in events})


def test_a_batch_is_what_is_there_now_whatever_the_events_said(tmp_path: Path) -> None:
    rules, src = rules_of(tmp_path, {"path": "src"}), tmp_path / "src"
    (src / "deep").mkdir()
    for name in ("back", "deep/a", "deep/x~"):
        (src / name).touch()
    found = changes(
        rules,
        (src / "back", Kind.DELETED),  # deleted, and written again
        (src / "gone", Kind.CHANGED),
        (src / "never", Kind.CREATED),  # written and removed: no container has it
        (src / "deep", Kind.CHANGED),  # a folder that was moved here comes with all that is in it
        (src / ".x.swp", Kind.DELETED),
    )
    assert sorted(found.copies) == ["/app/back", "/app/deep", "/app/deep/a"]
    assert list(found.deletions) == ["/app/gone"]
    assert sorted(found.names) == ["back", "deep", "deep/a", "gone"]


def test_a_watched_folder_that_is_gone_takes_no_target_with_it(tmp_path: Path) -> None:
    rules, src = rules_of(tmp_path, {"path": "src"}), tmp_path / "src"
    src.rmdir()
    assert not changes(rules, (src, Kind.DELETED))
    (tmp_path / "file").touch()
    watch = {"path": str(tmp_path / "file"), "action": "sync", "target": "/etc/file"}
    (single,), _ = read_rules({"services": {"web": {"develop": {"watch": [watch]}}}})
    (tmp_path / "file").unlink()
    assert list(changes(single, (tmp_path / "file", Kind.DELETED)).deletions) == ["/etc/file"]


def test_a_file_of_one_rule_may_take_the_place_that_anothers_left(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, {"path": "one"}, {"path": "two"})
    (tmp_path / "two" / "a").touch()
    found = changes(rules, (tmp_path / "one" / "a", Kind.DELETED), (tmp_path / "two" / "a", Kind.CHANGED))
    assert found.copies == {"/app/a": str(tmp_path / "two" / "a")}
    assert found.deletions == {}


def test_initial_sync_is_every_file_of_its_rule(tmp_path: Path) -> None:
    rules = rules_of(
        tmp_path, {"path": "one", "initial_sync": True, "include": ["**/*.py"]}, {"path": "two", "target": "/two"}
    )
    for name in ("one/a.py", "one/a.txt", "two/b.py"):
        (tmp_path / name).touch()
    assert list(initial(rules).copies) == ["/app/a.py"]


@pytest.mark.parametrize("in_memory", [0, sync.IN_MEMORY])
def test_the_archive_has_mode_time_and_the_containers_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr(sync, "IN_MEMORY", in_memory)
    (tmp_path / "run").write_bytes(b"#!/bin/sh\n")
    (tmp_path / "run").chmod(0o755)
    os.utime(tmp_path / "run", ns=(0, 1_700_000_000_250_000_000))
    (tmp_path / "link").symlink_to("run")
    (tmp_path / "folder").mkdir()
    odd = os.fsdecode(b"-odd \xff\n'name'")
    (tmp_path / odd).write_text("odd")
    os.mkfifo(tmp_path / "pipe")
    copies = {f"/app/{name}": str(tmp_path / name) for name in ("run", "link", "folder", odd, "pipe", "gone")}
    played = Played()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        copies["/app/socket"] = str(tmp_path / "socket")
        with Content(copies) as content:
            for inside in (Inside("1", "one", "u", 7, 8), Inside("2", "two", "u", 7, 8)):
                write(played, inside, content)
    assert (content.gone, content.unreadable, content.size) == (["/app/gone"], [], 13)
    first, second = played.archives
    assert first[2] == second[2] == {"app/run": b"#!/bin/sh\n", f"app/{odd}": b"odd"}
    folder, members, _ = first
    assert folder == "/"
    assert set(members) == {"app/run", "app/link", "app/folder", f"app/{odd}"}
    assert {(member.uid, member.gid) for member in members.values()} == {(7, 8)}
    assert (members["app/run"].mode, members["app/run"].pax_headers["mtime"]) == (0o755, "1700000000.250000000")
    assert (members["app/link"].issym(), members["app/link"].linkname) == (True, "run")
    assert members["app/folder"].isdir()


def test_a_file_that_shrinks_while_it_is_read_spoils_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100_000)
    (tmp_path / "b").write_bytes(b"after")
    played = Played()
    with Content({"/a": str(tmp_path / "a"), "/b": str(tmp_path / "b")}) as content:
        (tmp_path / "a").write_bytes(b"short")
        write(played, Inside("1", "one"), content)
    assert played.archives[0][2] == {"a": b"short", "b": b"after"}


def test_each_mount_gets_its_own_archive(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    inside = Inside("1", "one", read_only=True, mounts={"/data": "rw", "/data/deep": "rw"})
    copies = {target: str(tmp_path / "a") for target in ("/app/a", "/data/a", "/data/deep/a", "/database/a")}
    played = Played()
    with Content(copies) as content:
        write(played, inside, content)
    assert {folder: list(members) for folder, members, _ in played.archives} == {
        "/": ["app/a", "database/a"],
        "/data": ["a"],
        "/data/deep": ["a"],
    }


def test_deletions_are_one_command_and_name_a_folder_once() -> None:
    played = Played()
    user = delete(played, Inside("1", "one", "u", 7, 7), ["/app/d/x", "/app/d", "/app/d/y/z", "/app/dd", "/app/-rf"])
    assert user == ""
    ((who, command),) = played.commands
    assert who == ""
    assert command[:3] == ("rm", "-rf", "--")
    assert sorted(command[3:]) == ["/app/-rf", "/app/d", "/app/dd"]
    many = Played()
    delete(many, Inside("1", "one"), [f"/app/{'x' * 100}{number}" for number in range(3000)])
    assert len(many.commands) == 4
    assert sum(len(command) - 3 for _, command in many.commands) == 3000


def test_where_the_containers_user_may_not_delete_root_does() -> None:
    played = Played(own=1)
    inside = Inside("1", "one", "u", 7, 7)
    user = delete(played, inside, ["/a"])
    assert [who for who, _ in played.commands] == ["", user]
    played.commands.clear()
    assert delete(played, inside, ["/b"], user) == user
    assert len(played.commands) == 1, "what is known is not tried again"
    for codes in ({"own": 1, "root": 1}, {"own": 127}):  # neither may; the image has no rm
        with pytest.raises(CommandFailed):
            delete(Played(**codes), inside, ["/a"])


def test_targets_that_cannot_be_written_are_told_of(tmp_path: Path) -> None:
    targets = ("/ro/x", "/tmp/x", "/rw/x", "/app")
    rules = rules_of(tmp_path, *({"path": f"p{number}", "target": name} for number, name in enumerate(targets)))
    mounts = {"/ro": "ro", "/tmp": "tmpfs", "/rw": "rw"}
    told = obstacles(Played(), Inside("1", "one", read_only=True, mounts=mounts), rules, running=True)
    assert [text.partition(";")[0] for text in told] == [
        "one: /ro/x cannot be written: /ro is mounted read-only",
        "one: /tmp/x cannot be written: /tmp is a tmpfs, which the engine's archive calls do not reach",
        "one: /app cannot be written: the root file system is read-only (`read_only: true`)",
    ]
    rules = rules_of(tmp_path, {"path": "p0"})
    user = Inside("1", "one", "app", 7, 7)
    assert "belongs to another user" in obstacles(Played(own=1, root=1), user, rules, running=True)[0]
    for played in (Played(), Played(own=1), Played(own=127)):
        assert obstacles(played, user, rules, running=True) == []
