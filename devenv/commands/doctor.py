"""`devenv doctor`: what is wrong with this machine or project, and how to mend it."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

from devenv.commands.console import colors_wanted, paint
from devenv.commands.context import Context
from devenv.doctor import Context as DoctorContext
from devenv.doctor import Finding, Level, run_checks
from devenv.model import Project

_COLORS = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILED: "red", Level.UNKNOWN: "yellow"}


def run(arguments: Namespace) -> int:
    """Print the findings; 1 when one of them is a failure. With --clean, remove leftovers instead."""
    if arguments.clean:
        return _clean(arguments)

    def resolve_project() -> Project:
        return Context(arguments).project()  # no project here is a finding, not the end of the other checks

    findings = run_checks(DoctorContext(resolve_project))
    if arguments.json:
        sys.stdout.write(json.dumps({"findings": [asdict(finding) for finding in findings]}, indent=2) + "\n")
    else:
        colored = colors_wanted(sys.stdout, no_color=arguments.no_color)
        sys.stdout.write("".join(_lines(finding, colored) for finding in findings))
    return 1 if any(finding.level is Level.FAILED for finding in findings) else 0


def _clean(arguments: Namespace) -> int:
    from devenv.config import load_config
    from devenv.control.audit import AuditLog, default_path
    from devenv.errors import DevenvError, Refused
    from devenv.verify import leftovers

    chosen = Path(arguments.config) if arguments.config else None
    if load_config(Path.cwd(), os.environ, file=chosen, read_only=arguments.read_only).read_only:
        raise Refused("doctor --clean was refused: devenv is read-only here", "Unset read_only or DEVENV_READ_ONLY.")
    found = leftovers.of_dead_runs()
    leftovers.remove(found)
    AuditLog(default_path()).write("clean", removed=[f"{item.kind} {item.id}" for item in found])
    still = {(item.kind, item.id) for item in leftovers.of_dead_runs()}
    data = [asdict(item) | {"removed": (item.kind, item.id) not in still} for item in found]
    if arguments.json:
        sys.stdout.write(json.dumps({"leftovers": data}, indent=2) + "\n")
    else:
        words = [f"{'removed' if item['removed'] else 'still there'} {item['kind']} {item['name']}" for item in data]
        sys.stdout.write("\n".join(words or ["nothing is left of dead runs"]) + "\n")
    if still:
        raise DevenvError(
            f"{len(still)} leftovers could not be removed", "docker says why: try to remove them by hand."
        )
    return 0


def _lines(finding: Finding, colored: bool) -> str:
    level = paint(f"{finding.level.value:<8}", _COLORS[finding.level], colored)
    fix = f"{'':<22}fix: {finding.fix}\n" if finding.fix else ""
    return f"{level} {finding.check:<12} {finding.message}\n{fix}"
