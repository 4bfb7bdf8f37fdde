"""The Compose plugin of the docker CLI, from the Python package that carries its binary, by hash."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from devenv.core.errors import DevenvError, ToolMissing
from scripts.machine.docker import plugin_version
from scripts.machine.process import ROOT, must, say
from scripts.machine.system import this_platform
from scripts.machine.venv import pip_command

# The first with `--progress json` (docker/compose, pull request 11478, released with 2.29.0).
OLDEST_COMPOSE = (2, 29)
_LOCK = ROOT / "scripts" / "compose-plugin.lock"
_SYSTEM_PLUGINS = Path("/usr/local/lib/docker/cli-plugins")


def ensure_compose(hint: str) -> None:
    """Install the Compose plugin where the docker CLI has none or one that is too old.

    Raises ToolMissing with `hint` where this platform has no package, DevenvError where docker does not take it.
    """
    found = plugin_version("compose")
    if _numbers(found) >= OLDEST_COMPOSE:
        return
    folder = plugin_folder()
    say(f"engine: installing the Compose plugin into {folder}" + (f" ({found} is too old)" if found else ""))
    _install(folder, hint)
    now = plugin_version("compose")
    if _numbers(now) < OLDEST_COMPOSE:
        raise DevenvError(
            f"the Compose plugin was installed, but docker still uses {now or 'none'}",
            "another one comes first: see `docker info`, Client: Plugins, and remove it",
        )


def plugin_folder() -> Path:
    """Return the folder where the docker CLI finds plugins: everybody's for root, else this user's own."""
    if os.geteuid() == 0 and this_platform() != "macos":
        return _SYSTEM_PLUGINS
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "cli-plugins"


def _install(folder: Path, hint: str) -> None:
    """Put the program of the locked package into a plugin folder, whole or not at all."""
    with tempfile.TemporaryDirectory(prefix="devenv-compose-") as target:
        install = [*pip_command(), "install", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        try:
            must([*install, "--target", target, "-r", str(_LOCK)], "installing the Compose plugin")
        except DevenvError as error:
            raise ToolMissing(error.message, f"run scripts/venv first if pip is missing\n{hint}") from error
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".docker-compose-{os.getpid()}"
        shutil.copyfile(Path(target, "bin", "docker-compose"), draft)
    draft.chmod(0o755)
    draft.replace(folder / "docker-compose")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
