"""Make sure that a PostgreSQL server's programs are there for the tests, which start servers of their own.

Usage: scripts/postgres-server
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from devenv.core.errors import ToolMissing
from scripts.machine import apt
from scripts.machine.advice import how_to_get_postgres, this_platform
from scripts.machine.process import find_program
from scripts.machine.report import run_script

PROGRAM = "postgres"
# Debian keeps the programs of each version out of PATH.
PACKAGED = Path("/usr/lib/postgresql")
# Only the programs are wanted: without this file, the package makes a database while it is installed, and starts it.
NO_CLUSTER = Path("/etc/postgresql-common/createcluster.d/devenv.conf")


def ensure_server() -> None:
    """Install PostgreSQL on Debian as root, without a database of its own.

    Raises ToolMissing elsewhere, with what to install.
    """
    if find_program(PROGRAM) or any(PACKAGED.glob(f"*/bin/{PROGRAM}")):
        return
    if not apt.can_install():
        raise ToolMissing(
            "PostgreSQL was not found, which the tests of its store need", how_to_get_postgres(this_platform())
        )
    apt.require_candidate("postgresql")
    NO_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
    NO_CLUSTER.write_text("create_main_cluster = false\n", encoding="ascii")
    try:
        apt.install(["postgresql"])
    finally:
        NO_CLUSTER.unlink()


def main(arguments: Sequence[str]) -> None:
    """Run scripts/postgres-server."""
    del arguments
    ensure_server()


if __name__ == "__main__":
    run_script(main)
