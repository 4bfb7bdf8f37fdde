"""Has the engine enough memory for ordinary stacks?"""

from __future__ import annotations

from devenv.core.text import human_bytes
from devenv.doctor.context import Context
from devenv.doctor.report import Finding, Level

WANTED = 2 * 1024**3  # bytes: docsearch with headroom; task T001's 8 GB is for a Kubernetes node beside it


def check(context: Context) -> Finding:
    """Memory and processors that the engine may use."""
    facts = context.engine()
    said = f"{human_bytes(facts.memory)} of memory, {facts.cpus} processors"
    if facts.memory < WANTED:
        return Finding(
            "memory",
            Level.WARNING,
            f"The engine has only {said}",
            f"Give its virtual machine {human_bytes(WANTED)} or more.",
        )
    return Finding("memory", Level.OK, said)
