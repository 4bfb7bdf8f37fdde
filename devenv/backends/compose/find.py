"""Find the Compose project a user means, from any folder of it.

What Compose can find by itself is left to Compose: it is started in the user's folder. Two things it cannot know:
devenv.toml, and a COMPOSE_FILE in the `.env` of a parent folder, which Compose reads only when started there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from devenv.backends.plugin import FILE_NAMES, OVERRIDE_NAMES
from devenv.core.errors import ProjectError, UsageError
from devenv.core.model import Project
from devenv.core.settings import ComposeSettings, Config

_COMPOSE_FILE_LINE = re.compile(r"^\s*(?:export\s+)?COMPOSE_FILE\s*[=:]", re.MULTILINE)


class ComposeOptions(Struct, frozen=True):
    """How to call Compose for one project. Paths are absolute; `directory` is the folder Compose is started in."""

    directory: str = "."
    files: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    env_files: tuple[str, ...] = ()
    project_name: str = ""
    project_directory: str = ""
    default_files: tuple[str, ...] = ()  # files that Compose finds by itself, for messages

    def command(self, *arguments: str) -> list[str]:
        """Return the argument vector of `docker compose` with this project's options and then `arguments`."""
        command = ["docker", "compose"]
        for flag, values in (("--file", self.files), ("--env-file", self.env_files), ("--profile", self.profiles)):
            for value in values:
                command += [flag, value]
        if self.project_name:
            command += ["--project-name", self.project_name]
        if self.project_directory:
            command += ["--project-directory", self.project_directory]
        return [*command, *arguments]

    def for_project(self, project: Project) -> ComposeOptions:
        """Return how to call Compose for what it resolved to: by its name alone where its files cannot be read."""
        return ComposeOptions(self.directory, project_name=project.name) if project.by_labels else self


class NoComposeFile(ProjectError):
    """There is no Compose project here, nor was one named."""


def find_project(
    start: Path,
    options: ComposeOptions,
    environ: Mapping[str, str],
    config: Config | None = None,
    *,
    config_is_chosen: bool = False,
) -> ComposeOptions:
    """Return the options that lead Compose to the project of the folder `start`.

    What the user chose wins: flags, then COMPOSE_FILE; then the nearest folder upward that has a Compose file, a
    `.env` with COMPOSE_FILE, or a devenv.toml with `[compose] files` (with `config_is_chosen`, that one first).
    Settings of devenv.toml hold for its own project only. Raises ProjectError, and NoComposeFile with the folders
    searched.
    """
    start = start.absolute()
    config = config or Config()
    options = _absolute(options, start)
    if options.files:
        ours = any(Path(file) in _resolved(config.compose.files) for file in _resolved(options.files))
        return _with_settings(options, config.compose, environ) if ours else options
    if environ.get("COMPOSE_FILE"):
        return replace(options, default_files=_files_of(environ, start))
    if options.project_directory:
        return options
    if config_is_chosen and config.compose.files:
        return _with_settings(options, config.compose, environ)
    for folder in (start, *start.parents):
        is_root = folder == config.root
        if is_root and config.compose.files:
            return _with_settings(options, config.compose, environ)
        defaults = _default_files(folder)
        env_chooses = _env_names_files(folder / ".env")
        if defaults or env_chooses:
            if env_chooses or any(_env_names_files(Path(file)) for file in options.env_files):
                defaults = ()  # other files, which Compose alone knows
            options = replace(options, directory=str(folder if env_chooses else start), default_files=defaults)
            return _with_settings(options, config.compose, environ) if is_root else options
    raise NoComposeFile(
        f"No Compose file found in {start} or any folder above it",
        f"Searched for {', '.join(FILE_NAMES)} and for devenv.toml with [compose] files. "
        "Name the file with -f, or go to the project's folder.",
    )


def has_project(folder: Path) -> bool:
    """Whether this folder itself has a Compose file, or a `.env` that names one."""
    return bool(_default_files(folder)) or _env_names_files(folder / ".env")


def _absolute(options: ComposeOptions, start: Path) -> ComposeOptions:
    for file in options.files:
        if file == "-":
            raise UsageError("-f - is not possible: devenv reads the project more than once", "Name a file instead.")
        if not (start / file).is_file():
            raise ProjectError(f"Compose file {start / file} does not exist", "Check the path given with -f.")
    for file in options.env_files:
        if not (start / file).is_file():
            raise ProjectError(
                f"Environment file {start / file} does not exist", "Check the path given with --env-file."
            )
    directory = options.project_directory
    return replace(
        options,
        directory=str(start),
        files=tuple(str(start / file) for file in options.files),
        env_files=tuple(str(start / file) for file in options.env_files),
        project_directory=str(start / directory) if directory else "",
    )


def _with_settings(options: ComposeOptions, settings: ComposeSettings, environ: Mapping[str, str]) -> ComposeOptions:
    for file in (*settings.files, *settings.env_files):
        if not file.is_file():
            raise ProjectError(f"{file}, named in devenv.toml, does not exist", "Correct [compose] in devenv.toml.")
    options = replace(
        options,
        files=options.files or tuple(map(str, settings.files)),
        env_files=options.env_files or tuple(map(str, settings.env_files)),
    )
    if not options.profiles and "COMPOSE_PROFILES" not in environ:
        options = replace(options, profiles=settings.profiles)
    if not options.project_name and not environ.get("COMPOSE_PROJECT_NAME"):
        options = replace(options, project_name=settings.project_name)
    if not options.project_directory and settings.project_directory is not None:
        options = replace(options, project_directory=str(settings.project_directory))
    return options


def _resolved(files: tuple[Path, ...] | tuple[str, ...]) -> list[Path]:
    return [Path(file).resolve() for file in files]


def _default_files(folder: Path) -> tuple[str, ...]:
    first = next((folder / name for name in FILE_NAMES if (folder / name).is_file()), None)
    if first is None:
        return ()
    override = next((folder / name for name in OVERRIDE_NAMES if (folder / name).is_file()), None)
    return (str(first),) if override is None else (str(first), str(override))


def _files_of(environ: Mapping[str, str], start: Path) -> tuple[str, ...]:
    """Return the files that COMPOSE_FILE names; none where one of them is no file of this machine."""
    names = environ["COMPOSE_FILE"].split(environ.get("COMPOSE_PATH_SEPARATOR") or os.pathsep)
    files = [start / name for name in names if name]
    return tuple(map(str, files)) if all(file.is_file() for file in files) else ()


def _env_names_files(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        return bool(_COMPOSE_FILE_LINE.search(path.read_text("utf-8", "replace")))
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror}", "Compose would need it too.") from error
