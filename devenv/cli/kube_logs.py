"""`devenv kube logs`: what the containers of a pod, or of all pods of a workload, print."""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from devenv.backends.docker.lines import ALL_LINES, LineAssembler
from devenv.backends.kube.backend import KubeBackend
from devenv.backends.kube.errors import Invalid, NotFound, Unreachable
from devenv.backends.kube.kinds import JOBS, PODS, REPLICA_SETS, Kind
from devenv.backends.kube.logs import container_names
from devenv.backends.kube.look import environment_of
from devenv.backends.kube.snapshot import why_empty
from devenv.cli.console import tell
from devenv.cli.kube_call import ClusterCall
from devenv.cli.log_output import LogOutput, follow, since_seconds
from devenv.control.kube.change import Ref, label_selector, parse_ref
from devenv.core.errors import EXIT_OK, UsageError
from devenv.core.model import Change, Connection, ConnectionState, Gone, LogLine, Seen, Snapshot
from devenv.core.text import sanitize
from devenv.logs.merge import in_order

_TAIL = 500  # lines of each container
EXIT_NOTHING_READ = 1  # no container could be read
_FOLLOWED: tuple[Kind, ...] = (PODS, REPLICA_SETS, JOBS)


def run(arguments: Namespace) -> int:
    """Show them; with --follow until ctrl-c. Returns 1 where no log could be read.

    Raises NotFound, UsageError, BadKubeconfig, Unreachable, Forbidden.
    """
    call = ClusterCall(arguments)
    if sum((bool(arguments.targets), bool(arguments.selector), arguments.all)) != 1:
        hint = "Write POD, KIND/NAME, -l SELECTOR or --all."
        raise UsageError("Name objects, or a selector, or --all: only one of them", hint)
    output = LogOutput(arguments)
    if arguments.tail is None:
        arguments.tail = ALL_LINES if output.filter else _TAIL
    refs = [parse_ref(word if "/" in word else f"pod/{word}", call.client) for word in arguments.targets]
    try:
        pods = _pods(call, refs)
    except NotFound as error:
        namespace = refs[0].namespace if refs else call.client.target.namespace
        error.hint = why_empty(call.client, namespace) or error.hint
        raise
    if arguments.follow:
        _follow(call, output, refs, pods)
    names = {pod["metadata"]["uid"]: sanitize(str(pod["metadata"]["name"])) for pod in pods}
    logs = [log for pod in pods for log in _read(call, pod)]
    for line in in_order(logs):
        output.write(line, names[line.key] if len(pods) > 1 else "")
    return EXIT_OK if logs else EXIT_NOTHING_READ


def _pods(call: ClusterCall, refs: Sequence[Ref]) -> list[dict[str, Any]]:
    """Return the pods of all that was named, each once."""
    pods = [pod for ref in refs for pod in _pods_of(call, ref)] if refs else _selected(call)
    return list({pod["metadata"]["uid"]: pod for pod in pods}.values())


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
        matches = f"matches {sanitize(selector)}" if selector else "is there"
        raise NotFound(f"No pod in namespace {namespace} {matches}", hint, status=404)
    return pods


def _read(call: ClusterCall, pod: dict[str, Any]) -> Iterable[list[LogLine]]:
    """Yield the log of each container of a pod; what has not started, or has no run before, is said on stderr."""
    meta, arguments = pod["metadata"], call.arguments
    environment_of(call.client, pod)  # what is secret in it is masked in its lines
    names = _containers(pod, arguments.container)
    if not pod.get("spec", {}).get("nodeName"):  # the server answers for it with nothing, and success
        tell(f"devenv: pod {sanitize(str(meta['name']))} is on no node yet: it has no log", no_color=call.no_color)
        return
    since = since_seconds(arguments.since)
    query = {
        "timestamps": True,
        "tailLines": None if arguments.tail == ALL_LINES else arguments.tail,
        "sinceSeconds": None if since is None else math.ceil(since),
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
        lines = LineAssembler(meta["uid"])
        text = str(answer).encode()
        stream = name if len(names) > 1 else ""
        read = (*lines.feed_raw(text), *lines.flush())
        yield [replace(line, stream=stream) for line in read]


def _containers(pod: dict[str, Any], chosen: str) -> tuple[str, ...]:
    names = container_names(pod)
    if chosen and chosen not in names:
        name = sanitize(str(pod["metadata"]["name"]))
        raise NotFound(f"{name} has no container {sanitize(chosen)!r}", f"It has {', '.join(names)}.", status=404)
    return (chosen,) if chosen else names


def _follow(call: ClusterCall, output: LogOutput, refs: Sequence[Ref], pods: list[dict[str, Any]]) -> None:
    """Write lines as they come, of pods that come later too, until ctrl-c."""
    arguments = call.arguments
    container = arguments.container
    for pod in pods:
        _containers(pod, container)  # raises
    keys = _keys(pods, container)
    # Of pods that come later, a workload's are known to be its own; which have the labels is asked for again.
    workloads = [ref for ref in refs if ref.kind != PODS]
    several = not refs or bool(workloads) or len(refs) > 1
    by_labels = not refs or (bool(workloads) and bool(container)) or any(ref.kind.plural == "services" for ref in refs)
    if workloads and not by_labels:
        single = _keys([ref.read(call.client) for ref in refs if ref.kind == PODS], container)
        keys = [*single, *(f"kubernetes:{ref.read(call.client)['metadata']['uid']}" for ref in workloads)]
    backend = KubeBackend(call.client.target, call.environ)
    backend.watch_kinds(_FOLLOWED, refs[0].namespace if refs else call.client.target.namespace)
    names: dict[str, str] = {}
    state = _Following()

    def notice(changes: Sequence[Change]) -> None:
        nonlocal keys
        for change in changes:
            match change:
                case Snapshot(_, resources):
                    state.grown |= any(item.key not in names for item in resources if item.kind == "pod")
                    names.update({item.key: item.name for item in resources})
                case Seen(_, resource):
                    state.grown |= resource.kind == "pod" and resource.key not in names
                    names[resource.key] = resource.name
                case Gone(_, key):
                    names.setdefault(key, "")
                case Connection() if change.state is ConnectionState.LIVE and not state.begun:
                    state.begun = True
                    backend.follow_logs(keys, arguments.tail, since_seconds(arguments.since))
        if state.grown and state.begun and by_labels:
            with suppress(Unreachable):  # the backend says so, and the next turn asks again
                keys = _keys(_pods(call, refs), container)
                backend.follow_logs(keys, arguments.tail, since_seconds(arguments.since))
                state.grown = False

    def name_of(key: str) -> str:
        return names.get(key.partition("/")[0], "") if several else ""

    follow(backend, output, name_of, notice, several=several, no_color=call.no_color)


@dataclass(slots=True)
class _Following:
    """How far it is: whether the backend follows, and whether there may be more pods than it follows."""

    begun: bool = False
    grown: bool = False


def _keys(pods: list[dict[str, Any]], container: str) -> list[str]:
    """Return the key of each pod, or of the container of that name in those that have it."""
    end = f"/{container}" if container else ""
    have = (pod for pod in pods if not container or container in container_names(pod))
    return [f"kubernetes:{pod['metadata']['uid']}{end}" for pod in have]
