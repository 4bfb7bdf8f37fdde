"""Decide which PostgreSQL image Compose runs: the user's, the default one, or one made here; make its password.

Usage: scripts/postgres-image

Prints the image's name on stdout. An image is made here only when the default one could neither be found nor pulled;
its name then goes to compose/.env as POSTGRES_IMAGE. The password goes to compose/secrets/database-password unless
there is one.
"""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from devenv.core.errors import DevenvError, ToolMissing, UsageError
from scripts.machine import apt
from scripts.machine.apt_policy import debian_base
from scripts.machine.bootstrap import debian_for, image_megabytes, make_image
from scripts.machine.docker_cli import image_exists
from scripts.machine.dotenv import read_variable, remove_variable, set_variable
from scripts.machine.postgres_recipe import DOCKERFILE, content, is_ours, tag_for
from scripts.machine.process import ask, must, project_root
from scripts.machine.pull import pull_image
from scripts.machine.report import emit, run_script, say

# The default of ${POSTGRES_IMAGE:-...} in compose/.
DEFAULT_IMAGE = "postgres:17"
VARIABLE = "POSTGRES_IMAGE"
COMMENT = "Written by scripts/postgres-image: no image could be pulled here. Remove both lines to try again."
_HINT = f"set {VARIABLE} in compose/.env to a PostgreSQL image that this engine has or can pull"


def choose_image(env_file: Path) -> str:
    """Return the name of an image that the engine has; pulls or makes it where it has to.

    Raises DevenvError where the user's own choice cannot be had, or nothing can be pulled or made.
    """
    written = read_variable(env_file, VARIABLE)
    chosen = os.environ.get(VARIABLE, "") or ("" if is_ours(written) else written)
    if chosen:
        if not image_exists(chosen) and not (pull := pull_image(chosen)).ok:
            raise DevenvError(f"{VARIABLE}={chosen} is not there and cannot be pulled: {pull.reason}", _HINT)
        return chosen
    if written and image_exists(written):
        return _made_here(env_file)
    if not image_exists(DEFAULT_IMAGE):
        say(f"postgres image: pulling {DEFAULT_IMAGE}")
        pull = pull_image(DEFAULT_IMAGE)
        if not pull.ok:
            say(f"postgres image: it cannot be pulled: {pull.reason}")
            return _made_here(env_file)
    if written:
        remove_variable(env_file, VARIABLE, COMMENT)
    return DEFAULT_IMAGE


def _made_here(env_file: Path) -> str:
    codename = debian_base(apt.releases()) if apt.is_debian_like() else ""
    if not codename:
        raise ToolMissing("no PostgreSQL image can be made here: this machine has no Debian package sources", _HINT)
    tag = tag_for(codename)
    if not image_exists(tag):
        _make(codename, tag)
    set_variable(env_file, VARIABLE, tag, COMMENT)
    return tag


def _make(codename: str, tag: str) -> None:
    debian = debian_for(codename, _HINT)
    started = time.monotonic()
    say(f"postgres image: making {tag} from Debian {codename} packages (about 40 s)")
    root = f"{tag}-root"
    with tempfile.TemporaryDirectory(prefix="devenv-postgres-") as name:
        folder = Path(name)
        make_image(debian, content(), root, folder)
        context = folder / "context"
        context.mkdir()
        (context / "Dockerfile").write_text(DOCKERFILE.format(root=root), encoding="utf-8")
        must(["docker", "build", "--quiet", "--tag", tag, str(context)], "configuring the PostgreSQL image")
    ask(["docker", "image", "rm", root])  # only its name: its layer is the made image's
    done = ask(["docker", "run", "--rm", "--network=none", "--read-only", tag, "postgres-entrypoint", "initdb", "-V"])
    if done.returncode != 0:
        ask(["docker", "image", "rm", tag])
        raise DevenvError(f"the PostgreSQL image that was made does not run\n{done.stderr.strip()}", _HINT)
    say(f"postgres image: done in {time.monotonic() - started:.0f} s, {image_megabytes(tag)} MB")


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
    compose = project_root() / "compose"
    image = choose_image(compose / ".env")
    ensure_password(compose / "secrets" / "database-password")
    emit(image)


if __name__ == "__main__":
    run_script(main)
