"""The docker CLI, which alone knows the engine that the user means: DOCKER_HOST, DOCKER_CONTEXT, current context."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
from dataclasses import dataclass

from devenv.core.errors import ToolMissing
from scripts.machine.process import ask, environment, find_program

_LOCAL_HOSTS = ("", "unix:///var/run/docker.sock", "unix:///run/docker.sock")
# A registry whose name cannot be resolved fails at once; one that drops packets would hold a build for minutes.
STALL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What `docker version` came back with: the engine's version, or why there is none."""

    version: str = ""
    reason: str = ""


def ask_engine() -> Answer:
    """Ask the engine that the docker CLI would use for its version."""
    if find_program("docker") is None:
        return Answer(reason="docker is not installed")
    done = ask(["docker", "version", "--format", "{{.Server.Version}}"])
    version = done.stdout.strip()
    if done.returncode == 0 and version and version != "<no value>":
        return Answer(version)
    return Answer(reason=(done.stderr.strip().splitlines() or ["it gave no reason"])[-1])


def chosen_endpoint() -> str:
    """Return the name of an endpoint that the user chose; empty for the machine's own engine."""
    if host := os.environ.get("DOCKER_HOST", ""):
        return "" if host in _LOCAL_HOSTS else f"DOCKER_HOST={host}"
    if context := os.environ.get("DOCKER_CONTEXT", ""):
        return "" if context == "default" else f"DOCKER_CONTEXT={context}"
    context = ask(["docker", "context", "show"]).stdout.strip() if find_program("docker") else ""
    return "" if context in ("", "default") else f"the docker context {context!r}"


def plugin_version(plugin: str) -> str:
    """Return the version of a CLI plugin such as buildx or compose; empty where docker does not find it."""
    try:
        done = ask(["docker", plugin, "version"])
    except ToolMissing:
        return ""
    found = re.search(r"\bv?(\d+\.\d+[^\s,]*)", done.stdout)
    return found[1] if done.returncode == 0 and found else ""


def image_id(name: str) -> str:
    """Return the id of the image that has this name, empty where the engine has none."""
    done = ask(["docker", "image", "inspect", "--format", "{{.Id}}", name])
    return done.stdout.strip() if done.returncode == 0 else ""


def pull(name: str, stall_seconds: float = STALL_SECONDS) -> str:
    """Pull an image, giving up after `stall_seconds` without progress; returns why it failed, empty when it did not.

    docker runs on a pseudo-terminal of ours: without a terminal it prints nothing while a layer is on its way.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["docker", "pull", name],
        stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=environment(), start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    output, chunk = b"", b" "
    try:
        while chunk:
            if not select.select([ours], [], [], stall_seconds)[0]:
                return f"no progress within {stall_seconds:g} s"
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # Linux says EIO when the last writer has gone
                chunk = b""
            output = (output + chunk)[-8192:]
        if process.wait() == 0:
            return ""
    finally:
        os.close(ours)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    lines = [line for line in output.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"docker pull ended with {process.returncode}"
