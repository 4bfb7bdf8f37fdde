"""A load test of real Locust without a target: it writes the recording of a run that goes on as long as it does.

Files in the folder where it runs steer it: `phase` names the phase, `quiet` lets it write nothing, `hold` lets its end
wait until `cleaned` is there.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import gevent
from locust import User, constant, events, task

from devenv.load.figures import evaluate, parse
from devenv.load.outcome import EXIT_BREACHED, save_outcome
from devenv.load.recording import BASE, LOAD, SCHEMA, WATCHED
from devenv.runs.criteria import Verdict
from devenv.runs.lines import Lines, write_text

TICK = 0.1  # seconds; a tenth of a real one, so that tests need not wait
NAMES = {
    "search": {"n": 10, "failed": 0, "seconds": 1.0, "times": {"7": 9, "31": 1}},
    "add": {"n": 2, "failed": 1, "seconds": 1.0, "times": {"40": 2}},
}


class Idle(User):
    """Does nothing."""

    wait_time = constant(1)

    @task
    def rest(self) -> None:
        """Rest."""


@events.init_command_line_parser.add_listener
def options(parser: Any) -> None:
    """Take what devenv's own load tests take."""
    for name in ("--target", "--shape", "--record"):
        parser.add_argument(name, default="")
    parser.add_argument("--threshold", action="append", default=[])


@events.test_start.add_listener
def begin(environment: Any, **_: Any) -> None:
    """Write the base and begin."""
    given = environment.parsed_options
    folder = Path(given.record)
    base = time.monotonic()
    run = {
        "schema": SCHEMA, "run": "played", "base": base, "began": time.time(), "folder": str(Path.cwd()),
        "target": {
            "kind": "compose", "url": "http://127.0.0.1:1", "project": "shop", "service": "web",
            "limits": {"web": {"cpu": 0.5}},
        },
        "seed": 1, "documents": 0, "thresholds": given.threshold, "warm_up": 0.0,
        "options": {"shape": given.shape, "num_users": given.num_users, "run_time": given.run_time, "open": False},
    }  # fmt: skip
    write_text(folder / BASE, json.dumps(run))  # whole, as the real one does: it is followed meanwhile
    environment.played = gevent.spawn(_write, folder, base)


def _write(folder: Path, base: float) -> None:
    load, watched = Lines(folder / LOAD, base), Lines(folder / WATCHED, base)
    known: dict[str, Any] = {"key": "docker/web-1", "name": "shop-web-1", "service": "web"}
    watched.write("begin", pid=1, cores=2)
    watched.write("resource", kind="container", state="running", health="healthy", restarts=0, **known)
    load.write("phase", name="prepare")
    phase = ""
    while True:
        gevent.sleep(TICK)
        wanted = Path("phase").read_text().strip() if Path("phase").is_file() else "steady"
        if wanted != phase:
            phase = wanted
            load.write("phase", name=phase)
        if Path("quiet").exists():
            continue
        watched.write("sample", of=time.time(), cpu=0.25, memory=50_000_000, limit=100_000_000, window=1.0, **known)
        watched.write("tick", machine=1.0, own=0.001)
        generator = {"cpu": [12.0], "arrivals": 12, "late": 0, "dropped": 0}
        load.write("load", phase=phase, users=20, names=NAMES, generator=generator)


@events.quitting.add_listener
def end(environment: Any, **_: Any) -> None:
    """Keep the outcome."""
    deadline = time.monotonic() + 60
    while Path("hold").exists() and not Path("cleaned").exists() and time.monotonic() < deadline:
        gevent.sleep(0.05)
    environment.played.kill()
    findings = evaluate([parse(text) for text in environment.parsed_options.threshold], {})
    folder = Path(environment.parsed_options.record)
    code = EXIT_BREACHED if environment.parsed_options.threshold else 0
    verdict = Verdict.FAILED if code else Verdict.PASSED
    save_outcome(folder, code, verdict, [], findings)
    environment.process_exit_code = code
