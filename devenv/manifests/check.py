"""The check itself: read and render each Kustomize folder, apply every rule, take out what is excused; its report.

As text, as JSON (docs/schemas/manifests-report.schema.json) and as SARIF, which code-scanning services show beside the
lines of a change; the rules as Markdown.
"""

from __future__ import annotations

import hashlib
import os.path
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from devenv.core import sarif
from devenv.core.manifest_settings import Allowance, ManifestSettings
from devenv.core.masking import mask_secrets
from devenv.core.text import sanitize
from devenv.manifests import access, schemas
from devenv.manifests.kustomization import Tree, read_tree
from devenv.manifests.model import (
    Environment,
    Excused,
    Finding,
    Manifest,
    ObjectPath,
    Place,
    Problem,
    Report,
    Severity,
    TargetReport,
    dotted,
)
from devenv.manifests.registry import Rule, all_rules
from devenv.manifests.render import Rendered, render
from devenv.manifests.rendering import ComposeService, Rendering
from devenv.manifests.rules.config import unreleased
from devenv.manifests.rules.objects import unvalidated
from devenv.manifests.targets import Surroundings, Target, environment_for, surroundings

COMPOSE_RULES = "compose-"
PREFIX = "devenv.io/ignore."


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rules found in one rendering."""

    findings: tuple[Finding, ...]
    excused: tuple[Excused, ...]
    used_allowances: frozenset[Allowance]


def judge(rendering: Rendering, root: Path) -> Judgement:
    """Apply the rules that hold in the rendering's environment; files are named as seen from `root`."""
    rules = all_rules()
    active = {rule.id: rule for rule in rules.values() if _holds(rule, rendering)}
    exceptions = _Exceptions(rendering, rules.keys(), active.keys())
    findings: list[Finding] = []
    excused: list[Excused] = []
    for rule in active.values():
        for problem in rule.check(rendering) if rule.check else ():
            reason = exceptions.reason(rule.id, problem)
            if reason:
                name, path = sanitize(_title(problem.subject)), sanitize(dotted(problem.path))
                message = sanitize(problem.message)
                excused.append(Excused(rule.id, sanitize(rendering.name), name, path, message, sanitize(reason)))
            else:
                findings.append(_finding(rule, problem, rendering, root))
    for rule_id, problem in exceptions.problems():
        findings.append(_finding(rules[rule_id], problem, rendering, root))
    return Judgement(
        tuple(dict.fromkeys(sorted(findings, key=_order))),
        tuple(dict.fromkeys(excused)),
        frozenset(exceptions.used_allowances),
    )


def tell(
    rule: Rule, target: str, subject: Manifest | Place, place: Place, message: str, path: ObjectPath, root: Path
) -> Finding:
    """Make a finding for people: every text in it is safe for a terminal."""
    return Finding(
        rule=rule.id,
        severity=rule.severity,
        target=sanitize(target),
        object=sanitize(_title(subject)),
        namespace=sanitize(subject.namespace) if isinstance(subject, Manifest) else "",
        path=sanitize(dotted(path)),
        file=sanitize(shown(place.file, root)),
        line=place.line,
        message=sanitize(message),
        fix=rule.fix,
    )


def shown(file: Path, root: Path) -> str:
    """Write a path as seen from the project's root, with slashes; in full where it is not below it."""
    for absolute, top in ((_absolute(file), _absolute(root)), (file.resolve(), root.resolve())):
        if absolute.is_relative_to(top):
            return absolute.relative_to(top).as_posix()
    return str(_absolute(file))


def _holds(rule: Rule, rendering: Rendering) -> bool:
    if rule.check is None or rendering.environment not in rule.environments:
        return False
    return rendering.compose is not None or not rule.id.startswith(COMPOSE_RULES)


