"""`devenv config`: the settings that hold here and where each is from; also their JSON schema and their reference."""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
import tomllib
from argparse import Namespace
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import msgspec

from devenv.cli.console import format_table
from devenv.cli.keys import chosen_keys
from devenv.cli.options import read_settings
from devenv.core import (
    command_settings,
    kube_settings,
    load_settings,
    manifest_settings,
    masking,
    scan_settings,
    settings,
    task_settings,
    verify_settings,
)
from devenv.core.settings import FILE_NAME, WAIT_TIMEOUT, ComposeSettings, Config
from devenv.core.toml import Seconds, Text, expectation, place_of
from devenv.tui.keymap import names

# The tables of devenv.toml with their types, and the module whose docstring is their reference.
TABLES: Final[Mapping[str, Any]] = {
    "compose": ComposeSettings,
    "kubernetes": kube_settings.KubeSettings,
    "confirm": settings.ConfirmSettings,
    "terminal": settings.TerminalSettings,
    "logs": settings.LogSettings,
    "keys": dict[str, Text],
    "commands": dict[str, command_settings.CommandSettings],
    "manifests": manifest_settings.ManifestSettings,
    "verify": verify_settings.VerifySettings,
    "load": load_settings.LoadSettings,
    "tasks": dict[str, task_settings.TaskSettings],
    "ci": task_settings.CiSettings,
    "cache": task_settings.CacheSettings,
    "scan": scan_settings.ScanSettings,
    "mask": masking.MaskSettings,
}
_TOP: Final = {"read_only": (bool, False), "wait_timeout": (Seconds, WAIT_TIMEOUT)}
MODULES: Final = (
    settings,
    command_settings,
    kube_settings,
    manifest_settings,
    verify_settings,
    load_settings,
    task_settings,
    scan_settings,
    masking,
)
# Where a value is from that is not in the file: (attribute of the command line, environment variable).
_OTHERWISE: Final[Mapping[str, tuple[str, str]]] = {
    "read_only": ("read_only", "DEVENV_READ_ONLY"),
    "wait_timeout": ("", "DEVENV_WAIT_TIMEOUT"),
    "kubernetes.context": ("context", "DEVENV_CONTEXT"),
    "kubernetes.namespace": ("namespace", "DEVENV_NAMESPACE"),
    "compose.files": ("files", "COMPOSE_FILE"),
    "compose.profiles": ("profiles", "COMPOSE_PROFILES"),
    "compose.env_files": ("env_files", "COMPOSE_ENV_FILES"),
    "compose.project_name": ("project_name", "COMPOSE_PROJECT_NAME"),
    "compose.project_directory": ("project_directory", ""),
}


def run(arguments: Namespace) -> int:
    """Print the settings, the schema or the reference; raises UsageError where devenv.toml is wrong."""
    if arguments.schema:
        sys.stdout.write(json.dumps(schema(), indent=2) + "\n")
        return 0
    if arguments.reference:
        sys.stdout.write(reference())
        return 0
    config = read_settings(arguments)
    chosen_keys(arguments, config)
    file = _file_of(arguments, config)
    written = frozenset(_written("", tomllib.loads(file.read_text("utf-8")))) if file else frozenset()
    rows = []
    for key, value in effective(config):
        if arguments.keys and not any(
            key == name or key.startswith((f"{name}.", f"{name}[")) for name in arguments.keys
        ):
            continue
        shown, source = _source(key, value, arguments, file, written)
        rows.append({"key": key, "value": shown, "from": source})
    if arguments.json:
        data = {"schema": 1, "file": str(file) if file else None, "settings": rows}
        sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
    else:
        cells = [(str(row["key"]), json.dumps(row["value"], ensure_ascii=False), str(row["from"])) for row in rows]
        sys.stdout.write("\n".join((*format_table(("KEY", "VALUE", "FROM"), cells), "")))
    return 0


def _file_of(arguments: Namespace, config: Config) -> Path | None:
    chosen = arguments.config or os.environ.get("DEVENV_CONFIG")
    if chosen:
        return Path(chosen).absolute()
    return config.root / FILE_NAME if config.root else None


def effective(config: Config) -> Iterator[tuple[str, Any]]:
    """Yield each key with the value that holds, as devenv.toml would have it."""
    yield "read_only", config.read_only
    yield "wait_timeout", config.wait_timeout
    for name in TABLES:
        yield from _flat(name, getattr(config, name))


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, msgspec.Struct):
        for field in msgspec.structs.fields(value):
            yield from _flat(f"{key}.{field.encode_name}", getattr(value, field.name))
    elif isinstance(value, dict) and any(isinstance(item, msgspec.Struct) for item in value.values()):
        for name, item in value.items():
            yield from _flat(f"{key}.{name}", item)
    elif isinstance(value, tuple) and any(isinstance(item, msgspec.Struct) for item in value):
        for index, item in enumerate(value):
            yield from _flat(f"{key}[{index}]", item)
    else:
        yield key, msgspec.to_builtins(value, enc_hook=str)


def _source(key: str, value: Any, arguments: Namespace, file: Path | None, written: Set[str]) -> tuple[Any, str]:
    """Return the value and where it is from: a flag, a variable, a line of the file, or the default."""
    option, variable = _OTHERWISE.get(key, ("", ""))
    given = getattr(arguments, option, None) if option else None
    if given:
        return (list(given) if isinstance(given, tuple) else given), f"--{_FLAGS.get(option, option).replace('_', '-')}"
    if variable and os.environ.get(variable):
        # Compose itself reads its variables; what devenv.toml says does not count then.
        return (os.environ[variable] if key.startswith("compose.") else value), variable
    if file is not None and key in written:
        return value, place_of(file, key)
    return value, "default"


