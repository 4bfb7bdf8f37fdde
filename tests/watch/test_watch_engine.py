"""What developers do to files, and what is in the containers afterwards: one watch on the real engine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from devenv.backends.docker.endpoint import resolve_endpoint
from tests.engine.program import Program
from tests.watch.relay import relay
from tests.watch.watching import Watching, inside, listed, watching

pytestmark = pytest.mark.engine


def paths(told: dict[str, object]) -> list[str]:
    found = told["paths"]
    assert isinstance(found, list)
    return found


def test_it_says_before_the_first_save_what_cannot_be_written(watch: Watching) -> None:
    settled(watch)
    warnings = [item["text"] for item in watch.told if item["event"] == "warning"]
    assert len(watch.told) == 1 + len(warnings), "nothing was saved yet"
    found = {
        "/srv/sealed cannot be written: the root file system is read-only": 1,
        "/scratch/in cannot be written: /scratch is a tmpfs": 1,
        "/srv/foreign belongs to another user than the container's (10001:10001)": 1,
        "": 3,
    }
    assert {words: sum(words in text for text in warnings) for words in found} == found


def test_a_file_written_in_place(stack: Program, watch: Watching, src: Path) -> None:
    told = watch.after(lambda: (src / "plain.txt").write_text("in place"))
    assert paths(told) == ["plain.txt"]
    assert inside(stack, "/srv/src/plain.txt") == "in place"
    assert list(told["ms"]) == ["noticed", "synced"]
    (src / "plain.txt").chmod(0o755)
    watch.until(lambda item: item["event"] == "synced", len(watch.told))
    assert listed(stack, "/srv/src", "%P %m %U:%G")[0].startswith("page.py")
    assert "plain.txt 755 10001:10001" in listed(stack, "/srv/src", "%P %m %U:%G")


def test_a_file_that_is_replaced_by_a_rename(stack: Program, watch: Watching, src: Path) -> None:
    def save() -> None:  # as editors do: the old one stays whole until the new one is
        (src / "swap.txt.tmp").write_text("by rename")
        (src / "swap.txt.tmp").rename(src / "swap.txt")

    told = watch.after(save)
    assert paths(told) == ["swap.txt"]
    assert inside(stack, "/srv/src/swap.txt") == "by rename"
    assert inside(stack, "/srv/src/swap.txt.tmp") is None
    told = watch.after(save)
    assert (told["files"], told["deleted"]) == (1, 0)


def test_names_that_are_no_plain_words_and_times_to_the_fraction(stack: Program, watch: Watching, src: Path) -> None:
    names = ["-rf", "with 'quotes\" and $HOME", "two\nlines", "ünï", "*", "x" * 250]

    def write() -> None:
        for name in names:
            (src / name).write_text(name)

    watch.after(write)
    settled(watch)
    for name in names:
        assert inside(stack, f"/srv/src/{name}") == name
    times = listed(stack, "/srv/src", "%T@ %P")
    exact = f"{(src / '-rf').stat().st_mtime_ns / 1e9:.6f}"
    assert any(line.startswith(exact[:-1]) and line.endswith(" -rf") for line in times), times
    watch.after(lambda: [(src / name).unlink() for name in names])
    settled(watch)
    assert [inside(stack, f"/srv/src/{name}") for name in names] == [None] * len(names)
    assert inside(stack, "/srv/src/page.py") is not None


def test_a_deletion_and_a_rename_in_the_folder(stack: Program, watch: Watching, src: Path) -> None:
    def write() -> None:
        (src / "old.txt").write_text("kept")
        (src / "gone.txt").write_text("gone")

    watch.after(write)
    assert inside(stack, "/srv/src/gone.txt") == "gone"

    def change() -> None:
        (src / "gone.txt").unlink()
        (src / "old.txt").rename(src / "new.txt")

    told = watch.after(change)
    assert (told["files"], told["deleted"]) == (1, 2)
    assert inside(stack, "/srv/src/new.txt") == "kept"
    assert inside(stack, "/srv/src/gone.txt") is None
    assert inside(stack, "/srv/src/old.txt") is None


def test_a_file_moved_away_is_deleted_without_a_delay(stack: Program, watch: Watching, src: Path) -> None:
    watch.after(lambda: (src / "away.txt").write_text("x"))
    told = watch.after(lambda: (src / "away.txt").rename(stack.folder / "away.txt"))
    assert told["deleted"] == 1
    assert inside(stack, "/srv/src/away.txt") is None


def test_new_folders_and_their_end(stack: Program, watch: Watching, src: Path) -> None:
    def write() -> None:
        (src / "a" / "b").mkdir(parents=True)
        (src / "a" / "b" / "deep.txt").write_text("deep")
        (src / "a" / "empty").mkdir()

    watch.after(write)
    assert [item for item in listed(stack, "/srv/src") if item.startswith("a")] == [
        *("a", "a/b", "a/b/deep.txt", "a/empty"),
    ]
    watch.after(lambda: (src / "a" / "b" / "later.txt").write_text("later"))
    assert inside(stack, "/srv/src/a/b/later.txt") == "later"
    watch.after(lambda: (src / "a").rename(src / "renamed"))
    assert inside(stack, "/srv/src/renamed/b/deep.txt") == "deep"
    assert inside(stack, "/srv/src/a/b/deep.txt") is None
    watch.after(lambda: (src / "renamed" / "b" / "deep.txt").write_text("under its new name"))
    assert inside(stack, "/srv/src/renamed/b/deep.txt") == "under its new name"
    watch.after(lambda: shutil.rmtree(src / "renamed"))
    assert not any(item.startswith("renamed") for item in listed(stack, "/srv/src"))


def test_a_burst_of_500_files_is_few_batches(stack: Program, watch: Watching, src: Path) -> None:
    since = len(watch.told)
    (src / "burst").mkdir()
    for number in range(500):
        (src / "burst" / f"{number}.txt").write_text(str(number))
    watch.until(lambda item: "burst/499.txt" in listed(stack, "/srv/src"), since)
    names = {f"burst/{number}.txt" for number in range(500)}
    assert names <= set(listed(stack, "/srv/src"))
    assert inside(stack, "/srv/src/burst/250.txt") == "250"
    batches = [item for item in watch.told[since:] if item["event"] == "synced"]
    assert len(batches) <= 4, batches
    since = len(watch.told)
    shutil.rmtree(src / "burst")
    watch.until(lambda item: item["event"] == "synced" and not names & set(listed(stack, "/srv/src")), since)


def test_a_branch_switch(stack: Program, watch: Watching, src: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
        subprocess.run(["git", *identity, *arguments], cwd=src / "repo", check=True, capture_output=True)

    (src / "repo").mkdir()
    git("init", "-q", "-b", "one")
    (src / "repo" / "both.txt").write_text("one")
    (src / "repo" / "only-one").mkdir()
    (src / "repo" / "only-one" / "x.txt").write_text("x")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    git("checkout", "-q", "-b", "two")
    (src / "repo" / "both.txt").write_text("two")
    git("rm", "-rq", "only-one")
    (src / "repo" / "only-two").mkdir()
    (src / "repo" / "only-two" / "y.txt").write_text("y")
    git("add", ".")
    git("commit", "-q", "-m", "two")
    git("checkout", "-q", "one")
    settled(watch)
    assert [item for item in listed(stack, "/srv/src") if item.startswith("repo/")] == [
        *("repo/both.txt", "repo/only-one", "repo/only-one/x.txt"),
    ]
    assert inside(stack, "/srv/src/repo/both.txt") == "one"
    git("checkout", "-q", "two")
    settled(watch)
    assert [item for item in listed(stack, "/srv/src") if item.startswith("repo/")] == [
        *("repo/both.txt", "repo/only-two", "repo/only-two/y.txt"),
    ]
    assert inside(stack, "/srv/src/repo/both.txt") == "two"


def settled(watch: Watching) -> None:
    """Wait until a later save was synced and nothing more came for a while."""
    deadline = time.monotonic() + 60
    known = -1
    while known != len(watch.told):
        known = len(watch.told)
        time.sleep(1.5)
        assert time.monotonic() < deadline, watch.told


def test_symbolic_links_stay_links(stack: Program, watch: Watching, src: Path) -> None:
    (src / "aim.txt").write_text("aim")
    watch.after(lambda: (src / "link.txt").symlink_to("aim.txt"))
    settled(watch)
    assert "link.txt l aim.txt" in listed(stack, "/srv/src", "%P %y %l")
    (src / "other.txt").write_text("other")

    def turn() -> None:
        (src / "link.txt").unlink()
        (src / "link.txt").symlink_to("other.txt")

    watch.after(turn)
    settled(watch)
    assert inside(stack, "/srv/src/link.txt") == "other"
    watch.after(lambda: ((src / "link.txt").unlink(), (src / "link.txt").write_text("a file now")))
    settled(watch)
    assert inside(stack, "/srv/src/link.txt") == "a file now"
    assert inside(stack, "/srv/src/other.txt") == "other"


def test_a_file_outside_the_build_context(stack: Program, watch: Watching) -> None:
    watch.after(lambda: (stack.folder / "shared" / "common.txt").write_text("outside"))
    assert inside(stack, "/srv/shared/common.txt") == "outside"


def test_what_is_ignored_and_what_editors_write_is_not_noticed(stack: Program, watch: Watching, src: Path) -> None:
    since = len(watch.told)
    for folder in ("ignored", "private", ".git", ".idea"):
        (src / folder).mkdir()
        (src / folder / "x.txt").write_text("x")
    for name in ("4913", ".page.py.swp", "page.py~", ".#page.py", "#page.py#", "page.py___jb_tmp___", "x___jb_old___"):
        (src / name).write_text("x")
    (src / "4913").unlink()
    told = watch.after(lambda: (src / "seen.txt").write_text("seen"))
    assert paths(told) == ["seen.txt"]
    assert [item["event"] for item in watch.told[since:]].count("synced") == 1
    assert not {"ignored", "private", ".git", ".idea", "page.py~"} & set(listed(stack, "/srv/src"))


def test_every_replica_gets_it_and_runs_the_command(stack: Program, watch: Watching) -> None:
    told = watch.after(lambda: (stack.folder / "twin" / "t.txt").write_text("both"), service="twin")
    assert told["containers"] == 2
    assert list(told["ms"]) == ["noticed", "synced", "executed"]
    for number in (1, 2):
        assert inside(stack, "/srv/twin/t.txt", "twin", number) == "both"
        assert inside(stack, "/tmp/ran", "twin", number) == ""


def test_a_failure_is_told_and_the_next_save_tries_again(stack: Program, watch: Watching) -> None:
    failed = watch.after(lambda: (stack.folder / "sealed" / "s.txt").write_text("2"), "failed", "sealed")
    assert "read-only" in failed["text"]
    assert "next save tries again" in failed["hint"]
    files = stack.folder / "foreign"
    watch.after(lambda: (files / "g.txt").write_text("2"), service="foreign")
    assert inside(stack, "/srv/foreign/g.txt", "foreign") == "2"
    failed = watch.after(lambda: (files / "g.txt").unlink(), "failed", "foreign")
    assert "Permission denied" in failed["text"]
    # Somebody gives the folder to the container's user: the next save also does what failed.
    owner = ["docker", "exec", "--user", "0", "--privileged", f"{stack.name}-foreign-1"]
    subprocess.run([*owner, "chown", "10001", "/srv/foreign"], check=True, timeout=60)
    told = watch.after(lambda: (files / "f.txt").write_text("3"), service="foreign")
    assert (told["files"], told["deleted"]) == (1, 1)
    assert inside(stack, "/srv/foreign/g.txt", "foreign") is None


def settle(stack: Program) -> None:
    """Wait until the reloading server has answered for half a second: it begins anew for each save."""
    url = f"http://127.0.0.1:{stack.compose('port', 'web', '8000').strip().rpartition(':')[2]}/"
    deadline, good = time.monotonic() + 60, 0
    while good < 10:
        assert time.monotonic() < deadline, "the server does not answer"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                good = good + 1 if answer.status == 200 else 0
        except OSError:
            good = 0
        time.sleep(0.05)


def test_served_is_told_and_a_syntax_error_and_its_fix_are(stack: Program, watch: Watching, src: Path) -> None:
    settle(stack)
    served = watch.after(lambda: (src / "page.py").write_text('TEXT = "second"\n'), "served")
    settle(stack)
    assert list(served["ms"]) == ["noticed", "synced", "served"]
    assert served["ms"]["noticed"] < served["ms"]["synced"] < served["ms"]["served"]
    broken = watch.after(lambda: (src / "page.py").write_text("TEXT = (\n"), "unserved")
    assert "does not answer well" in broken["text"]
    # The same text as before the error: that it is answered at all is what is new.
    fixed = watch.after(lambda: (src / "page.py").write_text('TEXT = "second"\n'), "served")
    assert fixed["ms"]["served"] > 0


def test_sync_and_restart(stack: Program, watch: Watching) -> None:
    began = stack.compose("top", "web")
    told = watch.after(lambda: (stack.folder / "app" / "settings.ini").write_text("b\n"))
    assert list(told["ms"]) == ["noticed", "synced", "restarted"]
    assert inside(stack, "/srv/settings.ini") == "b\n"
    assert stack.compose("top", "web") != began
    verbs = [(item.get("source"), item["verb"]) for item in stack.audit() if item["event"] == "allowed"]
    assert ("cli", "restart") in verbs
    assert ("cli", "sync") in verbs


def test_a_rebuild_and_a_container_that_is_replaced_get_what_was_synced(
    stack: Program, watch: Watching, src: Path
) -> None:
    watch.after(lambda: (src / "kept.txt").write_text("kept"))
    watch.after(lambda: (stack.folder / "shared" / "common.txt").write_text("outside"))
    before = stack.compose("ps", "--quiet", "web")
    told = watch.after(lambda: (stack.folder / "app" / "version").write_text("2\n"), "rebuilt")
    assert list(told["ms"]) == ["noticed", "rebuilt"]
    assert stack.compose("ps", "--quiet", "web") != before
    assert inside(stack, "/srv/version") == "2\n"
    planned = json.loads(stack.run("build", "web", "--dry-run", "--json").stdout)
    assert [step["action"] for step in planned["steps"]] == ["up to date"], "nobody builds it a second time"
    since = len(watch.told)
    stack.compose("up", "--detach", "--force-recreate", "--no-deps", "web")
    watch.event("attached", since=since)
    assert inside(stack, "/srv/src/kept.txt") == "kept"
    assert inside(stack, "/srv/shared/common.txt") == "outside"
    since = len(watch.told)
    stack.compose("stop", "web")
    (src / "kept.txt").unlink()
    (src / "meanwhile.txt").write_text("while it did not run")
    watch.event("synced", since=since)
    stack.compose("start", "web")
    watch.event("attached", since=since)
    assert inside(stack, "/srv/src/kept.txt") is None
    assert inside(stack, "/srv/src/meanwhile.txt") == "while it did not run"


def test_a_second_watch_says_who_is_first(stack: Program, watch: Watching) -> None:
    second = stack.run("watch")
    assert second.returncode == 10
    assert f"is being watched already by process {watch.process.pid}" in second.stderr


def test_no_service_waits_for_a_rebuild_which_is_interrupted_with_the_watch(stack: Program, watch: Watching) -> None:
    watch.after(lambda: (stack.folder / "app" / "version").write_text("slow\n"), "rebuilding")
    since = len(watch.told)
    watch.after(lambda: (stack.folder / "twin" / "t.txt").write_text("meanwhile"), service="twin")
    assert not any(item.get("service") == "web" for item in watch.told[since:]), "the rebuild still runs"
    children = psutil.Process(watch.process.pid).children(recursive=True)
    began = time.monotonic()
    assert watch.end(signal.SIGINT) == 130
    assert time.monotonic() - began < 60, "the step takes 120 s"
    assert psutil.wait_procs(children, timeout=60)[1] == []
    assert watch.process.stderr is not None
    assert watch.process.stderr.read() == ""
    (stack.folder / "app" / "version").write_text("3\n")


def test_the_engine_goes_away_and_comes_back(stack: Program, watch: Watching, tmp_path: Path) -> None:
    watch.end()  # there is one watch of a project at a time
    file = stack.folder / "twin" / "t.txt"
    with relay(tmp_path, resolve_endpoint().host.removeprefix("unix://")) as engine:
        through = replace(stack, variables={**stack.variables, "DOCKER_HOST": f"unix://{engine.path}"})
        with watching(through, "twin") as watch:
            watch.after(lambda: file.write_text("before"), service="twin")
            since = len(watch.told)
            engine.stop()
            failed = watch.after(lambda: file.write_text("without an engine"), "failed", "twin")
            assert "no Docker Engine answers" in failed["text"]
            watch.until(lambda item: item["event"] == "failed" and "service" not in item, since)
            engine.start()
            watch.event("synced", "twin", since)
            assert inside(stack, "/srv/twin/t.txt", "twin", 2) == "without an engine"
            watch.after(lambda: file.write_text("after"), service="twin")
            assert inside(stack, "/srv/twin/t.txt", "twin") == "after"
            assert watch.end() == 130


def test_no_container_runs_and_watch_before_up(stack: Program, watch: Watching, src: Path) -> None:
    watch.end()
    stack.compose("down")
    done = stack.run("watch", "web")
    assert done.returncode == 7, done.stderr
    assert "No container" in done.stderr
    assert "devenv up web" in done.stderr
    with watching(stack, "--wait", "web") as waiting:
        waiting.event("held")
        waiting.after(lambda: (src / "early.txt").write_text("early"), "held")
        stack.compose("up", "--detach", "web")
        waiting.event("attached")
        assert inside(stack, "/srv/src/early.txt") == "early"
        waiting.after(lambda: (src / "early.txt").write_text("later"))
        assert inside(stack, "/srv/src/early.txt") == "later"
        assert waiting.end() == 130
    stack.compose("down")
    with watching(stack, "--up", "twin") as up:
        up.after(lambda: (stack.folder / "twin" / "t.txt").write_text("up"), service="twin")
    # Where the system gives no events.
    with watching(stack, "--poll", "twin") as polled:
        assert "polling every 1 s (as asked)" in polled.told[0]["text"]
        polled.after(lambda: (stack.folder / "twin" / "t.txt").write_text("polled"), service="twin")
        assert inside(stack, "/srv/twin/t.txt", "twin") == "polled"
        polled.after(lambda: os.remove(stack.folder / "twin" / "t.txt"), service="twin")  # noqa: PTH107
        assert inside(stack, "/srv/twin/t.txt", "twin") is None
