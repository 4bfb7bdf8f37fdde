"""`devenv completion SHELL`, and what it completes with while a user types."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

_TIMEOUT = 5.0  # seconds: longer, and a shell seems to hang


def run(arguments: argparse.Namespace) -> int:
    """Print the shell's script to stdout: `eval "$(devenv completion bash)"`."""
    from argcomplete.shell_integration import shellcode

    sys.stdout.write(shellcode(["devenv"], shell=arguments.shell) + "\n")
    return 0


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks for completions, and exit; return only when none asked."""
    import argcomplete

    argcomplete.autocomplete(parser)


def service_names(namespace: argparse.Namespace) -> list[str]:
    """Return the project's services as Compose lists them; silently none where that fails."""
    from devenv.backends.compose.find import ComposeOptions, find_project
    from devenv.cli.options import merge_options
    from devenv.core.errors import DevenvError
    from devenv.core.settings import current_folder, load_config

    given = merge_options(argparse.Namespace(**vars(namespace)))
    try:
        environ = dict(os.environ)
        config = load_config(current_folder(given.files), environ, file=Path(given.config) if given.config else None)
        options = ComposeOptions(
            files=given.files,
            profiles=given.profiles,
            env_files=given.env_files,
            project_name=given.project_name or "",
            project_directory=given.project_directory or "",
        )
        found = find_project(current_folder(given.files), options, environ, config)
        done = subprocess.run(
            found.command("config", "--services"),
            cwd=found.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except (DevenvError, OSError, subprocess.TimeoutExpired):
        return []  # a message here would end up in the middle of what the user types
    return done.stdout.decode("utf-8", "replace").split() if done.returncode == 0 else []
