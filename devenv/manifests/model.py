"""The records of a check: objects as kustomize renders them, problems that rules see, findings that people read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from devenv.manifests import access

ObjectPath = tuple[str | int, ...]
"""The way to a value inside an object: keys of mappings and indexes of lists."""

_PLAIN_KEY = re.compile(r"[A-Za-z_][\w-]*")


class Severity(StrEnum):
    """How much a finding matters. Both fail a check: a rule that may be broken has an exception with a reason."""

    ERROR = "error"  # it does not work, or it is a hole
    WARNING = "warning"  # it works until something happens: a drain, a rollout, a lost node


class Environment(StrEnum):
    """What a rendering is for, as its overlay declares; rules name the environments that they hold in."""

    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written. `line` counts from 1; 0: the file as a whole."""

    file: Path
    line: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """One rendered object. `data` is what `kubectl apply -k` would send, and nothing in it has been checked."""

    data: Mapping[str, Any]

    @property
    def api_version(self) -> str:
        """Group and version, empty where the object has none."""
        return access.text(self.data, "apiVersion")

    @property
    def group(self) -> str:
        """The API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def kind(self) -> str:
        """The object's kind."""
        return access.text(self.data, "kind")

    @property
    def name(self) -> str:
        """metadata.name."""
        return access.text(self.data, "metadata", "name")

    @property
    def namespace(self) -> str:
        """metadata.namespace; empty where it is left to whoever applies it."""
        return access.text(self.data, "metadata", "namespace")

    @property
    def annotations(self) -> dict[str, Any]:
        """metadata.annotations."""
        return access.mapping(self.data, "metadata", "annotations")

    @property
    def labels(self) -> dict[str, Any]:
        """metadata.labels."""
        return access.mapping(self.data, "metadata", "labels")

    @property
    def title(self) -> str:
        """Kind and name, as kubectl writes them."""
        return f"{self.kind}/{self.name}"

    def problem(self, message: str, *path: str | int, item: str = "", inconclusive: str = "") -> Problem:
        """Return a problem of the object, at a path inside it."""
        return Problem(self, path, message, item, inconclusive)


@dataclass(frozen=True, slots=True)
class Problem:
    """What a rule saw: in which object (or in which file, where there is no object), where in it, and what."""

    subject: Manifest | Place
    path: ObjectPath
    message: str
    item: str = ""  # what differs, where a rule compares several things of one object
    inconclusive: str = ""  # why it may be no fault, seen from this folder alone: such a problem is only a warning


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem, reported to people: every text in it is safe for a terminal."""

    rule: str
    severity: Severity
    target: str
    object: str
    namespace: str
    path: str
    file: str
    line: int
    message: str
    fix: str


@dataclass(frozen=True, slots=True)
class Excused:
    """A problem that an annotation or devenv.toml allows, with the reason given there."""

    rule: str
    target: str
    object: str
    path: str
    message: str
    reason: str


@dataclass(frozen=True, slots=True)
class TargetReport:
    """What was found in one Kustomize folder."""

    target: str
    environment: Environment
    environment_declared: bool
    objects: int
    findings: tuple[Finding, ...]
    excused: tuple[Excused, ...] = ()
    notes: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()  # what could not be looked at; makes a clean report inconclusive


@dataclass(frozen=True, slots=True)
class Report:
    """One run of the check."""

    versions: tuple[str, ...]
    targets: tuple[TargetReport, ...] = field(default_factory=tuple)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of all folders."""
        return tuple(finding for target in self.targets for finding in target.findings)

    @property
    def unchecked(self) -> tuple[str, ...]:
        """What could not be checked, over all folders, each once."""
        return tuple(dict.fromkeys(text for target in self.targets for text in target.unchecked))

    @property
    def verdict(self) -> str:
        """passed, failed or inconclusive."""
        if self.findings:
            return "failed"
        return "inconclusive" if self.unchecked else "passed"


def dotted(path: ObjectPath) -> str:
    """Write a path as people do: spec.containers[0].image, metadata.annotations["a.b/c"]."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            quoted = step.replace("\\", "\\\\").replace('"', '\\"')
            text += f'["{quoted}"]'
    return text
