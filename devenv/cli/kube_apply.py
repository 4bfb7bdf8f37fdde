"""`devenv kube apply`: server-side apply, with what it changes shown before."""

from __future__ import annotations

import sys
import threading
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from typing import Any

from devenv.cli.console import colors_wanted, paint, tell
from devenv.cli.kube_call import ClusterCall, plan_data, print_json, print_lines
from devenv.control.kube.apply import FieldConflicts, ObjectChange, apply, plan_apply
from devenv.control.kube.change import cluster_identity
from devenv.control.kube.objects import read_files, read_kustomize
from devenv.control.runner import Report
from devenv.core.errors import EXIT_OK, DevenvError, Interrupted, UsageError
from devenv.core.model import Progress

_MARKS = {"+": "green", "-": "red", "@": "cyan"}


def run_apply(arguments: Namespace) -> int:
    """Apply; raises FieldConflicts unless forced, and DevenvError where the server refuses an object: before any."""
    call = ClusterCall(arguments)
    objects = _objects(call)
    changes = plan_apply(call.client, objects)
    _refuse_problems(changes)
    _refuse_conflicts(changes, force=arguments.force_conflicts)
    touched = [change for change in changes if change.action != "unchanged" or change.conflicts]
    counts = Counter(change.action for change in changes)
    summary = ", ".join(f"{count} {action}" for action, count in counts.items())
    plan = call.guard.plan_cluster(
        "apply",
        tuple(change.title for change in touched),
        cluster_identity(call.client, ask=True),
        sentences=(f"Applies {len(changes)} objects: {summary}.",),
        options=(("force_conflicts", str(arguments.force_conflicts).lower()),),
    )
    if arguments.json and arguments.dry_run:
        print_json({**plan_data(plan), "changes": [_data(change) for change in changes]})
    elif arguments.dry_run:
        _show(changes, no_color=call.no_color)
    if arguments.dry_run:
        return EXIT_OK
    if not touched:
        tell("Nothing to change", no_color=call.no_color)
    else:
        call.confirm(plan)
        work = _ApplyWork(call, objects, force=arguments.force_conflicts)
        call.carry_out(plan, work, cluster_identity(call.client))
    if arguments.json:
        print_json({**plan_data(plan), "changes": [_data(change) for change in changes], "done": True})
    return EXIT_OK


class _ApplyWork:
    """Applies what was planned; what was sent is not taken back when it is interrupted."""

    def __init__(self, call: ClusterCall, objects: Sequence[dict[str, Any]], *, force: bool) -> None:
        self._call = call
        self._objects = objects
        self._force = force
        self._stop = threading.Event()

    def run(self, report: Report) -> str:
        done = 0

        def report_change(change: ObjectChange) -> None:
            nonlocal done
            done += 1
            report(Progress(change.title, change.action.capitalize(), "done"))
            if self._stop.is_set() and done < len(self._objects):
                raise Interrupted(f"{done} of {len(self._objects)} objects were applied, and stay so")

        apply(self._call.client, self._objects, force_conflicts=self._force, report=report_change)
        return ""

    def interrupt(self) -> None:
        self._stop.set()


def _objects(call: ClusterCall) -> list[dict[str, Any]]:
    arguments = call.arguments
    objects: list[dict[str, Any]] = []
    if arguments.kustomize:
        objects += read_kustomize(arguments.kustomize, call.environ)
    if arguments.filenames:
        objects += read_files(tuple(arguments.filenames), sys.stdin)
    if not objects:
        raise UsageError("Nothing was named to apply", "Write -f FILE (- for standard input) or -k FOLDER.")
    return objects


def _refuse_problems(changes: Sequence[ObjectChange]) -> None:
    problems = [change for change in changes if change.problem]
    if problems:
        text = "\n".join(f"{change.title}: {change.problem}" for change in problems)
        raise DevenvError(text, " ".join(dict.fromkeys(change.hint for change in problems if change.hint)))


def _refuse_conflicts(changes: Sequence[ObjectChange], *, force: bool) -> None:
    conflicts = [change for change in changes if change.conflicts]
    if conflicts and not force:
        raise FieldConflicts(conflicts)


def _show(changes: Sequence[ObjectChange], *, no_color: bool | None) -> None:
    colored = colors_wanted(sys.stdout, no_color=no_color)
    lines: list[str] = []
    for change in changes:
        lines.append(paint(f"{change.title} {change.action}", "bold", colored))
        lines += [paint(line, _MARKS.get(line[:1], ""), colored) for line in change.diff]
        lines += [f"conflict: {conflict.explanation}. {conflict.advice}" for conflict in change.conflicts]
    print_lines(lines)


def _data(change: ObjectChange) -> dict[str, object]:
    conflicts = [
        {"manager": one.manager, "field": one.field, "since": one.since, "advice": one.advice}
        for one in change.conflicts
    ]
    return {
        "kind": change.kind,
        "namespace": change.namespace,
        "name": change.name,
        "action": change.action,
        "diff": list(change.diff),
        "conflicts": conflicts,
        "problem": change.problem,
        "hint": change.hint,
    }
