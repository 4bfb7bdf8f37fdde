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
    assert windows == Reading(1795451972.5, 2.5, None, None, processes=4)


# As GET /containers/{id}/stats?one-shot answers on the two versions of control groups, without what is not read.
VERSION_1 = {
    "read": NOW,
    "num_procs": 0,
    "pids_stats": {"current": 4, "limit": 64},
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"major": 8, "minor": 0, "op": "Read", "value": 4096},
            {"major": 8, "minor": 0, "op": "Write", "value": 512},
            {"major": 8, "minor": 0, "op": "Sync", "value": 4096},
            {"major": 8, "minor": 0, "op": "Async", "value": 512},
            {"major": 8, "minor": 0, "op": "Total", "value": 4608},
            {"major": 253, "minor": 0, "op": "Read", "value": 1000},
        ],
        "sectors_recursive": [],
    },
    "storage_stats": {},
    "cpu_stats": {"cpu_usage": {"total_usage": 2_254_713_123, "percpu_usage": [1_503_028_900, 751_684_223]}},
    "memory_stats": {
        "usage": 50_569_216,
        "max_usage": 55_939_072,
        "stats": {"inactive_file": 0, "total_inactive_file": 8192, "hierarchical_memory_limit": 268_435_456},
        "limit": 268_435_456,
    },
    "networks": {
        "eth0": {"rx_bytes": 4388, "rx_packets": 49, "tx_bytes": 5549, "tx_packets": 41},
        "eth1": {"rx_bytes": 12, "rx_packets": 1, "tx_bytes": 1, "tx_packets": 1},
    },
}
VERSION_2 = {
    "read": NOW,
    "num_procs": 0,
    "pids_stats": {"current": 12, "limit": 18_446_744_073_709_551_615},
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"major": 254, "minor": 0, "op": "read", "value": 7_000_064},
            {"major": 254, "minor": 0, "op": "write", "value": 40_960},
        ],
        "sectors_recursive": None,
    },
    "cpu_stats": {"cpu_usage": {"total_usage": 500_000_000, "usage_in_kernelmode": 22_000_000}, "online_cpus": 8},
    "memory_stats": {"usage": 30_000_000, "stats": {"inactive_file": 10_000_000, "anon": 1}, "limit": 8_232_869_888},
    "networks": {"eth0": {"rx_bytes": 906, "tx_bytes": 126}},
}


def test_the_answers_of_both_versions_of_control_groups() -> None:
    first = parse_stats(VERSION_1)
    assert first == Reading(1795451972.5, 2.254713123, 50_561_024, 268_435_456, 4400, 5550, 5096, 512, 4)
    second = parse_stats(VERSION_2)
    assert second == Reading(1795451972.5, 0.5, 20_000_000, 8_232_869_888, 906, 126, 7_000_064, 40_960, 12)


def test_what_an_engine_does_not_tell_is_not_known() -> None:
    reading = parse_stats({"read": NOW, "blkio_stats": {"io_service_bytes_recursive": None}, "pids_stats": {}})
    assert reading is not None
    assert (reading.received, reading.sent, reading.read, reading.written, reading.processes) == (None,) * 5
    sample = sample_of("k", Reading(12.0, 4.0, 5, None, 1, 2, 3, 4, 6), None)
    assert (sample.received, sample.sent, sample.read, sample.written, sample.processes) == (1, 2, 3, 4, 6)


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
