"""The thread that samples the resource use of what is on screen.

Two one-shot readings of GET /containers/{id}/stats make a rate, as `docker stats` computes it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from devenv.backends.docker.cache import ContainerCache
from devenv.backends.docker.client import connect, engine_errors
from devenv.backends.docker.endpoint import Endpoint
from devenv.backends.docker.parse import parse_time
from devenv.backends.docker.plain import read_stats
from devenv.backends.streams import Buffer, Stream
from devenv.core.model import Sample, State

if TYPE_CHECKING:
    from docker import APIClient


ROUND: Final = 2.0  # seconds between two readings of a container
# A reading costs the engine 2.5 ms of CPU (Engine 28.5, two slow cores), and us 0.4 ms on a unix socket, where it is
# asked for without the SDK, which takes 1.9 ms: with many containers the round grows, so that both stay well below a
# percent of a core, however many there are.
SHORTEST_GAP: Final = 0.4  # seconds between two readings
FIRST_ROUND: Final = 1.0  # seconds; quicker as long as a container has no rate yet
IDLE: Final = 60.0  # seconds to sleep while nothing is watched


class Sampler:
    """Reads one container after another, evenly over the round; hands over a round's samples at once."""

    def __init__(self, cache: ContainerCache, endpoint: Callable[[], Endpoint], buffer: Buffer) -> None:
        self._cache = cache
        self._endpoint = endpoint
        self._buffer = buffer
        self._keys: tuple[str, ...] = ()
        self._changed = threading.Event()
        self._before: dict[str, Reading] = {}
        self._rated: set[str] = set()  # keys with two readings

    def watch(self, keys: Collection[str]) -> None:
        """Sample exactly these containers from now on."""
        self._keys = tuple(keys)
        self._changed.set()

    def run(self, stream: Stream, live: threading.Event) -> None:
        """Sample while the engine is live."""
        while not self._keys:
            stream.wait_until(self._changed)
            self._changed.clear()
        stream.wait_until(live)
        endpoint = self._endpoint()
        client = None if endpoint.scheme == "unix" else connect(endpoint)
        try:
            while live.is_set():
                running = [key for key in self._keys if self._is_running(key)]
                self._before = {key: reading for key, reading in self._before.items() if key in running}
                self._rated &= self._before.keys()
                self._changed.clear()
                if running:
                    self._round(stream, client, endpoint, running)
                    stream.succeeded()
                else:
                    # Woken by `watch`; whether a watched container has started is looked at once a round.
                    stream.wait_until(self._changed, ROUND if self._keys else IDLE)
        finally:
            if client is not None:
                client.close()

    def _round(self, stream: Stream, client: APIClient | None, endpoint: Endpoint, keys: list[str]) -> None:
        new = not self._rated.issuperset(keys)
        gap = FIRST_ROUND / len(keys) if new else max(SHORTEST_GAP, ROUND / len(keys))
        samples: list[Sample] = []
        for key in keys:
            due = time.monotonic() + gap
            sample = self._read(client, endpoint, key)
            if sample is not None:
                samples.append(sample)
            if new:
                self._buffer.put(*samples)
                samples.clear()
            if stream.wait_until(self._changed, max(0.0, due - time.monotonic())):
                break
        self._buffer.put(*samples)

    def _read(self, client: APIClient | None, endpoint: Endpoint, key: str) -> Sample | None:
        data = _ask(client, endpoint, key.removeprefix("docker/"))
        if data is None:  # it stopped or was removed a moment ago: the events say so
            self._before.pop(key, None)
            return None
        reading = parse_stats(data)
        if reading is None:
            return None
        before = self._before.get(key)
        self._before[key] = reading
        if before is not None:
            self._rated.add(key)
        return sample_of(key, reading, before)

    def _is_running(self, key: str) -> bool:
        resource = self._cache.resource(key)
        return resource is not None and resource.state is State.RUNNING


def _ask(client: APIClient | None, endpoint: Endpoint, container_id: str) -> Mapping[str, Any] | None:
    """Return one reading, None where there is none of this container any more; raises EngineUnreachable."""
    if client is None:
        return read_stats(endpoint, container_id)
    from docker.errors import APIError

    with engine_errors(endpoint):
        try:
            data: dict[str, Any] = client.stats(container_id, stream=False, one_shot=True)
        except APIError:
            return None
    return data


class Reading(Struct, frozen=True):
    """One reading: `cpu` is processor time used since the start, seconds; `at` is the engine's clock."""

    at: float
    cpu: float | None
    memory: int | None
    memory_limit: int | None
    received: int | None = None  # bytes since the start, over all networks; none where it shares another's network
    sent: int | None = None
    read: int | None = None  # bytes of block devices
    written: int | None = None
    processes: int | None = None  # with their threads


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
        received=_network(data, "rx_bytes"),
        sent=_network(data, "tx_bytes"),
        read=_blocks(data, "read"),
        written=_blocks(data, "write"),
        processes=_whole(_mapping(data.get("pids_stats")).get("current")) or data.get("num_procs") or None,
    )


def _network(data: Mapping[str, Any], field: str) -> int | None:
    networks = data.get("networks")
    if not isinstance(networks, Mapping):
        return None
    return sum(_whole(_mapping(one).get(field)) or 0 for one in networks.values())


def _blocks(data: Mapping[str, Any], operation: str) -> int | None:
    """Sum the bytes of all devices; docker/cli does not sum "Total", "Sync" and "Async", which cgroup v1 lists, too."""
    windows = _whole(_mapping(data.get("storage_stats")).get(f"{operation}_size_bytes"))
    entries = _mapping(data.get("blkio_stats")).get("io_service_bytes_recursive")
    if not isinstance(entries, list):
        return windows
    own = (_mapping(entry) for entry in entries)
    return sum(_whole(one.get("value")) or 0 for one in own if str(one.get("op")).lower() == operation)


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
    return Sample(
        key,
        reading.at,
        cpu,
        reading.memory,
        reading.memory_limit,
        received=reading.received,
        sent=reading.sent,
        read=reading.read,
        written=reading.written,
        processes=reading.processes,
    )


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
