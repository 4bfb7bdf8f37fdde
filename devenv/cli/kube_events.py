"""`devenv kube events`: what happened in the namespace or to one object, oldest first; --follow goes on."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from datetime import UTC, datetime

from devenv.backends.kube.errors import Gone, Silent
from devenv.backends.kube.events import ParsedEvent, parse_event
from devenv.backends.kube.kinds import EVENTS
from devenv.backends.kube.snapshot import why_empty
from devenv.cli.console import format_table, tell
from devenv.cli.kube_call import ClusterCall, print_lines
from devenv.control.kube.change import Ref, parse_ref
from devenv.core.errors import EXIT_OK, UsageError
from devenv.core.text import human_age

_HEAD = ("AGE", "TYPE", "REASON", "OBJECT", "COUNT", "MESSAGE")


def run(arguments: Namespace) -> int:
    """Show them; with --follow until ctrl-c. Raises BadKubeconfig, Unreachable, Forbidden."""
    call = ClusterCall(arguments)
    client = call.client
    if arguments.target and arguments.about:
        raise UsageError("The events of one object are shown at a time", "Write KIND/NAME or --for KIND/NAME.")
    word = arguments.target or arguments.about
    ref = parse_ref(word, client) if word else None
    namespace = None if arguments.all_namespaces else client.target.namespace
    if ref is not None and not (arguments.all_namespaces and ref.kind.namespaced):
        namespace = ref.namespace or None  # events of a node are in a namespace of their own
    items, version = client.list(EVENTS, namespace)
    events = sorted((item for item in map(parse_event, items) if _matches(item, ref, arguments)), key=_at)
    if not items and namespace and not arguments.follow and (reason := why_empty(client, namespace)):
        tell(reason, no_color=call.no_color)
    if arguments.json:
        print_lines([_json(item) for item in events])
    elif events or not arguments.follow:
        now = time.time()
        print_lines(format_table(_HEAD, [_row(item, now) for item in events]))
    while arguments.follow:
        version = _follow(call, namespace, version, ref)
    return EXIT_OK


def _follow(call: ClusterCall, namespace: str | None, version: str, ref: Ref | None) -> str:
    """Watch until the server ends it, and return where to go on."""
    try:
        with call.client.watch(EVENTS, namespace, version) as watch:
            for kind, raw in watch:
                version = raw["metadata"].get("resourceVersion") or version
                event = parse_event(raw)
                if kind in ("ADDED", "MODIFIED") and _matches(event, ref, call.arguments):
                    line = _json(event) if call.arguments.json else "  ".join(_row(event, time.time()))
                    sys.stdout.write(f"{line}\n")
                    sys.stdout.flush()
    except Silent:
        return version  # a kind without bookmarks is quiet where nothing happens
    except Gone:
        _, version = call.client.list(EVENTS, namespace)
    return version


def _matches(event: ParsedEvent, ref: Ref | None, arguments: Namespace) -> bool:
    if arguments.warnings and not event.warning:
        return False
    return ref is None or (event.kind, event.name) == (ref.kind.name, ref.name)


def _at(event: ParsedEvent) -> float:
    return event.happening.at


def _row(event: ParsedEvent, now: float) -> tuple[str, ...]:
    happening = event.happening
    return (
        human_age(now - happening.at),
        dict(happening.attributes).get("type", ""),
        happening.action,
        f"{event.kind.lower()}/{event.name}".removesuffix("/"),
        str(event.count),
        happening.text,
    )


def _json(event: ParsedEvent) -> str:
    happening = event.happening
    attributes = dict(happening.attributes)
    data = {
        "at": datetime.fromtimestamp(happening.at, UTC).isoformat(timespec="milliseconds"),
        "type": attributes.get("type", ""),
        "reason": happening.action,
        "kind": event.kind,
        "namespace": event.namespace,
        "name": event.name,
        "container": attributes.get("container", ""),
        "count": event.count,
        "component": attributes.get("component", ""),
        "message": happening.text,
    }
    return json.dumps(data, ensure_ascii=False)
