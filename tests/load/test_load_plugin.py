"""devenv as a plugin of anyone's locustfile: in a folder with no project, on a plain server, with real Locusts."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path

import pytest

from devenv.load.recording import read_recording
from tests import forked
from tests.load.running import Ended, Runner, Started, free_port

THEIRS = """
import locust.runners
from locust import HttpUser, constant, tag, task

locust.runners.HEARTBEAT_LIVENESS = 60  # seconds: on a busy machine no process is taken for lost

class Mine(HttpUser):
    wait_time = constant(0.05)

    @tag("page")
    @task
    def page(self):
        self.client.get("/page", name="page")

    @tag("broken")
    @task
    def broken(self):
        self.client.get("/broken", name="broken")
"""
SHAPE = """
from locust import LoadTestShape

class Two(LoadTestShape):
    def tick(self):
        return (2, 10) if self.get_run_time() < 3 else None
"""
OPEN = """
import devenv.load.plugin
from devenv.load.users import Person

class Reader(Person):
    def visit(self, chance, due):
        self.call("GET", "/page", "page", due)
"""
DATA = """
from pathlib import Path
from devenv.load import plugin

class Data:
    def __init__(self, options, target, run):
        self.place = Path("data")

    def fill(self):
        self.place.touch()
        Path("filling").touch()
        while Path("wait").exists():
            import time
            time.sleep(0.05)
        return {}

    def remove(self):
        import time
        time.sleep(1)
        self.place.unlink()

plugin.configure(data=Data)
"""
RUN = ("--headless", "--only-summary", "-u", "2", "-r", "10", "--warm-up", "0")


class Pages(BaseHTTPRequestHandler):
    """Serves pages; `/` is none, as with many an API."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response({"/page": 200, "/broken": 500}.get(self.path, 404))
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@contextmanager
def runner_in(place: Path) -> Iterator[Runner]:
    folder = place / "theirs"
    folder.mkdir()
    (folder / "theirs.py").write_text(THEIRS)
    (folder / "imports.py").write_text(f"import devenv.load.plugin\n{THEIRS}")
    runner = Runner(place, {}, folder)
    try:
        yield runner
    finally:
        runner.close()


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Runner]:
    with runner_in(tmp_path) as runner:
        yield runner


def plugin() -> str:
    return forked.run("devenv", "load", "plugin").stdout.strip()


@pytest.fixture(scope="module")
def judged(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[bool, bool], Ended]]:
    """Runs of an unchanged locustfile and of one that imports the plugin, in one process and in more: side by side."""
    limits = ("--threshold", "page:p95<5000", "--threshold", "fail_ratio<0.1")
    with runner_in(tmp_path_factory.mktemp("judged")) as runner:

        def start(unchanged: bool, more: bool) -> Started:
            files = f"theirs.py,{plugin()}" if unchanged else "imports.py"
            port = free_port()
            own = ("--processes", "2", "--master-bind-port", port, "--master-port", port) if more else ()
            return runner.start(*RUN, "-t", "8s", *limits, "--host", url, *own, files=files)

        def judge(case: tuple[bool, bool]) -> Ended:
            ended = start(*case).ended()
            for _ in range(2):
                if "no such request was made" in ended.output:  # a busy machine started no user in all of its time
                    ended = start(*case).ended()
            return ended

        cases = list(product((True, False), repeat=2))
        with ThreadPoolExecutor(len(cases)) as pool:
            yield dict(zip(cases, pool.map(judge, cases), strict=True))


@pytest.mark.parametrize("more", [False, True], ids=["one", "more"])
@pytest.mark.parametrize("unchanged", [True, False])
def test_anyones_locustfile_gets_thresholds_recording_and_verdict(
    judged: dict[tuple[bool, bool], Ended], unchanged: bool, more: bool
) -> None:
    ended = judged[unchanged, more]
    assert (ended.code, ended.broken) == (99, ["fail_ratio<0.1"]), ended.output[-3000:]
    assert "500 Server Error" in ended.output.partition("report:")[0]
    recording = read_recording(ended.started.folder)
    assert {"page", "broken"} <= set(recording.figures())
    assert recording.errors[0][1] == "broken"
    assert (ended.started.folder / "report.html").is_file()


def test_outcomes_have_their_codes(theirs: Runner, url: str) -> None:
    cases = {
        ("--tags", "page"): (0, "passed"),
        ("--tags", "nothing"): (2, "leave no task"),
        ("--tags", "broken"): (1, "500 Server Error"),
        ("--threshold", "other:p95<1"): (12, "no such request was made"),
        ("--model", "open"): (2, "devenv.load.users.Person"),
        ("Nobody",): (2, "There are: Mine."),
    }
    started = {flags: theirs.start(*RUN, "-t", "2s", "--host", url, *flags, files="imports.py") for flags in cases}
    for flags, (code, told) in cases.items():
        ended = started[flags].ended()
        assert (ended.code, told in ended.output) == (code, True), (flags, ended.output[-2000:])


