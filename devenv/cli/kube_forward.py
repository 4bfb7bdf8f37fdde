"""`devenv kube forward TARGET [LOCAL:]PORT ...`: local ports that stay when pods are replaced, with their traffic."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from dataclasses import asdict

from devenv.cli.console import tell
from devenv.cli.kube_call import ClusterCall, print_json
from devenv.control.kube.change import parse_ref
from devenv.control.kube.forward import Forward, ForwardStats
from devenv.core.errors import EXIT_OK, UsageError
from devenv.core.text import counted, human_bytes

_TRAFFIC_EVERY = 1.0  # seconds between two lines of traffic


def run(arguments: Namespace) -> int:
    """Forward until ctrl-c; raises PortTaken, NotFound and UsageError before anything is open."""
    call = ClusterCall(arguments)
    ref = parse_ref(arguments.target if "/" in arguments.target else f"pod/{arguments.target}", call.client)
    forwards: list[Forward] = []
    try:
        for text in arguments.ports:
            local, port = _ports(text)
            forward = Forward(
                call.client,
                ref.kind.name.lower(),
                ref.name,
                port,
                local,
                namespace=ref.namespace,
                spread=arguments.spread,
                tell=lambda text: tell(f"\r{text}", no_color=call.no_color),
            )
            forward.start()
            forwards.append(forward)
            stats = forward.stats()
            waiting = f" ({stats.waiting})" if stats.waiting else f" (pod {stats.pod})"
            tell(f"127.0.0.1:{stats.local_port} -> {stats.target}{waiting}", no_color=call.no_color)
        if arguments.json:
            print_json([asdict(forward.stats()) for forward in forwards])
        _watch(forwards, arguments.seconds)
    finally:
        for forward in forwards:
            forward.close()
        if sys.stderr.isatty():
            sys.stderr.write("\n")  # below the live line, and below the terminal's own ^C
        for forward in forwards:
            tell(_line(forward.stats()), no_color=call.no_color)
    return EXIT_OK


def _watch(forwards: list[Forward], seconds: float | None) -> None:
    deadline = time.monotonic() + seconds if seconds is not None else float("inf")
    is_live = sys.stderr.isatty()
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(_TRAFFIC_EVERY, left))
        if is_live:
            lines = "  |  ".join(_line(forward.stats()) for forward in forwards)
            sys.stderr.write(f"\r\x1b[K{lines}")
            sys.stderr.flush()


def _line(stats: ForwardStats) -> str:
    counts = f"{counted(stats.connections, 'connection')} ({stats.open} open, {stats.failed} failed)"
    sizes = f"{human_bytes(stats.sent)} up, {human_bytes(stats.received)} down"
    replaced = f", replaced {counted(stats.replacements, 'time')}" if stats.replacements else ""
    pods = f"pod {stats.pod or 'none'}{replaced}"
    trouble = f", waits: {stats.waiting}" if stats.waiting else ""
    return f":{stats.local_port} -> {stats.target}: {counts}, {sizes}, {pods}{trouble}"


def _ports(text: str) -> tuple[int, str]:
    local, colon, port = text.rpartition(":")
    if (colon and not local.isdecimal()) or not port or (local and int(local) > 65535):
        raise UsageError(f"{text!r} is not a port", "Write PORT, or LOCAL:PORT as in 8080:80. PORT may be a name.")
    return int(local or 0), port
