"""What every setup script needs: run programs of the machine, tell the user, end with a documented exit code.

Progress and errors go to stderr, data alone to stdout; exit codes are those of devenv.core.errors.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from devenv.core.errors import EXIT_INTERRUPTED, DevenvError, ToolMissing

ROOT = Path(__file__).resolve().parents[2]
# A root shell from `su` has no sbin on its PATH, and dockerd and iptables live there on Debian.
_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")

# scripts/python needs it to find this package; programs started from here must not see it.
os.environ.pop("PYTHONPATH", None)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment with sbin on PATH and a quiet pip, plus `extra`."""
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    path += [folder for folder in _SYSTEM_FOLDERS if folder not in path]
    # pip's word about a newer pip is nobody's business during a setup.
    return {**os.environ, "PATH": os.pathsep.join(path), "PIP_DISABLE_PIP_VERSION_CHECK": "1", **(extra or {})}


def find_program(name: str) -> str | None:
    """Return the path of a program on PATH or in sbin, None where there is none."""
    return shutil.which(name, path=environment()["PATH"])


def ask(argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program whose answer, good or bad, the caller reads.

    Raises ToolMissing where it is not installed.
    """
    try:
        return subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            env=environment(env), check=False,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise ToolMissing(f"{argv[0]} is not installed") from error
    except PermissionError as error:
        raise ToolMissing(f"{argv[0]} is there but may not be executed") from error


def must(argv: Sequence[str], doing: str, *, hint: str = "", env: Mapping[str, str] | None = None) -> str:
    """Run a program that has to succeed and return its stdout.

    Raises DevenvError that names `doing` and carries the last lines of output.
    """
    done = ask(argv, env=env)
    if done.returncode == 0:
        return done.stdout
    raise DevenvError(f"{doing} failed (exit code {done.returncode})\n{last_lines(done.stdout + done.stderr)}", hint)


def last_lines(text: str, count: int = 12) -> str:
    """Return the last non-empty lines of a text, indented."""
    return "\n".join(f"  {line}" for line in [line for line in text.splitlines() if line.strip()][-count:])


def say(text: str) -> None:
    """Tell the user on stderr what happens."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def run_script(main: Callable[[Sequence[str]], None]) -> NoReturn:
    """Run a script's main with the command line's arguments and end the process with the documented exit code."""
    try:
        main(sys.argv[1:])
    except DevenvError as error:
        say("\n".join([f"error: {error.message}", *(f"hint: {line}" for line in error.hint.splitlines())]))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        say("interrupted; the next run continues")
        sys.exit(EXIT_INTERRUPTED)
    sys.exit()
