"""`devenv kube logs`: what the containers of a pod, or of all pods of a workload, print."""

from __future__ import annotations

import math
import sys
import threading
from argparse import Namespace
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from devenv.backends.docker.lines import LineAssembler
from devenv.backends.kube.backend import KubeBackend
from devenv.backends.kube.environment import environment_of
from devenv.backends.kube.errors import Invalid, NotFound, Unreachable
from devenv.backends.kube.kinds import JOBS, PODS, REPLICA_SETS, Kind
from devenv.backends.kube.logs import ALL_LINES, container_names
from devenv.backends.kube.snapshot import why_empty
from devenv.cli.console import tell, warn
from devenv.cli.kube_call import ClusterCall
from devenv.control.kube.change import Ref, label_selector, parse_ref
from devenv.core.errors import EXIT_OK, UsageError
from devenv.core.model import Connection, ConnectionState, Gone, LogLine, Seen, Snapshot
from devenv.core.text import sanitize

_TAIL = 500  # lines of each container
EXIT_NOTHING_READ = 1  # no container could be read
_FOLLOWED: tuple[Kind, ...] = (PODS, REPLICA_SETS, JOBS)


def run(arguments: Namespace) -> int:
    """Show them; with --follow until ctrl-c. Returns 1 where no log could be read.

    Raises NotFound, UsageError, BadKubeconfig, Unreachable, Forbidden.
    """
    call = ClusterCall(arguments)
    word = arguments.target
    if bool(word) is bool(arguments.selector):
        raise UsageError("Either one object or a selector says whose logs", "Write POD, KIND/NAME or -l SELECTOR.")
    if arguments.follow and arguments.previous:
        raise UsageError("A run that is over cannot be followed", "Leave out --follow or --previous.")
    if arguments.tail is None:
        arguments.tail = _TAIL if arguments.since is None else ALL_LINES
    ref = parse_ref(word if "/" in word else f"pod/{word}", call.client) if word else None
    try:
        pods = _pods_of(call, ref) if ref is not None else _selected(call)
    except NotFound as error:
        namespace = call.client.target.namespace if ref is None else ref.namespace
        error.hint = why_empty(call.client, namespace) or error.hint
        raise
    if arguments.follow:
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


def _pods_of(call: ClusterCall, ref: Ref) -> list[dict[str, Any]]:
    workload = ref.read(call.client)
    if ref.kind == PODS:
        return [workload]
    labels = label_selector(workload.get("spec", {}).get("selector") or {})
    if not labels:
        raise UsageError(f"{ref.text} has no pods of its own", "Name a pod, or a workload or service with a selector.")
    pods, _ = call.client.list(PODS, ref.namespace, labels=labels)
    if not pods and not call.arguments.follow:
        hint = "--follow waits for the first; `devenv kube get` says why there is none."
        raise NotFound(f"{ref.text} has no pods", hint, status=404)
    return pods


def _selected(call: ClusterCall) -> list[dict[str, Any]]:
    selector, namespace = call.arguments.selector, call.client.target.namespace
    pods, _ = call.client.list(PODS, namespace, labels=selector)
    if not pods and not call.arguments.follow:
        hint = "--follow waits for the first; `devenv kube get pods --show-labels` shows what there is."
        raise NotFound(f"No pod in namespace {namespace} matches {sanitize(selector)}", hint, status=404)
    return pods


def _read(call: ClusterCall, pod: dict[str, Any]) -> Iterable[list[LogLine]]:
    """Yield the log of each container of a pod; what has not started, or has no run before, is said on stderr."""
    meta, arguments = pod["metadata"], call.arguments
    environment_of(call.client, pod)  # what is secret in it is masked in its lines
    names = _containers(pod, arguments.container)
    if not pod.get("spec", {}).get("nodeName"):  # the server answers for it with nothing, and success
        tell(f"devenv: pod {sanitize(str(meta['name']))} is on no node yet: it has no log", no_color=call.no_color)
        return
    query = {
        "timestamps": True,
        "tailLines": None if arguments.tail == ALL_LINES else arguments.tail,
        "sinceSeconds": None if arguments.since is None else max(1, math.ceil(arguments.since)),
        "previous": arguments.previous or None,
    }
    for name in names:
        try:
            answer = call.client.request(
                "GET",
                PODS.path(meta["namespace"], meta["name"], "log"),
                query=query | {"container": name},
                accept="text/plain, application/json",
            )
        except Invalid as error:
            tell(f"devenv: {error.message}", no_color=call.no_color)
            continue
        lines = LineAssembler("")
        text = str(answer).encode()
        stream = name if len(names) > 1 else ""
        read = (*lines.feed_raw(text), *lines.flush())
        yield [LogLine(line.key, line.at, stream, line.text, line.cut) for line in read]


