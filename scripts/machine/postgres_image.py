"""The PostgreSQL image that Compose runs, and the password of its database.

Usage: scripts/postgres-image

Prints the image's name on stdout; the password goes to compose/secrets/database-password unless there is one. An image
that is made here is used as the official one is: POSTGRES_USER, POSTGRES_DB, POSTGRES_PASSWORD_FILE or
POSTGRES_PASSWORD, POSTGRES_INITDB_ARGS and PGDATA are understood, port 5432 is served, the user is 999, and the root
file system may be read-only. It does not run scripts of /docker-entrypoint-initdb.d, and cannot start as root.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from devenv.core.errors import UsageError
from scripts.machine.bootstrap import LEFT_OUT, Recipe
from scripts.machine.images import Image, choose_image
from scripts.machine.process import ROOT, run_script, say

ENTRYPOINT = Path(__file__).with_name("postgres_entrypoint.sh")
# The compiler behind `jit` is half of the packages' size, and no query of a small store is long enough to need it.
# perl belongs to Debian's commands for several clusters on one machine.
_LEFT_OUT = (
    "usr/lib/*/libLLVM*", "usr/lib/llvm*", "usr/lib/postgresql/*/lib/llvmjit*", "usr/lib/postgresql/*/lib/bitcode",
    "usr/lib/*/perl", "usr/lib/*/perl-base", "usr/lib/*/libperl*", "usr/share/perl", "usr/share/perl5", "usr/bin/perl*",
    "usr/lib/*/libz3*",
)  # fmt: skip
_HOOKS = (
    # The package made a database on its own.
    'rm -rf "$1"/var/lib/postgresql/* "$1"/etc/postgresql/*',
    # The official image's number, which volumes and manifests know.
    'sed -i -E "s/^postgres:x:[0-9]+:[0-9]+:/postgres:x:999:999:/" "$1/etc/passwd"',
    'sed -i -E "s/^postgres:x:[0-9]+:/postgres:x:999:/" "$1/etc/group"',
    'install -d -o 999 -g 999 -m 0700 "$1/var/lib/postgresql/data"',
    'install -d -o 999 -g 999 -m 0775 "$1/run/postgresql"',
    # Its programs are found whatever its version is.
    'for each in "$1"/usr/lib/postgresql/*/bin/*; do ln -sf "${each#"$1"}" "$1/usr/local/bin/"; done',
    'chmod 0755 "$1/usr/local/bin/postgres-entrypoint"',
)
_CHANGES = (
    # PATH too: not every runtime of a cluster has a default for an image that sets other variables.
    "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "ENV LANG=C.UTF-8 PGDATA=/var/lib/postgresql/data",
    "USER 999:999",
    "VOLUME /var/lib/postgresql/data",
    "EXPOSE 5432",
    # A fast shutdown; SIGTERM would wait for every client to leave (postgres(1)).
    "STOPSIGNAL SIGINT",
    'ENTRYPOINT ["postgres-entrypoint"]',
    'CMD ["postgres"]',
)


def recipe() -> Recipe:
    """Return the recipe of the image."""
    return Recipe(
        packages=("postgresql",),
        changes=_CHANGES,
        check=("initdb", "--version"),
        hooks=_HOOKS,
        left_out=(*LEFT_OUT, *_LEFT_OUT),
        files={"/usr/local/bin/postgres-entrypoint": ENTRYPOINT.read_bytes()},
    )


POSTGRES_IMAGE = Image(
    name="postgres image",
    variable="POSTGRES_IMAGE",
    default="postgres:17",
    repository="localhost/devenv-postgres",
    comment="Written by scripts/postgres-image: no image could be pulled here. Remove both lines to try again.",
    what="a PostgreSQL image",
    recipe=recipe,
)


def ensure_password(file: Path) -> None:
    """Write a new password unless there is one; only the folder keeps other users of this machine from it."""
    # The file is mounted into containers whose users are not this one: they must be able to read it.
    file.parent.mkdir(mode=0o700, exist_ok=True)
    if not file.exists():
        file.write_text(secrets.token_hex(24) + "\n", encoding="ascii")
        file.chmod(0o444)
        say(f"postgres image: wrote a new password to {file}")


def main(arguments: Sequence[str]) -> None:
    """Run scripts/postgres-image."""
    if arguments:
        raise UsageError(f"unknown argument: {' '.join(arguments)}", "usage: scripts/postgres-image")
    image = choose_image(POSTGRES_IMAGE)
    ensure_password(ROOT / "compose" / "secrets" / "database-password")
    sys.stdout.write(f"{image}\n")


if __name__ == "__main__":
    run_script(main)
