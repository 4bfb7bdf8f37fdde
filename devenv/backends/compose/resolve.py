"""Let Compose resolve a project: `docker compose config --format json`, started early, read later, and understood.

The document is Compose's canonical form (https://github.com/compose-spec/compose-spec/blob/main/spec.md): short
syntaxes are already expanded and variables are replaced.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from devenv.backends.compose.failures import from_config, not_installed, warnings_in
from devenv.backends.compose.find import ComposeOptions
from devenv.backends.plugin import CONFIG, FILE_NAMES, OVERRIDE_NAMES, start_compose
from devenv.core.errors import DevenvError, ProjectError
from devenv.core.masking import learn
from devenv.core.model import Dependency, Port, Project, Service
from devenv.core.settings import FILE_NAME
from devenv.core.stored import read_text
from devenv.core.text import sanitize

_RESTART_CONDITIONS = {"none": "no", "any": "always", "on-failure": "on-failure"}  # deploy.restart_policy.condition


def parse_project(document: bytes, options: ComposeOptions) -> Project:
    """Read Compose's canonical JSON; raises ProjectError where it is not what Compose documents.

    The secrets that it holds are masked from then on.
    """
    try:
        data = json.loads(document)
        services = tuple(_service(name, body or {}) for name, body in sorted((data.get("services") or {}).items()))
        volumes = tuple(
            sanitize(volume.get("name") or key)
            for key, volume in sorted((data.get("volumes") or {}).items())
            if not volume.get("external")
        )
        name = sanitize(data["name"])
        _learn_secrets(data)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ProjectError(
            f"Compose described the project in a way devenv does not understand: {error}",
            "Compare with: docker compose config --format json",
        ) from error
    files = options.files or options.default_files
    directory = options.project_directory or (str(Path(files[0]).parent) if files else options.directory)
    return Project(
        name=name,
        directory=directory,
        files=files,
        services=services,
        profiles=options.profiles,
        env_files=options.env_files,
        volumes=volumes,
    )


def _learn_secrets(data: Mapping[str, Any]) -> None:
    """Have the values masked that services' variables and the files of `secrets` hold."""
    for service in (data.get("services") or {}).values():
        learn((service or {}).get("environment"))
    for secret in (data.get("secrets") or {}).values():
        if isinstance(secret, dict) and isinstance(secret.get("file"), str):
            learn({"": read_text(Path(secret["file"]))}, all_secret=True)


def _service(name: str, body: Mapping[str, Any]) -> Service:
    deploy = body.get("deploy") or {}
    check = body.get("healthcheck") or {}
    provider = sanitize(str((body.get("provider") or {}).get("type") or ""))
    replicas = 0 if provider else body.get("scale", deploy.get("replicas", 1))
    return Service(
        name=sanitize(name),
        image=sanitize(body.get("image") or ""),
        builds="build" in body,
        replicas=int(replicas),
        provider=provider,
        restart=_restart(body, deploy),
        has_healthcheck=bool(check) and not check.get("disable") and check.get("test") != ["NONE"],
        depends_on=tuple(
            Dependency(
                sanitize(dependency), str(how.get("condition", "service_started")), how.get("required", True) is True
            )
            for dependency, how in sorted((body.get("depends_on") or {}).items())
        ),
        shares=tuple(
            sanitize(value.removeprefix("service:"))
            for value in dict.fromkeys(str(body.get(key) or "") for key in ("network_mode", "pid", "ipc"))
            if value.startswith("service:")
        ),
        ports=tuple(_port(port) for port in body.get("ports") or ()),
        container_name=sanitize(str(body.get("container_name") or "")),
        context=_folder((body.get("build") or {}).get("context")),
        profiles=tuple(sanitize(str(profile)) for profile in body.get("profiles") or ()),
        env_files=tuple(
            sanitize(str(entry["path"])) for entry in body.get("env_file") or () if entry.get("required", True)
        ),
    )


def _folder(context: object) -> str:
    return sanitize(context) if isinstance(context, str) and context.startswith("/") else ""


