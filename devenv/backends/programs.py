"""Other programs run to their end, without a terminal: what goes wrong with them becomes an error of ours."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from devenv.core.errors import DevenvError, ToolMissing
from devenv.core.masking import mask_secrets
from devenv.core.text import sanitize

_LONGEST = 300  # characters of a program's last words
_LONGEST_OUTPUT = 2000  # characters of what a failed command printed
BY_HAND = "Try it by hand."


class CommandFailed(DevenvError):
    """A program ended with an error; `exit_code_seen` is its exit code and `output` what it printed."""

    def __init__(self, message: str, exit_code: int, output: str) -> None:
        super().__init__(message)
        self.exit_code_seen = exit_code
        self.output = output


def finish(
    command: Sequence[str],
    environ: Mapping[str, str] | None = None,
    *,
    timeout: float,
    what: str = "",
    folder: str | None = None,
    install: str = "Install it again.",
    slow: str = BY_HAND,
    stdin: bytes | None = None,
    merged: bool = False,
) -> subprocess.CompletedProcess[bytes]:
    """Run it and return how it ended, whatever its exit code; `timeout` is in seconds. `stdin` is what it reads.

    With `merged`, its complaints are in its output, in the order in which all was written.
    `what` is its name in errors (default: the command). Raises ToolMissing with the hint `install` where it cannot be
    started, and DevenvError with the hint `slow` where it does not end in time.
    """
    what = sanitize(what or " ".join(command))
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=environ,
            input=stdin or b"",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            timeout=timeout,
            check=False,
        )
    except OSError as error:
        if isinstance(error, FileNotFoundError) and error.filename == command[0]:
            raise ToolMissing(f"{sanitize(command[0])} is not installed", install) from error
        raise ToolMissing(f"{what} could not be started: {error.strerror}", install) from error
    except subprocess.TimeoutExpired as error:
        raise DevenvError(f"{what} did not end within {timeout:.0f} s", slow) from error


def output_of(
    command: Sequence[str],
    environ: Mapping[str, str] | None = None,
    *,
    timeout: float,
    what: str = "",
    install: str = "Install it again.",
    slow: str = BY_HAND,
    failed: str = BY_HAND,
) -> str:
    """Run it and return what it printed.

    Raises as `finish`, and DevenvError with its last words and the hint `failed` where its exit code is not 0.
    """
    done = finish(command, environ, timeout=timeout, what=what, install=install, slow=slow)
    if done.returncode != 0:
        raise DevenvError(f"{sanitize(what or ' '.join(command))} failed: {last_words(done)}", failed)
    return done.stdout.decode("utf-8", "replace")


def text_of(
    command: Sequence[str],
    environ: Mapping[str, str] | None = None,
    *,
    timeout: float,
    what: str = "",
    folder: str | None = None,
    check: bool = True,
    install: str = "Install it again.",
    slow: str = BY_HAND,
) -> str:
    """Run it and return what it printed, safe to show: its complaints too where `check` is off.

    Raises as `finish`, and CommandFailed with all that it said where `check` is on and its exit code is not 0.
    """
    done = finish(command, environ, timeout=timeout, what=what, folder=folder, install=install, slow=slow)
    out, complaints = (sanitize(text, newlines=True) for text in (done.stdout, done.stderr))
    if not check:
        return out + complaints
    if done.returncode != 0:
        said = (complaints or out).strip()
        shown = sanitize(what or " ".join(command))
        raise CommandFailed(f"{shown}: exit code {done.returncode}: {said[-_LONGEST_OUTPUT:]}", done.returncode, said)
    return out


def last_words(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return the last line that a program wrote, of its complaints if there are any; else its exit code."""
    for stream in (done.stderr, done.stdout):
        lines = [line for line in (sanitize(line).strip() for line in stream.splitlines()) if line]
        if lines:
            return mask_secrets(lines[-1])[:_LONGEST]
    return f"it gave no reason (exit code {done.returncode})"
