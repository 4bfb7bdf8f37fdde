"""`up --wait` on what goes wrong: who failed, why, with which last words, how early, and which exit code."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from program import Program, program

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory, base_image: str) -> Iterator[Program]:
    with program("troubled", tmp_path_factory.mktemp("state"), base_image) as made:
        yield made


def verdicts(stdout: str) -> dict[str, str]:
    """Read the table: service -> verdict."""
    table = stdout.split("\n\n")[0].splitlines()[1:]
    return {line.split()[0]: line.split()[1] for line in table}


def why(stdout: str, service: str) -> str:
    line = next(line for line in stdout.splitlines() if line.startswith(f"{service} "))
    return line.split(maxsplit=2)[2]


def test_a_crash_loop_fails_early_with_its_last_lines(troubled: Program) -> None:
    began = time.monotonic()
    done = troubled.run("up", "--wait", "forever", "fine")
    assert time.monotonic() - began < 20, "the timeout is 120 s"
    assert done.returncode == 7, done.stderr
    assert verdicts(done.stdout)["forever"] == "failed"
    assert re.search(r"exits again and again: \d+ times so far, last with code 3", why(done.stdout, "forever"))
    assert "  | [/foo] cannot go on" in done.stdout.splitlines()
    assert "devenv logs forever" in done.stderr


def test_an_old_crash_loop_is_recognized_although_its_delays_have_grown(troubled: Program) -> None:
    done = troubled.run("up", "--wait", "forever")
    assert done.returncode == 7
    assert "exits again and again" in done.stdout
    (forever,) = [service for service in troubled.status()["services"] if service["name"] == "forever"]
    assert forever["containers"][0]["restarts"] >= 3
    troubled.compose("down", "-t", "0")


def test_ending_well_for_ever_is_a_loop_too(troubled: Program) -> None:
    done = troubled.run("up", "--wait", "forever-well")
    assert done.returncode == 7
    assert "exits again and again" in done.stdout
    assert "last with code 0" in done.stdout
    troubled.compose("down", "-t", "0")


def test_after_its_last_try_a_service_has_failed(troubled: Program) -> None:
    done = troubled.run("up", "--wait", "three-tries")
    assert done.returncode == 7
    assert "exit" in why(done.stdout, "three-tries")
    assert "code 4" in why(done.stdout, "three-tries")
    assert "giving up" in done.stdout


def test_an_unhealthy_dependency_fails_with_the_last_output_of_its_check(troubled: Program) -> None:
    done = troubled.run("up", "--wait", "needs-sick")
    assert done.returncode == 7
    assert verdicts(done.stdout) == {"needs-sick": "waiting", "sick": "failed"}
    assert "waits for sick to be healthy" in why(done.stdout, "needs-sick")
    assert "  | last health check: exit code 1\n  | [/foo] no heartbeat" in done.stdout
    assert troubled.states()["sick"] == "unhealthy"


def test_a_job_that_must_complete_and_does_not(troubled: Program) -> None:
    done = troubled.run("up", "--wait", "after-bad-job")
    assert done.returncode == 7
    assert verdicts(done.stdout) == {"after-bad-job": "waiting", "bad-job": "failed"}
    assert "exited with code 5" in why(done.stdout, "bad-job")
    assert "  | [/foo] job failed" in done.stdout


def test_out_of_memory_is_said(troubled: Program) -> None:
    done = troubled.run("up", "--wait", "hungry")
    assert done.returncode == 7
    assert "code 137" in why(done.stdout, "hungry")
    assert "OOM" in why(done.stdout, "hungry")


def test_a_program_that_is_not_in_the_image(troubled: Program) -> None:
    done = troubled.run("up", "--wait", "not-there")
    assert done.returncode == 7
    assert "no-such-program" in done.stdout + done.stderr


def test_a_timeout_says_what_it_was_waiting_for(troubled: Program) -> None:
    troubled.compose("up", "-d", "slow")
    done = troubled.run("up", "--wait", "--timeout", "1.5", "slow")
    assert done.returncode == 8
    assert verdicts(done.stdout)["slow"] == "waiting"
    assert "After 1.5 s still waiting for slow: running, its health check has not succeeded yet" in done.stderr
    assert "  | not yet" in done.stdout


def test_a_loop_that_waits_for_another_service_is_given_the_time(troubled: Program) -> None:
    done = troubled.run("up", "--wait", "--timeout", "40", "impatient", "late")
    assert done.returncode == 0, done.stdout
    assert verdicts(done.stdout) == {"impatient": "ready", "late": "ready"}
    found = {service["name"]: service for service in troubled.status()["services"]}
    assert found["impatient"]["containers"][0]["restarts"] >= 1
