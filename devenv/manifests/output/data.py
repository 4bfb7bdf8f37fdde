"""A report as JSON; the schema is docs/schemas/manifests-report.schema.json."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from devenv.manifests.model import Report

SCHEMA = 1  # grows when a field changes its meaning or goes away; new fields do not count


def to_data(report: Report) -> dict[str, Any]:
    """Return the documented object."""
    return {
        "schema": SCHEMA,
        "verdict": report.verdict,
        "kubernetes_versions": list(report.versions),
        "targets": [asdict(target) for target in report.targets],
        "unchecked": list(report.unchecked),
    }
