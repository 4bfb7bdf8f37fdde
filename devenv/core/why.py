"""Why a container is as it is, in words: what the engine noted, its exit code, its health check's last output."""

from __future__ import annotations

import re
import signal

from devenv.core.masking import mask_secrets
from devenv.core.model import Health, Resource, State
from devenv.core.text import sanitize

# What the engine writes before the part that tells something: who called whom.
_CALLERS = re.compile(
    r"^(?:failed to create (?:task for container|shim task)|oci runtime create failed|runc create failed"
    r"|unable to start container process|error during container init|failed to set up container networking"
    r"|driver failed programming external connectivity on endpoint \S+ \([0-9a-f]+\)|Error response from daemon): ",
    re.IGNORECASE,
)
LONGEST = 300  # characters of a program's or the engine's words
_SHELL = {126: "its command cannot be executed", 127: "its command was not found"}  # POSIX shell, 2.8.2


def why(resource: Resource) -> str:
    """Return the reason on one line; "" where there is nothing to say: it runs, or it ended as it should."""
    match resource.state:
        case State.CREATED:
            return f"could not be started: {_line(resource.error)}" if resource.error else "created, never started"
        case State.EXITED | State.DEAD if resource.error:
            return _line(resource.error)
        case State.EXITED:
            return _exit(resource)
        case State.RESTARTING:
            return f"{_exit(resource) or 'ended with 0'}, is started again"
        case State.DEAD:
            return "the engine could not remove it"
        case State.PAUSED:
            return "paused: docker compose unpause"
        case State.RUNNING:
            return _health(resource)
        case _:
            return resource.why


def without_callers(text: str) -> str:
    """Return an engine's sentence on one line, from where it begins to tell something."""
    line = " ".join(sanitize(text, newlines=True).split())
    while match := _CALLERS.match(line):
        line = line[match.end() :]
    return line


def _exit(resource: Resource) -> str:
    code = resource.exit_code
    if resource.oom_killed:
        return f"ran out of memory (OOM), exited with code {code}"
    if not code:
        return ""
    if 128 < code < 128 + signal.NSIG:
        try:
            return f"ended by {signal.Signals(code - 128).name} (exit code {code})"
        except ValueError:  # a real-time signal
            return f"exited with code {code}"
    return f"exited with code {code}{f': {_SHELL[code]}' if code in _SHELL else ''}"


def _health(resource: Resource) -> str:
    if resource.health is not Health.UNHEALTHY:
        return ""
    if not resource.checks:
        return "its health check keeps failing"
    last = resource.checks[-1]
    said = next((line for line in last.output.splitlines() if line.strip()), "")
    return f"its health check failed with {last.exit_code}{f': {_line(said)}' if said else ''}"


def _line(text: str) -> str:
    line = without_callers(mask_secrets(text))
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
