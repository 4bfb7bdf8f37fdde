"""The recipe of the PostgreSQL image made from Debian packages; it is used as the official image is.

POSTGRES_USER, POSTGRES_DB, POSTGRES_PASSWORD_FILE or POSTGRES_PASSWORD, POSTGRES_INITDB_ARGS and PGDATA are understood,
port 5432 is served, the user is 999, and the root file system may be read-only. Unlike the official image it does not
run scripts of /docker-entrypoint-initdb.d, and cannot start as root.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from scripts.machine.base_recipe import LEFT_OUT
from scripts.machine.bootstrap import Content

REPOSITORY = "localhost/devenv-postgres"
PACKAGES = ("postgresql",)
ENTRYPOINT = Path(__file__).with_name("postgres_entrypoint.sh")
# The compiler behind `jit` is half of the packages' size, and no query of a small store is long enough to need it.
# perl belongs to Debian's commands for several clusters on one machine.
_LEFT_OUT = (
    *LEFT_OUT,
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
    f'upload "{ENTRYPOINT}" /usr/local/bin/postgres-entrypoint',
    'chmod 0755 "$1/usr/local/bin/postgres-entrypoint"',
)
# SIGINT is a fast shutdown; SIGTERM would wait for every client to leave (postgres(1)). `docker import` cannot say it.
DOCKERFILE = """FROM {root}
ENV LANG=C.UTF-8 PGDATA=/var/lib/postgresql/data
USER 999:999
VOLUME /var/lib/postgresql/data
EXPOSE 5432
STOPSIGNAL SIGINT
ENTRYPOINT ["postgres-entrypoint"]
CMD ["postgres"]
"""


def content() -> Content:
    """Return what the image is made of."""
    return Content(PACKAGES, _HOOKS, _LEFT_OUT, ())


def tag_for(codename: str) -> str:
    """Return the image's name: the Debian release and a hash of the recipe."""
    parts = [codename, PACKAGES, _LEFT_OUT, [hook for hook in _HOOKS if "upload" not in hook], DOCKERFILE]
    text = json.dumps(parts) + ENTRYPOINT.read_text(encoding="utf-8")
    return f"{REPOSITORY}:{codename}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def is_ours(image: str) -> bool:
    """Whether an image's name is one that this recipe gave."""
    return image.startswith(f"{REPOSITORY}:")
