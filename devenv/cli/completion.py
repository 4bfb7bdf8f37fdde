"""`devenv completion SHELL`, and what it completes with while a user types."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devenv.backends.kube.kinds import Kind
    from devenv.core.settings import Config

_PASSED = ("kubectl", "minikube")
Answer = Callable[[argparse.Namespace, str], list[str]]
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
    argcomplete.autocomplete(parser, always_complete_options=False)  # names first: options begin with a dash


def passed_on(program: str, words: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Return what kubectl or minikube itself completes the last word with; silently nothing where that fails.

    Both answer `__complete`: a line each, with a description behind a tab, then ":" and what the shell should do.
    """
    from devenv.backends.clusters import need_minikube
    from devenv.backends.programs import finish
    from devenv.control.kube.kubectl import find_kubectl
    from devenv.core.errors import DevenvError

    try:
        path = find_kubectl(environ) if program == "kubectl" else need_minikube(environ)
        done = finish([path, "__complete", *words], timeout=_TIMEOUT)
    except DevenvError:
        return []
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return [line.partition("\t")[0] for line in lines if line and not line.startswith((":", "_activeHelp_"))]


def _config(namespace: argparse.Namespace) -> Config:
    from devenv.cli.options import merge_options, read_settings

    return read_settings(merge_options(argparse.Namespace(**vars(namespace))))


def service_names(namespace: argparse.Namespace, prefix: str = "") -> list[str]:
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


def context_names(namespace: argparse.Namespace, prefix: str) -> list[str]:
    """Return the contexts of the kubeconfig."""
    from devenv.backends.kube.kubeconfig import contexts

    return [context.name for context in contexts(os.environ).all]


def namespace_names(namespace: argparse.Namespace, prefix: str) -> list[str]:
    """Return the namespaces of the cluster."""
    from devenv.backends.kube.kinds import NAMESPACES

    return _names_in(namespace, NAMESPACES, None)


def overlay_names(namespace: argparse.Namespace, prefix: str) -> list[str]:
    """Return the overlays of devenv.toml."""
    return list(_config(namespace).manifests.overlays)


def task_names(namespace: argparse.Namespace, prefix: str) -> list[str]:
    """Return the tasks of devenv.toml."""
    return list(_config(namespace).tasks)


def job_names(namespace: argparse.Namespace, prefix: str) -> list[str]:
    """Return the gates of devenv.toml."""
    return list(_config(namespace).ci.jobs)


def check_names(namespace: argparse.Namespace, prefix: str) -> list[str]:
    """Return the checks of the doctor."""
    from devenv.doctor import CHECKS

    return [check.name for check in CHECKS]


def setting_names(namespace: argparse.Namespace, prefix: str) -> list[str]:
    """Return the tables and keys of devenv.toml."""
    from devenv.cli.config import TABLES, effective

    return [*TABLES, *(key for key, _ in effective(_config(namespace)))]


def criterion_names(namespace: argparse.Namespace, prefix: str) -> list[str]:
    """Return what was measured for this project on this kind of machine."""
    from devenv.cli.context import Context
    from devenv.cli.options import merge_options
    from devenv.runs.history import History
    from devenv.runs.identity import this_machine

    given = merge_options(argparse.Namespace(**vars(namespace)))
    return History().criteria(Context(given).project().name, this_machine().id)


def object_names(namespace: argparse.Namespace, prefix: str) -> list[str]:
    """Return kinds up to the slash of KIND/NAME, and the names of that kind after it."""
    from devenv.backends.kube.kinds import KNOWN, find_kind

    kind, slash, _ = prefix.partition("/")
    if not slash:
        return [f"{known.name.lower()}/" for known in KNOWN if known.namespaced]
    return [f"{kind}/{name}" for name in _names_in(namespace, find_kind(kind, KNOWN), "")]


def _names_in(namespace: argparse.Namespace, kind: Kind, space: str | None) -> list[str]:
    """List the names of a kind; in the settings' namespace where `space` is "", of the cluster where it is None."""
    from devenv.backends.kube.client import KubeClient
    from devenv.backends.kube.kubeconfig import find_target

    client = KubeClient(find_target(_config(namespace).kubernetes, os.environ))
    answer = client.request(
        "GET", kind.path(client.target.namespace if space == "" else space), query={"limit": 500}, timeout=_TIMEOUT
    )
    return [str(item["metadata"]["name"]) for item in answer.get("items") or ()]


def _silent(answer: Answer) -> Answer:
    """Return what answers with nothing where it fails: a message would end up in the middle of what the user types."""

    def asked(namespace: argparse.Namespace, prefix: str) -> list[str]:
        from devenv.core.errors import DevenvError

        try:
            return answer(namespace, prefix)
        except DevenvError:
            return []

    return asked


ANSWERS: Mapping[str, Answer] = {
    "services": service_names,
    "contexts": _silent(context_names),
    "namespaces": _silent(namespace_names),
    "overlays": _silent(overlay_names),
    "tasks": _silent(task_names),
    "jobs": _silent(job_names),
    "checks": check_names,
    "settings": _silent(setting_names),
    "criteria": _silent(criterion_names),
    "objects": _silent(object_names),
}
