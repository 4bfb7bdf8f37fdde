"""The check itself: read, render, judge each Kustomize folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from devenv.core.manifest_settings import Allowance, ManifestSettings
from devenv.core.text import mask_secrets, sanitize
from devenv.manifests import schemas
from devenv.manifests.compose_side import ComposeService
from devenv.manifests.judge import judge, shown, tell
from devenv.manifests.model import Finding, Place, Report, TargetReport
from devenv.manifests.registry import all_rules
from devenv.manifests.render import Rendered, render
from devenv.manifests.rendering import Rendering
from devenv.manifests.rules.config import unreleased
from devenv.manifests.rules.objects import unvalidated
from devenv.manifests.targets import Surroundings, Target, environment_for, surroundings
from devenv.manifests.tree import Tree, read_tree

_AT_ONCE = 3  # kubectl at once, each with 60 MB of memory; a machine for development has two cores or more
_UNDECLARED = "its environment is not declared, so the rules of production hold (docs/MANIFESTS.md, Environments)"


@dataclass(frozen=True, slots=True)
class Outside:
    """What the check knows from outside the folders.

    Compose is compared with the overlays that devenv.toml declares. None: with none; `compose_error` says why.
    """

    root: Path
    settings: ManifestSettings = field(default_factory=ManifestSettings)
    compose: Mapping[str, ComposeService] | None = None
    compose_error: str = ""
    environ: Mapping[str, str] | None = None
    around: dict[Path, Surroundings] = field(default_factory=dict)


class Loaded(NamedTuple):
    """One folder, read and rendered; `declared` says whether its environment is."""

    tree: Tree
    rendered: Rendered
    rendering: Rendering
    declared: bool


def check(targets: Sequence[Target], versions: tuple[str, ...], outside: Outside) -> Report:
    """Check the folders against Kubernetes minors that are known; raises UsageError and ToolMissing."""
    used: set[Allowance] = set()
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="manifests") as pool:  # kubectl works, and Python waits for it
        preloading = pool.submit(schemas.preload, versions)
        loads = [pool.submit(load, target, versions, outside) for target in targets]
        preloading.result()
        reports = [
            _report(target, loading.result(), outside, used) for target, loading in zip(targets, loads, strict=True)
        ]
    complete = {target.name for target in targets} >= outside.settings.overlays.keys()
    if complete and outside.compose is not None and reports:
        unused = _unused(outside, used, reports[-1].target)
        reports[-1] = replace(reports[-1], findings=(*reports[-1].findings, *unused))
    return Report(versions, tuple(reports))


def load(target: Target, versions: tuple[str, ...], outside: Outside) -> Loaded:
    """Read and render a folder.

    Raises UsageError (no Kustomize folder, unknown environment) and ToolMissing (no kubectl).
    """
    tree = read_tree(target.folder)
    environment, declared = environment_for(target, tree)
    rendered = render(tree, outside.environ)
    rendering = Rendering(
        manifests=rendered.manifests,
        environment=environment,
        name=target.name,
        versions=versions,
        tree=tree,
        settings=outside.settings if target.declared else ManifestSettings(),
        compose=outside.compose if target.declared else None,
        around=surroundings(target.folder, outside.root, outside.around),
    )
    return Loaded(tree, rendered, rendering, declared)


def _report(target: Target, loaded: Loaded, outside: Outside, used: set[Allowance]) -> TargetReport:
    tree, rendered, rendering, declared = loaded
    report = TargetReport(sanitize(target.name), rendering.environment, declared, len(rendered.manifests), ())
    if rendered.problems:
        unrendered = ("nothing was rendered, so no other rule was applied",)
        findings = _source_findings(target, tree, rendered, outside)
        limits = tuple(
            f"{sanitize(shown(item.place.file, outside.root))}: {sanitize(mask_secrets(item.message))}"
            for item in rendered.problems
            if item.limit
        )
        return replace(report, findings=findings, notes=unrendered, unchecked=tuple(dict.fromkeys(limits)))
    judgement = judge(rendering, outside.root)
    used |= judgement.used_allowances
    error = outside.compose_error if target.declared else ""
    notes = tuple(map(sanitize, (*unvalidated(rendering), *unreleased(rendering))))
    return replace(
        report,
        findings=judgement.findings,
        excused=judgement.excused,
        notes=(*notes, *rendered.notes, *(() if declared else (_UNDECLARED,))),
        unchecked=(f"not compared with Compose: {sanitize(error)}",) if error else (),
    )


def _source_findings(target: Target, tree: Tree, rendered: Rendered, outside: Outside) -> tuple[Finding, ...]:
    rules, root = all_rules(), Place(tree.root.file)
    findings = (
        tell(rules[item.rule], target.name, root, item.place, mask_secrets(item.message), (), outside.root)
        for item in rendered.problems
        if not item.limit
    )
    return tuple(dict.fromkeys(findings))


def _unused(outside: Outside, used: set[Allowance], target: str) -> list[Finding]:
    rule, place = all_rules()["exception-unused"], Place(outside.root / "devenv.toml")
    return [
        replace(
            tell(rule, target, place, place, _says(allowance), ("manifests", "compose", "allow"), outside.root),
            object="devenv.toml",
        )
        for allowance in outside.settings.compose.allow
        if allowance not in used
    ]


def _says(allowance: Allowance) -> str:
    return f"nothing breaks {allowance.rule} for {allowance.service}{' ' * bool(allowance.item)}{allowance.item}"
