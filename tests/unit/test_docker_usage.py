"""Resource use is computed as `docker stats` does it, on both cgroup versions and on Windows."""

from __future__ import annotations

from typing import Any

import pytest

from devenv.backends.docker.sampler import Reading, parse_stats, sample_of, working_set

NOW = "2026-11-23T16:39:32.500000000Z"


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        ({"usage": 100, "stats": {"total_inactive_file": 30, "inactive_file": 5}}, 70),  # cgroup v1
        ({"usage": 100, "stats": {"inactive_file": 40}}, 60),  # cgroup v2
        ({"usage": 100, "stats": {"inactive_file": 100}}, 100),  # as docker/cli: only where it is less
        ({"usage": 100, "stats": {}}, 100),
        ({"usage": 100, "stats": None}, 100),
        ({"privateworkingset": 55, "commitbytes": 99}, 55),  # Windows
        ({"stats": {"inactive_file": 1}}, None),
        ({}, None),
    ],
)
def test_working_set(memory: dict[str, Any], expected: int | None) -> None:
    assert working_set(memory) == expected


def test_a_reading() -> None:
    found = parse_stats(
        {
            "read": NOW,
            "num_procs": 0,
            "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}},
            "memory_stats": {"usage": 7, "limit": 9},
        }
    )
    assert found == Reading(1795451972.5, 2.5, 7, 9)
    windows = parse_stats({"read": NOW, "num_procs": 4, "cpu_stats": {"cpu_usage": {"total_usage": 25_000_000}}})
    assert windows == Reading(1795451972.5, 2.5, None, None)


def test_a_stopped_container_has_no_reading() -> None:
    assert parse_stats({"read": "0001-01-01T00:00:00Z", "memory_stats": {}}) is None
    assert parse_stats({}) is None


@pytest.mark.parametrize(
    ("before", "cpu"),
    [
        (None, None),
        (Reading(10.0, 1.0, None, None), 1.5),
        (Reading(10.0, 9.0, None, None), None),  # the counter began anew: it was restarted
        (Reading(12.0, 1.0, None, None), None),
        (Reading(10.0, None, None, None), None),
        (Reading(10.0, 4.0, None, None), 0.0),
    ],
)
def test_the_rate(before: Reading | None, cpu: float | None) -> None:
    sample = sample_of("k", Reading(12.0, 4.0, 5, None), before)
    assert (sample.key, sample.at, sample.cpu, sample.memory, sample.memory_limit) == ("k", 12.0, cpu, 5, None)
