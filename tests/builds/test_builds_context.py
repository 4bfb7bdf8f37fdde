"""The tree of a context: what is a change and what is none, and the hashes that are kept of its files."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_trees import copy_elsewhere, random_tree

from devenv.builds.context import Tree, read_tree
from devenv.builds.hashes import STEP_NS, FileHashes
from devenv.builds.ignore import IgnoreMatcher
from devenv.builds.store import Store

CHANCES = st.randoms(use_true_random=False)
FORTY = settings(max_examples=40, derandomize=True, deadline=None, database=None)
OLD = time.time() - 3600  # a time of change that no clock's step reaches


def tree_of(folder: Path, *patterns: str, store: Store | None = None) -> Tree:
    hashes = FileHashes(folder, store)
    tree = read_tree(folder, IgnoreMatcher(patterns), hashes, store.own if store else None)
    hashes.save()
    return tree


def paths(tree: Tree) -> list[str]:
    return [entry.path for entry in tree.entries]


@FORTY
@given(CHANCES)
def test_equal_trees_have_one_digest_wherever_they_are_and_whenever_they_were_made(chance: Random) -> None:
    with TemporaryDirectory() as name:
        here, there = Path(name, "here"), Path(name, "there")
        random_tree(here, chance)
        copy_elsewhere(here, there)
        assert tree_of(here) == tree_of(there)


def content(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b".")


def same_length(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(bytes([data[0] ^ 1, *data[1:]]) if data else b"x")


def exec_bit(file: Path) -> None:
    file.chmod(file.stat().st_mode ^ 0o100)


def rename(file: Path) -> None:
    file.rename(file.with_name("renamed"))


def gone(file: Path) -> None:
    file.unlink()


def link_instead(file: Path) -> None:
    file.unlink()
    file.symlink_to("elsewhere")


def other_target(file: Path) -> None:
    link = file.with_name("link")
    target = str(link.readlink())
    link.unlink()
    link.symlink_to(f"{target}2")


def new_folder(file: Path) -> None:
    file.with_name("empty").mkdir()


def folder_mode(file: Path) -> None:
    file.with_name("folder").chmod(0o711)


CHANGES = (content, same_length, exec_bit, rename, gone, link_instead, other_target, new_folder, folder_mode)


@FORTY
@given(CHANCES)
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_every_change_of_what_is_built_from_is_a_change(change: Callable[[Path], None], chance: Random) -> None:
    with TemporaryDirectory() as name:
        folder, store = Path(name, "tree"), Store(Path(name))
        file = chance.choice(random_tree(folder, chance))
        file.with_name("link").symlink_to("target")
        file.with_name("folder").mkdir(mode=0o755)
        before = tree_of(folder, store=store)
        change(file)
        after = tree_of(folder, store=store)
        assert before.digest != after.digest
        assert after == tree_of(folder), "what was kept of the files must not show"


@FORTY
@given(CHANCES)
def test_touching_times_is_no_change(chance: Random) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name, "tree")
        files = random_tree(folder, chance)
        before = tree_of(folder)
        for number, file in enumerate(files):
            os.utime(file, (OLD + number, OLD - number))
            os.utime(file.parent, (1, 1))
        assert tree_of(folder) == before


def test_what_is_ignored_is_no_part_but_the_folders_above_what_is_kept_are(tmp_path: Path) -> None:
    for name in ("src/app/main.py", "src/app/main.pyc", "src/lib/x", "docs/index", "top"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    tree = tree_of(tmp_path, "*", "!src/app", "**/*.pyc")
    assert paths(tree) == ["src", "src/app", "src/app/main.py"]
    (tmp_path / "docs" / "index").write_text("edited")
    assert tree_of(tmp_path, "*", "!src/app", "**/*.pyc") == tree
    assert paths(tree_of(tmp_path, "*", "!**/main.*")) == ["src", "src/app", "src/app/main.py", "src/app/main.pyc"]
    assert paths(tree_of(tmp_path, "**")) == []


def test_links_are_not_followed_and_special_files_not_opened(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(".")
    os.mkfifo(tmp_path / "pipe", 0o600)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        tree = tree_of(tmp_path)
    assert [(entry.path, entry.type, entry.target) for entry in tree.entries] == [
        ("loop", "link", "."),
        ("pipe", "other", ""),
        ("socket", "other", ""),
    ]


def test_names_that_are_no_text_are_told_apart(tmp_path: Path) -> None:
    for name in (b"\xff", b"\xfe", "é".encode()):
        (tmp_path / os.fsdecode(name)).write_text("x")
    assert paths(tree_of(tmp_path)) == ["\\xfe", "\\xff", "é"]


def test_what_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("data/secret", "main.py", "open/ok"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    refuse_to_read(monkeypatch, tmp_path / "data", tmp_path / "main.py")
    tree = tree_of(tmp_path)
    assert tree.unreadable == ("data", "main.py")
    assert paths(tree) == ["data", "data", "main.py", "open", "open/ok"]
    assert tree_of(tmp_path, "data", "main.py").unreadable == ()
    assert paths(tree_of(tmp_path, "data", "main.py", "!**/ok")) == ["open", "open/ok"]


def refuse_to_read(monkeypatch: pytest.MonkeyPatch, *refused: Path) -> None:
    """Take these paths' readability away from this process: to root, who runs tests too, no mode does it."""
    names = {str(path) for path in refused}

    def refuse(real: Callable[..., object]) -> Callable[..., object]:
        def call(path: str, *arguments: object) -> object:
            if str(path) in names:
                raise PermissionError(13, "Permission denied", path)
            return real(path, *arguments)

        return call

    monkeypatch.setattr("devenv.builds.context.os.scandir", refuse(os.scandir))
    monkeypatch.setattr("devenv.builds.hashes.os.open", refuse(os.open))


