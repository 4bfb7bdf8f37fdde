"""`devenv mcp`: a server of the Model Context Protocol on stdio, for agents and editors (docs/MCP.md).

What reads are devenv's own commands, so that filters, hints and masking are theirs. What changes passes the guard; what
it would ask about is refused.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import threading
import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any, Final, Literal

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations

from devenv import __version__
from devenv.backends.compose import NoComposeFile
from devenv.backends.compose.find import ComposeOptions
from devenv.backends.docker.endpoint import resolve_endpoint
from devenv.backends.docker.events import happening_of
from devenv.backends.docker.parse import LABEL_SERVICE
from devenv.backends.docker.snapshot import read_past_events
from devenv.cli import function_of
from devenv.cli.console import as_fault
from devenv.cli.context import Context, project_environment, smoketests_of
from devenv.cli.kube_call import ClusterCall
from devenv.cli.parser import parse_arguments
from devenv.cli.verify import evidence_lines
from devenv.control.actions import ComposeControl
from devenv.control.guard import Guard
from devenv.control.kube.control import VERBS as OF_CLUSTERS
from devenv.control.kube.control import KubeControl
from devenv.control.protocol import Control, Plan
from devenv.control.verbs import VERBS as OF_COMPOSE
from devenv.core.errors import EXIT_INTERRUPTED, EXIT_OK, DevenvError, Refused, UsageError
from devenv.core.masking import mask_secrets, mask_texts
from devenv.core.model import Action, Phase, Progress, Project
from devenv.core.settings import current_folder
from devenv.core.signals import on_end
from devenv.core.stored import changed_at, find, read_json, state_folder
from devenv.load.runner import known_runs
from devenv.logs.filter import moment_of
from devenv.runs.criteria import Verdict
from devenv.runs.evidence import choose_file
from devenv.runs.identity import runs_folder
from devenv.verify.runner import RUNNING, LiveRun, RunOptions, RunState, read_report

LIMIT: Final = 120.0  # seconds that an answer is waited for
MOST: Final = 60_000  # characters of an answer; the newest are kept: more than that helps no model
NEEDS_MORE: Final = frozenset({"run", "exec", "cp", "sync"})  # verbs that need more than targets
_INSTRUCTIONS = """Sees a Docker Compose project and, where one is chosen, a Kubernetes namespace.
Begin with `status`: it says of every service why it is as it is.
Containers are named by their service, objects of the cluster as KIND/NAME."""
_READ_ONLY = " This server changes nothing: for changes the user starts it with --allow-changes."
Runtime = Literal["compose", "kubernetes"]


def run(arguments: Namespace) -> int:
    """Serve until the client closes stdin; nothing but the protocol is on stdout."""
    logging.disable(logging.WARNING)
    tools = Tools(arguments)

    def end(name: str) -> None:
        tools.close()
        os._exit(EXIT_INTERRUPTED)  # the thread that reads stdin is ended by nothing else

    restore = on_end(end, once=True)
    try:
        make_server(tools).run("stdio")
    finally:
        restore()
        tools.close()
    return EXIT_OK


def make_server(tools: Tools) -> MCPServer[Any]:
    """Return the server with its tools; those that change only where that was allowed."""
    server: MCPServer[Any] = MCPServer(
        "devenv",
        version=__version__,
        instructions=_INSTRUCTIONS + ("" if tools.may_change else _READ_ONLY),
        log_level="CRITICAL",
    )
    reads = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    # A verification brings up a copy of the project, and takes it down again.
    changes = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
    looking: list[Callable[..., Any]] = [tools.status, tools.logs, tools.events, tools.evidence, tools.verification]
    for tool in looking:
        server.add_tool(_told(tool), annotations=reads, structured_output=False)
    doing: list[Callable[..., Any]] = [tools.verify, *([tools.change] if tools.may_change else [])]
    for tool in doing:
        server.add_tool(_told(tool), annotations=changes, structured_output=False)
    return server


def _told(tool: Callable[..., Any]) -> Callable[..., Any]:
    """Turn errors into errors of the tool with their hint, and mask what it answers."""

    @functools.wraps(tool)
    def reporting(*args: Any, **kwargs: Any) -> str:
        try:
            answer = tool(*args, **kwargs)
        except Exception as error:  # the last resort: whatever it was, the client gets a sentence
            known = error if isinstance(error, DevenvError) else as_fault(error)
            lines = [f"{known.title}: {known.message}", *([f"hint: {known.hint}"] if known.hint else [])]
            raise ToolError(mask_secrets("\n".join(lines))) from error
        shown = mask_texts(answer)
        if isinstance(shown, list):
            text = "\n".join(json.dumps(line, ensure_ascii=False) for line in shown) or "nothing"
        else:
            text = json.dumps(shown, indent=1, ensure_ascii=False)
        return _newest(text)

    return reporting


def _newest(text: str) -> str:
    if len(text) <= MOST:
        return text
    return f"[{len(text) - MOST} characters before this were left out: narrow it down]\n{text[-MOST:]}"


class Tools:
    """What the client may call; each docstring is what it is told about the tool."""

    def __init__(self, arguments: Namespace) -> None:
        self._arguments = arguments
        self.may_change: bool = arguments.allow_changes
        self._words = _project_words(arguments)
        self._verification: tuple[LiveRun, RunState] | None = None
        self._verifying = threading.Lock()
        self._reading = threading.Lock()  # what commands print is caught for the whole process
        self._controls: list[Control] = []

    def close(self) -> None:
        """Interrupt what runs; a verification takes its stacks down by itself."""
        for control in self._controls:
            control.stop()
        if self._verification is not None:
            self._verification[0].cancel()

    def status(self, services: list[str] | None = None) -> Any:
        """Return every service of the project and its containers as JSON, and the cluster's workloads and pods.

        `state` is one word for a service, `why` says the reason in words: what it waits for, how it ended. Give
        `services` to see only these.
        """
        printed, said = self._read("status", "--output=json", "--", *(services or ()))
        return json.loads(printed) | ({"remarks": said} if said else {})

    def logs(
        self,
        targets: list[str] | None = None,
        runtime: Runtime = "compose",
        grep: list[str] | None = None,
        level: Literal["", "trace", "debug", "info", "warn", "error", "fatal"] = "",
        since: str = "",
        until: str = "",
        tail: int = 200,
        previous: bool = False,
    ) -> Any:
        """Return what containers print, several in the order of their times: one JSON object a line.

        `targets`: services, or with runtime "kubernetes" KIND/NAME; none: all. Each of `grep` must pass: a regular
        expression, "!expression" for lines without it, "field=value" for a field of JSON or logfmt. `level`: that and
        above. `since` and `until`: durations before now ("10m") or dates. `tail`: the last lines of each container
        (-1: all). `previous`: what the run before the present one printed.
        """
        words = ["--json", f"--tail={tail}", *(f"--grep={one}" for one in grep or ())]
        words += [
            f"--{name}={value}" for name, value in (("level", level), ("since", since), ("until", until)) if value
        ]
        words += ["--previous"] if previous else []
        if runtime == "kubernetes":
            return self._lines("kube", "logs", *words, *(["--", *targets] if targets else ["--all"]))
        return self._lines("logs", *words, "--", *(targets or ()))

    def events(
        self, targets: list[str] | None = None, runtime: Runtime = "compose", since: str = "15m", warnings: bool = False
    ) -> Any:
        """Return what happened, oldest first: one JSON object a line.

        With runtime "compose": what the engine remembers of the containers of these services (none: all) `since` a
        duration before now or a date. With "kubernetes": the events of the namespace, or of one object KIND/NAME;
        `warnings` leaves the others out.
        """
        if runtime == "kubernetes":
            if len(targets or ()) > 1:
                raise UsageError("The events of one object are shown at a time", "Give one target, or none.")
            only = ["--warnings"] if warnings else []
            return self._lines("kube", "events", "--json", *only, *(f"--for={one}" for one in targets or ()))
        context = Context(self._arguments, by_labels=True)
        project = context.project_with(tuple(targets or ()))
        try:
            begin = moment_of(since)
        except ValueError as error:
            raise UsageError(f"since: {error}") from error
        events = read_past_events(project.name, resolve_endpoint(context.environ), begin)
        return [
            {
                "at": datetime.fromtimestamp(event.at, UTC).isoformat(timespec="milliseconds"),
                "service": service,
                "container": event.attributes.get("name", event.container_id[:12]),
                "action": event.action,
                "text": happening_of(event).text,
            }
            for event in events
            if (service := event.attributes.get(LABEL_SERVICE, "")) in (targets or (service,))
        ]

    def evidence(self, of: Literal["verification", "load"] = "verification", lines: int = 200) -> Any:
        """Return the newest verdict on this project: of its smoke tests ("verification") or of a load test ("load").

        With the reason of each test that did not pass, and the last `lines` of its evidence: logs, events and probes in
        the order of time.
        """
        root = self._root()
        if of == "load":
            runs = known_runs(root)
            if not runs:
                raise DevenvError("No load test of this project is known", "Run one: locust -f loadtests")
            return read_json(runs[0].folder / "report.json", dict[str, Any]) or {"run": str(runs[0].folder)}
        names = {root.name}  # tests that touch no service are kept under the folder's
        with suppress(NoComposeFile):
            names.add(Context(self._arguments, by_labels=True).project().name)
        files = [state_folder() / "last-verify" / "report.json", *find(runs_folder(), "*/reports/report.json")]
        for file in sorted((file for file in files if file.exists()), key=changed_at, reverse=True):
            report = read_report(file)
            if report is not None and report["project"] in names:
                return _verdict(dict(report)) | {"evidence": self._evidence_of(report, lines)}
        raise DevenvError("No verification of this project is known", "Start one: the tool verify, or devenv verify")

    def verify(self, expression: str = "", runtime: Runtime = "compose", running: bool = False) -> Any:
        """Begin the project's smoke tests on a copy of it that leaves nothing behind; `verification` has the result.

        `expression` chooses tests as pytest's -k does. With `running` what is up is tested itself, and with runtime
        "kubernetes" the cluster is changed for it: both need --allow-changes.
        """
        if (running or runtime == "kubernetes") and not self.may_change:
            raise Refused("This would change what runs, and the server is read-only", "Start it with --allow-changes.")
        root, folder = smoketests_of(Namespace(**vars(self._arguments) | {"target": runtime}))
        options = ["--devenv-target", runtime, *([RUNNING] if running else [])]
        options += [f"-k={expression}"] if expression else []
        with self._verifying:
            if self._verification is not None and not self._followed().over:
                raise Refused("A verification is still running", "Ask for its result: the tool verification.")
            if self._verification is not None:
                self._verification[0].close()
            live = LiveRun(folder, root, RunOptions(tuple(options)), project_environment(self._arguments))
            self._verification = (live, RunState(time.time()))
        return {"begun": True, "next": "the tool verification"}

    def verification(self, wait: float = 0.0) -> Any:
        """Return how far the verification is that `verify` began, and its verdict once it is over.

        `wait`: seconds to wait for its end at most.
        """
        end = time.monotonic() + min(wait, LIMIT)
        while True:
            with self._verifying:
                state = self._followed()
                if state.over or time.monotonic() >= end:
                    break
            time.sleep(0.2)
        report = read_report(Path(state.reports) / "report.json") if state.over and state.reports else None
        if report is not None:
            return {"over": True} | _verdict(dict(report))
        tests = [
            {"test": test.id, "stage": test.stage, "verdict": test.verdict and test.verdict.value, "why": test.why}
            for test in state.tests.values()
        ]
        return {"over": state.over, "step": state.step, "tests": tests, "said": state.last_words}

    def change(
        self,
        verb: str,
        targets: list[str] | None = None,
        runtime: Runtime = "compose",
        replicas: int | None = None,
        signal: str = "",
        revision: str = "",
    ) -> Any:
        """Change the project or the cluster, and return what was done once it is over.

        Verbs for services (no `targets`: all): {of_compose}. Verbs for objects KIND/NAME, with runtime "kubernetes":
        {of_clusters}. What takes something away and would be asked about is refused, with what it would take.
        `replicas` belongs to scale, `signal` to kill, `revision` to undo.
        """
        known = OF_CLUSTERS.keys() if runtime == "kubernetes" else OF_COMPOSE.keys() - NEEDS_MORE
        if verb not in known:
            raise UsageError(f"There is no verb {verb!r} here", f"There are: {', '.join(sorted(known))}.")
        given = {"replicas": "" if replicas is None else str(replicas), "signal": signal, "revision": revision}
        options = {name: value for name, value in given.items() if value}
        if (verb == "scale") != (replicas is not None):
            raise UsageError("scale needs replicas, and nothing else has them", "Give replicas with scale alone.")
        guard, project, control = self._cluster() if runtime == "kubernetes" else self._compose()
        plan = control.plan(verb, tuple(targets or ()), options=options)
        if plan.allowed:
            plan = control.reach(plan)
        if plan.allowed and plan.needs_confirmation:
            takes = " ".join((*plan.sentences, *(f"Lost for ever: {loss}." for loss in plan.losses)))
            hint = "Ask the user to do it: devenv asks there. [confirm] of devenv.toml says what is asked about."
            raise guard.refuse(plan, f"{verb} is to be confirmed by a person. {takes}", hint, project)
        self._controls.append(control)
        try:
            return _carry_out(control, plan)
        finally:
            self._controls.remove(control)

    change.__doc__ = (change.__doc__ or "").format(
        of_compose=", ".join(name for name in OF_COMPOSE if name not in NEEDS_MORE), of_clusters=", ".join(OF_CLUSTERS)
    )

    def _compose(self) -> tuple[Guard, Project | None, Control]:
        context = Context(self._arguments, by_labels=True)
        project = context.project()
        guard = Guard.of(context.config, "mcp")
        options: ComposeOptions = context.options.for_project(project)
        control = ComposeControl(lambda: options, lambda: project, guard, context.environ, context.config.root)
        return guard, project, control

    def _cluster(self) -> tuple[Guard, Project | None, Control]:
        call = ClusterCall(self._arguments)
        client, guard = call.client, Guard.of(call.config, "mcp")
        return guard, None, KubeControl(lambda: client, guard, call.environ)

    def _root(self) -> Path:
        try:
            context = Context(self._arguments, by_labels=True)
        except NoComposeFile:
            return current_folder()
        return context.config.root or Path(context.options.directory)

    def _followed(self) -> RunState:
        """Return the verification as it is now."""
        if self._verification is None:
            raise UsageError("No verification was started here", "Start one: the tool verify. Earlier ones: evidence.")
        live, state = self._verification
        over = live.is_over  # before the last lines are read
        state.take(live.drain())
        if over and not state.over:
            state.end(live.exit_code or 0, time.time(), live.last_words())
        return state

    def _evidence_of(self, report: Any, lines: int) -> list[str]:
        folder = report["run"].get("evidence")
        if not folder:
            return []
        with suppress(UsageError):  # that of the newest runs alone is kept
            return evidence_lines(choose_file(Path(folder)))[-max(1, lines) :]
        return []

    def _lines(self, *words: str) -> list[Any]:
        """Run a command that prints a JSON object a line; what it says beside them is the last one."""
        printed, said = self._read(*words)
        return [*map(json.loads, printed.splitlines()), *([{"remark": said}] if said else [])]

    def _read(self, *words: str) -> tuple[str, str]:
        """Run one of devenv's commands that read, and return what it prints and says; raises DevenvError."""
        with self._reading, redirect_stdout(StringIO()) as printed, redirect_stderr(StringIO()) as said:
            try:
                arguments = parse_arguments([*self._words, *words])
            except SystemExit as error:
                *_, last = said.getvalue().splitlines()
                raise UsageError(last.partition("error: ")[2]) from error
            code = function_of(arguments)(arguments)
        if code:
            raise DevenvError(said.getvalue().strip() or f"exit code {code}")
        return printed.getvalue(), said.getvalue().strip()


