"""`devenv kube edit TARGET`: an object's YAML in your editor, tried by the server before it is changed."""

from __future__ import annotations

import sys
from argparse import Namespace

from devenv.cli.console import tell, tell_error
from devenv.cli.kube_call import ClusterCall
from devenv.control.kube.edit import Edited, edit, save
from devenv.control.kube.place import place_now
from devenv.control.kube.refs import parse_refs
from devenv.control.runner import Report
from devenv.core.errors import EXIT_OK, DevenvError, UsageError
from devenv.core.model import Progress


def run(arguments: Namespace) -> int:
    """Edit one object; whatever goes wrong, the text stays in a file that is named."""
    call = ClusterCall(arguments)
    refs = parse_refs(arguments.targets, call.client)
    if len(refs) != 1:
        raise UsageError("One object is edited at a time", "Name one: KIND/NAME.")
    place = place_now(call.client, refs[0].namespace, ask=True)
    first = call.guard.plan_cluster("edit", (refs[0].target,), place)
    if not first.allowed:
        call.guard.begin(first)  # raises Refused before anybody writes for nothing
    edited = edit(call.client, refs[0], call.environ, lambda error: _again(error, no_color=call.no_color))
    if not edited.diff:
        edited.file.unlink()
        tell("Nothing was changed", no_color=call.no_color)
        return EXIT_OK
    plan = call.guard.plan_cluster("edit", (refs[0].target,), place, sentences=(*edited.diff,))
    try:
        call.confirm(plan)
        call.carry_out(plan, _Save(call, edited), place_now(call.client, refs[0].namespace, ask=True))
    except DevenvError as error:
        if str(edited.file) not in error.hint:
            error.hint = f"{error.hint} Your text is kept in {edited.file}".strip()
        raise
    edited.file.unlink()
    return EXIT_OK


class _Save:
    def __init__(self, call: ClusterCall, edited: Edited) -> None:
        self._call = call
        self._edited = edited

    def run(self, report: Report) -> str:
        save(self._call.client, self._edited)
        report(Progress(self._edited.ref.text, "Changed", "done"))
        return ""

    def interrupt(self) -> None:
        """One request cannot be stopped half way."""


def _again(error: DevenvError, *, no_color: bool | None) -> bool:
    tell_error(error, no_color=no_color)
    if not sys.stdin.isatty():
        return False
    sys.stderr.write("Edit again? [Y/n] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("", "y", "yes")
