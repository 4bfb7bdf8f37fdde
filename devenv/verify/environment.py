"""Makes stacks: an isolated copy of a Compose project that runs from a private copy of its folder, or what is up.

Compose's merge rules and its tags !override and !reset: https://docs.docker.com/reference/compose-file/merge/
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from devenv.backends.compose import ComposeOptions, begin_resolve, find_project
from devenv.core.errors import DevenvError, ProjectError
from devenv.core.model import Project
from devenv.core.settings import Config
from devenv.runs.identity import LABEL_STACK, Run
from devenv.verify.compose_driver import ComposeDriver, ComposeStack, Source, StackPlan
from devenv.verify.http import new_nonce
from devenv.verify.leftovers import TREES
from devenv.verify.stack import Stacks

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value that replaces (`override`) or removes (`reset`) what the files before say."""

    tag: str
    value: object = None


@dataclass(frozen=True, slots=True)
class Identity:
    """What is different about the copy: its project name, the tag of its images and its labels."""

    name: str
    labels: Mapping[str, str]

    def image(self, service: str) -> str:
        """Return the tag of the image that the copy builds for a service."""
        return f"devenv-verify/{self.name}:{service.lower()}"


def isolate(document: Document, original: Document, root: Path, identity: Identity) -> str:
    """Return the YAML of the override for the project of `document`, which was copied from `root` on.

    `original` is the document of the working tree: its paths outside of `root` are not in the copy and are used where
    they are. Raises ProjectError with the reason for what cannot run twice.
    """
    services = document.get("services") or {}
    _refuse(document, root)
    images = {
        body.get("image") or f"{document['name']}-{name}": identity.image(name)
        for name, body in services.items()
        if body.get("build") is not None
    }
    known = original.get("services") or {}
    override: dict[str, Any] = {
        "services": {
            name: _service(name, body, known.get(name) or {}, root, images, identity) for name, body in services.items()
        }
    }
    for kind in ("volumes", "networks"):
        named = {key: _named(key, body or {}, identity) for key, body in (document.get(kind) or {}).items()}
        if named:
            override[kind] = named
    for kind in ("configs", "secrets"):
        files = {
            key: {"file": body["file"]}
            for key, body in (original.get(kind) or {}).items()
            if key in (document.get(kind) or {}) and body.get("file") and not _inside(body["file"], root)
        }
        if files:
            override[kind] = files
    return to_yaml(override) + "\n"


def _service(
    name: str, body: Document, original: Document, root: Path, images: Mapping[str, str], identity: Identity
) -> dict[str, Any]:
    changed: dict[str, Any] = {"labels": dict(identity.labels)}
    if body.get("ports"):
        # Without `published`, the engine chooses: a free port that was looked for may be taken a moment later.
        kept = ("target", "host_ip", "protocol", "mode", "app_protocol", "name")
        ports = [{key: port[key] for key in kept if key in port} for port in body["ports"]]
        changed["ports"] = Tagged("override", ports)
    if body.get("container_name"):
        changed["container_name"] = Tagged("reset")
    built = body.get("build") is not None
    image = identity.image(name) if built else images.get(body.get("image") or "")
    if image is not None:
        changed |= {"image": image, "pull_policy": "never"}
    if built:
        changed["build"] = {"labels": dict(identity.labels), "tags": Tagged("reset")}
        context = (original.get("build") or {}).get("context", "")
        if context.startswith("/") and not _inside(context, root):
            changed["build"]["context"] = context
    outside = [mount for mount in _binds(original) if not _inside(mount["source"], root)]
    if outside:
        changed["volumes"] = outside
    return changed


def _named(key: str, body: Document, identity: Identity) -> dict[str, Any]:
    changed: dict[str, Any] = {"name": f"{identity.name}_{key}", "labels": dict(identity.labels)}
    if body.get("external"):
        changed["external"] = Tagged("override", False)
    if (body.get("ipam") or {}).get("config"):
        changed["ipam"] = Tagged("reset")
    return changed


def _refuse(document: Document, root: Path) -> None:
    """Raise ProjectError for what belongs to the whole machine or to somebody else."""
    for name, body in (document.get("services") or {}).items():
        mode = body.get("network_mode") or ""
        if mode == "host" or mode.startswith("container:"):
            raise _impossible(f"service {name} has network_mode: {mode}, which a second copy would share")
        if body.get("external_links"):
            raise _impossible(f"service {name} has external_links to containers of another project")
        for network, settings in (body.get("networks") or {}).items():
            if (settings or {}).get("ipv4_address") or (settings or {}).get("ipv6_address"):
                raise _impossible(f"service {name} has a fixed address in the network {network}")
        for mount in _binds(body):
            source = Path(mount["source"])
            shared = source.is_dir() or source.is_file()
            if not mount.get("read_only") and shared and not _inside(mount["source"], root) and not _copied(source):
                raise _impossible(f"service {name} may write to {source}, which is outside of {root}")
    for key, body in (document.get("volumes") or {}).items():
        if (body or {}).get("driver_opts", {}).get("device"):
            raise _impossible(f"volume {key} is the device or folder {body['driver_opts']['device']}")


