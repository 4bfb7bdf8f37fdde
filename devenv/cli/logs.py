"""`devenv logs`: what the containers print. A terminal gets it without control characters, and nobody its secrets."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from functools import partial

from devenv.backends.docker.endpoint import Endpoint, resolve_endpoint
from devenv.backends.docker.heartbeat import GIVE_UP_AFTER, TELL_EVERY, Heartbeat
from devenv.backends.docker.lines import ALL_LINES, LineAssembler
from devenv.backends.docker.logs import read_log
from devenv.backends.docker.plain import read_plainly
from devenv.backends.docker.snapshot import read_resources
from devenv.cli.console import warn
from devenv.cli.context import Context
from devenv.cli.log_output import LINES_WAITING, LogOutput, follow, in_thread, since_seconds
from devenv.core.errors import DevenvError, EngineForbidden, EngineUnreachable
from devenv.core.model import Change, LogLine, Project, Resource, Seen, Snapshot, State
from devenv.logs.merge import in_order

_LINE_KEPT = 1 << 26  # bytes: what a program prints as one line is one here, too
_ANSWER_WITHIN = GIVE_UP_AFTER + TELL_EVERY  # seconds: the heartbeat says before what is waited for


def run(arguments: Namespace) -> int:
    """Show logs until they end, or with --follow until ctrl-c."""
    context = Context(arguments, by_labels=True)
    raw = not (sys.stdout.isatty() or arguments.json)
    LogOutput(arguments)  # what is wrong on the command line is said before anything is asked
    targets = tuple(arguments.services)
    project = context.project_with(targets)
    endpoint = resolve_endpoint(context.environ)
    chosen = Chosen(project, targets, every=arguments.all)
    pulse = Heartbeat(
        endpoint,
        lambda text: warn(text, no_color=context.no_color),
        lambda: None,
        project=project.name,
        logs=frozenset(chosen.services),
    )
    if raw:
        sys.stdout.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]  # stdout is a TextIOWrapper
    with pulse:
        for resources in in_thread(lambda: [_containers(project, endpoint, chosen)], pulse):
            chosen.take(resources)
        output = LogOutput(arguments, chosen.names.values(), gap="  ", raw=raw)
        assembler = partial(LineAssembler, keep=_LINE_KEPT, raw=raw)
        if arguments.follow:
            _follow(context, project, chosen, output, assembler, pulse)
        sources = [
            (chosen.names[one.key], in_thread(partial(_read, arguments, endpoint, one, assembler(one.key)), pulse))
            for one in chosen.containers.values()
        ]
        for line in in_order(_lines(name, source, context.no_color) for name, source in sources):
            output.write(line, chosen.names[line.key])
        sys.stdout.flush()
    return 0


class Chosen:
    """The containers whose logs are shown, as far as they are known."""

    def __init__(self, project: Project, targets: tuple[str, ...], *, every: bool) -> None:
        """Those of the services that are named, of all the project has, or `every` one of the project's name."""
        self.services = targets or tuple(service.name for service in project.services)
        self.containers: dict[str, Resource] = {}
        self.names: dict[str, str] = {}
        self._project = project.name
        self._every = every and not targets

    def fits(self, one: Resource) -> bool:
        """Whether the logs of this are shown."""
        exists = bool(one.container_id) and one.state not in (State.ABSENT, State.PROVIDED)
        return exists and (self._every or (one.service in self.services and not one.one_off))

    def take(self, resources: Sequence[Resource]) -> bool:
        """Take in what there is; return whether one more is chosen."""
        before = len(self.containers)
        for one in filter(self.fits, resources):
            self.containers[one.key] = one
            self.names[one.key] = one.name.removeprefix(f"{self._project}-")
        return len(self.containers) > before


def _containers(project: Project, endpoint: Endpoint, chosen: Chosen) -> tuple[Resource, ...]:
    plain = read_plainly(endpoint, project.name, chosen.fits)
    if plain is not None:
        return plain
    from devenv.backends.docker.client import connect

    client = connect(endpoint, _ANSWER_WITHIN)
    try:
        return read_resources(project, endpoint, client)
    finally:
        client.close()


def _read(
    arguments: Namespace, endpoint: Endpoint, container: Resource, lines: LineAssembler
) -> Iterator[list[LogLine] | DevenvError]:
    """Yield lines, and at last why there are no more, where that is not the end of the log."""
    until = arguments.until
    if arguments.previous:
        # One log goes on through all runs of a container: what was before the present one was printed before its start.
        until = min(until or float("inf"), container.started_at or 0.0)
    params = {"tail": "all" if arguments.tail == ALL_LINES else str(arguments.tail)}
    params |= {"since": f"{arguments.since:.9f}"} if arguments.since is not None else {}
    params |= {"until": f"{until:.9f}"} if until is not None else {}
    try:
        yield from read_log(endpoint, container, params, lines, _ANSWER_WITHIN)
    except (EngineUnreachable, EngineForbidden):
        raise
    except DevenvError as error:
        yield error


def _lines(name: str, source: Iterator[list[LogLine] | DevenvError], no_color: bool | None) -> Iterator[LogLine]:
    for batch in source:
        if isinstance(batch, DevenvError):
            warn(f"{name}: {batch.message}", no_color=no_color)
        else:
            yield from batch


def _follow(
    context: Context,
    project: Project,
    chosen: Chosen,
    output: LogOutput,
    assembler: partial[LineAssembler],
    pulse: Heartbeat,
) -> None:
    from devenv.backends.docker.backend import DockerBackend  # deferred: most calls read to the end

    arguments = context.arguments
    backend = DockerBackend(lambda: project, context.environ, lines=LINES_WAITING, assembler=assembler)
    backend.follow_logs(chosen.containers.keys(), arguments.tail, since_seconds(arguments.since))

    def notice(changes: Sequence[Change]) -> None:
        seen: list[Resource] = []
        for change in changes:
            if isinstance(change, Snapshot):
                seen += change.resources
            elif isinstance(change, Seen):
                seen.append(change.resource)
        if chosen.take(seen):  # one that comes while we look is shown from its first line on
            backend.follow_logs(chosen.containers.keys(), ALL_LINES)

    follow(
        backend,
        output,
        lambda key: chosen.names.get(key, ""),
        notice,
        several=len(chosen.containers) != 1,
        no_color=context.no_color,
        pulse=pulse,
    )
