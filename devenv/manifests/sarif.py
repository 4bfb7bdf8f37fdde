"""A report as SARIF 2.1.0, which code-scanning services show beside the lines of a change.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote

from devenv.manifests.model import Excused, Finding, Report, Severity
from devenv.manifests.registry import Rule

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT = "PROJECTROOT"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning"}


def to_sarif(report: Report, rules: dict[str, Rule], version: str) -> dict[str, Any]:
    """Return a SARIF log with one run; exceptions are suppressed results."""
    order = {rule_id: index for index, rule_id in enumerate(rules)}
    items: list[Finding | Excused] = [*report.findings]
    items += [item for target in report.targets for item in target.excused]
    results = [_result(item, rules, order) for item in items]
    invocation: dict[str, Any] = {"executionSuccessful": True}
    if report.unchecked:
        invocation["toolExecutionNotifications"] = [
            {"level": "warning", "message": {"text": text}} for text in report.unchecked
        ]
    driver = {"name": "devenv", "version": version, "rules": [_rule(rule) for rule in rules.values()]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"description": {"text": "the folder of devenv.toml, else the current one"}}},
        "invocations": [invocation],
        "results": results,
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


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
    location["physicalLocation"] = {"artifactLocation": _artifact(item.file), "region": region}
    return result | {"level": _LEVELS[item.severity]}


def _artifact(file: str) -> dict[str, str]:
    if file.startswith("/"):
        return {"uri": f"file://{quote(file)}"}
    return {"uri": quote(file), "uriBaseId": _ROOT}