def _impossible(reason: str) -> ProjectError:
    return ProjectError(
        f"No isolated copy of this project is possible: {reason}",
        "Change it in one more Compose file (pytest --devenv-compose-override), or test what is up with --running.",
    )


def _binds(body: Document) -> list[dict[str, Any]]:
    return [mount for mount in body.get("volumes") or () if mount.get("type") == "bind"]


def _inside(path: str, root: Path) -> bool:
    return Path(path).is_relative_to(root)


def _copied(path: Path) -> bool:
    from devenv.runs.identity import runs_folder

    return path.is_relative_to(runs_folder())


def to_yaml(value: object) -> str:
    """Write YAML in flow style: JSON with Compose's tags; `$` is doubled, as Compose replaces variables."""
    if isinstance(value, Tagged):
        return f"!{value.tag} {to_yaml(value.value)}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)}: {to_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(to_yaml, value)) + "]"
    return json.dumps(value.replace("$", "$$") if isinstance(value, str) else value)


# What is made again from the sources, or belongs to tools: never part of what a stack runs from.
EXCLUDED: Final = frozenset(
    {
        *(".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".nox", ".idea", ".devenv"),
        *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".import_linter_cache"),
    }
)
LARGEST: Final = 1_000_000_000  # bytes; a copy of more than this is a mistake


def copy_tree(source: Path, target: Path, exclude: Collection[str] = (), needed: Collection[Path] = ()) -> None:
    """Copy the folder with modes, times and links; `needed` paths are kept whatever their names are.

    Raises DevenvError where something cannot be read, or the project is too large to be copied for each test.
    """
    names = EXCLUDED | set(exclude)
    copied = 0

    def ignore(folder: str, entries: list[str]) -> set[str]:
        nonlocal copied
        skipped = set()
        for entry in entries:
            path = Path(folder, entry)
            if (entry in names and not any(path == item or path in item.parents for item in needed)) or _special(path):
                skipped.add(entry)
            elif path.is_file() and not path.is_symlink():
                copied += path.stat().st_size
        if copied > LARGEST:
            raise DevenvError(
                f"{source} is too large for a private copy ({copied / 1e9:.1f} GB and more)",
                "Name what the stack does not run from in devenv.toml: [verify] exclude = [...].",
            )
        return skipped

    try:
        shutil.copytree(source, target, symlinks=True, ignore=ignore, copy_function=_copier())
    except (OSError, shutil.Error) as error:
        shutil.rmtree(target, ignore_errors=True)
        raise DevenvError(f"{source} cannot be copied for the tests: {error}", "Is every file readable?") from error


def _special(path: Path) -> bool:
    """Whether it is a socket, a pipe or a device: reading one may block for ever."""
    return path.exists() and not (path.is_file() or path.is_dir())


def _copier() -> Callable[[str, str], str]:
    """Return the function that copies a file; root keeps the owners, as containers may run as them."""
    if os.geteuid() != 0:
        return shutil.copy2

    def copy(source: str, target: str) -> str:
        shutil.copy2(source, target, follow_symlinks=False)
        state = Path(source).lstat()
        os.chown(target, state.st_uid, state.st_gid, follow_symlinks=False)
        return target

    return copy


_FROM = re.compile(r"^(FROM\s+(?!scratch\b)\S.*)$", re.IGNORECASE | re.MULTILINE)


def build_alone(folder: Path, *, package_cache: bool = True) -> None:
    """Give every stage of every Dockerfile below `folder` a first step of its own: nothing is built there yet.

    Without `package_cache`, cache mounts, which outlive images and --no-cache, begin empty and are not kept. Raises
    DevenvError where there is no Dockerfile.
    """
    files = [file for file in folder.rglob("Dockerfile") if file.is_file()]
    if not files:
        raise DevenvError(f"there is no Dockerfile below {folder}")
    for file in files:
        text = _FROM.sub(rf"\1\nRUN : {new_nonce()}", file.read_text("utf-8"))
        if not package_cache:
            text = re.sub(r"--mount=type=cache,\S*?(target=[^,\s]+)\S*", r"--mount=type=tmpfs,\1", text)
        file.write_text(text, "utf-8")


OVERRIDE = ".devenv-isolation.yaml"  # beside the copy of the project, never in it
MUTATION = ".devenv-override.yaml"


