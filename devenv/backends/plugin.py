"""Which program Compose is, and its first answer begun ahead: what Compose takes for it passes while devenv loads.

Nothing is imported here that would delay that: not even pathlib.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

# compose-go, cli/options.go: DefaultFileNames and DefaultOverrideFileNames, in their order of preference.
FILE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
OVERRIDE_NAMES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
# docker/cli, cli-plugins/manager/manager_unix.go: where plugins of all users are, after those of config.json and ~.
_FOLDERS = tuple(f"{base}/docker/cli-plugins" for base in ("/usr/local/lib", "/usr/local/libexec"))
_FOLDERS += tuple(f"{base}/docker/cli-plugins" for base in ("/usr/lib", "/usr/libexec"))


def started_directly(command: list[str], environ: Mapping[str, str] | None = None) -> list[str]:
    """Return a call of `docker compose` as one of the program that docker starts for it, where that is certain.

    docker first asks its plugin who it is, which takes as long as a short command of Compose. A `docker` that is a
    script or another program under that name may do what it likes: it is called.
    """
    environ = os.environ if environ is None else environ
    docker = _program("docker", environ.get("PATH", ""))
    if not os.path.isabs(docker) or os.path.basename(os.path.realpath(docker)) != "docker" or _is_script(docker):
        return command
    for folder in (*_own_folders(environ), *_FOLDERS):
        plugin = os.path.join(folder, "docker-compose")
        if os.path.exists(plugin):
            return [plugin, *command[2:]] if os.access(plugin, os.X_OK) else command
    return command


def _program(name: str, path: str) -> str:
    """Return where the program is, "" where it is nowhere. `shutil` would load four modules of compression for it."""
    candidates = (os.path.join(folder or ".", name) for folder in path.split(os.pathsep) if path)
    return next((one for one in candidates if os.path.isfile(one) and os.access(one, os.X_OK)), "")


def _is_script(program: str) -> bool:
    try:
        with open(program, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return True  # who may run it only cannot tell


def _own_folders(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the user's own folders of docker's plugins, in the order in which docker looks (cli-plugins/manager)."""
    home = environ.get("HOME") or environ.get("USERPROFILE") or os.path.expanduser("~")
    folder = environ.get("DOCKER_CONFIG") or os.path.join(home, ".docker")
    named: object = ()
    try:
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            import json  # deferred: most have no such file

            content = json.load(file)
        named = content.get("cliPluginsExtraDirs") if isinstance(content, dict) else ()
    except (OSError, ValueError, RecursionError):
        pass  # docker goes on with its defaults
    named = named if isinstance(named, list) else ()
    return (*(name for name in named if isinstance(name, str)), os.path.join(folder, "cli-plugins"))


CONFIG = ("config", "--format", "json")
_ASKING = frozenset({"status", "up", "logs", "down", "restart", "stop", "start", "build"})  # commands that begin so
_NOT_SO = ("-f", "--file", "-p", "--pro", "--env", "--config", "-h", "--help")  # with these they ask something else


class Prefetch:
    """A Compose that was started before anybody asked: `take` gives it to who asks for exactly that."""

    _process: subprocess.Popen[bytes] | None = None
    _asked: tuple[list[str], str, dict[str, str]] = ([], "", {})

    @classmethod
    def begin(cls, words: Sequence[str]) -> None:
        """Guess from the words of the command line what Compose will be asked first, and start it."""
        name = words[0] if words else ""
        follows = name == "logs"  # whose -f is another
        options = [word for word in words if word.startswith(_NOT_SO) and not (follows and word == "-f")]
        opens = not words and os.isatty(0) and os.isatty(1)
        if options or not (opens or name in _ASKING) or "_ARGCOMPLETE" in os.environ:
            return
        try:
            folder = os.getcwd()
            if _has_own_files(folder):
                command = started_directly(["docker", "compose", *CONFIG])
                cls._asked = (command, folder, dict(os.environ))
                cls._process = _start(command, folder, None)
        except OSError:
            return  # whoever asks meets it again, and tells it

    @classmethod
    def take(cls, command: list[str], folder: str, environ: Mapping[str, str] | None) -> subprocess.Popen[bytes] | None:
        """Return the process that runs this already, once; None where none does."""
        process = cls._process
        if process is None or cls._asked != (command, folder, dict(os.environ if environ is None else environ)):
            return None
        cls._process = None
        return process

    @classmethod
    def end(cls) -> None:
        """End what nobody asked for."""
        process, cls._process = cls._process, None
        if process is not None:
            process.kill()
            process.communicate()


_CHOICE = re.compile(r"""^\s*\[?\s*["']?compose\b""", re.MULTILINE)  # the table of devenv.toml that may name files


def _has_own_files(folder: str) -> bool:
    """Whether Compose finds the files by itself, from this folder upward, and no devenv.toml may name others."""
    while True:
        settings = os.path.join(folder, "devenv.toml")
        if os.path.isfile(settings):
            with open(settings, encoding="utf-8", errors="replace") as file:
                if _CHOICE.search(file.read()):
                    return False
        if any(os.path.isfile(os.path.join(folder, name)) for name in FILE_NAMES):
            return True
        above = os.path.dirname(folder)
        if above == folder:
            return False
        folder = above


def start_compose(command: list[str], folder: str, environ: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a Compose that only tells, or take the one that was started ahead; raises OSError."""
    command = started_directly(command, environ)
    return Prefetch.take(command, folder, environ) or _start(command, folder, environ)


def _start(command: list[str], folder: str, environ: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    import subprocess  # deferred: `devenv --version` starts nothing

    return subprocess.Popen(
        command,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