def _containers(pod: dict[str, Any], chosen: str) -> tuple[str, ...]:
    names = container_names(pod)
    if chosen and chosen not in names:
        name = sanitize(str(pod["metadata"]["name"]))
        raise NotFound(f"{name} has no container {sanitize(chosen)!r}", f"It has {', '.join(names)}.", status=404)
    return (chosen,) if chosen else names


def _follow(call: ClusterCall, ref: Ref | None, pods: list[dict[str, Any]]) -> int:
    """Print lines as they come, of pods that come later too, until ctrl-c."""
    container = call.arguments.container
    for pod in pods:
        _containers(pod, container)  # raises
    keys = _keys(pods, container)
    # Of pods that come later, a workload's are known to be its own; which have the labels is asked for again.
    several = ref is None or ref.kind != PODS
    by_labels = several and (ref is None or ref.kind.plural == "services" or bool(container))
    if ref is not None and several and not by_labels:
        keys = [f"kubernetes:{ref.read(call.client)['metadata']['uid']}"]
    backend = KubeBackend(call.client.target, call.environ)
    backend.watch_kinds(_FOLLOWED, call.client.target.namespace if ref is None else ref.namespace)
    woken = threading.Event()
    backend.start(woken.set)
    names: dict[str, str] = {}
    following = grown = False
    last_said = ""
    try:
        while True:
            woken.wait(0.5)
            woken.clear()
            for change in backend.drain():
                match change:
                    case Snapshot(_, resources):
                        grown |= any(item.key not in names for item in resources if item.kind == "pod")
                        names |= {item.key: item.name for item in resources}
                    case Seen(_, resource):
                        grown |= resource.kind == "pod" and resource.key not in names
                        names[resource.key] = resource.name
                    case Gone(_, key):
                        names.setdefault(key, "")
                    case LogLine():
                        name = names.get(change.key.partition("/")[0], "") if several else ""
                        _print(change, name, timestamps=call.arguments.timestamps)
                    case Connection():
                        if change.state is ConnectionState.LIVE and not following:
                            following = True
                            backend.follow_logs(keys, call.arguments.tail, call.arguments.since)
                        if change.message != last_said:
                            last_said = change.message
                            warn(last_said or "the cluster answers again", no_color=call.no_color)
            if grown and following and by_labels:
                with suppress(Unreachable):  # the backend says so, and the next turn asks again
                    keys = _keys(_pods_of(call, ref) if ref is not None else _selected(call), container)
                    backend.follow_logs(keys, call.arguments.tail, call.arguments.since)
                    grown = False
            sys.stdout.flush()
    finally:
        backend.stop()


def _keys(pods: list[dict[str, Any]], container: str) -> list[str]:
    """Return the key of each pod, or of the container of that name in those that have it."""
    end = f"/{container}" if container else ""
    have = (pod for pod in pods if not container or container in container_names(pod))
    return [f"kubernetes:{pod['metadata']['uid']}{end}" for pod in have]


def _print(line: LogLine, name: str, *, timestamps: bool) -> None:
    if line.stream == "devenv":
        sys.stdout.flush()
        tell(f"{name + ' | ' if name else ''}-- {line.text} --", color="dim")
        return
    at = datetime.fromtimestamp(line.at, UTC).isoformat(timespec="milliseconds") if timestamps and line.at else ""
    container = f"[{line.stream}] " if line.stream not in ("", "stdout", "stderr") else ""
    parts = (f"{name} | " if name else "", f"{at} " if at else "", container, line.text)
    sys.stdout.write("".join(parts) + "\n")