def test_a_shape_of_the_locustfile_is_followed_and_another_can_be_asked_for(theirs: Runner, url: str) -> None:
    (theirs.cwd / "shaped.py").write_text(f"{THEIRS}{SHAPE}import devenv.load.plugin\n")
    own = theirs.start(*RUN, "--host", url, "--tags", "page", files="shaped.py")
    other = theirs.start(*RUN, "--host", url, "--tags", "page", "--shape", "ramp", "-t", "2s", files="shaped.py")
    ended, asked = own.ended(), other.ended()
    assert (ended.code, asked.code) == (0, 0), ended.output[-3000:]
    recording = read_recording(own.folder)
    assert max(tick.users for tick in recording.load) == 2
    # how much of the time before the load is recorded depends on how fast the recorder starts
    assert [name for _, name in recording.phases if name != "prepare"] == ["own", "clean up"]
    assert [name for _, name in read_recording(other.folder).phases if name != "prepare"] == ["ramp", "clean up"]


def test_users_may_keep_a_schedule(theirs: Runner, url: str) -> None:
    (theirs.cwd / "open.py").write_text(OPEN)
    ended = theirs.run(*RUN, "-t", "3s", "--model", "open", "--rate", "10", "--host", url, files="open.py")
    assert ended.code == 0, ended.output[-3000:]
    assert 12 <= read_recording(ended.started.folder).figures()["page"].rps <= 22


def test_users_start_within_the_time_of_the_run(theirs: Runner, url: str) -> None:
    slow = ("--headless", "--only-summary", "--warm-up", "0", "-u", "100", "-r", "2", "-t", "3s", "--tags", "page")
    ended = theirs.run(*slow, "--host", url, files="imports.py")
    recording = read_recording(ended.started.folder)
    assert ended.code == 0, ended.output[-3000:]
    assert recording.length < 8
    assert 4 <= max(tick.users for tick in recording.load) <= 10


INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


INTERRUPTIONS = [
    (when, numbers) for when in ("filling", "loading") for numbers in ((INT, INT), (TERM, INT), (HUP, TERM))
]


@pytest.fixture(scope="module")
def interrupted(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[Runner, Ended]]]:
    """What became of each run: they are interrupted side by side."""
    with ExitStack() as stack:
        runners = [stack.enter_context(runner_in(tmp_path_factory.mktemp("interrupted"))) for _ in INTERRUPTIONS]

        def interrupt(theirs: Runner, when: str, numbers: tuple[signal.Signals, ...]) -> Ended:
            (theirs.cwd / "data.py").write_text(f"{THEIRS}{DATA}")
            if when == "filling":
                (theirs.cwd / "wait").touch()
            run = theirs.start(*RUN, "-t", "100s", "--tags", "page", "--host", url, files="data.py")
            run.wait_for((theirs.cwd / "filling").exists if when == "filling" else run.is_loading, when)
            for number in numbers:
                run.stop(number)
                threading.Event().wait(0.4)  # taking the data away takes longer
            return run.ended()

        with ThreadPoolExecutor(len(INTERRUPTIONS)) as pool:
            ended = list(pool.map(interrupt, runners, *zip(*INTERRUPTIONS, strict=True)))
        yield list(zip(runners, ended, strict=True))


@pytest.mark.parametrize("case", range(len(INTERRUPTIONS)), ids=[f"{w}-{n[0].name}" for w, n in INTERRUPTIONS])
def test_an_interrupted_run_has_one_outcome_and_leaves_nothing(
    interrupted: list[tuple[Runner, Ended]], case: int
) -> None:
    _, numbers = INTERRUPTIONS[case]
    theirs, ended = interrupted[case]
    assert (ended.code, ended.outcome.get("exit_code")) == (130, 130), ended.output[-3000:]
    assert ended.outcome["reasons"] == [f"ended by {numbers[0].name}"]
    assert "interrupted" in ended.output
    assert "Traceback" not in ended.output
    assert not (theirs.cwd / "data").exists()
    assert not list((theirs.folder / "state").rglob("history.sqlite3")), "it is in no history"


def test_waiting_for_workers_can_be_interrupted(theirs: Runner, url: str) -> None:
    master = ("--master", "--expect-workers", "1", "--master-bind-port", free_port())
    run = theirs.start(*RUN, *master, "--host", url, files="imports.py")
    run.wait_for(lambda: "Waiting for workers" in run.output(), "waiting")
    run.stop(INT)
    ended = run.ended(20)
    assert (ended.code, "Traceback" in ended.output) == (130, False), ended.output[-3000:]
