"""`devenv kube logs`: what the containers of a pod, or of all pods of a workload, print."""

from __future__ import annotations

import sys
import threading
from argparse import Namespace
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from devenv.backends.docker.lines import LineAssembler
from devenv.backends.kube.backend import KubeBackend
from devenv.backends.kube.errors import Invalid, NotFound
from devenv.backends.kube.kinds import JOBS, PODS, REPLICA_SETS, Kind
from devenv.backends.kube.logs import container_names
from devenv.cli.console import tell, warn
from devenv.cli.kube_call import ClusterCall
from devenv.control.kube.change import Ref, parse_ref
from devenv.core.errors import EXIT_OK, UsageError
from devenv.core.model import Connection, ConnectionState, Gone, LogLine, Seen, Snapshot
from devenv.core.text import sanitize

EXIT_NOTHING_READ = 1  # no container could be read
_FOLLOWED: tuple[Kind, ...] = (PODS, REPLICA_SETS, JOBS)


def run(arguments: Namespace) -> int:
    """Show them; with --follow until ctrl-c. Returns 1 where no log could be read.

    Raises NotFound, UsageError, BadKubeconfig, Unreachable, Forbidden.
    """
    call = ClusterCall(arguments)
    word = arguments.target
    ref = parse_ref(word if "/" in word else f"pod/{word}", call.client)
    pods = _pods(call, ref)
    if arguments.follow:
        if arguments.previous:
            raise UsageError("A run that is over cannot be followed", "Leave out --follow or --previous.")
        return _follow(call, ref, pods)
    lines: list[tuple[str, LogLine]] = []
    logs = 0
    for pod in pods:
        name = sanitize(str(pod["metadata"]["name"]))
        for log in _read(call, pod):
            logs += 1
            lines += [(name, line) for line in log]
    lines.sort(key=lambda item: item[1].at or 0.0)
    for name, line in lines:
        _print(line, name if len(pods) > 1 else "", timestamps=arguments.timestamps)
    return EXIT_OK if logs else EXIT_NOTHING_READ


def _pods(call: ClusterCall, ref: Ref) -> list[dict[str, Any]]:
    found = ref.read(call.client)
    if ref.kind == PODS:
        return [found]
    selector = found.get("spec", {}).get("selector") or {}
    labels = selector.get("matchLabels", selector if "matchExpressions" not in selector else {})
    if not labels:
        raise UsageError(f"{ref.text} has no pods of its own", "Name a pod, or a workload or service with a selector.")
    pods, _ = call.client.list(PODS, ref.namespace, labels=",".join(f"{key}={value}" for key, value in labels.items()))
    if not pods and not call.arguments.follow:
        hint = "--follow waits for the first; `devenv kube get` says why there is none."
        raise NotFound(f"{ref.text} has no pods", hint, status=404)
    return pods


def _read(call: ClusterCall, pod: dict[str, Any]) -> Iterable[list[LogLine]]:
    """Yield the log of each container of a pod; what has not started, or has no run before, is said on stderr."""
    meta, arguments = pod["metadata"], call.arguments
    names = _containers(pod, arguments.container)
    query = {"timestamps": True, "tailLines": arguments.tail, "previous": arguments.previous or None}
    for name in names:
        try:
            told = call.client.request(
                "GET",
                PODS.path(meta["namespace"], meta["name"], "log"),
                query=query | {"container": name},
                accept="text/plain, application/json",
            )
        except Invalid as error:
            tell(f"devenv: {error.message}", no_color=call.no_color)
            continue
        lines = LineAssembler("")
        text = str(told).encode()
        stream = name if len(names) > 1 else ""
        found = (*lines.feed_raw(text), *lines.flush())
        yield [LogLine(line.key, line.at, stream, line.text, line.cut) for line in found]


def _containers(pod: dict[str, Any], wanted: str) -> tuple[str, ...]:
    names = container_names(pod)
    if wanted and wanted not in names:
        name = sanitize(str(pod["metadata"]["name"]))
        raise NotFound(f"{name} has no container {sanitize(wanted)!r}", f"It has {', '.join(names)}.", status=404)
    return (wanted,) if wanted else names


def _follow(call: ClusterCall, ref: Ref, pods: list[dict[str, Any]]) -> int:
    """Print lines as they come, of pods that come later too, until ctrl-c."""
    container = call.arguments.container
    keys = [f"kubernetes:{pod['metadata']['uid']}" for pod in pods]
    if container:
        for pod in pods:
            _containers(pod, container)
        keys = [f"{key}/{container}" for key in keys]
    elif ref.kind != PODS and ref.kind.plural != "services":
        keys = [f"kubernetes:{ref.read(call.client)['metadata']['uid']}"]
    backend = KubeBackend(call.client.target, call.environ)
    backend.watch_kinds(_FOLLOWED, ref.namespace)
    woken = threading.Event()
    backend.start(woken.set)
    names: dict[str, str] = {}
    following = False
    told = ""
    try:
        while True:
            woken.wait(0.5)
            woken.clear()
            for change in backend.drain():
                match change:
                    case Snapshot(_, resources):
                        names |= {item.key: item.name for item in resources}
                    case Seen(_, resource):
                        names[resource.key] = resource.name
                    case Gone(_, key):
                        names.setdefault(key, "")
                    case LogLine():
                        name = names.get(change.key.partition("/")[0], "") if ref.kind != PODS else ""
                        _print(change, name, timestamps=call.arguments.timestamps)
                    case Connection():
                        if change.state is ConnectionState.LIVE and not following:
                            following = True
                            backend.follow_logs(keys, call.arguments.tail)
                        if change.message != told:
                            told = change.message
                            warn(told or "the cluster answers again", no_color=call.no_color)
            sys.stdout.flush()
    finally:
        backend.stop()


def _print(line: LogLine, name: str, *, timestamps: bool) -> None:
    if line.stream == "devenv":
        sys.stdout.flush()
        tell(f"{name + ' | ' if name else ''}-- {line.text} --", color="dim")
        return
    at = datetime.fromtimestamp(line.at, UTC).isoformat(timespec="milliseconds") if timestamps and line.at else ""
    container = f"[{line.stream}] " if line.stream not in ("", "stdout", "stderr") else ""
    parts = (f"{name} | " if name else "", f"{at} " if at else "", container, line.text)
    sys.stdout.write("".join(parts) + "\n")
