"""Stored results: whatever happens to a file, it is a result or none; the limit; and from machine to machine."""

from __future__ import annotations

import gzip
import io
import os
import random
import shutil
import tarfile
import zlib
from pathlib import Path

import pytest
from task_workspace import Workspace

from devenv.builds.store import Store
from devenv.core.errors import DevenvError
from devenv.tasks.cache import SUFFIX, TaskCache

ACROSS = range(30)


@pytest.fixture
def built(shop: Workspace) -> Workspace:
    """One stored result with a file, an executable, an empty folder and a link."""
    command = "mkdir -p dist/empty; cp main.py dist/; echo '#!' > dist/run; chmod 775 dist/run; ln -sf run dist/link"
    shop.task("build", f"{command}; echo built", outputs=["dist"])
    shop.run("api#build")
    return shop


def stored(shop: Workspace) -> Path:
    (file,) = shop.cache().folder.glob(f"*{SUFFIX}")
    return file


def same_content(damaged: bytes, whole: bytes) -> bool:
    try:
        return gzip.decompress(damaged) == gzip.decompress(whole)
    except (OSError, EOFError, zlib.error):
        return False


def test_all_that_was_made_comes_back_as_it_was(built: Workspace) -> None:
    before = built.maker().made(built.graph().select(["api#build"])["api#build"])
    (built.root / "api/dist").rename(built.root / "away")
    built.run("api#build")
    assert built.maker().made(built.graph().select(["api#build"])["api#build"]) == before
    assert [entry.path for entry in before.entries] == [
        *("dist", "dist/empty", "dist/link", "dist/main.py", "dist/run"),
    ]


@pytest.mark.parametrize("seed", ACROSS)
def test_any_damage_is_a_miss_and_mended_by_the_next_run(built: Workspace, seed: int) -> None:
    chance, file = random.Random(seed), stored(built)
    data = bytearray(file.read_bytes())
    match seed % 4:
        case 0:
            data = data[: chance.randrange(len(data))]
        case 1:
            # A bit of gzip's time or system, or one within a run of zeros, may mean the same content.
            while same_content(data, file.read_bytes()):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        case 2:
            data += chance.randbytes(chance.randint(1, 99))
        case _:
            data = bytearray(chance.randbytes(chance.randint(0, 999)))
    file.write_bytes(data)
    shutil.rmtree(built.root / "api/dist")
    status = built.run("api#build")["api#build"]
    # Some bits mean nothing: gzip's time and system, and what fills up the last byte.
    assert status == "passed" or seed % 4 == 1
    assert built.heard.lines == [("api#build", "built")]
    assert (built.root / "api/dist/main.py").read_text() == "api/main.py"
    assert built.heard.warnings == []
    assert built.run("api#build") == {"api#build": "from cache"}


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to nothing"])
def test_what_is_no_file_is_a_miss(built: Workspace, kind: str) -> None:
    file = stored(built)
    file.unlink()
    match kind:
        case "folder":
            file.mkdir()
        case "pipe":
            os.mkfifo(file)
        case _:
            file.symlink_to("nowhere")
    assert built.run("api#build") == {"api#build": "passed"}


def forged(key: str, members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """Return a file that is whole, with members of the test's choice."""
    about = b'{"schema":1,"key":"%s","task":"api#build","at":1,"seconds":1,"made":"other"}' % key.encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in {"about.json": about, "log": b"forged\n", **members}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("members", "links"),
    [
        ({"files/../evil": b"x"}, {}),
        ({"files/dist/../../evil": b"x"}, {}),
        ({"files//evil": b"x"}, {}),
        ({"files/main.py": b"x"}, {}),  # no output of the task
        ({}, {"files/dist/up": "../../../evil"}),
        ({}, {"files/dist/etc": "/etc"}),
    ],
)
def test_a_forged_result_writes_nothing_outside_the_outputs(
    built: Workspace, members: dict[str, bytes], links: dict[str, str]
) -> None:
    file = stored(built)
    before = {path for path in built.root.rglob("*") if ".devenv" not in path.parts}
    file.write_bytes(forged(file.stem, members, links))
    assert built.run("api#build") == {"api#build": "passed"}
    assert {path for path in built.root.rglob("*") if ".devenv" not in path.parts} == before
    assert (built.root / "api/main.py").read_text() == "api/main.py"


