"""The docker program, for what a test does to its own containers."""

from __future__ import annotations

from collections.abc import Mapping

from devenv.backends.compose.failures import environment_failure
from devenv.backends.programs import CommandFailed, text_of

LIMIT = 120.0  # seconds of one call


def docker(*arguments: str, environ: Mapping[str, str] | None = None, check: bool = True, limit: float = LIMIT) -> str:
    """Run `docker ARGUMENTS` and return what it printed; raises CommandFailed, and what `docker` cannot do without."""
    return run(["docker", *arguments], environ=environ, check=check, limit=limit)


def run(
    command: list[str],
    *,
    folder: str | None = None,
    environ: Mapping[str, str] | None = None,
    check: bool = True,
    limit: float = LIMIT,
) -> str:
    """Run a command as `docker` does."""
    try:
        return text_of(
            command,
            environ,
            timeout=limit,
            folder=folder,
            check=check,
            install="Install it: https://docs.docker.com/engine/install/",
            slow="Is the engine busy?",
        )
    except CommandFailed as error:
        raise environment_failure(error.output) or error from error
