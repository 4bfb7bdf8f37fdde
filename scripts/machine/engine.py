"""Make sure that a Docker Engine with buildx and Compose answers.

Usage: scripts/engine

Where the engine that the docker CLI would use answers, it is left as it is and only a missing plugin is added. An
engine is installed and started only on Debian and its relatives, as root, and only where the user chose no other one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from devenv.core.errors import DevenvError, EngineForbidden, EngineUnreachable, ToolMissing
from scripts.machine import apt, compose_plugin
from scripts.machine.advice import how_to_get_engine, this_platform
from scripts.machine.apt_policy import major_version
from scripts.machine.daemon import start_daemon
from scripts.machine.docker_cli import Answer, ask_engine, chosen_endpoint, plugin_version
from scripts.machine.engine_packages import install_buildx, install_engine
from scripts.machine.process import find_program
from scripts.machine.report import run_script, say

# The first that knows start_interval of a health check; without it each service of docsearch would take 5 s longer.
OLDEST_ENGINE = 25


def ensure_engine() -> None:
    """Bring an engine to answer, then its plugins.

    Raises ToolMissing, EngineForbidden or EngineUnreachable with what to install or start.
    """
    answer = ask_engine()
    if not answer.version:
        _refuse_unless_ours(answer)
        answer = _install_and_start()
    if major_version(answer.version) < OLDEST_ENGINE:
        raise ToolMissing(
            f"Docker Engine {answer.version} answers; {OLDEST_ENGINE} or newer is needed",
            "upgrade it, or name another one with DOCKER_HOST or `docker context use`",
        )
    _ensure_buildx()
    compose_plugin.ensure_compose()


def _refuse_unless_ours(answer: Answer) -> None:
    where = this_platform()
    if answer.forbidden:
        raise EngineForbidden(
            f"a Docker Engine is there, but {_user()} may not talk to it",
            "`sudo usermod -aG docker $USER`, then log in again (or `newgrp docker` in this shell)\n"
            "or run `sudo make run`",
        )
    if endpoint := chosen_endpoint():
        raise EngineUnreachable(
            f"no Docker Engine answers at {endpoint}: {answer.reason}",
            "start it, or choose another one: unset the variable, or `docker context use default`",
        )
    if not apt.can_install():
        error = EngineUnreachable if answer.installed else ToolMissing
        raise error(f"no Docker Engine answers: {answer.reason}", how_to_get_engine(where))


def _install_and_start() -> Answer:
    missing = find_program("dockerd") is None or find_program("docker") is None
    if missing or apt.is_cut_short("docker.io"):
        install_engine(OLDEST_ENGINE)
    start_daemon()
    answer = ask_engine()
    if not answer.version:
        raise EngineUnreachable(f"the engine was started but does not answer: {answer.reason}")
    say(f"engine: Docker Engine {answer.version} answers")
    return answer


def _ensure_buildx() -> None:
    if plugin_version("buildx"):
        return
    if not apt.can_install():
        raise ToolMissing("docker has no buildx plugin, which builds the images", how_to_get_engine(this_platform()))
    install_buildx()
    if not plugin_version("buildx"):
        raise DevenvError("buildx was installed, but docker does not find it", "see `docker info`, Client: Plugins")


def _user() -> str:
    return os.environ.get("USER") or f"user {os.geteuid()}"


def main(arguments: Sequence[str]) -> None:
    """Run scripts/engine."""
    del arguments
    ensure_engine()


if __name__ == "__main__":
    run_script(main)