def _finding(rule: Rule, problem: Problem, rendering: Rendering, root: Path) -> Finding:
    subject = problem.subject
    place = rendering.provenance.locate(subject, problem.path) if isinstance(subject, Manifest) else subject
    message = problem.message
    if problem.inconclusive:
        rule = replace(rule, severity=Severity.WARNING)
        message = f"{message} ({problem.inconclusive})"
    return tell(rule, rendering.name, subject, place, message, problem.path, root)


def _title(subject: Manifest | Place) -> str:
    return subject.title if isinstance(subject, Manifest) else f"Kustomization/{_absolute(subject.file).parent.name}"


def _absolute(path: Path) -> Path:
    """Make a path absolute without following links: what people typed is what they see again."""
    return Path(os.path.normpath(path.absolute()))


def _order(finding: Finding) -> tuple[str, str, str, str]:
    return finding.severity.value, finding.rule, finding.object, finding.path


class _Exceptions:
    """The exceptions of one rendering, in annotations of objects and the kustomization, with what was used of them."""

    def __init__(self, rendering: Rendering, rule_ids: Set[str], active: Set[str]) -> None:
        self._rendering = rendering
        self._rules = rule_ids
        self._active = active
        self._used: set[tuple[int, str]] = set()
        self.used_allowances: set[Allowance] = set()

    def reason(self, rule: str, problem: Problem) -> str:
        """Return why a problem is excused, empty where it is not."""
        key, annotations = self._annotations(problem.subject)
        reason = annotations.get(f"{PREFIX}{rule}")
        if isinstance(reason, str) and reason.strip():
            self._used.add((key, rule))
            return reason.strip()
        for allowance in self._rendering.settings.compose.allow:
            if allowance.rule == rule and problem.item and self._covers(allowance, problem.item):
                self.used_allowances.add(allowance)
                return allowance.reason
        return ""

    def problems(self) -> Iterator[tuple[str, Problem]]:
        """Yield what is wrong with the exceptions themselves; ask after every `reason`."""
        subjects: list[Manifest | Place] = [*self._rendering.manifests, self._rendering.place]
        for subject in subjects:
            key, annotations = self._annotations(subject)
            for annotation, reason in annotations.items():
                if not annotation.startswith(PREFIX):
                    continue
                rule = annotation.removeprefix(PREFIX)
                path = ("metadata", "annotations", annotation)
                if rule not in self._rules:
                    yield "exception-unknown", Problem(subject, path, f"there is no rule {rule}")
                elif not isinstance(reason, str) or not reason.strip():
                    yield "exception-reason", Problem(subject, path, f"the exception from {rule} has no reason")
                elif rule in self._active and (key, rule) not in self._used:
                    yield "exception-unused", Problem(subject, path, f"nothing here breaks {rule}")

    def _annotations(self, subject: Manifest | Place) -> tuple[int, Mapping[str, Any]]:
        if isinstance(subject, Manifest):
            return id(subject.data), subject.annotations
        root = self._rendering.tree.root
        return id(root), access.mapping(root.data, "metadata", "annotations")

    def _covers(self, allowance: Allowance, item: str) -> bool:
        if allowance.overlays and self._rendering.name not in allowance.overlays:
            return False
        service, _, rest = item.partition("/")
        return allowance.service == service and allowance.item in ("", rest)


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


SCHEMA = 1  # grows when a field changes its meaning or goes away; new fields do not count
Paint = Callable[[str, str], str]
_COLORS = {Severity.ERROR: "red", Severity.WARNING: "yellow"}


def plain(text: str, color: str) -> str:
    """Paint nothing."""
    return text


def to_text(report: Report, paint: Paint = plain) -> list[str]:
    """Return the lines of the report: one block a finding, so that nothing has to be cut off."""
    lines = [line for target in report.targets for line in _target(target, paint)]
    count, excused = len(report.findings), sum(len(target.excused) for target in report.targets)
    color = {"passed": "green", "failed": "red"}.get(report.verdict, "yellow")
    total = f"{_number(count, 'finding')}, {_number(excused, 'exception')}, Kubernetes {', '.join(report.versions)}"
    return [*lines, f"{paint(report.verdict, color)}: {total}"]


