"""Are the docker CLI and its plugins there, and new enough?"""

from __future__ import annotations

import re
from collections.abc import Sequence

from devenv.backends.programs import finish
from devenv.core.errors import DevenvError
from devenv.core.text import sanitize
from devenv.doctor.context import Context
from devenv.doctor.report import Finding, Level

# 24: task T001. 2.30: see COMPOSE_NEEDED. 0.12 is the first buildx with `--progress rawjson`, which Compose builds on.
DOCKER_NEEDED = (24, 0)
COMPOSE_NEEDED = (2, 30)
BUILDX_NEEDED = (0, 12)
ANSWER_WITHIN = 20.0  # seconds; a CLI on a cold, busy disk needs a few
_PLUGIN = ("docker", "--context", "default")  # a context that is broken is what the engine's check tells
_NUMBER = re.compile(r"(\d+)\.(\d+)(?:\.\d+)?")


def check_docker(context: Context) -> Finding:
    """The docker CLI, which finds the engine and carries Compose."""
    return _version(
        context, "docker-cli", ["docker", "--version"], DOCKER_NEEDED, "https://docs.docker.com/engine/install/"
    )


def check_compose(context: Context) -> Finding:
    """The Compose plugin, which reads and starts projects."""
    return _version(
        context, "compose", [*_PLUGIN, "compose", "version"], COMPOSE_NEEDED, "https://docs.docker.com/compose/install/"
    )


def check_buildx(context: Context) -> Finding:
    """The buildx plugin, with which Compose builds images."""
    return _version(
        context, "buildx", [*_PLUGIN, "buildx", "version"], BUILDX_NEEDED, "https://github.com/docker/buildx#installing"
    )


def _version(context: Context, check: str, command: Sequence[str], needed: tuple[int, int], guide: str) -> Finding:
    name = " ".join(word for word in command[:-1] if word not in _PLUGIN[1:])
    install = f"Install it: {guide}"
    try:
        done = finish(command, dict(context.environ), timeout=ANSWER_WITHIN, what=name)
    except DevenvError as error:
        return Finding(check, Level.FAILED, error.message, install)
    said = sanitize(done.stdout.strip().split(b"\n")[0])
    number = _NUMBER.search(said)
    if done.returncode != 0 or number is None:
        complaint = sanitize(done.stderr.strip() or done.stdout.strip())[:300]
        return Finding(check, Level.FAILED, f"{name} does not work: {complaint}", install)
    if (int(number[1]), int(number[2])) < needed:
        wanted = ".".join(map(str, needed))
        return Finding(check, Level.FAILED, f"{name} is too old: {number[0]}, {wanted} is needed", install)
    return Finding(check, Level.OK, said)
