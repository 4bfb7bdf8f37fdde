"""A suite that was written for pytest-docker, on an isolated stack: its fixture `docker_services` is replaced.

pytest-docker 3.2 starts before its `try`, so that a start that fails or is interrupted leaks the stack; it keeps no
logs, and it remembers ports, which change when a container starts anew. The other fixtures of a suite mean what they
always do, except for docker_compose_project_name: each run has a project of its own.
"""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Iterator, Sequence
from os import PathLike, fspath
from typing import Any

import pytest
from pytest_docker.plugin import Services, containers_scope, execute

from devenv.backends.compose import ComposeOptions
from devenv.control.job import Job
from devenv.verify.compose_driver import ComposeStack
from devenv.verify.fixtures import Measure
from devenv.verify.session import INCONCLUSIVE, Session

CRITERION = "services_start"
_QUIET = ("port", "ps", "logs")  # asked in loops: of no interest as moments

Files = str | PathLike[str] | Sequence[str | PathLike[str]]


class FreshServices(Services):  # type: ignore[misc,unused-ignore] # attrs makes the class, which mypy may not see
    """Services whose ports are asked for at each call."""

    def port_for(self, service: str, container_port: int) -> int:
        """Return the port on this machine that leads to the service's."""
        self._services.clear()
        port: int = super().port_for(service, container_port)
        return port


class _Compose:
    """What Services runs Compose with: the isolated stack, and what is done to it is noted."""

    def __init__(self, stack: ComposeStack) -> None:
        self._stack = stack

    def execute(self, subcommand: str, **options: Any) -> bytes:
        """Run it in a shell as pytest-docker does, and return what it printed."""
        words = subcommand.split()
        for word in words:
            if word in self._stack.services:
                self._stack.recorder.touch(word)
        if words[:1] and words[0] not in _QUIET:
            self._stack.mark(f"compose {subcommand}")
        output: bytes = execute(f"{shlex.join(self._stack.driver.plan.options.command())} {subcommand}", **options)
        return output


@pytest.fixture(scope=containers_scope)
def docker_services(
    verify_session: Session,
    docker_compose_command: str,
    docker_compose_file: Files,
    docker_setup: str | Sequence[str] | None,
    docker_cleanup: str | Sequence[str] | None,
) -> Iterator[Services]:
    """pytest-docker's services, on an isolated copy that is removed however the run ends.

    `docker_services.port_for("web", 80)`, `.wait_until_responsive(...)`: as in pytest-docker.
    """
    if verify_session.config.option.devenv_running:
        pytest.skip(f"{INCONCLUSIVE}it needs an isolated copy, and --running tests what is up")
    environments = verify_session.environments_of(_options(docker_compose_command, docker_compose_file))
    stack = environments.isolated()
    try:
        _set_up(verify_session, stack, docker_setup)
        yield FreshServices(_Compose(stack))
        if not verify_session.config.option.devenv_keep:
            stack.recorder.state()
            for command in _commands(docker_cleanup):
                stack.driver.compose(*shlex.split(command))
    finally:
        environments.remove(stack)


def _set_up(session: Session, stack: ComposeStack, commands: str | Sequence[str] | None) -> None:
    __tracebackhide__ = True
    began = time.monotonic()
    try:
        for command in _commands(commands):
            stack.mark(f"compose {command}")
            verb, *flags = shlex.split(command)
            Job(
                stack.driver.plan.options,
                stack.driver.project,
                verb,
                tuple(flags),
                (),
                stack.driver.plan.source.environ,
            ).run(lambda record: None)
        session.note_subjects(stack)
        Measure(session, stack.settings.budgets, session.current)(CRITERION, time.monotonic() - began)
    except Exception as error:
        session.note_subjects(stack)
        session.explain_start(error, "the services of pytest-docker")  # now: they are removed in a moment
        raise


def _options(command: str, files: Files) -> ComposeOptions:
    """Read what a suite says with docker_compose_command (`docker compose --profile NAME`) and docker_compose_file."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--profile", action="append", default=[])
    parser.add_argument("--env-file", action="append", default=[])
    parser.add_argument("--project-directory", default="")
    said, _ = parser.parse_known_args(shlex.split(command))
    several = [files] if isinstance(files, str | PathLike) else files
    return ComposeOptions(
        files=tuple(fspath(file) for file in several),
        profiles=tuple(said.profile),
        env_files=tuple(said.env_file),
        project_directory=said.project_directory,
    )


def _commands(given: str | Sequence[str] | None) -> Sequence[str]:
    return [given] if isinstance(given, str) and given else given or ()