def locate(
    folder: Path,
    config: Config,
    environ: Mapping[str, str] = os.environ,
    overrides: tuple[str, ...] = (),
    chosen: ComposeOptions | None = None,
) -> Source:
    """Find and resolve the project of a folder, or the one that is `chosen` there.

    Raises UsageError, ProjectError and what Compose's failures become.
    """
    options = find_project(folder, chosen or ComposeOptions(), environ, config)
    files = options.files or options.default_files or _chosen_by_environment(options, environ)
    # Everything is named from here on: variables that choose a project must not choose another one for the copy.
    clean = {
        key: value
        for key, value in environ.items()
        if key not in ("COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "COMPOSE_PATH_SEPARATOR", "COMPOSE_PROJECT_DIRECTORY")
    }
    options = replace(options, files=(*files, *(str(folder / item) for item in overrides)), default_files=())
    if environ.get("COMPOSE_PROJECT_NAME") and not options.project_name:
        options = replace(options, project_name=environ["COMPOSE_PROJECT_NAME"])
    project, document = _resolve(options, clean)
    parents = [Path(file).parent for file in files]
    whole = config.root or (folder if chosen is not None else None)
    inside = [*parents, *([whole] if whole else ()), *map(Path, filter(None, [options.project_directory]))]
    common = Path(os.path.commonpath([path.absolute() for path in inside]))
    root = parents[0] if common == Path(common.anchor) or common == Path.home() else common
    return Source(config, options, project, document, root, clean)


class Environments(Stacks[ComposeStack]):
    """Makes the stacks of one run on Compose, and removes them."""

    def __init__(
        self, source: Source, run: Run, *, keep: bool = False, scale: float = 1.0, numbers: Iterator[int] | None = None
    ) -> None:
        super().__init__(run, keep=keep, scale=scale)
        self.source = source
        self._numbers = numbers or itertools.count(1)  # of the run: a name is never used twice

    def running(self) -> ComposeStack:
        """Return the stack that is up in the working tree; nothing of it is ever removed."""
        source = self.source
        return self._made(StackPlan(source, self.run, source.project, source.options, source.document, source.root))

    def isolated(
        self,
        override: Mapping[str, Any] | None = None,
        edit: Callable[[Path], None] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> ComposeStack:
        """Return a new isolated copy, not started. `override` is merged as one more file, `edit` changes the copy.

        `environ` is for the docker program where it is to use another engine.
        """
        source = self.source if environ is None else dataclasses.replace(self.source, environ=environ)
        name = f"devenv-{self.run.id}-{next(self._numbers)}"
        base = self.run.folder / TREES / name
        try:
            return self._made(self._plan(base, source, override, edit))
        except BaseException:  # an interrupt too: nothing knows of the copy yet
            shutil.rmtree(base, ignore_errors=True)
            raise

    def _plan(
        self, base: Path, source: Source, override: Mapping[str, Any] | None, edit: Callable[[Path], None] | None
    ) -> StackPlan:
        name, folder = base.name, base / "project"
        base.mkdir(parents=True)
        copy_tree(self.source.root, folder, self.source.config.verify.exclude, self._needed())
        if edit is not None:
            edit(folder)
        options = self._moved(folder, name)
        if override:
            mutation = base / MUTATION
            mutation.write_text(json.dumps(override), "utf-8")
            options = replace(options, files=(*options.files, str(mutation)))
        project, document = _resolve(options, source.environ)
        text = isolate(
            document, self.source.document, self.source.root, Identity(name, self.run.labels | {LABEL_STACK: name})
        )
        (base / OVERRIDE).write_text(text, "utf-8")
        isolated = replace(options, files=(*options.files, str(base / OVERRIDE)))
        changed = bool(override) or edit is not None
        return StackPlan(source, self.run, project, isolated, document, folder, True, changed)

    def close(self) -> None:
        """Take down whatever is still there."""
        try:
            super().close()
        finally:
            trees = self.run.folder / TREES
            if trees.is_dir() and not any(trees.iterdir()):
                trees.rmdir()

    def _made(self, plan: StackPlan) -> ComposeStack:
        return self.add(ComposeStack(ComposeDriver(plan, self.scale)))

    def _moved(self, folder: Path, name: str) -> ComposeOptions:
        options, root = self.source.options, self.source.root

        def moved(path: str) -> str:
            inside = Path(path).is_relative_to(root)
            return str(folder / Path(path).relative_to(root)) if inside else path

        directory = moved(options.project_directory) if options.project_directory else ""
        return replace(
            options,
            directory=str(folder),
            files=tuple(moved(file) for file in options.files),
            env_files=tuple(moved(file) for file in options.env_files),
            project_name=name,
            project_directory=directory,
        )

    def _needed(self) -> list[Path]:
        """Return what Compose names itself, so that no rule about names leaves it out of the copy."""
        paths: list[Path] = []
        for body in (self.source.document.get("services") or {}).values():
            paths += [Path(item["source"]) for item in body.get("volumes") or () if item.get("type") == "bind"]
            paths += [Path(context) for context in [(body.get("build") or {}).get("context")] if context]
        return paths


def _resolve(options: ComposeOptions, environ: Mapping[str, str]) -> tuple[Project, Mapping[str, Any]]:
    pending = begin_resolve(options, (), environ)
    project = pending.result()
    document: Mapping[str, Any] = json.loads(pending.document)
    return project, document


def _chosen_by_environment(options: ComposeOptions, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the files that COMPOSE_FILE names, in the environment or in the `.env` that Compose reads."""
    from devenv.verify.engine import run_docker

    text = run_docker(options.command("config", "--environment"), folder=options.directory, environ=environ)
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    names = values.get("COMPOSE_FILE", "")
    separator = values.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
    if not names:
        raise ProjectError("It is not known which Compose files this project has", "Name them in devenv.toml.")
    return tuple(str(Path(options.directory, name)) for name in names.split(separator))
