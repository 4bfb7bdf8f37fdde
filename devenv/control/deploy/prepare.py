"""Render an overlay for applying and judge it; unlike a check, nothing may stand in for a file that is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devenv.control.deploy.images import repository, uses_of
from devenv.core.errors import FindingsFound, UsageError
from devenv.core.text import sanitize
from devenv.manifests.check import Outside, load
from devenv.manifests.judge import judge
from devenv.manifests.model import Finding, Severity
from devenv.manifests.rules.config import is_unreleased
from devenv.manifests.rules.objects import unvalidated
from devenv.manifests.schemas import preload
from devenv.manifests.targets import Target

SHOWN = 10  # findings in an error's message; `devenv manifests check` lists all


@dataclass(frozen=True, slots=True)
class Rendition:
    """What kustomize made of an overlay; `warnings` and `notes` do not stop a deployment, errors do."""

    objects: tuple[dict[str, Any], ...]
    environment: str
    errors: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


def prepare(target: Target, versions: tuple[str, ...], outside: Outside) -> Rendition:
    """Render and judge the folder.

    Raises UsageError where it cannot be rendered or where an example would stand in for a secret's file, ToolMissing.
    """
    preload(versions)
    loaded = load(target, versions, outside)
    if loaded.rendered.problems:
        problem = loaded.rendered.problems[0]
        raise UsageError(
            f"{target.name} cannot be rendered: {problem.message}", f"Try: devenv manifests check {target.folder}"
        )
    if loaded.rendered.notes:
        missing = "; ".join(loaded.rendered.notes)
        raise UsageError(f"{target.name} is not complete: {missing}", "An example is good for a check, not a cluster.")
    judgement = judge(loaded.rendering, outside.root)
    errors = tuple(found for found in judgement.findings if found.severity is Severity.ERROR)
    warnings = tuple(found for found in judgement.findings if found.severity is not Severity.ERROR)
    notes = [f"{len(judgement.excused)} findings are excused with a reason"] if judgement.excused else []
    notes += unvalidated(loaded.rendering)
    objects = tuple(_plain(manifest.data) for manifest in loaded.rendered.manifests)
    return Rendition(objects, loaded.rendering.environment.value, errors, warnings, tuple(notes))


def refuse_errors(rendition: Rendition, name: str) -> None:
    """Raise FindingsFound where the rules found errors."""
    if rendition.errors:
        lines = [f"{item.object}: {item.message} ({item.rule})" for item in rendition.errors[:SHOWN]]
        more = len(rendition.errors) - len(lines)
        raise FindingsFound(
            "\n".join([f"{name} has {len(rendition.errors)} errors", *lines, *([f"and {more} more"] if more else [])]),
            "Correct them, or excuse them with a reason: docs/MANIFESTS.md. Nothing was changed.",
        )


def unreleased(objects: Sequence[Mapping[str, Any]], name: str) -> FindingsFound | None:
    """Return the refusal of images that a release has not filled in; None where there are none."""
    waiting = dict.fromkeys(sanitize(repository(use.image)) for use in uses_of(objects) if is_unreleased(use.image))
    if not waiting:
        return None
    lines = [f"{image} has a digest of zeros, which no registry serves" for image in waiting]
    first = next(iter(waiting))
    return FindingsFound(
        "\n".join([f"{name} waits for a release", *lines]),
        f"Say what was released (--image {first}={first}@sha256:...), or deploy a folder that says it: docs/DEPLOY.md, "
        "Images. Nothing was changed.",
    )


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != "status"}
