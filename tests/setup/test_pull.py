from __future__ import annotations

import time

from _programs import Programs

from scripts.machine.pull import pull_image


def test_a_pull_that_ends_well_is_ok(programs: Programs) -> None:
    programs.add("docker", "echo Status: Downloaded newer image")
    assert pull_image("python:3.12-slim").ok
    assert programs.calls() == ["docker pull python:3.12-slim"]


def test_a_refused_pull_says_dockers_last_line(programs: Programs) -> None:
    programs.add("docker", "echo Pulling; echo 'Error: lookup registry.test: no such host' >&2; exit 1")
    pull = pull_image("python:3.12-slim")
    assert not pull.ok
    assert pull.reason == "Error: lookup registry.test: no such host"


def test_a_silent_registry_is_given_up_and_nothing_keeps_running(programs: Programs) -> None:
    programs.add("docker", "echo Pulling; trap '' HUP TERM; /bin/sleep 60")
    started = time.monotonic()
    pull = pull_image("python:3.12-slim", stall_seconds=0.3)
    assert not pull.ok
    assert pull.reason == "no progress within 0.3 s"
    assert time.monotonic() - started < 10


def test_a_slow_pull_that_reports_progress_is_waited_for(programs: Programs) -> None:
    # Fifteen steps of 0.1 s are longer than the bound on silence.
    programs.add("docker", "for step in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do echo $step; /bin/sleep 0.1; done")
    assert pull_image("python:3.12-slim", stall_seconds=1).ok