def _restart(body: Mapping[str, Any], deploy: Mapping[str, Any]) -> str:
    if body.get("restart"):
        return str(body["restart"])
    policy = deploy.get("restart_policy") or {}
    if not policy:
        return "no"
    restart = _RESTART_CONDITIONS.get(policy.get("condition", "any"), "always")
    attempts = policy.get("max_attempts")
    return f"{restart}:{attempts}" if attempts and restart == "on-failure" else restart


def _port(port: Mapping[str, Any]) -> Port:
    published = str(port.get("published") or "")
    return Port(
        container=int(port["target"]),
        protocol=str(port.get("protocol", "tcp")),
        host=int(published) if published.isdigit() else None,  # of a range, the engine chooses one
        host_ip=str(port.get("host_ip", "")),
    )


RESOLVE_TIMEOUT = 60.0  # seconds; Compose needs 0.06, a remote `include` needs its download


class Pending:
    """A resolution that is under way.

    After `result` returned, `warnings` holds what Compose warned of, and `document` its canonical JSON.
    """

    def __init__(
        self,
        options: ComposeOptions,
        process: subprocess.Popen[bytes] | None,
        environ: Mapping[str, str] | None,
        error: DevenvError | None = None,
        otherwise: Callable[[], Pending] | None = None,
    ) -> None:
        self._options = options
        self._process = process
        self._environ = environ
        self._otherwise = otherwise
        self._outcome: Project | DevenvError | None = error
        self._reading = threading.RLock()  # two threads that read the same pipes close them under each other's hands
        self.warnings: tuple[str, ...] = ()
        self.document = b""

    def result(self, timeout: float = RESOLVE_TIMEOUT) -> Project:
        """Wait for Compose and return the project; the same again when called again.

        Raises ProjectError (file missing or invalid), ToolMissing, EngineUnreachable (broken docker context).
        """
        if self._outcome is None:
            try:
                self._outcome = self._read(timeout)
            except DevenvError as error:
                self._outcome = error
        if isinstance(self._outcome, DevenvError):
            raise self._outcome
        return self._outcome

    def close(self) -> None:
        """End Compose if it still runs: nobody wants the answer any more."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            with self._reading:
                self._process.communicate()

    def _read(self, timeout: float) -> Project:
        assert self._process is not None  # without one, the outcome was known from the start
        try:
            with self._reading:
                out, err = self._process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            self.close()
            raise ProjectError(
                f"Compose did not resolve the project within {timeout:.0f} s", "Try: docker compose config"
            ) from error
        complaint = err.decode("utf-8", "replace")
        if self._process.returncode != 0:
            return self._without_env_files(from_config(complaint, self._options, self._environ))
        self.warnings = warnings_in(complaint)
        self.document = out
        return parse_project(out, self._options)

    def _without_env_files(self, error: DevenvError) -> Project:
        """Resolve it as `docker compose ps` does; raises the error where that does not help.

        An env_file that is missing or wrong keeps Compose from creating the containers that need it, and from no more.
        """
        was_ended = self._process is not None and self._process.returncode < 0
        if self._otherwise is None or was_ended or not isinstance(error, ProjectError):
            raise error
        pending = self._otherwise()
        try:
            project = pending.result()
        except DevenvError:
            raise error from None
        self.warnings, self.document = pending.warnings, pending.document
        return replace(project, problem=error.message, hint=error.hint)


def begin_resolve(
    options: ComposeOptions, services: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> Pending:
    """Start Compose and return at once. With `services`, the project is those and what they depend on.

    Never raises: what is wrong is raised by `result`.
    """
    return _begin(options, services, environ, lambda: _begin(options, ("--no-env-resolution", *services), environ))


def _begin(
    options: ComposeOptions,
    arguments: Sequence[str],
    environ: Mapping[str, str] | None,
    otherwise: Callable[[], Pending] | None = None,
) -> Pending:
    try:
        process = start_compose(options.command(*CONFIG, *arguments), options.directory, environ)
    except OSError as error:
        return Pending(options, None, environ, not_installed(error))
    return Pending(options, process, environ, otherwise=otherwise)


def resolve(options: ComposeOptions, services: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> Project:
    """Resolve the project now; errors as `Pending.result`."""
    return begin_resolve(options, services, environ).result()


def canonical(options: ComposeOptions, environ: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    """Return Compose's canonical form of the project, every profile's services included.

    Errors as `Pending.result`, and ProjectError where an env_file could not be read.
    """
    pending = begin_resolve(replace(options, profiles=("*",)), (), environ)
    if problem := pending.result().problem:
        raise ProjectError(problem)
    document: Mapping[str, Any] = json.loads(pending.document)
    return document


class ProjectScope:
    """A project that can be asked for again: the first call takes the resolution already under way, if any.

    Once it was read, it stays as it was read last where its files are gone or invalid, with the reason as its problem.
    """

    def __init__(
        self,
        options: ComposeOptions,
        pending: Pending | None = None,
        environ: Mapping[str, str] | None = None,
        instead: Callable[[ProjectError], Project] | None = None,
        find: Callable[[], ComposeOptions] | None = None,
    ) -> None:
        """`instead` is asked for a project that was never read; it raises what it gets where it cannot tell either.

        `find` looks for the project anew; what it raises counts as a failure to resolve it.
        """
        self.options = options
        self._instead = instead
        self._find = find
        self._pending = pending
        self._running = pending
        self._environ = environ
        self._read: Project | None = None
        self._chosen: tuple[str, ...] | None = None
        self._is_chosen_anew = False
        self._inactive: frozenset[str] = frozenset()
        self._files = ProjectFiles()
        self._lock = threading.Lock()
        self.latest: Project | None = None

    def __call__(self) -> Project:
        """Resolve (again) and return the project; before it was ever read, errors as `Pending.result` and of `find`."""
        with self._lock:
            try:
                self._read = self.latest = self._resolve()
            except DevenvError as error:
                self.latest = self._unread(error)
            return self.latest

    def changed(self) -> bool:
        """Whether its files changed since it was resolved, or other profiles were chosen; each change is reported once.

        To be asked now and then.
        """
        anew, self._is_chosen_anew = self._is_chosen_anew, False
        return self._files.changed() or anew

    def close(self) -> None:
        """End Compose if it still runs."""
        if self._running is not None:
            self._running.close()

    def profiles(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return all profiles and the active ones; raises what resolving the project raises."""
        every = resolve(replace(self.options, profiles=("*",)), (), self._environ)
        known = tuple(dict.fromkeys(profile for service in every.services for profile in service.profiles))
        active = self.latest.services if self.latest is not None else ()
        chosen = self._chosen if self._chosen is not None else self.options.profiles
        if not chosen:  # Compose reads COMPOSE_PROFILES, in the environment or in .env; its answer shows them
            chosen = tuple(name for name in known if any(name in service.profiles for service in active))
        return known, known if "*" in chosen else tuple(name for name in known if name in chosen)

    def choose_profiles(self, names: tuple[str, ...]) -> None:
        """Let these be active, whatever the command line said; it is resolved anew at the next look for a change."""
        self._chosen = names
        self._is_chosen_anew = True

    def inactive(self) -> frozenset[str]:
        """Return the services that only inactive profiles have; those known before where that cannot be resolved."""
        try:
            every = resolve(replace(self.options, profiles=("*",)), (), self._environ)
        except DevenvError:  # a variable that only such a service needs is no reason to fail
            return self._inactive
        active = self.latest.services if self.latest is not None else ()
        self._inactive = frozenset(service.name for service in every.services) - {service.name for service in active}
        return self._inactive

    def _resolve(self) -> Project:
        pending, self._pending = self._pending, None
        options = self._find() if self._find is not None and pending is None else self.options
        if self._chosen is not None:
            options = replace(options, profiles=self._chosen)
        self._files.watch(options)
        self._running = pending or begin_resolve(options, (), self._environ)
        project, before = self._running.result(), self._read
        is_other = before is not None and before.name != project.name and before.directory != project.directory
        if before is not None and is_other and (gone := self._gone(before)):
            raise gone  # what was found is in a folder above
        self.options = options
        return project

    def _unread(self, error: DevenvError) -> Project:
        if self._read is None:
            if self._instead is None or not isinstance(error, ProjectError):
                raise error
            return self._instead(error)
        error = self._gone(self._read) or error
        hint = f"{error.hint} Until then the project is shown as it was read before.".lstrip()
        return replace(self._read, by_labels=True, problem=error.message, hint=hint)

    def _gone(self, project: Project) -> ProjectError | None:
        folder = self.options.directory
        missing = [file for file in project.files if not Path(file).exists()]
        if Path(folder).is_dir() and not missing:
            return None
        what = f"Compose file {missing[0]}" if Path(folder).is_dir() else f"folder {folder}"
        return ProjectError(f"The {sanitize(what)} is gone", "It is read again when it is back.")


