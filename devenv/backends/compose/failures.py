"""What `docker` and `docker compose` say when they cannot work at all, as errors that say what to do."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from devenv.backends.compose.find import ComposeOptions
from devenv.core.errors import DevenvError, EngineForbidden, EngineUnreachable, ProjectError, ToolMissing
from devenv.core.model import Project
from devenv.core.text import sanitize

COMPOSE_NEEDED = "2.30"  # the first line of releases in which all of --progress json, bake builds and dry runs work
_INSTALL = "Install the Compose plugin: https://docs.docker.com/compose/install/"
_YAML_PLACE = re.compile(r"\(([^()]*)\) at L(\d+)\.C(\d+)\S*:\s*(.*)", re.DOTALL)
_YAML_LINE = re.compile(r"yaml: (?:.*: )?line (\d+)(?:, column (\d+))?: (.*)", re.DOTALL)
_SCHEMA = re.compile(r"validating (.+?): (\S+) (.*)", re.DOTALL)
_MISSING = re.compile(r"required variable (\S+) is missing a value(?:: (.*))?")
_ENV_FILE = re.compile(r"(env|label) file (.+?) not found: stat ")
_WRONG_FILE = re.compile(r"failed to read (/.+?): (?:(?:open|read) .+?: )?(.*)", re.DOTALL)
_NAME = re.compile(r'invalid project name "([^"]*)"|project name must not be empty')
_NAMED_FILE = re.compile(r"(?:open|stat) (.+): (no such file or directory|permission denied)\s*")
_WARNING = re.compile(r'level=warning msg="((?:[^"\\]|\\.)*)"')
_LOG_LINE = re.compile(r'^time="[^"]*" level=\w+ msg=.*$', re.MULTILINE)

_UNREACHABLE = (
    "cannot connect to the docker daemon",
    "failed to connect to the docker api",
    "error during connect",
    "is the docker daemon running",
)
_NO_PLUGIN = ("'compose' is not a docker command", "unknown command: docker compose", "unknown shorthand flag: 'f'")
_TOO_OLD = ("unsupported --progress value", "unknown flag: --progress", "unknown flag: --dry-run")


def warnings_in(text: str) -> tuple[str, ...]:
    """Return what the docker program warned of in its log lines, each once."""
    warnings = (sanitize(words.replace('\\"', '"')) for words in _WARNING.findall(text))
    return tuple(dict.fromkeys(warnings))


def not_installed(error: OSError) -> DevenvError:
    """Translate the failure to start the `docker` program."""
    if isinstance(error, FileNotFoundError) and error.filename == "docker":
        return ToolMissing("The docker program is not installed", "Install it: https://docs.docker.com/engine/install/")
    if isinstance(error, FileNotFoundError | NotADirectoryError):  # the folder to start it in
        return ProjectError(
            f"The folder {sanitize(str(error.filename))} is gone",
            "Go to the project's folder, or name the file with -f.",
        )
    return DevenvError(f"docker could not be started: {error}", "Try: docker compose version")


def environment_failure(text: str) -> DevenvError | None:
    """Recognize an engine that cannot be used or a Compose that is missing or too old; None: something else."""
    lower = text.lower()
    said = sanitize(text.strip())
    if "permission denied while trying to connect" in lower:
        return EngineForbidden(
            said,
            "Become a member of the group that owns the socket (sudo usermod -aG docker $USER, then log in again), "
            "or choose an engine of your own with DOCKER_HOST or docker context use.",
        )
    if any(phrase in lower for phrase in _UNREACHABLE):
        return EngineUnreachable(said, "Start the Docker Engine, or choose another with DOCKER_HOST or docker context.")
    if "unable to resolve docker endpoint" in lower or "context not found" in lower:
        return EngineUnreachable(said, "List the contexts there are: docker context ls")
    if any(phrase in lower for phrase in _NO_PLUGIN):
        return ToolMissing("docker has no compose command", _INSTALL)
    if any(phrase in lower for phrase in _TOO_OLD):
        return ToolMissing(
            f"This Docker Compose is too old: {said}", f"{COMPOSE_NEEDED} or newer is needed. {_INSTALL}"
        )
    return None


def from_config(text: str, options: ComposeOptions, environ: Mapping[str, str] | None = None) -> DevenvError:
    """Translate what `docker compose config` wrote before it failed."""
    text = _LOG_LINE.sub("", text).strip() or "Compose gave no reason"
    known = environment_failure(text)
    if known is not None:
        return known
    if "no configuration file provided" in text:
        return ProjectError(f"No Compose file found from {options.directory} upward", "Name the file with -f.")
    known = project_failure(text, options.files or options.default_files)
    if known is not None:
        return known
    place = _YAML_PLACE.search(text)
    if place is not None:
        context, line, column, what = place.groups()
        return _not_yaml(f"line {line}, column {column}: {what} ({context})", text, options, environ)
    place = _YAML_LINE.search(text)
    if place is not None:
        line, column, what = place.groups()
        where = f"line {line}, column {column}" if column else f"line {line}"
        return _not_yaml(f"{where}: {what}", text, options, environ)
    files = ", ".join(options.files or options.default_files)
    text = sanitize(text, newlines=True).replace("\n", "\n  ")
    where = f"{files}: " if files and files not in text else ""
    return ProjectError(f"{where}{text}", "Correct the file; devenv changed nothing.")


def project_failure(text: str, files: Sequence[str], project: Project | None = None) -> ProjectError | None:
    """Recognize what Compose says of a project that it cannot use, whichever verb met it; None: something else.

    `project` is what it last resolved to, if it did.
    """
    where = f"{', '.join(files)}: " if files else ""
    missing = dict.fromkeys(_MISSING.findall(text))
    if missing:
        variables = "; ".join(f"{name}{f': {why}' if why else ''}" for name, why in missing)
        return ProjectError(
            f"{where}required variables have no value: {sanitize(variables)}",
            "Set them in the environment or in the project's .env file.",
        )
    if match := _ENV_FILE.search(text):
        kind, file = f"{match[1]}_file", sanitize(match[2])
        users = ", ".join(item.name for item in project.services if file in item.env_files) if project else ""
        may_miss = ", or say in the Compose file that it may be missing: required: false" if match[1] == "env" else ""
        return ProjectError(
            f"{where}the {kind} {file}{f' of service {users}' if users else ''} does not exist",
            f"Make it (an empty one will do){may_miss}.",
        )
    if match := _WRONG_FILE.match(text):
        return ProjectError(
            f"{where}the env_file {sanitize(match[1])} cannot be used: {sanitize(match[2].strip())}",
            "Correct the file: lines of NAME=value.",
        )
    if match := _NAMED_FILE.fullmatch(text):
        return ProjectError(
            f"{where}the file {sanitize(match[1])}, named by an include or extends, cannot be read: {match[2]}",
            "Make it, or correct its path in the Compose file.",
        )
    if match := _NAME.search(text):
        bad = (
            f"{sanitize(match[1])!r} is not a name for a project" if match[1] is not None else "The project has no name"
        )
        return ProjectError(
            f"{bad}: lowercase letters, digits, - and _ make one, a letter or digit first",
            "Choose another: -p NAME, COMPOSE_PROJECT_NAME, or `name:` in the Compose file.",
        )
    schema = _SCHEMA.match(text)
    if schema is not None:
        file, key, what = schema.groups()
        if what == "false schema":  # the JSON schema's way to say: no such key
            what = "is not a key that Compose knows"
        return ProjectError(f"{file}: {sanitize(key)} {sanitize(what)}", "Correct the file; devenv changed nothing.")
    if "invalid compose project" in text:
        what = sanitize(text.replace(": invalid compose project", "").strip())
        return ProjectError(f"{where}{what}", "Correct the file; devenv changed nothing.")
    return None


def _not_yaml(what: str, text: str, options: ComposeOptions, environ: Mapping[str, str] | None) -> ProjectError:
    """Compose 5 does not name the file that is not YAML: of several, each is tried alone."""
    files = options.files or options.default_files
    guilty = (
        files if len(files) == 1 else tuple(file for file in files if _same_complaint(file, text, options, environ))
    )
    where = ", ".join(guilty or files) or "an included file"
    return ProjectError(f"{where}: {sanitize(what)}", "Correct the YAML; devenv changed nothing.")


def _same_complaint(file: str, text: str, options: ComposeOptions, environ: Mapping[str, str] | None) -> bool:
    alone = replace(options, files=(file,)).command("config", "--quiet", "--no-consistency")
    done = subprocess.run(
        alone,
        cwd=options.directory,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return text.strip() in done.stderr.decode("utf-8", "replace")