def test_a_link_in_the_way_is_replaced_and_not_written_through(built: Workspace) -> None:
    precious = built.write("precious", "mine")
    made = built.root / "api/dist/main.py"
    made.unlink()
    made.symlink_to(precious)
    assert built.run("api#build") == {"api#build": "from cache"}
    assert precious.read_text() == "mine"
    assert made.read_text() == "api/main.py"
    assert not made.is_symlink()


def test_the_result_of_another_task_is_none(built: Workspace) -> None:
    file = stored(built)
    other = file.with_name(f"{'0' * 64}{SUFFIX}")
    file.rename(other)
    assert built.cache().read("0" * 64) is None


def test_the_limit_removes_what_was_not_used_for_longest(shop: Workspace) -> None:
    shop.task("make", "head -c 60000 /dev/urandom > blob", outputs=["blob"], inputs=["main.py"])
    shop.limit = 150_000  # two results
    shop.run("api#make")
    shop.run("lib#make")
    for number, file in enumerate(sorted(shop.cache().folder.glob(f"*{SUFFIX}"), key=os.path.getmtime)):
        os.utime(file, (number + 1, number + 1))
    assert shop.run("api#make") == {"api#make": "from cache"}  # used: now the newest
    shop.run("web#make")
    assert shop.cache().usage().files == 2
    kept = {result.task.id: result.status for result in shop.runner("make").plan()}
    assert kept == {"api#make": "from cache", "lib#make": "not run", "web#make": "from cache"}


def test_what_is_larger_than_the_limit_is_told_and_removes_nothing(shop: Workspace) -> None:
    shop.task("small", "true")
    shop.task("large", "head -c 90000 /dev/urandom > blob", outputs=["blob"])
    shop.limit = 50_000
    shop.run("api#small")
    assert shop.run("api#large") == {"api#large": "passed"}
    assert "more than the cache may" in shop.heard.warnings[0]
    assert shop.cache().usage().files == 1


def test_results_go_from_one_machine_to_another(built: Workspace, tmp_path: Path) -> None:
    carried = tmp_path / "carried"
    assert built.cache().copy_to(carried) == (1, 0)
    assert built.cache().copy_to(carried) == (0, 0)
    elsewhere = TaskCache(Store(tmp_path / "elsewhere"), built.limit)
    (carried / f"{'1' * 64}{SUFFIX}").write_bytes(b"broken")
    (carried / f"name{SUFFIX}").write_bytes(b"no key")
    assert elsewhere.copy_from(carried) == (1, 1)
    found = elsewhere.read(stored(built).stem)
    assert found is not None
    assert found.log == b"built\n"


def test_clean_removes_all_and_says_how_much(built: Workspace) -> None:
    before = built.cache().usage()
    assert (before.files, before.bytes) == (1, stored(built).stat().st_size)
    assert built.cache().clean() == before
    assert built.cache().usage().files == 0
    assert built.run("api#build") == {"api#build": "passed"}


def test_a_cache_that_cannot_be_written_is_told_with_what_to_do(shop: Workspace) -> None:
    shop.write(".devenv/cache", "a file in its place")
    with pytest.raises(DevenvError, match="cannot be written") as caught:
        shop.cache().require_writable()
    assert "--no-cache" in caught.value.hint


def test_a_disk_that_fills_while_a_task_runs_loses_nothing(shop: Workspace) -> None:
    shop.task("lint", 'rm -rf "$DEVENV_ROOT/.devenv/cache"; echo x > "$DEVENV_ROOT/.devenv/cache"; echo fine')
    shop.write(".devenv/.gitignore", "*\n")
    assert shop.run("api#lint") == {"api#lint": "passed"}
    assert shop.heard.lines == [("api#lint", "fine")]
    assert "its result is not kept" in shop.heard.warnings[0]