class Files:
    """A folder of two old files whose hashes are kept, and how many files each reading has to read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "tree"
        self.store = Store(folder)
        self.folder.mkdir()
        for name in ("one", "two"):
            (self.folder / name).write_text("text")
            os.utime(self.folder / name, (OLD, OLD))

    def read(self) -> int:
        hashes = FileHashes(self.folder, self.store)
        tree = read_tree(self.folder, IgnoreMatcher(), hashes)
        count = hashes.read
        hashes.save()
        assert tree == tree_of(self.folder)
        return count

    @property
    def kept(self) -> Path:
        (file,) = (self.store.folder / "files").iterdir()
        return file

    def let_time_pass(self) -> None:
        """Make the kept hashes younger than every file by more than a clock's step."""
        later = time.time() + 2 * STEP_NS / 1e9
        data = self.kept.read_text()
        began = int(data.partition('"began":')[2].partition(",")[0])
        self.kept.write_text(data.replace(str(began), str(int(later * 1e9))))
        os.utime(self.kept, (later, later))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_a_file_is_read_again_only_where_it_may_have_changed(files: Files) -> None:
    assert files.read() == 2
    assert files.read() == 2, "their inodes are as young as the kept hashes: nobody can tell yet"
    files.let_time_pass()
    assert files.read() == 0
    (files.folder / "one").write_text("tex2")
    assert files.read() == 1


def test_a_change_within_the_clocks_step_is_seen(files: Files) -> None:
    files.read()
    about = (files.folder / "one").stat()
    (files.folder / "one").write_text("tex2")  # as long as before, in the same file
    os.utime(files.folder / "one", ns=(about.st_atime_ns, about.st_mtime_ns))
    assert files.read() == 2


def test_a_change_that_hides_its_time_is_seen_by_the_inodes_own(files: Files) -> None:
    files.read()
    files.let_time_pass()
    about = (files.folder / "one").stat()
    time.sleep(0.02)  # above the step of the clock of Linux's file systems (10 ms at most)
    (files.folder / "one").write_text("tex2")
    os.utime(files.folder / "one", ns=(about.st_atime_ns, about.st_mtime_ns))
    assert files.read() == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\x00", b'{"schema":1,"began":1,"files":{"one":[1]}}'])
def test_what_was_kept_and_is_broken_is_as_good_as_nothing(files: Files, content: bytes) -> None:
    files.read()
    files.let_time_pass()
    files.kept.write_bytes(content)
    assert files.read() == 2
    files.let_time_pass()
    assert files.read() == 0


def test_a_half_written_file_is_as_good_as_nothing_at_every_length(files: Files) -> None:
    files.read()
    files.let_time_pass()
    whole = files.kept.read_bytes()
    for length in range(len(whole)):
        files.kept.write_bytes(whole[:length])
        assert FileHashes(files.folder, files.store).of("one", (files.folder / "one").stat())


def test_hashes_of_another_schema_are_as_good_as_nothing(files: Files) -> None:
    files.read()
    files.let_time_pass()
    files.kept.write_text(files.kept.read_text().replace('"schema":1', '"schema":2'))
    assert files.read() == 2


def test_files_of_other_services_are_kept_beside(files: Files) -> None:
    files.read()
    files.let_time_pass()
    (files.folder / "three").write_text("x")
    hashes = FileHashes(files.folder, files.store)
    read_tree(files.folder, IgnoreMatcher(["one", "two"]), hashes)
    hashes.save()
    files.let_time_pass()
    assert files.read() == 0


def test_devenvs_own_folder_is_no_part_of_a_context(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("x")
    store = Store(tmp_path)
    first = tree_of(tmp_path, store=store)
    assert paths(first) == ["main.py"]
    assert store.own.exists()
    assert tree_of(tmp_path, store=store) == first


WRITER = """
import sys
from pathlib import Path
from devenv.builds.context import read_tree
from devenv.builds.hashes import FileHashes
from devenv.builds.ignore import IgnoreMatcher
from devenv.builds.store import Store
from devenv.core.stored import read_json

folder, store = Path(sys.argv[1]), Store(Path(sys.argv[1]).parent)
for _ in range(60):
    hashes = FileHashes(folder, store)
    tree = read_tree(folder, IgnoreMatcher(), hashes)
    hashes.save()
    (kept,) = (store.folder / "files").glob("*.json")
    assert len(read_json(kept, dict)["files"]) == 50
print(tree.digest)
"""


def test_processes_that_keep_hashes_at_the_same_time_do_each_other_no_harm(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    for number in range(50):
        (folder / f"{number}.py").write_text(str(number))
    command = [sys.executable, "-c", WRITER, str(folder)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = [process.communicate(timeout=60) for process in started]
    assert [out.strip() for out, _ in outputs] == [tree_of(folder).digest] * 3, outputs
    assert not list((Store(tmp_path).folder / "files").glob("*.json.*")), "drafts are gone"
