"""Which volumes `down --volumes` would delete, by Compose's own dry run."""

from __future__ import annotations

from devenv.backends.compose.find import ComposeOptions
from devenv.control.compose import ComposeRun
from devenv.control.failures import translate
from devenv.control.stream import Complaint
from devenv.core.model import Progress

_PREFIX = "Volume "


def volumes_at_risk(options: ComposeOptions, targets: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return their full names; anonymous ones have none. Raises what `failures.translate` makes of Compose's error."""
    run = ComposeRun(options, ("--dry-run", "down", "--volumes", *targets))
    names: dict[str, None] = {}
    complaint = ""
    for record in run.records():
        if isinstance(record, Progress) and record.id.startswith(_PREFIX) and record.status != "warning":
            names[record.id.removeprefix(_PREFIX)] = None
        elif isinstance(record, Complaint):
            complaint = record.message
    if run.wait() != 0:
        raise translate(complaint, None)
    return tuple(names)
