"""`devenv completion SHELL`, and what it completes with while a user types."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

_PASSED = ("kubectl", "minikube")
_TIMEOUT = 5.0  # seconds: longer, and a shell seems to hang


def run(arguments: argparse.Namespace) -> int:
    """Print the shell's script to stdout: `eval "$(devenv completion bash)"`."""
    from argcomplete.shell_integration import shellcode

    sys.stdout.write(shellcode(["devenv"], shell=arguments.shell) + "\n")
    return 0


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks for completions, and exit; return only when none asked."""
    import argcomplete
    from argcomplete.lexers import split_line

    _, prefix, _, words, _ = split_line(os.environ["COMP_LINE"], int(os.environ["COMP_POINT"]))
    program = next((word for word in words[1:] if word in _PASSED), "")
    if program:
        answers = passed_on(program, [*words[words.index(program) + 1 :], prefix], os.environ)
        separator = os.environ.get("_ARGCOMPLETE_IFS", "\013")
        with os.fdopen(8, "w", encoding="utf-8") as answer:  # argcomplete's protocol with the shell
            answer.write(separator.join(answers))
        os._exit(0)
    argcomplete.autocomplete(parser)


def passed_on(program: str, words: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Return what kubectl or minikube itself completes the last word with; silently nothing where that fails.

    Both answer `__complete`: a line each, with a description behind a tab, then ":" and what the shell should do.
    """
    from devenv.backends.programs import finish
    from devenv.control.kube.kubectl import find_kubectl
    from devenv.control.kube.kubectl_plan import find_minikube
    from devenv.core.errors import DevenvError

    try:
        path = find_kubectl(environ) if program == "kubectl" else find_minikube(environ)
        done = finish([path, "__complete", *words], timeout=_TIMEOUT)
    except DevenvError:
        return []
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return [line.partition("\t")[0] for line in lines if line and not line.startswith((":", "_activeHelp_"))]


def service_names(namespace: argparse.Namespace) -> list[str]:
    """Return the project's services as Compose lists them; silently none where that fails."""
    from devenv.backends.compose.find import ComposeOptions, find_project
    from devenv.backends.programs import finish
    from devenv.cli.options import merge_options, read_settings
    from devenv.core.errors import DevenvError
    from devenv.core.settings import current_folder

    given = merge_options(argparse.Namespace(**vars(namespace)))
    try:
        environ = dict(os.environ)
        config = read_settings(given)
        options = ComposeOptions(
            files=given.files,
            profiles=given.profiles,
            env_files=given.env_files,
            project_name=given.project_name or "",
            project_directory=given.project_directory or "",
        )
        project = find_project(current_folder(given.files), options, environ, config)
        done = finish(project.command("config", "--services"), timeout=_TIMEOUT, folder=project.directory)
    except DevenvError:
        return []  # a message here would end up in the middle of what the user types
    return done.stdout.decode("utf-8", "replace").split() if done.returncode == 0 else []