_MOST = 200  # files that are looked at
_LONGEST = 1_000_000  # bytes of a file that is searched for names of others
_WORD = re.compile(r"""[^\s"'\[\]{},=:;]+""")
_NAMES_A_FILE = re.compile(r"\.ya?ml$|\.env(?:\.|$)")


class ProjectFiles:
    """Looks at the files of one project. Nothing of what they hold decides what is in the project: Compose reads it.

    Whether one changed, came or went is seen by a stat of each. For some tens of files, most of which do not exist,
    that costs less than a watch of their folders, and it holds on every file system.
    """

    def __init__(self) -> None:
        self._paths: tuple[Path, ...] = ()
        self._known: tuple[object, ...] = ()
        self._seen: tuple[object, ...] = ()

    def watch(self, options: ComposeOptions) -> None:
        """Look at the files that Compose reads with these options from now on; call it before Compose reads them."""
        self._paths = files_of(options)
        self._known = self._seen = self._look()

    def changed(self) -> bool:
        """Whether anything is not as it was; each change is reported once, when two looks in a row saw the same.

        So half of a file, or of a checkout, is seldom read.
        """
        before, self._seen = self._seen, self._look()
        if self._seen == self._known or self._seen != before:
            return False
        self._known = self._seen
        return True

    def _look(self) -> tuple[object, ...]:
        return tuple(map(_stamp, self._paths))


