"""Statistics and the watched detail: who is asked, how often, and what becomes of it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from devenv.backends.docker import sampler
from fakes.docker_container import rfc3339
from fakes.docker_engine import FakeEngine
from tests.wire.reading import Reader

MB = 1_000_000


def reading(cpu_seconds: float) -> dict[str, Any]:
    return {
        "read": rfc3339(time.time_ns()),
        "cpu_stats": {"cpu_usage": {"total_usage": int(cpu_seconds * 1e9)}, "system_cpu_usage": 1, "online_cpus": 2},
        "memory_stats": {"usage": 100 * MB, "limit": 512 * MB, "stats": {"inactive_file": 30 * MB}},
    }


@pytest.fixture(autouse=True)
def quick_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROUND", "FIRST_ROUND", "SHORTEST_GAP"):
        monkeypatch.setattr(sampler, name, 0.05)


def test_only_what_is_watched_and_runs_is_asked(engine: FakeEngine, reader: Reader) -> None:
    web, api, job = engine.add("web"), engine.add("api"), engine.add("job", state="exited")
    for container in (web, api, job):
        engine.stats[container.id] = reading(1.0)
    reader.start().live(3)
    assert engine.requests["stats"] == 0
    reader.backend.watch_stats([web.key, job.key])
    reader.until(lambda: len(reader.samples()) >= 3)
    assert {sample.key for sample in reader.samples()} == {web.key}
    first = reader.samples()[0]
    assert (first.cpu, first.memory, first.memory_limit) == (None, 70 * MB, 512 * MB)
    reader.backend.watch_stats([api.key])
    reader.until(lambda: reader.samples()[-1].key == api.key)
    asked = engine.requests["stats"]
    reader.backend.watch_stats([])
    engine.begin(job)
    with pytest.raises(AssertionError, match="not within"):
        reader.until(lambda: engine.requests["stats"] > asked + 1, limit=0.5)


def test_the_rate_is_of_our_own_two_readings(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web")
    engine.stats[web.id] = reading(10.0)
    reader.start().live(1)
    reader.backend.watch_stats([web.key])
    reader.until(lambda: reader.samples())
    later = reading(10.0) | {"read": rfc3339(time.time_ns() + 2_000_000_000)}
    later["cpu_stats"] = {"cpu_usage": {"total_usage": int(13e9)}}
    engine.stats[web.id] = later
    reader.until(lambda: any(sample.cpu for sample in reader.samples()))
    rate = next(sample.cpu for sample in reader.samples() if sample.cpu)
    assert 1.0 < rate < 1.6, "three seconds of processor time in a bit over two seconds"


def test_readings_that_make_no_sense_do_no_harm(engine: FakeEngine, reader: Reader) -> None:
    web, api = engine.add("web"), engine.add("api")
    engine.stats[web.id] = {"read": rfc3339(time.time_ns()), "cpu_stats": None, "memory_stats": {}}
    engine.faults[f"/containers/{api.id}/stats"] = (409, b'{"message": "container is not running"}')
    reader.start().live(2)
    reader.backend.watch_stats([web.key, api.key])
    reader.until(lambda: len(reader.samples()) >= 2)
    assert {(sample.key, sample.cpu, sample.memory) for sample in reader.samples()} == {(web.key, None, None)}


def test_the_watched_detail_follows_each_check(engine: FakeEngine, reader: Reader) -> None:
    def check(text: str) -> dict[str, Any]:
        now = rfc3339(time.time_ns())
        return {"Start": now, "End": now, "ExitCode": 0, "Output": text}

    web = engine.add("web", health="healthy", checks=[check("one\n")], check_interval=0.2)
    api = engine.add("api", health="healthy", checks=[check("never shown")])
    reader.start().live(2)
    reader.until(lambda: all(r.restarts is not None for r in reader.store.resources.values()))
    assert not any(r.checks for r in reader.store.resources.values()), "only the watched one's"
    reader.backend.watch_detail(web.key)
    reader.until(lambda: [c.output for c in reader.named("web").checks] == ["one\n"])
    web.checks.append(check("two\nlines\n"))  # and the engine tells nothing, since the health is the same
    reader.until(lambda: [c.output for c in reader.named("web").checks] == ["one\n", "two\nlines\n"])
    reader.backend.watch_detail(None)
    reader.until(lambda: not reader.named("web").checks)
    assert not reader.named("api").checks
    assert api.health == "healthy"


def test_a_huge_output_of_a_check_is_cut(engine: FakeEngine, reader: Reader) -> None:
    web = engine.add("web", health="unhealthy", checks=[{"ExitCode": 1, "Output": "x" * 1_000_000}])
    reader.start().live(1)
    reader.backend.watch_detail(web.key)
    reader.until(lambda: reader.named("web").checks)
    assert len(reader.named("web").checks[0].output) < 5000
