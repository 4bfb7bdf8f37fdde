"""`devenv doctor`: what is wrong with this machine or project, and how to mend it."""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict

from msgspec import to_builtins

from devenv.cli.console import colors_wanted, format_table, paint, still_waiting, tell
from devenv.cli.context import Context
from devenv.cli.options import read_settings
from devenv.core.errors import Inconclusive, Refused, UsageError
from devenv.core.model import Project
from devenv.core.settings import current_folder
from devenv.doctor import CHECKS
from devenv.doctor.check import Check, Finding, Level, run_checks
from devenv.doctor.check import Context as DoctorContext

SCHEMA = 1
_COLORS = {
    Level.OK: "green",
    Level.WARNING: "yellow",
    Level.FAILED: "red",
    Level.CRASHED: "red",
    Level.UNKNOWN: "dim",
}


def run(arguments: Namespace) -> int:
    """Print the findings; 1 when a check failed or crashed. With --clean, remove leftovers instead."""
    if arguments.clean:
        return _clean(arguments)
    if arguments.ci:
        return _ci(arguments)
    if arguments.self:
        return _itself(arguments)
    checks = _chosen(arguments.checks)
    if arguments.list:
        rows = [{"check": check.name, "about": check.about} for check in checks]
        lines = format_table(("CHECK", "WHAT IT LOOKS AT"), [(row["check"], row["about"]) for row in rows])
        data = {"schema": SCHEMA, "checks": rows}
        sys.stdout.write(f"{json.dumps(data, indent=2)}\n" if arguments.json else "\n".join((*lines, "")))
        return 0
    findings = _findings(arguments, checks)
    _show(arguments, findings)
    mendable = [finding for finding in findings if finding.command and finding.level is not Level.OK]
    if arguments.fix:
        mended = _mend(arguments, mendable)
        if mended:
            again = _findings(arguments, [check for check in checks if check.name in mended])
            _show(arguments, again)
            findings = tuple(next((new for new in again if new.check == old.check), old) for old in findings)
    elif mendable and not arguments.json:
        tell(f"devenv doctor --fix can do {len(mendable)} of these, and asks first.", no_color=arguments.no_color)
    return 1 if any(finding.level in (Level.FAILED, Level.CRASHED) for finding in findings) else 0


def _ci(arguments: Namespace) -> int:
    """Say what the workflows' environments lack: 1, or 12 where that could not be looked at."""
    from devenv.ci.github import check_environments

    root = read_settings(arguments).root or current_folder()
    findings = tuple(check_environments(root, os.environ))
    _show(arguments, findings)
    levels = {finding.level for finding in findings}
    return 1 if Level.FAILED in levels else Inconclusive.exit_code if Level.UNKNOWN in levels else 0


def _itself(arguments: Namespace) -> int:
    """Print what the open terminals use themselves; 1 where one does not answer, or where there is none."""
    from devenv.core.errors import DevenvError
    from devenv.tui.diagnostics import ask_all, lines

    terminals, silent = ask_all()
    if not (terminals or silent):
        raise DevenvError(
            "no terminal of devenv is open", "Open one, and ask from a second shell: devenv doctor --self"
        )
    if arguments.json:
        data = {"schema": SCHEMA, "terminals": [to_builtins(one) for one in terminals], "silent": silent}
        sys.stdout.write(json.dumps(data, indent=2) + "\n")
    else:
        blocks = ["".join(f"{name:<24} {value}\n" for name, value in lines(one)) for one in terminals]
        blocks += [f"{'terminal':<24} process {pid} does not answer: it hangs, or is stopped\n" for pid in silent]
        sys.stdout.write("\n".join(blocks))
    return 1 if silent else 0


def _chosen(names: Sequence[str]) -> tuple[Check, ...]:
    known = [check.name for check in CHECKS]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"Did you mean {near[0]}?" if near else "devenv doctor --list names all."
            raise UsageError(f"There is no check {name!r}", hint)
    return tuple(check for check in CHECKS if not names or check.name in names)


def _findings(arguments: Namespace, checks: Sequence[Check]) -> tuple[Finding, ...]:
    made: list[Context] = []

    def resolve_project() -> Project:
        made.append(Context(arguments))
        return made[-1].project()  # no project here is a finding, not the end of the other checks

    context = DoctorContext(
        resolve_project, config=lambda: read_settings(arguments), document=lambda: made[-1].document
    )
    with still_waiting("the Docker Engine and docker's programs", no_color=arguments.no_color):
        return run_checks(context, checks)


def _show(arguments: Namespace, findings: Sequence[Finding]) -> None:
    if arguments.json:
        data = {"schema": SCHEMA, "findings": [asdict(finding) for finding in findings]}
        sys.stdout.write(json.dumps(data, indent=2) + "\n")
    else:
        colored = colors_wanted(sys.stdout, no_color=arguments.no_color)
        sys.stdout.write("".join(_lines(finding, colored) for finding in findings))
    sys.stdout.flush()


def _mend(arguments: Namespace, findings: Sequence[Finding]) -> set[str]:
    """Carry out each safe fix that is confirmed, as the command that it is; return the checks to be made again."""
    if read_settings(arguments).read_only:
        raise Refused("doctor --fix was refused: devenv is read-only here", "Unset read_only or DEVENV_READ_ONLY.")
    if findings and not (arguments.yes or sys.stdin.isatty()):
        raise Refused("doctor --fix asks, and there is no terminal to ask", "Add --yes to do it.")
    mended = set()
    for finding in findings:
        line = f"devenv {' '.join(finding.command)}"
        if not arguments.yes:
            sys.stderr.write(f"{finding.check}: run `{line}`? Type yes: ")
            sys.stderr.flush()
            if sys.stdin.readline().strip().lower() not in ("yes", "y"):
                continue
        done = subprocess.run([sys.executable, "-m", "devenv", *finding.command], check=False)
        mended.add(finding.check)
        if done.returncode:
            tell(f"devenv: {line} ended with {done.returncode}", no_color=arguments.no_color, color="red")
    return mended


def _clean(arguments: Namespace) -> int:
    from devenv.control.guard import Guard
    from devenv.core.errors import DevenvError
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
