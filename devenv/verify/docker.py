"""The docker program, for what a test does to its own containers."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from devenv.backends.compose.failures import environment_failure, not_installed
from devenv.core.errors import DevenvError
from devenv.core.text import sanitize

LIMIT = 120.0  # seconds of one call


class CommandFailed(DevenvError):
    """The docker program ended with an error; `exit_code_seen` is its exit code and `output` what it printed."""

    def __init__(self, message: str, exit_code: int, output: str) -> None:
        super().__init__(message)
        self.exit_code_seen = exit_code
        self.output = output


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
    shown = " ".join(command)
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit,
            check=False,
        )
    except OSError as error:
        raise not_installed(error) from error
    except subprocess.TimeoutExpired as error:
        raise DevenvError(f"{shown}: no end after {limit:g} s", "Is the engine busy?") from error
    out, problems = (sanitize(text, newlines=True) for text in (done.stdout, done.stderr))
    if check and done.returncode != 0:
        known = environment_failure(problems)
        said = (problems or out).strip()
        raise known or CommandFailed(f"{shown}: exit code {done.returncode}: {said[-2000:]}", done.returncode, said)
    return out if not problems or check else out + problems
