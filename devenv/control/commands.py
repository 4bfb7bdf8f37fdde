"""Commands of the user's own: what stands in their placeholders, and how they run, passed by the guard."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from devenv.control.guard import Guard
from devenv.control.protocol import Plan
from devenv.control.runner import Report, Runner
from devenv.core.command_settings import CommandSettings
from devenv.core.errors import DevenvError, ToolMissing
from devenv.core.masking import mask_secrets
from devenv.core.model import Action, Change, LogLine, Resource, Runtime
from devenv.core.text import sanitize

PLACEHOLDERS: Final = ("project", "service", "container", "pod", "namespace", "context", "image")
LONGEST: Final = 65_536  # bytes of a line; a longer one is several
WAITING: Final = 5_000  # lines that wait to be drawn; older ones are let go
TOLD: Final = 5  # lines of a command that failed, in the message
_BRACES: Final = re.compile(r"(?<!\{)\{(\w+)\}(?!\})")
_VARIABLE: Final = re.compile(r"\$\{?(\w+)")
_NAME: Final = re.compile(r"[\w-]+")
PutLine = Callable[[LogLine], None]


def key_of(name: str) -> str:
    """Return whose lines a command's output is."""
    return f"command/{name}"


def values_of(resource: Resource | None, project: str) -> dict[str, str]:
    """Return what the placeholders stand for on a line of the table, without those that it has nothing for."""
    if resource is None:
        return {"project": project} if project else {}
    in_cluster = resource.runtime is Runtime.KUBERNETES
    known = {
        "project": resource.project or project,
        "service": resource.service,
        "container": "" if in_cluster or not resource.container_id else resource.name,
        "pod": resource.name if resource.kind == "pod" else "",
        "namespace": resource.namespace if in_cluster else "",
        "context": resource.context if in_cluster else "",
        "image": resource.image,
    }
    return {name: value for name, value in known.items() if value}


def fits(command: CommandSettings, values: Mapping[str, str]) -> bool:
    """Whether the command is for a line with these values: of its kind, and with all that it names."""
    used = {name for part in command.command for name in _BRACES.findall(part)}
    used |= set(_VARIABLE.findall(command.shell)) & set(PLACEHOLDERS)
    needed = used - set(command.inputs) | ({command.on} - {"any"})
    return needed <= values.keys()


def line_of(command: CommandSettings, values: Mapping[str, str]) -> list[str]:
    """Return the command line; a value stays within the argument that its placeholder stands in."""
    if command.shell:
        return ["/bin/sh", "-c", command.shell]
    return [_BRACES.sub(lambda found: values.get(found[1], found[0]), part) for part in command.command]


def problems(commands: Mapping[str, CommandSettings], taken: Mapping[str, object]) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong: the key below `[commands]`, a message, a hint; `taken` are devenv's own words."""
    for name, command in commands.items():
        known = {*PLACEHOLDERS, *command.inputs}
        unknown = [one for part in command.command for one in _BRACES.findall(part) if one not in known]
        if not _NAME.fullmatch(name):
            yield name, f"{name!r} cannot be typed as one word", "Letters, digits, - and _ may stand in a name."
        elif name in taken:
            yield name, f"{name} is a command of devenv", "Give yours another name."
        if bool(command.command) == bool(command.shell):
            yield name, "it needs either command or shell", 'For example: command = ["docker", "top", "{container}"]'
        if unknown:
            yield f"{name}.command", f"{{{unknown[0]}}} is nothing that it knows", f"Known: {', '.join(sorted(known))}"
        if wrong := [one for one in _BRACES.findall(command.shell) if one in known]:
            hint = f'In a text for the shell it is a variable: "${wrong[0]}"'
            yield f"{name}.shell", f"{{{wrong[0]}}} is not put into a text for the shell", hint


class CommandControl(Runner):
    """Runs them in `folder`, several at a time; the lines of those whose output is shown are records too."""

    def __init__(self, guard: Guard, environ: Mapping[str, str], folder: str) -> None:
        super().__init__(guard)
        self._environ = environ
        self._folder = folder
        self._lines: deque[LogLine] = deque(maxlen=WAITING)

    def plan(self, name: str, command: CommandSettings, values: Mapping[str, str], target: str) -> Plan:
        """Return the guard's answer: refused where it is read-only, or where the line is of a cluster not to change."""
        written = command.shell or shlex.join(line_of(command, values))
        where = values.get("context", ""), values.get("namespace", "")
        return self._guard.plan_command(name, target, written, *where, asks=command.confirm)

    def drain(self) -> list[Change]:
        """Take the records since the last call, and the lines."""
        lines: list[Change] = []
        while self._lines:
            lines.append(self._lines.popleft())
        return [*lines, *super().drain()]

    def request(self, plan: Plan, command: CommandSettings, values: Mapping[str, str]) -> Action:
        """Begin to run it beside the terminal; raises Refused."""
        ticket = self._guard.begin(plan, None, self._folder)
        put = self._put_line if command.output == "log" else None
        work = _Process(plan.verb, line_of(command, values), self._environment(values), self._folder, put)
        return self.begin(ticket, work, {f"{plan.verb} {time.monotonic_ns()}"})  # it excludes nothing

    def hand_over(self, plan: Plan, line: list[str], values: Mapping[str, str]) -> int:
        """Run it in this terminal and return its exit code; raises Refused, ToolMissing."""
        from devenv.core.signals import hand_over

        with self._guard.passing(plan, None, self._folder) as outcome:
            outcome.code = hand_over(line, self._environment(values), self._folder)
        return outcome.code

    def _environment(self, values: Mapping[str, str]) -> dict[str, str]:
        return {**self._environ, **values}

    def _put_line(self, line: LogLine) -> None:
        self._lines.append(line)
        self._wake()


class _Process:
    def __init__(
        self, name: str, line: list[str], environ: Mapping[str, str], folder: str, put: PutLine | None
    ) -> None:
        self._name = name
        self._line = line
        self._environ = environ
        self._folder = folder
        self._put = put
        self._process: subprocess.Popen[bytes] | None = None
        self._interrupted = threading.Event()

    def run(self, report: Report) -> str:
        """Run it to its end."""
        try:
            process = subprocess.Popen(
                self._line,
                env=dict(self._environ),
                cwd=self._folder or None,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # what it starts is ended with it
            )
        except OSError as error:
            raise ToolMissing(f"{self._line[0]} cannot be run: {error.strerror}", "Is it installed?") from error
        self._process = process
        if self._interrupted.is_set():  # before it was there to be told
            self._end(process, signal.SIGTERM)
        last: deque[str] = deque(maxlen=TOLD)
        assert process.stdout is not None
        with process.stdout as output:
            for raw in iter(lambda: output.readline(LONGEST), b""):
                text = mask_secrets(sanitize(raw.rstrip(b"\r\n")))
                last.append(text)
                if self._put is not None:
                    self._put(LogLine(key_of(self._name), time.time(), "stdout", text))
        code = process.wait()
        if self._interrupted.is_set():
            raise DevenvError(f"{self._name} was cancelled")
        if code:
            raise DevenvError("\n".join((f"{self._name} ended with exit code {code}", *last)))
        return ""

    def interrupt(self) -> None:
        """End it and what it started; a second time, at once."""
        process = self._process
        number = signal.SIGKILL if self._interrupted.is_set() else signal.SIGTERM
        self._interrupted.set()
        if process is not None:
            self._end(process, number)

    @staticmethod
    def _end(process: subprocess.Popen[bytes], number: int) -> None:
        if process.poll() is None:
            os.killpg(process.pid, number)
