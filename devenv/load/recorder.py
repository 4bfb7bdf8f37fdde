"""The recorder: a process beside the generator that writes down what the target does, until its stdin is closed.

python -m devenv.load.recorder DIR, where run.json says what to watch. It reads through devenv's backends, so it
survives a lost engine or API server; times without a connection are in the recording, as is its own CPU. A process
of its own, because Locust patches its process for gevent and must not wait for an engine.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from msgspec.structs import asdict

from devenv.backends.protocol import Backend
from devenv.core.errors import DevenvError
from devenv.core.model import Change, Connection, Gone, Happening, Resource, Sample, Scaling, Seen, Snapshot, State
from devenv.load.recording import BASE, WATCHED, Encoded
from devenv.runs.lines import Lines, say


class Encoder:
    """Turns records into lines; a resource is written again only when something of interest changed."""

    def __init__(self) -> None:
        self.resources: dict[str, Resource] = {}
        self._before: dict[str, dict[str, Any]] = {}
        self._sources: dict[str, set[str]] = {}  # keys of each list, as its last snapshot had them

    def take(self, change: Change) -> list[Encoded]:
        """Return the lines that a record means; none for what a load test does not need."""
        match change:
            case Snapshot():
                return self._snapshot(change)
            case Seen():
                self._sources.setdefault(change.backend, set()).add(change.resource.key)
                return self._resource(change.resource)
            case Gone():
                return self._gone(change.key)
            case Sample():
                cpu = None if change.cpu is None else round(change.cpu, 5)
                use = {"cpu": cpu, "memory": change.memory, "limit": change.memory_limit, "window": change.window}
                return [("sample", self._named(change.key) | {"of": change.at} | use)]
            case Scaling():
                return [("scaling", self._named(change.key) | _scaling(change))]
            case Happening():
                what = {"action": change.action, "text": change.text, "attributes": dict(change.attributes)}
                return [("event", self._named(change.key) | {"of": change.at} | what)]
            case Connection():
                return [("link", {"backend": change.backend, "state": change.state.value, "why": change.message})]
            case _:
                return []

    def _snapshot(self, snapshot: Snapshot) -> list[Encoded]:
        keys = {item.key for item in snapshot.resources}
        gone = self._sources.get(snapshot.backend, set()) - keys
        self._sources[snapshot.backend] = keys
        lines = [line for key in sorted(gone) for line in self._gone(key)]
        return lines + [line for item in snapshot.resources for line in self._resource(item)]

    def _resource(self, item: Resource) -> list[Encoded]:
        self.resources[item.key] = item
        values: dict[str, Any] = {
            "key": item.key,
            "kind": item.kind,
            "name": item.name,
            "service": item.service,
            "state": item.state.value,
            "health": item.health.value,
            "restarts": item.restarts,
            "ready": item.ready,
            "why": item.why,
            "oom": item.oom_killed,
            "created": item.created_at,
            "facts": dict(item.facts),
        }
        if self._before.get(item.key) == values:
            return []
        self._before[item.key] = values
        return [("resource", values)]

    def _gone(self, key: str) -> list[Encoded]:
        if self.resources.pop(key, None) is None:
            return []
        self._before.pop(key, None)
        return [("gone", {"key": key})]

    def _named(self, key: str) -> dict[str, Any]:
        item = self.resources.get(key)
        return {"key": key, "name": item.name if item else key, "service": item.service if item else ""}


def _scaling(scaling: Scaling) -> dict[str, Any]:
    return {
        "of": scaling.at,
        "target": scaling.target,
        "min": scaling.minimum,
        "max": scaling.maximum,
        "current": scaling.current,
        "desired": scaling.desired,
        "metrics": [asdict(item) for item in scaling.metrics],
        "conditions": list(map(list, scaling.conditions)),
        "scaled": scaling.last_scaled_at,
    }


_STAT = Path("/proc/stat")
_IDLE = (3, 4)  # fields of the line `cpu`: idle and iowait


class Machine:
    """Two readings make a rate; `read` returns cores in use, None where /proc/stat is not there."""

    def __init__(self, stat: Path = _STAT) -> None:
        self._stat = stat
        self.cores = os.cpu_count() or 1
        self._before = self._ticks()

    def read(self) -> float | None:
        """Return the cores in use since the last call."""
        before, self._before = self._before, self._ticks()
        if before is None or self._before is None:
            return None
        spent, busy = self._before[0] - before[0], self._before[1] - before[1]
        return round(self.cores * busy / spent, 3) if spent > 0 else None

    def _ticks(self) -> tuple[int, int] | None:
        if not self._stat.is_file():
            return None
        fields = [int(word) for word in self._stat.read_text("ascii").split("\n", 1)[0].split()[1:9]]
        return sum(fields), sum(value for index, value in enumerate(fields) if index not in _IDLE)


class Own:
    """The CPU of this process, as a share of one core since the last call."""

    def __init__(self) -> None:
        self._before = (time.monotonic(), time.process_time())

    def read(self) -> float:
        """Return the share."""
        before, self._before = self._before, (time.monotonic(), time.process_time())
        spent = self._before[0] - before[0]
        return (self._before[1] - before[1]) / spent if spent > 0 else 0.0


class Extra(Protocol):
    """A reader of facts that no backend tells; like a backend it never makes the recorder wait."""

    def start(self) -> None:
        """Begin to read."""
        ...

    def drain(self) -> list[Encoded]:
        """Take what was read."""
        ...

    def stop(self) -> None:
        """End within a second."""
        ...


TICK: Final = 1.0  # seconds


class Recorder:
    """Writes what a backend tells; a mere URL has none."""

    def __init__(self, backend: Backend | None, lines: Lines, extra: Extra | None = None) -> None:
        self._backend = backend
        self._lines = lines
        self._extra = extra
        self._encoder = Encoder()
        self._machine = Machine()
        self._own = Own()
        self._watched: frozenset[str] = frozenset()

    def start(self) -> None:
        """Connect; nothing is waited for."""
        self._lines.write("begin", pid=os.getpid(), cores=self._machine.cores)
        if self._backend is not None:
            self._backend.start(lambda: None)  # it is drained once a tick, however much arrives
        if self._extra is not None:
            self._extra.start()

    def tick(self) -> None:
        """Write what arrived since the last tick, and what this process and the machine used."""
        for change in self._backend.drain() if self._backend is not None else ():
            if isinstance(change, Happening) and change.action.startswith("exec_"):
                continue  # health checks run all the time
            for kind, values in self._encoder.take(change):
                self._lines.write(kind, **values)
        if self._extra is not None:
            for kind, values in self._extra.drain():
                self._lines.write(kind, **values)
        self._lines.write("tick", machine=self._machine.read(), own=round(self._own.read(), 5))
        keys = frozenset(
            item.key
            for item in self._encoder.resources.values()
            if item.kind in ("container", "pod") and item.state is State.RUNNING
        )
        if self._backend is not None and keys != self._watched:
            self._watched = keys
            self._backend.watch_stats(sorted(keys))

    def stop(self) -> None:
        """Write the end and disconnect."""
        self.tick()
        if self._backend is not None:
            self._backend.stop()
        if self._extra is not None:
            self._extra.stop()
        self._lines.write("end")
        self._lines.close()


def main(arguments: list[str]) -> int:
    """Record until standard input ends."""
    folder = Path(arguments[0])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-c is for the generator: the end of a run is recorded too
    run = json.loads((folder / BASE).read_text("utf-8"))
    try:
        recorder = _recorder(run["target"], Path(run["folder"]), Lines(folder / WATCHED, run["base"]))
    except DevenvError as error:
        say({"error": error.message, "hint": error.hint, "code": error.exit_code})
        return error.exit_code
    recorder.start()
    say({"recording": True})
    while not select.select([sys.stdin], [], [], TICK)[0]:
        recorder.tick()
    recorder.stop()
    return 0


def _recorder(target: Mapping[str, Any], folder: Path, lines: Lines) -> Recorder:
    if target["kind"] == "compose":
        from devenv.backends.docker.backend import DockerBackend
        from devenv.core.settings import load_config
        from devenv.verify.environment import locate

        project = locate(folder, load_config(folder, os.environ)).project
        return Recorder(DockerBackend(lambda: project), lines)
    if target["kind"] == "kubernetes":
        from devenv.backends.kube.backend import KubeBackend
        from devenv.backends.kube.kubeconfig import find_target
        from devenv.core.kube_settings import KubeSettings
        from devenv.load.cluster_facts import ClusterFacts

        cluster = find_target(KubeSettings(target["context"], target["namespace"]), os.environ)
        return Recorder(KubeBackend(cluster, os.environ), lines, ClusterFacts(cluster, target["service"]))
    return Recorder(None, lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
