"""Resource use from GET /containers/{id}/stats: two one-shot readings make a rate, as `docker stats` computes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from devenv.backends.docker.parse import parse_time
from devenv.core.model import Sample


class Reading(Struct, frozen=True):
    """One reading: `cpu` is processor time used since the start, seconds; `at` is the engine's clock."""

    at: float
    cpu: float | None
    memory: int | None
    memory_limit: int | None


def parse_stats(data: Mapping[str, Any]) -> Reading | None:
    """Parse a reading; None for a container that does not run (the engine then answers with zero times)."""
    at = parse_time(data.get("read"))
    if at is None:
        return None
    cpu, memory = _mapping(data.get("cpu_stats")), _mapping(data.get("memory_stats"))
    total = _mapping(cpu.get("cpu_usage")).get("total_usage")
    unit = 1e-7 if "num_procs" in data and data.get("num_procs") else 1e-9  # Windows counts in 100 ns
    limit = memory.get("limit")
    return Reading(
        at=at,
        cpu=total * unit if isinstance(total, int) else None,
        memory=working_set(memory),
        memory_limit=limit if isinstance(limit, int) and limit > 0 else None,
    )


def working_set(memory: Mapping[str, Any]) -> int | None:
    """Return the memory that cannot be reclaimed: usage without the inactive page cache.

    docker/cli, cli/command/container/stats_helpers.go: `total_inactive_file` on cgroup v1, `inactive_file` on v2.
    """
    private = memory.get("privateworkingset")  # Windows
    if isinstance(private, int):
        return private
    usage = memory.get("usage")
    if not isinstance(usage, int):
        return None
    details = _mapping(memory.get("stats"))
    inactive = details.get("total_inactive_file", details.get("inactive_file"))
    return usage - inactive if isinstance(inactive, int) and inactive < usage else usage


def sample_of(key: str, reading: Reading, before: Reading | None) -> Sample:
    """Make a sample; the rate is None for a first reading and when the counter went back, as it does by a restart."""
    cpu = None
    if before is not None and reading.cpu is not None and before.cpu is not None and reading.at > before.at:
        used = reading.cpu - before.cpu
        cpu = used / (reading.at - before.at) if used >= 0 else None
    return Sample(key, reading.at, cpu, reading.memory, reading.memory_limit)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