def _carry_out(control: Control, plan: Plan) -> dict[str, object]:
    """Request the plan and wait for its end; raises DevenvError where it failed."""
    woken = threading.Event()
    control.start(woken.set)
    action = control.request(plan)
    steps: dict[str, str] = {}
    while action.phase not in (Phase.DONE, Phase.FAILED):
        woken.wait()
        woken.clear()
        for change in control.drain():
            if isinstance(change, Action) and change.id == action.id:
                action = change
            elif isinstance(change, Progress) and change.status != "working":
                steps[change.id] = " ".join(filter(None, (change.text, change.details)))
    if action.phase is Phase.FAILED:
        before = "; ".join(f"{name} {text}" for name, text in steps.items())
        raise DevenvError(action.detail + (f"\nbefore that: {before}" if before else ""), action.hint)
    return {"done": plan.verb, "what": list(plan.sentences), "steps": steps, "end": action.detail}


def _verdict(report: dict[str, Any]) -> dict[str, Any]:
    """Return what a model needs of a report: the verdict, what did not pass, what was measured."""
    tests = report.get("tests") or []
    bad = [test for test in tests if test.get("verdict") != Verdict.PASSED]
    measured = [
        {name: item.get(name) for name in ("name", "verdict", "value", "unit", "budget", "why")}
        for item in report["measurements"]
    ]
    return {
        "verdict": report["verdict"],
        "run": report.get("run"),
        "passed": len(tests) - len(bad),
        "not_passed": [{name: test.get(name) for name in ("id", "behaviour", "verdict", "why")} for test in bad],
        "measurements": measured,
    }


def _project_words(arguments: Namespace) -> list[str]:
    """Return the options of the project that the server was started with, for each command."""
    lists = (("file", arguments.files), ("profile", arguments.profiles), ("env-file", arguments.env_files))
    words = [f"--{flag}={value}" for flag, values in lists for value in values]
    for flag in ("project_name", "project_directory", "config", "context", "namespace"):
        if value := getattr(arguments, flag):
            words.append(f"--{flag.replace('_', '-')}={value}")
    return [*words, *(["--read-only"] if arguments.read_only else [])]
