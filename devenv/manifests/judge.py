"""Every rule applied to one rendering, and what is excused taken out."""

from __future__ import annotations

import os.path
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from devenv.core.manifest_settings import Allowance
from devenv.core.text import sanitize
from devenv.manifests import access
from devenv.manifests.model import Excused, Finding, Manifest, ObjectPath, Place, Problem, Severity, dotted
from devenv.manifests.registry import Rule, all_rules
from devenv.manifests.rendering import Rendering

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
