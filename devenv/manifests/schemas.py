"""The schemas of the Kubernetes API, from the package kubernetes-validate, compiled once a kind and minor.

kubernetes-validate's own `validate` reads and compiles 1.8 MB of definitions for every object (0.1 s each); here they
are read once a minor, and jsonschema-rs validates 200 objects against three minors in 0.06 s.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from devenv.core.errors import ToolMissing, UsageError
from devenv.manifests.model import Manifest, ObjectPath

MINORS_CHECKED = 3
_PREFIX = "x-kubernetes-group-version-kind"
_ADDRESS = "https://kubernetes.io/api/_definitions.json"
_FOLDER = re.compile(r"v(\d+)\.(\d+)\.\d+-local-strict")


@dataclass(frozen=True, slots=True)
class SchemaError:
    """One violation. Its message never repeats the value, which may be a secret."""

    path: ObjectPath
    message: str
    unknown: bool


@cache
def _folder() -> Path:
    """Find the package without importing it: the import loads a validator in Python, half a second that nobody uses."""
    spec = find_spec("kubernetes_validate")
    if spec is None or not spec.submodule_search_locations:
        raise ToolMissing("kubernetes-validate is not installed", "pip install kubernetes-validate")
    return Path(spec.submodule_search_locations[0]) / "kubernetes-json-schema"


@cache
def known_versions() -> tuple[str, ...]:
    """Return the minors that there are schemas for, oldest first; raises ToolMissing."""
    folders = (_FOLDER.fullmatch(entry.name) for entry in _folder().iterdir())
    return tuple(f"{major}.{minor}" for major, minor in sorted((int(m[1]), int(m[2])) for m in folders if m))


def choose_versions(named: tuple[str, ...]) -> tuple[str, ...]:
    """Return the minors to check: the named ones, else the last three; raises UsageError for an unknown one."""
    known = known_versions()
    versions = tuple(dict.fromkeys(".".join(text.strip().lstrip("v").split(".")[:2]) for text in named))
    for version in versions:
        if version not in known:
            raise UsageError(f"There are no schemas of Kubernetes {version}", f"Known: {', '.join(known)}.")
    return versions or known[-MINORS_CHECKED:]


class _Minor:
    """The definitions of one minor."""

    def __init__(self, version: str) -> None:
        path = _folder() / f"v{version}.0-local-strict" / "_definitions.json"
        definitions = json.loads(path.read_bytes())
        import jsonschema_rs  # deferred: `devenv secrets check` and `manifests rules` do not validate

        self._registry = jsonschema_rs.Registry([(_ADDRESS, definitions)])
        self._names: dict[tuple[str, str], str] = {}
        self.groups: set[str] = set()
        self._compiled: dict[str, Any] = {}
        self._definitions: dict[str, Any] = definitions["$defs"]
        for name, definition in self._definitions.items():
            for item in definition.get(_PREFIX, ()):
                version = f"{item['group']}/{item['version']}" if item["group"] else item["version"]
                self._names[version, item["kind"]] = name
                self.groups.add(item["group"])

    def find(self, api_version: str, kind: str) -> str | None:
        return self._names.get((api_version, kind))

    def validator(self, name: str) -> Any:
        if name not in self._compiled:
            import jsonschema_rs

            schema = {"$ref": f"{_ADDRESS}#/$defs/{name}"}
            self._compiled[name] = jsonschema_rs.validator_for(schema, registry=self._registry)
        return self._compiled[name]

    def fields(self, name: str, path: ObjectPath) -> list[str]:
        """Return the fields that the schema knows at a path, for a suggestion."""
        schema: Any = self._definitions[name]
        for step in path:
            if isinstance(step, int):
                schema = schema.get("items", {})
            else:
                schema = schema.get("properties", {}).get(step) or schema.get("additionalProperties") or {}
            if isinstance(schema, dict) and "$ref" in schema:
                schema = self._definitions.get(schema["$ref"].rpartition("/")[2], {})
            if not isinstance(schema, dict):
                return []
        return list(schema.get("properties", ()))


@cache
def definitions(version: str) -> _Minor:
    """Return what that minor of Kubernetes knows, read once."""
    return _Minor(version)


def preload(versions: tuple[str, ...]) -> None:
    """Read the definitions of these minors, while something else is being waited for."""
    for version in versions:
        definitions(version)


def is_known(manifest: Manifest, version: str) -> bool:
    """Say whether that minor of Kubernetes has the object's API version and kind."""
    return definitions(version).find(manifest.api_version, manifest.kind) is not None


def is_builtin_group(manifest: Manifest, versions: tuple[str, ...]) -> bool:
    """Say whether the object's API group is Kubernetes' own, in which no custom resource can be."""
    group = manifest.group
    return "." not in group or any(group in definitions(version).groups for version in versions)


def errors_of(manifest: Manifest, version: str) -> list[SchemaError]:
    """Validate an object that this minor knows."""
    minor = definitions(version)
    name = minor.find(manifest.api_version, manifest.kind)
    if name is None:
        return []
    errors: list[SchemaError] = []
    for error in minor.validator(name).iter_errors(manifest.data):
        path: ObjectPath = tuple(error.instance_path)
        if error.kind.name == "additionalProperties":
            for field in error.kind.value:
                near = difflib.get_close_matches(field, minor.fields(name, path), 1, 0.7)
                hint = f"; did you mean {near[0]}?" if near else ""
                errors.append(SchemaError((*path, field), f"the field {field} does not exist here{hint}", True))
        else:
            errors.append(SchemaError(path, _message(error.kind.name, error.kind.value), False))
    return errors


def _message(kind: str, value: Any) -> str:
    match kind:
        case "type":
            types = [item for item in value if item != "null"] if isinstance(value, list) else [value]
            return f"must be {' or '.join(map(_type_name, types))}"
        case "required":
            return f"the field {value} is missing"
        case "enum":
            return f"must be one of {', '.join(str(item) for item in value if item is not None)}"
        case "oneOf":
            return "must be a string or a number"  # the only alternatives in these schemas: IntOrString and Quantity
    return f"violates the schema's {kind}"


def _type_name(name: object) -> str:
    names = {"object": "a mapping", "array": "a list", "integer": "a whole number", "boolean": "true or false"}
    return names.get(str(name), f"a {name}")
