"""`up --wait` on what goes wrong: who failed, why, with which last words, how early, and which exit code."""

from __future__ import annotations

import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest
from program import Program, program

pytestmark = pytest.mark.engine


AT_ONCE = 4  # starts
STARTS = {
    "loop": ("forever", "fine"),
    "well": ("forever-well",),
    "tries": ("three-tries",),
    "dependency": ("needs-sick",),
    "job": ("after-bad-job",),
    "memory": ("hungry",),
    "program": ("not-there",),
    "timeout": ("--timeout", "6", "slow"),
    "impatient": ("--timeout", "40", "impatient", "late"),
}


@dataclass(frozen=True)
class Start:
    """What `up --wait` said, and how its project stood afterwards; `again` is the same of a second start."""

    done: subprocess.CompletedProcess[str]
    seconds: float
    services: dict[str, dict[str, Any]]
    again: Start | None = None


def start(made: Program, *arguments: str) -> Start:
    began = time.monotonic()
    done = made.run("up", "--wait", *arguments)
    seconds = time.monotonic() - began
    return Start(done, seconds, {service["name"]: service for service in made.status()["services"]})


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, base_image: str) -> dict[str, Start]:
    """All starts, each in a project of its own: they mostly wait, so a few of them do so side by side."""

    def play(name: str) -> Start:
        with program("troubled", tmp_path_factory.mktemp("state"), base_image) as made:
            if name == "timeout":
                made.compose("up", "-d", "slow")
            first = start(made, *STARTS[name])
            while name == "memory" and "OOM" not in first.done.stdout and first.seconds < 60:
                # A busy engine may tell of the kill after the end that it caused.
                again = start(made, *STARTS[name])
                first = replace(again, seconds=first.seconds + again.seconds)
            return replace(first, again=start(made, "forever")) if name == "loop" else first

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(STARTS, pool.map(play, STARTS), strict=True))


def verdicts(stdout: str) -> dict[str, str]:
    """Read the table: service -> verdict."""
    table = stdout.split("\n\n")[0].splitlines()[1:]
    return {line.split()[0]: line.split()[1] for line in table}


def why(stdout: str, service: str) -> str:
    line = next(line for line in stdout.splitlines() if line.startswith(f"{service} "))
    return line.split(maxsplit=2)[2]


def test_a_crash_loop_fails_early_with_its_last_lines(started: dict[str, Start]) -> None:
    done = started["loop"].done
    assert started["loop"].seconds < 60, "the timeout is 120 s"
    assert done.returncode == 7, done.stderr
    assert verdicts(done.stdout)["forever"] == "failed"
    assert re.search(r"exits again and again: \d+ times so far, last with code 3", why(done.stdout, "forever"))
    assert "  | [/foo] cannot go on" in done.stdout.splitlines()
    assert "devenv logs forever" in done.stderr


def test_an_old_crash_loop_is_recognized_although_its_delays_have_grown(started: dict[str, Start]) -> None:
    again = started["loop"].again
    assert again is not None
    assert again.done.returncode == 7
    assert "exits again and again" in again.done.stdout
    assert again.services["forever"]["containers"][0]["restarts"] >= 3


def test_ending_well_for_ever_is_a_loop_too(started: dict[str, Start]) -> None:
    done = started["well"].done
    assert done.returncode == 7
    assert "exits again and again" in done.stdout
    assert "last with code 0" in done.stdout


def test_after_its_last_try_a_service_has_failed(started: dict[str, Start]) -> None:
    done = started["tries"].done
    assert done.returncode == 7
    assert "exit" in why(done.stdout, "three-tries")
    assert "code 4" in why(done.stdout, "three-tries")
    assert "giving up" in done.stdout


def test_an_unhealthy_dependency_fails_with_the_last_output_of_its_check(started: dict[str, Start]) -> None:
    done = started["dependency"].done
    assert done.returncode == 7
    assert verdicts(done.stdout) == {"needs-sick": "waiting", "sick": "failed"}
    assert "waits for sick to be healthy" in why(done.stdout, "needs-sick")
    assert "  | last health check: exit code 1\n  | [/foo] no heartbeat" in done.stdout
    assert started["dependency"].services["sick"]["state"] == "unhealthy"


def test_a_job_that_must_complete_and_does_not(started: dict[str, Start]) -> None:
    done = started["job"].done
    assert done.returncode == 7
    assert verdicts(done.stdout) == {"after-bad-job": "waiting", "bad-job": "failed"}
    assert "exited with code 5" in why(done.stdout, "bad-job")
    assert "  | [/foo] job failed" in done.stdout


def test_out_of_memory_is_said(started: dict[str, Start]) -> None:
    done = started["memory"].done
    assert done.returncode == 7
    assert "code 137" in why(done.stdout, "hungry")
    assert "OOM" in why(done.stdout, "hungry")


def test_a_program_that_is_not_in_the_image(started: dict[str, Start]) -> None:
    done = started["program"].done
    assert done.returncode == 7
    assert "no-such-program" in done.stdout + done.stderr


def test_a_timeout_says_what_it_was_waiting_for(started: dict[str, Start]) -> None:
    done = started["timeout"].done
    assert done.returncode == 8
    assert verdicts(done.stdout)["slow"] == "waiting"
    assert "After 6 s still waiting for slow: running, its health check has not succeeded yet" in done.stderr
    assert "  | not yet" in done.stdout


def test_a_loop_that_waits_for_another_service_is_given_the_time(started: dict[str, Start]) -> None:
    done = started["impatient"].done
    assert done.returncode == 0, done.stdout
    assert verdicts(done.stdout) == {"impatient": "ready", "late": "ready"}
    assert started["impatient"].services["impatient"]["containers"][0]["restarts"] >= 1