def files_of(options: ComposeOptions) -> tuple[Path, ...]:
    """Return the files on which it depends what Compose reads with these options, also those that do not exist (yet).

    Compose does not tell which files others include or extend, nor their env_files. So whatever one of them mentions
    that is called like a YAML file or a file of variables is among these; a name made of variables is not.
    """
    named = [Path(file) for file in options.files or options.default_files]
    start = Path(options.directory if options.files else options.project_directory or options.directory)
    project = Path(options.project_directory or (named[0].parent if named else start))
    paths = dict.fromkeys((*named, *map(Path, options.env_files), project / ".env"))
    searched = (FILE_NAME,) if options.files else (FILE_NAME, ".env", *FILE_NAMES, *OVERRIDE_NAMES)
    for folder in (start, *start.parents):
        paths |= dict.fromkeys(folder / name for name in searched)
        if folder == project and named:
            break
    waiting = list(paths)
    for path in waiting:  # grows
        for mentioned in _mentioned_in(path, project):
            if mentioned not in paths and len(paths) < _MOST:
                paths[mentioned] = None
                waiting.append(mentioned)
    return tuple(paths)


def _mentioned_in(path: Path, project: Path) -> list[Path]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            words = dict.fromkeys(_WORD.findall(file.read(_LONGEST)))
    except OSError:  # not there, or not to be read: Compose says so where that matters
        return []
    names = [word for word in words if _NAMES_A_FILE.search(word)]
    return [Path(os.path.normpath(folder / name)) for name in names for folder in (path.parent, project)]


def _stamp(path: Path) -> object:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        return str(error)  # its folder may be gone too, or closed to us: each is another state
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
