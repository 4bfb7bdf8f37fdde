"""The docker CLI, which alone knows the engine that the user means: DOCKER_HOST, DOCKER_CONTEXT, current context."""

from __future__ import annotations

import os
import re

from scripts.machine.process import ask, find_program

_LOCAL_HOSTS = ("unix:///var/run/docker.sock", "unix:///run/docker.sock")


def ask_engine() -> tuple[str, str]:
    """Return the version of the engine that the docker CLI would use, or an empty one and why none answers."""
    if find_program("docker") is None:
        return "", "docker is not installed"
    done = ask(["docker", "version", "--format", "{{.Server.Version}}"])
    if done.returncode == 0:
        return done.stdout.strip(), ""
    return "", (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]


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
    done = ask(["docker", plugin, "version"])
    found = re.search(r"\bv?(\d+\.\d+[^\s,]*)", done.stdout)
    return found[1] if done.returncode == 0 and found else ""


def image_id(name: str) -> str:
    """Return the id of the image that has this name, empty where the engine has none."""
    done = ask(["docker", "image", "inspect", "--format", "{{.Id}}", name])
    return done.stdout.strip() if done.returncode == 0 else ""
