"""The last words of a container that failed: its health check's output, or its newest log lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from devenv.backends.programs import finish
from devenv.core.errors import DevenvError
from devenv.core.model import Health, Resource, State
from devenv.core.text import mask_secrets, sanitize

LINES = 10  # log lines that a verdict shows
_WIDTH = 400  # characters of one line


def last_words(directory: str, environ: Mapping[str, str] | None = None) -> Callable[[Resource], tuple[str, ...]]:
    """Return a function that reads them; what cannot be read is said as a line."""

    def read(resource: Resource) -> tuple[str, ...]:
        if (
            resource.state is State.RUNNING
            and resource.health in (Health.UNHEALTHY, Health.STARTING)
            and resource.checks
        ):
            check = resource.checks[-1]
            lines = check.output.strip().splitlines() or ["(the health check printed nothing)"]
            return _tidy([f"last health check: exit code {check.exit_code}", *lines[-LINES:]])
        command = ["docker", "logs", "--tail", str(LINES), resource.container_id]
        try:
            done = finish(command, environ, timeout=20, folder=directory, merged=True)
        except DevenvError as error:
            return (f"(its log cannot be read: {error.message})",)
        return _tidy(sanitize(done.stdout, newlines=True).splitlines()) or ("(it printed nothing)",)

    return read


def _tidy(lines: list[str]) -> tuple[str, ...]:
    return tuple(mask_secrets(line)[:_WIDTH] for line in lines)
