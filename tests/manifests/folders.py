"""Kustomize folders written for one test, and what the check says of them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from devenv.manifests.check import Outside, check
from devenv.manifests.model import Severity, TargetReport
from devenv.manifests.schemas import choose_versions
from devenv.manifests.targets import Target


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        file = folder / {"kustomization": "kustomization.yaml"}.get(name, name.replace("__", "/") + ".yaml")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), "utf-8")
    return folder


def workload(kind: str, name: str, pod: str, more: str = "") -> str:
    """A workload of the group apps whose pods have the label app; `more` stands beside its template."""
    return f"""\
apiVersion: apps/v1
kind: {kind}
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {pod}
{more and f"  {more}"}
---
"""


CLAIM = (
    "volumeClaimTemplates: [{metadata: {name: data}, "
    "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]"
)


def check_folder(folder: Path, root: Path | None = None) -> TargetReport:
    """Check a folder of a project, by default of one of its own."""
    return check([Target(folder.name, folder)], choose_versions(()), Outside(root or folder)).targets[0]


def severities(report: TargetReport, *rules: str) -> dict[str, Severity]:
    """The rules that found something, all or some of them, with their severity."""
    return {finding.rule: finding.severity for finding in report.findings if not rules or finding.rule in rules}


def rules_for(report: TargetReport, title: str) -> set[str]:
    """The rules that found something in one object."""
    return {finding.rule for finding in report.findings if finding.object == title}