def _target(target: TargetReport, paint: Paint) -> Iterator[str]:
    for finding in target.findings:
        yield from _finding_text(finding, paint)
    what = f"{target.environment.value}, {_number(target.objects, 'object')}"
    yield f"{paint(target.target, 'bold')} ({what}): {_number(len(target.findings), 'finding')}"
    for item in target.excused:
        yield f"  excused  {item.rule}  {item.object}: {item.message}"
        yield f"           because: {item.reason}"
    for note in (*target.notes, *target.unchecked):
        yield f"  note     {note}"
    yield ""


def _finding_text(finding: Finding, paint: Paint) -> Iterator[str]:
    severity = paint(f"{finding.severity.value:<8}", _COLORS[finding.severity])
    where = f"{finding.file}:{finding.line}" if finding.line else finding.file
    yield f"{severity} {paint(finding.rule, 'bold')}  {finding.object}  {where}"
    if finding.path:
        yield f"         at: {finding.path}"
    yield f"         {finding.message}"
    yield f"         fix: {finding.fix}"


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def to_data(report: Report) -> dict[str, Any]:
    """Return the documented object."""
    return {
        "schema": SCHEMA,
        "verdict": report.verdict,
        "kubernetes_versions": list(report.versions),
        "targets": [asdict(target) for target in report.targets],
        "unchecked": list(report.unchecked),
    }


def rules_markdown(rules: Iterable[Rule]) -> str:
    """List the rules by subject."""
    lines: list[str] = []
    for subject, group in groupby(rules, key=lambda rule: rule.subject):
        lines += [f"### {subject}", ""]
        for rule in group:
            lines += [
                f"**`{rule.id}`** ({rule.severity.value}, {_environments(rule)})  ",
                f"{rule.reason}  ",
                f"*Fix:* {rule.fix}  ",
                f"*Source:* {rule.source}",
                "",
            ]
    return "\n".join(lines).rstrip() + "\n"


def _environments(rule: Rule) -> str:
    if len(rule.environments) == len(Environment):
        return "everywhere"
    return ", ".join(item.value for item in Environment if item in rule.environments)


_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning"}


def to_sarif(report: Report, rules: dict[str, Rule], version: str) -> dict[str, Any]:
    """Return a SARIF log with one run; exceptions are suppressed results."""
    order = {rule_id: index for index, rule_id in enumerate(rules)}
    items: list[Finding | Excused] = [*report.findings]
    items += [item for target in report.targets for item in target.excused]
    results = [_result(item, rules, order) for item in items]
    return sarif.log([_rule(rule) for rule in rules.values()], results, version, report.unchecked)


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.reason},
        "help": {"text": f"{rule.fix}\nSource: {rule.source}"},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"subject": rule.subject, "environments": sorted(rule.environments)},
    }


def _result(item: Finding | Excused, rules: dict[str, Rule], order: dict[str, int]) -> dict[str, Any]:
    fingerprint = "\0".join((item.rule, item.target, item.object, item.path, item.message)).encode()
    name = f"{item.object}/{item.path}" if item.path else item.object
    location: dict[str, Any] = {"logicalLocations": [{"fullyQualifiedName": name, "kind": "resource"}]}
    result = {
        "ruleId": item.rule,
        "ruleIndex": order[item.rule],
        "level": _LEVELS[rules[item.rule].severity],
        "message": {"text": f"{item.object}: {item.message} ({item.target})"},
        "locations": [location],
        "partialFingerprints": {"finding/v1": hashlib.sha256(fingerprint).hexdigest()[:32]},
    }
    if isinstance(item, Excused):
        return result | {"suppressions": [{"kind": "inSource", "justification": item.reason}]}
    region = {"startLine": max(1, item.line)}
    location["physicalLocation"] = {"artifactLocation": sarif.artifact(item.file), "region": region}
    return result | {"level": _LEVELS[item.severity]}
