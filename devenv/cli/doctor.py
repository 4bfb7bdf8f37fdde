"""`devenv doctor`: what is wrong with this machine or project, and how to mend it."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from dataclasses import asdict
from typing import Final

from devenv.cli.console import colors_wanted, paint, still_waiting
from devenv.cli.context import Context
from devenv.core.model import Project
from devenv.doctor import CHECKS, Check, Finding, Level, run_checks
from devenv.doctor import Context as DoctorContext

CLEAN: Final = "devenv doctor --clean"
_COLORS = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILED: "red", Level.UNKNOWN: "yellow"}


def run(arguments: Namespace) -> int:
    """Print the findings; 1 when one of them is a failure. With --clean, remove leftovers instead."""
    if arguments.clean:
        return _clean(arguments)

    def resolve_project() -> Project:
        return Context(arguments).project()  # no project here is a finding, not the end of the other checks

    checks = (*CHECKS, ("leftovers", _leftovers_check(arguments)))
    with still_waiting("the Docker Engine and docker's programs", no_color=arguments.no_color):
        findings = run_checks(DoctorContext(resolve_project), checks)
    if arguments.json:
        sys.stdout.write(json.dumps({"findings": [asdict(finding) for finding in findings]}, indent=2) + "\n")
    else:
        colored = colors_wanted(sys.stdout, no_color=arguments.no_color)
        sys.stdout.write("".join(_lines(finding, colored) for finding in findings))
    return 1 if any(finding.level is Level.FAILED for finding in findings) else 0


def _leftovers_check(arguments: Namespace) -> Check:
    """Return the check of what runs of smoke tests left that were killed, or were to keep their stacks."""

    def check(context: DoctorContext) -> Finding:
        from devenv.cli.options import read_settings
        from devenv.verify import leftovers
        from devenv.verify.kube import leftovers as on_clusters

        context.engine()
        in_clusters, problems = on_clusters.of_dead_runs(read_settings(arguments).kubernetes)
        left = leftovers.in_words([*leftovers.of_dead_runs(context.environ), *in_clusters])
        if left:
            return Finding("leftovers", Level.WARNING, f"Left by smoke tests that have ended: {left}", CLEAN)
        if problems:
            return Finding("leftovers", Level.UNKNOWN, f"Not looked at: {'; '.join(problems)}")
        return Finding("leftovers", Level.OK, "Nothing is left of smoke tests that have ended")

    return check


def _clean(arguments: Namespace) -> int:
    from devenv.cli.options import read_settings
    from devenv.control.guard import Guard
    from devenv.core.errors import DevenvError, Refused
    from devenv.verify import leftovers
    from devenv.verify.kube import leftovers as on_clusters

    config = read_settings(arguments)
    if config.read_only:
        raise Refused("doctor --clean was refused: devenv is read-only here", "Unset read_only or DEVENV_READ_ONLY.")
    on_engine = leftovers.of_dead_runs()
    in_clusters, problems = on_clusters.of_dead_runs(config.kubernetes)
    leftovers.remove(on_engine)
    problems += on_clusters.remove_all(in_clusters)
    names = [f"{item.kind} {item.id}" for item in on_engine] + [f"{item.kind} {item.id}" for item in in_clusters]
    Guard.of(config).note("clean", removed=names)
    still = {(item.kind, item.id) for item in leftovers.of_dead_runs()}
    if in_clusters:
        still |= {(item.kind, item.id) for item in on_clusters.of_dead_runs(config.kubernetes)[0]}
    data = [asdict(item) | {"removed": (item.kind, item.id) not in still} for item in on_engine]
    data += [asdict(item) | {"id": item.id, "removed": (item.kind, item.id) not in still} for item in in_clusters]
    if arguments.json:
        sys.stdout.write(json.dumps({"leftovers": data}, indent=2) + "\n")
    else:
        lines = [f"{'removed' if item['removed'] else 'still there'} {item['kind']} {item['name']}" for item in data]
        sys.stdout.write("\n".join(lines or ["nothing is left of dead runs"]) + "\n")
    for problem in problems:
        sys.stderr.write(f"not looked at: {problem}\n")
    if still:
        raise DevenvError(
            f"{len(still)} leftovers could not be removed",
            "docker or the cluster says why: try to remove them by hand.",
        )
    return 0


def _lines(finding: Finding, colored: bool) -> str:
    level = paint(f"{finding.level.value:<8}", _COLORS[finding.level], colored)
    fix = f"{'':<23}fix: {finding.fix}\n" if finding.fix else ""
    return f"{level} {finding.check:<13} {finding.message}\n{fix}"
