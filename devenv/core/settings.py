"""Settings: defaults < devenv.toml < DEVENV_ variables < flags. Every error names the file (or variable) and the key.

devenv.toml is looked for upward from the current folder; its paths are relative to its own folder. The tables that are
not here are in devenv/core/*_settings.py; docs/YOUR_PROJECT.md has all of them, made from these docstrings.

read_only = false                # refuse every change                            DEVENV_READ_ONLY, --read-only
wait_timeout = 120               # seconds `up --wait` waits; 0: no limit         DEVENV_WAIT_TIMEOUT, --timeout

[compose]                        # what `docker compose` would otherwise look for; COMPOSE_ variables win over it
files = ["compose/compose.yaml"] # COMPOSE_FILE, --file
profiles = ["debug"]             # COMPOSE_PROFILES, --profile
env_files = [".env.dev"]         # COMPOSE_ENV_FILES, --env-file
project_name = "shop"            # COMPOSE_PROJECT_NAME, --project-name
project_directory = "."          # what relative paths in the Compose files start from; --project-directory

[confirm]                        # how an act is confirmed: "ask", "type" (a name) or "never"; by default what takes
rm = "never"                     # something away asks. What deletes volumes or a namespace is typed, whatever stands
delete = "type"                  # here. The acts are the verbs of Compose and of the cluster, as help calls them

[terminal]
ring = "bell"                    # on a crash or a failed verification while nobody looks: "off", "bell", or "notify",
                                 # which is a notification of the desktop (OSC 9) where the terminal has that
columns = ["state", "cpu"]       # of the services, in this order after the name; by default all that fit
theme = "colorblind"             # "auto" (by what the terminal tells), "dark", "light", "ansi" (the terminal's own
                                 # sixteen colours) or "colorblind" (no red beside green)

[logs]                           # of the terminal
lines = 50000                    # the newest ones that each log keeps, 1000 to 1000000: about 400 bytes each
width = 16384                    # bytes at which a longer line is cut, 80 to 1048576; that it was cut is shown

[keys]                           # of the terminal: acts, and keys of a pane; docs/KEYS.md has their names
restart = "f5"                   # as one types it, or by its name: r, R, /, f5, ctrl+r, alt+left
pull = "i,ctrl+o"                # one that has no key by default gets one; a comma stands between two
"logs.wrap" = "W"                # a name with a dot stands in quotes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import force_setattr, replace

from devenv.core.errors import ProjectError, UsageError
from devenv.core.kube_settings import KubeSettings
from devenv.core.masking import MaskSettings, mask_by

if TYPE_CHECKING:
    from devenv.core.command_settings import CommandSettings
    from devenv.core.load_settings import LoadSettings
    from devenv.core.manifest_settings import ManifestSettings
    from devenv.core.scan_settings import ScanSettings
    from devenv.core.task_settings import CacheSettings, CiSettings, TaskSettings
    from devenv.core.toml import File
    from devenv.core.verify_settings import VerifySettings

FILE_NAME = "devenv.toml"
WAIT_TIMEOUT = 120.0  # seconds: the budget of a cold start (success metric "local startup < 2 min")


class ComposeSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the Compose project is; empty means: as Compose itself would find it."""

    files: tuple[Path, ...] = ()
    profiles: tuple[str, ...] = ()
    env_files: tuple[Path, ...] = ()
    project_name: str = ""
    project_directory: Path | None = None

    def __post_init__(self) -> None:
        """Take an empty directory for none."""
        if self.project_directory == Path():
            force_setattr(self, "project_directory", None)


Policy = Literal["", "ask", "type", "never"]


Ring = Literal["off", "bell", "notify"]
ThemeChoice = Literal["auto", "dark", "light", "ansi", "colorblind"]
ColumnName = Literal["service", "state", "health", "restarts", "cpu", "memory", "ports", "age", "verdict"]
ColumnNames = Annotated[tuple[ColumnName, ...], Meta(description="a list of columns")]


class TerminalSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The terminal: how it tells what goes wrong while nobody looks at it, and what its table shows."""

    ring: Ring = "bell"
    columns: ColumnNames = ()
    theme: ThemeChoice = "auto"


LogLines = Annotated[int, Meta(ge=1_000, le=1_000_000, description="a whole number from 1000 to 1000000")]
LogWidth = Annotated[int, Meta(ge=80, le=1_048_576, description="a whole number from 80 to 1048576")]


class LogSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The logs in the terminal: how many lines of each are kept, and how many bytes of a line."""

    lines: LogLines = 50_000
    width: LogWidth = 16_384  # the size of the parts in which the engine keeps a long line (moby daemon/logger)


class ConfirmSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How each act is confirmed: a yes, typing a name, or nothing. "" leaves it to what the act takes away."""

    # Of Compose (devenv.control.verbs).
    up: Policy = ""
    down: Policy = ""
    restart: Policy = ""
    stop: Policy = ""
    start: Policy = ""
    pause: Policy = ""
    unpause: Policy = ""
    kill: Policy = ""
    rm: Policy = ""
    recreate: Policy = ""
    scale: Policy = ""
    pull: Policy = ""
    build: Policy = ""
    run: Policy = ""
    exec: Policy = ""
    cp: Policy = ""
    sync: Policy = ""
    prune: Policy = ""
    # Of a cluster (devenv.control.kube.control); those of one name hold for both.
    undo: Policy = ""
    resume: Policy = ""
    delete: Policy = ""
    evict: Policy = ""
    cordon: Policy = ""
    uncordon: Policy = ""
    drain: Policy = ""

    def policy(self, verb: str) -> Policy:
        """Return that of the verb; "" for one that has none."""
        policy: Policy = getattr(self, verb, "")
        return policy


class GivenTables(Struct, frozen=True):
    """Tables as the file has them; None where it does not name them."""

    manifests: ManifestSettings | None = None
    verify: VerifySettings | None = None
    load: LoadSettings | None = None
    tasks: dict[str, TaskSettings] | None = None
    cache: CacheSettings | None = None
    ci: CiSettings | None = None
    scan: ScanSettings | None = None
    commands: dict[str, CommandSettings] | None = None


class Config(Struct, frozen=True):
    """All settings. `root` is the folder of devenv.toml, None where there is none.

    `given` holds the tables that the terminal's start has no use for, where the file has them: their modules, with all
    defaults, are imported when a command asks.
    """

    root: Path | None = None
    read_only: bool = False
    wait_timeout: float = WAIT_TIMEOUT
    compose: ComposeSettings = ComposeSettings()
    kubernetes: KubeSettings = KubeSettings()
    mask: MaskSettings = MaskSettings()
    confirm: ConfirmSettings = ConfirmSettings()
    terminal: TerminalSettings = TerminalSettings()
    logs: LogSettings = LogSettings()
    keys: dict[str, str] = {}
    given: GivenTables = GivenTables()

    @property
    def manifests(self) -> ManifestSettings:
        """The table `[manifests]`."""
        from devenv.core.manifest_settings import ManifestSettings

        return self.given.manifests or ManifestSettings()

    @property
    def verify(self) -> VerifySettings:
        """The table `[verify]`."""
        from devenv.core.verify_settings import VerifySettings

        return self.given.verify or VerifySettings()

    @property
    def load(self) -> LoadSettings:
        """The table `[load]`."""
        from devenv.core.load_settings import LoadSettings

        return self.given.load or LoadSettings()

    @property
    def tasks(self) -> dict[str, TaskSettings]:
        """The tables `[tasks.NAME]`."""
        return self.given.tasks or {}

    @property
    def commands(self) -> dict[str, CommandSettings]:
        """The tables `[commands.NAME]`."""
        return self.given.commands or {}

    @property
    def cache(self) -> CacheSettings:
        """The table `[cache]`."""
        from devenv.core.task_settings import CacheSettings

        return self.given.cache or CacheSettings()

    @property
    def ci(self) -> CiSettings:
        """The table `[ci]`."""
        from devenv.core.task_settings import CiSettings

        return self.given.ci or CiSettings()

    @property
    def scan(self) -> ScanSettings:
        """The table `[scan]`."""
        from devenv.core.scan_settings import ScanSettings

        return self.given.scan or ScanSettings()


def current_folder(files: Sequence[str] = ()) -> Path:
    """Return the folder from which relative paths and the search for a project start.

    Where it was deleted while somebody is in it, the folder of the first of `files` stands in for it, provided that
    all of them are absolute. Raises ProjectError.
    """
    try:
        return Path.cwd()
    except OSError as error:
        if files and all(Path(file).is_absolute() for file in files):
            return Path(files[0]).parent
        raise ProjectError(
            f"The current folder cannot be used: {error.strerror}",
            'It was deleted or moved: go to a folder that exists, or if it is back, enter it again: cd "$PWD"',
        ) from error


def find_file(start: Path) -> Path | None:
    """Look for devenv.toml in the folder and its parents."""
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    return None


def load_config(
    start: Path,
    environ: Mapping[str, str],
    *,
    file: str | Path | None = None,
    read_only: bool | None = None,
    wait_timeout: float | None = None,
    context: str = "",
    namespace: str = "",
) -> Config:
    """Read the settings that hold in the folder `start`; the keyword arguments are the command line's flags.

    What `[mask]` says holds for this process from then on.

    Raises UsageError for a file that cannot be read or parsed, an unknown key, or a value of the wrong type.
    """
    file = file or environ.get("DEVENV_CONFIG")
    path = start / file if file else find_file(start.absolute())
    config = _read(path) if path is not None else Config()
    mask_by(config.mask)
    if read_only is None:
        read_only = _boolean(environ, "DEVENV_READ_ONLY", config.read_only)
    if wait_timeout is None:
        wait_timeout = _seconds(environ, "DEVENV_WAIT_TIMEOUT", config.wait_timeout)
    kubernetes = replace(
        config.kubernetes,
        context=context or environ.get("DEVENV_CONTEXT") or config.kubernetes.context,
        namespace=namespace or environ.get("DEVENV_NAMESPACE") or config.kubernetes.namespace,
    )
    return replace(config, read_only=read_only, wait_timeout=wait_timeout, kubernetes=kubernetes)


def _read(path: Path) -> Config:
    from devenv.core.toml import Text, read, typed  # deferred: most projects have no devenv.toml, and a user waits

    file = read(path)
    return Config(
        root=path.parent,
        read_only=bool(file.read_only),
        wait_timeout=WAIT_TIMEOUT if file.wait_timeout is None else file.wait_timeout,
        compose=typed(file.compose, ComposeSettings, path, "compose"),
        kubernetes=typed(file.kubernetes, KubeSettings, path, "kubernetes"),
        mask=typed(file.mask, MaskSettings, path, "mask"),
        confirm=typed(file.confirm, ConfirmSettings, path, "confirm"),
        terminal=typed(file.terminal, TerminalSettings, path, "terminal"),
        logs=typed(file.logs, LogSettings, path, "logs"),
        keys=typed(file.keys, dict[str, Text], path, "keys"),
        given=_given(file, path),
    )


def _given(file: File, path: Path) -> GivenTables:
    from devenv.core.toml import typed

    manifests = verify = load = tasks = cache = ci = scan = commands = None
    if file.manifests is not None:
        from devenv.core.manifest_settings import ManifestSettings

        manifests = typed(file.manifests, ManifestSettings, path, "manifests").below(path.parent)
    if file.verify is not None:
        from devenv.core.verify_settings import VerifySettings

        verify = typed(file.verify, VerifySettings, path, "verify")
    if file.load is not None:
        from devenv.core.load_settings import LoadSettings

        load = typed(file.load, LoadSettings, path, "load")
    if file.tasks is not None or file.cache is not None or file.ci is not None:
        from devenv.core.task_settings import CacheSettings, CiSettings, TaskSettings

        tasks = typed(file.tasks or {}, dict[str, TaskSettings], path, "tasks")
        cache = typed(file.cache or {}, CacheSettings, path, "cache")
        ci = typed(file.ci or {}, CiSettings, path, "ci")
    if file.scan is not None:
        from devenv.core.scan_settings import ScanSettings

        scan = typed(file.scan, ScanSettings, path, "scan")
    if file.commands is not None:
        from devenv.core.command_settings import CommandSettings

        commands = typed(file.commands, dict[str, CommandSettings], path, "commands")
    return GivenTables(manifests, verify, load, tasks, cache, ci, scan, commands)


def _boolean(environ: Mapping[str, str], name: str, default: bool) -> bool:
    value = environ.get(name, "").strip().lower()
    if not value:
        return default
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("0", "false", "no", "off"):
        return False
    raise UsageError(f"{name} must be 1 or 0 (true, false), not {environ[name]!r}")


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    value = environ.get(name, "").strip()
    if not value:
        return default
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UsageError(f"{name} must be a number of seconds, 0 or more, not {value!r}")
    return seconds