def _written(key: str, value: Any) -> Iterator[str]:
    """Yield the keys that the file has, those of tables with the tables'."""
    yield key
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _written(f"{key}.{name}" if key else name, item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _written(f"{key}[{index}]", item)


_FLAGS: Final = {"files": "file", "profiles": "profile", "env_files": "env_file"}


def schema() -> dict[str, Any]:
    """Return the JSON schema of devenv.toml (draft 2020-12), for editors and taplo."""
    top = [(name, kind, default) for name, (kind, default) in _TOP.items()]
    tables = [(name, Annotated[kind, msgspec.Meta()] | None, None) for name, kind in TABLES.items()]
    whole = msgspec.defstruct("DevenvToml", [*top, *tables], forbid_unknown_fields=True)
    made = msgspec.json.schema(whole, schema_hook=lambda kind: {"type": "string"} if kind is Path else {})
    made = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "devenv.toml",
        **made["$defs"].pop("DevenvToml"),
        "$defs": made["$defs"],
    }
    for definition in made["$defs"].values():  # before Python 3.13, docstrings keep their indentation
        if "description" in definition:
            definition["description"] = inspect.cleandoc(definition["description"])
    made["properties"]["keys"]["propertyNames"] = {"enum": sorted(names())}
    for kind in TABLES.values():
        _name_keys(expectation(kind)[0], made["$defs"])
    _without_null(made)
    return made


def _name_keys(kind: Any, definitions: dict[str, Any]) -> None:
    """Put in which names a table may have where its type says: msgspec leaves them out."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        for inner in get_args(kind):
            _name_keys(expectation(inner)[0], definitions)
        return
    for field in msgspec.structs.fields(kind):
        plain = expectation(field.type)[0]
        names = expectation(get_args(plain)[0])[0] if get_origin(plain) is dict else None
        if get_origin(names) is Literal:
            definitions[kind.__name__]["properties"][field.encode_name]["propertyNames"] = {
                "enum": list(get_args(names))
            }
        _name_keys(plain, definitions)


def _without_null(node: Any) -> None:
    """Take away what TOML has no word for: null."""
    if isinstance(node, dict):
        choices = node.get("anyOf")
        if isinstance(choices, list) and {"type": "null"} in choices:
            choices.remove({"type": "null"})
            if len(choices) == 1:
                del node["anyOf"]
                node.update(choices[0])
        if node.get("default", "") is None:
            del node["default"]
        for value in node.values():
            _without_null(value)
    elif isinstance(node, list):
        for value in node:
            _without_null(value)


def reference() -> str:
    """Return the reference as Markdown: what stands in devenv.toml, by example, and each key with what it may be."""
    parts = []
    for module in MODULES:
        about = (inspect.getdoc(module) or "").partition("\n\n")[0]
        if module is settings:
            about = "At the top of the file, and how Compose finds the project:"
        parts += [f"{about}\n", "```toml", example(module), "```\n"]
    parts += ["Each key, what it may be, and its default:\n", "| key | what | default |", "| --- | --- | --- |"]
    parts += [f"| `{key}` | {what} | {default} |" for key, what, default in keys()]
    return "\n".join(parts) + "\n"


def example(module: ModuleType) -> str:
    """Return the paragraphs of a module's docstring that are TOML: those that begin with a table or a key."""
    paragraphs = (inspect.getdoc(module) or "").split("\n\n")
    return "\n\n".join(part for part in paragraphs if re.match(r"\[|\w+ = ", part)).strip()


def keys() -> Iterator[tuple[str, str, str]]:
    """Yield every key of devenv.toml, what it may be and its default; NAME and [] stand for what there are many of."""
    for name, (kind, default) in _TOP.items():
        yield name, expectation(kind)[1], f"`{json.dumps(default)}`"
    for name, kind in TABLES.items():
        yield from _keys(name, kind)


def _keys(key: str, kind: Any) -> Iterator[tuple[str, str, str]]:
    plain, words, _ = expectation(kind)
    inner = get_args(plain)
    if isinstance(plain, type) and issubclass(plain, msgspec.Struct):
        for field in msgspec.structs.fields(plain):
            yield from _key(f"{key}.{field.encode_name}", field)
    elif get_origin(plain) is dict and _is_table(inner[1]):
        yield from _keys(f"{key}.NAME", inner[1])
    elif get_origin(plain) is tuple and _is_table(inner[0]):
        yield from _keys(f"{key}[]", inner[0])
    else:
        yield key, words, ""


def _key(key: str, field: msgspec.structs.FieldInfo) -> Iterator[tuple[str, str, str]]:
    for name, what, default in _keys(key, field.type):
        if name != key:
            yield name, what, default
        elif field.required:
            yield name, what, "must be given"
        else:
            made = field.default if field.default is not msgspec.NODEFAULT else ""
            value = msgspec.to_builtins(made, enc_hook=str)
            yield name, what, "" if value in ("", None, [], {}, ".") else f"`{json.dumps(value)}`"


def _is_table(kind: Any) -> bool:
    plain = expectation(kind)[0]
    return isinstance(plain, type) and issubclass(plain, msgspec.Struct)
