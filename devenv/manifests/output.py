"""A report as text, as JSON (docs/schemas/manifests-report.schema.json) and as SARIF; the rules as Markdown."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Any

from devenv.core import sarif
from devenv.manifests.model import Environment, Excused, Finding, Report, Severity, TargetReport
from devenv.manifests.registry import Rule

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
        yield from _finding(finding, paint)
    what = f"{target.environment.value}, {_number(target.objects, 'object')}"
    yield f"{paint(target.target, 'bold')} ({what}): {_number(len(target.findings), 'finding')}"
    for item in target.excused:
        yield f"  excused  {item.rule}  {item.object}: {item.message}"
        yield f"           because: {item.reason}"
    for note in (*target.notes, *target.unchecked):
        yield f"  note     {note}"
    yield ""


def _finding(finding: Finding, paint: Paint) -> Iterator[str]:
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
