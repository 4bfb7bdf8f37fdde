"""How a setup script talks: progress and errors on stderr, data alone on stdout, an exit code of devenv.core.errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from devenv.core.errors import EXIT_INTERRUPTED, EXIT_OK, DevenvError

# python -P -m in the wrappers needs it to find this package; programs started from here must not see it.
os.environ.pop("PYTHONPATH", None)


def say(text: str) -> None:
    """Tell the user on stderr what happens."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def emit(text: str) -> None:
    """Print one line of data on stdout."""
    sys.stdout.write(f"{text}\n")


def explain(error: DevenvError) -> None:
    """Print an error and its hint, one line of hint each."""
    say(f"error: {error.message}")
    for line in error.hint.splitlines():
        say(f"hint: {line}")


def run_script(main: Callable[[Sequence[str]], None]) -> NoReturn:
    """Run a script's main with the command line's arguments and end the process with the documented exit code."""
    try:
        main(sys.argv[1:])
    except DevenvError as error:
        explain(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        say("interrupted; the next run continues")
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(EXIT_OK)
