"""A run: what is replayed, what is run, what follows a failure, and how it is ended."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from task_workspace import Workspace

from devenv.core.errors import Interrupted


@pytest.fixture
def counted(shop: Workspace) -> Workspace:
    """A task that writes down each of its runs outside of what counts."""
    shop.task("build", 'echo run >> "$DEVENV_ROOT/runs"; echo "made $DEVENV_PACKAGE"; mkdir -p dist; cp main.py dist/')
    shop.tables["build"]["outputs"] = ["dist"]
    return shop


def runs(shop: Workspace) -> int:
    file = shop.root / "runs"
    return len(file.read_text().splitlines()) if file.exists() else 0


def test_a_second_run_replays_output_and_puts_back_what_was_made(counted: Workspace) -> None:
    assert counted.run("api#build") == {"api#build": "passed"}
    first = list(counted.heard.lines)
    (counted.root / "api/dist/main.py").unlink()
    (counted.root / "api/dist").rmdir()
    assert counted.run("api#build") == {"api#build": "from cache"}
    assert counted.heard.lines == first == [("api#build", "made api")]
    assert (counted.root / "api/dist/main.py").read_text() == "api/main.py"
    assert runs(counted) == 1


def test_what_was_made_and_changed_by_hand_is_put_back(counted: Workspace) -> None:
    counted.run("api#build")
    counted.write("api/dist/main.py", "changed")
    assert counted.run("api#build") == {"api#build": "from cache"}
    assert (counted.root / "api/dist/main.py").read_text() == "api/main.py"


def test_what_is_there_as_it_was_made_is_not_written_again(counted: Workspace) -> None:
    counted.run("api#build")
    os.utime(counted.root / "api/dist/main.py", (1000, 1000))
    assert counted.run("api#build") == {"api#build": "from cache"}
    assert (counted.root / "api/dist/main.py").stat().st_mtime == 1000


def test_force_runs_and_keeps_and_no_cache_does_neither(counted: Workspace) -> None:
    assert counted.runner("api#build", kept=False).run()[0].status == "passed"
    assert counted.cache().usage().files == 0
    counted.run("api#build")
    assert counted.run("api#build", force=True) == {"api#build": "passed"}
    assert runs(counted) == 3
    assert counted.run("api#build") == {"api#build": "from cache"}


def test_a_task_that_keeps_nothing_runs_each_time(counted: Workspace) -> None:
    counted.tables["build"]["cache"] = False
    assert [counted.run("api#build") for _ in range(2)] == [{"api#build": "passed"}] * 2


def test_a_plan_says_what_a_run_then_does(counted: Workspace) -> None:
    counted.run("lib#build")
    planned = {result.task.id: (result.status, result.why) for result in counted.runner("build").plan()}
    assert planned["lib#build"] == ("from cache", "nothing changed")
    assert planned["api#build"] == planned["web#build"] == ("not run", "no stored result")
    assert runs(counted) == 1
    assert counted.run("build") == {"lib#build": "from cache", "api#build": "passed", "web#build": "passed"}


def test_a_failure_is_not_kept_and_stops_what_is_not_begun(shop: Workspace) -> None:
    shop.task("lint", "echo wrong; exit 3")
    shop.task("test", "true", depends_on=["lint"])
    shop.task("later", "true", depends_on=["test"])
    for _ in range(2):
        assert shop.run("api#later") == {"api#lint": "failed", "api#test": "not run", "api#later": "not run"}
        assert shop.heard.lines == [("api#lint", "wrong")]
    whys = {result.task.id: result.why for result in shop.runner("api#later").run()}
    assert whys == {"api#lint": "exit code 3", "api#test": "api#lint failed", "api#later": "api#test was not run"}


def test_keep_going_leaves_out_only_what_needs_the_failed_one(shop: Workspace) -> None:
    shop.task("lint", "true")
    shop.task("api#lint", "exit 1")
    shop.task("test", "true", depends_on=["lint"])
    ended = shop.run("test", keep_going=True)
    assert {task_id for task_id, status in ended.items() if status == "passed"} == {
        *("lib#lint", "web#lint", "lib#test", "web#test"),
    }
    assert ended["api#test"] == "not run"


def test_a_command_that_is_not_there_fails_with_the_shells_words(shop: Workspace) -> None:
    shop.task("lint", "no-such-program")
    assert shop.run("api#lint") == {"api#lint": "failed"}
    assert "not found" in shop.heard.lines[0][1]
    assert shop.heard.results[0].exit_code == 127


def test_parallel_is_the_most_that_runs_at_a_time(shop: Workspace) -> None:
    shop.task("meet", 'mkdir "$DEVENV_ROOT/in" || exit 1; sleep 0.1; rmdir "$DEVENV_ROOT/in"')
    assert {result.status for result in shop.runner("meet", parallel=1).run()} == {"passed"}


def test_what_needs_nothing_of_each_other_runs_side_by_side(shop: Workspace) -> None:
    wait_for = 'touch "$DEVENV_ROOT/$DEVENV_PACKAGE.up"; for i in $(seq 100); do [ -e "$DEVENV_ROOT/{}.up" ] && exit 0;'
    wait_for += " sleep 0.1; done; exit 1"
    shop.task("api#meet", wait_for.format("lib"))
    shop.task("lib#meet", wait_for.format("api"))
    assert set(shop.run("meet").values()) == {"passed"}


def test_a_file_that_is_edited_meanwhile_is_no_stored_result(shop: Workspace) -> None:
    shop.task("format", "echo tidy > main.py")
    assert shop.run("api#format") == {"api#format": "passed"}
    assert "files changed while it ran" in shop.heard.warnings[0]
    assert shop.run("api#format") == {"api#format": "passed"}
    assert shop.run("api#format") == {"api#format": "from cache"}


def test_a_task_after_one_that_writes_sources_counts_what_was_written(shop: Workspace) -> None:
    shop.task("gen", 'cp "$DEVENV_ROOT/source" gen.py', cache=False)
    shop.task("show", "cat gen.py", depends_on=["gen"])
    for text in ("one", "two"):
        shop.write("source", text)
        assert shop.run("api#show") == {"api#gen": "passed", "api#show": "passed"}
        assert shop.heard.lines == [("api#show", text)]


def test_outputs_that_were_not_made_are_told(shop: Workspace) -> None:
    shop.task("build", "true", outputs=["dist"])
    shop.run("api#build")
    assert shop.heard.warnings == ["api#build: it made none of its outputs, so its result is not kept"]


def test_a_child_in_the_background_does_not_keep_the_run(shop: Workspace) -> None:
    shop.task("leave", 'sleep 60 & echo $! > "$DEVENV_ROOT/child"; echo done', cache=False)
    began = time.monotonic()
    assert shop.run("api#leave") == {"api#leave": "passed"}
    assert time.monotonic() - began < 30
    assert shop.heard.lines == [("api#leave", "done")]
    assert is_gone(int((shop.root / "child").read_text()))


def is_gone(pid: int) -> bool:
    """Whether a process has ended, waited for a while."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_an_interrupt_ends_the_commands_with_all_they_started(shop: Workspace) -> None:
    shop.task("serve", 'sleep 60 & echo $! > "$DEVENV_ROOT/child"; wait', persistent=True)
    runner = shop.runner("api#serve")

    def end() -> None:
        while not (shop.root / "child").exists() or not (shop.root / "child").read_text().strip():
            time.sleep(0.02)
        runner.interrupt()

    thread = threading.Thread(target=end)
    thread.start()
    with pytest.raises(Interrupted):
        runner.run()
    thread.join()
    assert is_gone(int((shop.root / "child").read_text()))


def test_lasting_tasks_run_beside_each_other_whatever_parallel_is(shop: Workspace) -> None:
    wait_for = 'touch "$DEVENV_ROOT/$DEVENV_PACKAGE.up"; while ! [ -e "$DEVENV_ROOT/{}.up" ]; do sleep 0.1; done'
    shop.task("api#dev", wait_for.format("lib"), persistent=True)
    shop.task("lib#dev", wait_for.format("api"), persistent=True)
    shop.task("web#dev", "true")
    assert {result.status for result in shop.runner("dev", parallel=1).run()} == {"passed"}


def test_two_runs_at_once_do_the_work_once(counted: Workspace) -> None:
    counted.task("build", f"sleep 0.3; {counted.tables['build']['command']}", outputs=["dist"])
    runners = [counted.runner("api#build") for _ in range(2)]
    ended: list[str] = []
    threads = [threading.Thread(target=lambda one=one: ended.append(one.run()[0].status)) for one in runners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) == ["from cache", "passed"]
    assert runs(counted) == 1
