"""Does the engine that the docker CLI would use answer, and is it new enough?"""

from __future__ import annotations

from devenv.doctor.context import Context
from devenv.doctor.report import Finding, Level

ENGINE_NEEDED = 24  # major version; task T001. docsearch itself needs 25, which its setup checks


def check(context: Context) -> Finding:
    """The Docker Engine; raises EngineUnreachable with its hint where none answers."""
    facts = context.engine()
    said = f"Engine {facts.version} at {facts.endpoint} ({facts.system})"
    major = facts.version.split(".")[0]
    if major.isdigit() and int(major) < ENGINE_NEEDED:
        return Finding("engine", Level.WARNING, said, f"devenv is tested with {ENGINE_NEEDED} and newer: upgrade it.")
    return Finding("engine", Level.OK, said)
