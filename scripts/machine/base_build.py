"""Make the Python base image with mmdebstrap from the suites that this machine itself is made of."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from devenv.core.errors import DevenvError, ToolMissing
from scripts.machine import apt
from scripts.machine.apt_policy import debian_base
from scripts.machine.base_recipe import (
    BUNDLE,
    CHANGES,
    LEFT_OUT,
    PACKAGES,
    Recipe,
    certificate_bundle,
    pip_settings,
)
from scripts.machine.bootstrap import Content, debian_for, image_megabytes, make_image
from scripts.machine.process import ask, last_lines
from scripts.machine.report import say
from scripts.machine.venv_paths import pip_command

_PULL_HINT = "set PYTHON_IMAGE in compose/.env to an image with Python 3.11 or newer that this engine has or can pull"


def current_recipe() -> Recipe:
    """Return the recipe for this machine's Debian release.

    Raises ToolMissing where the machine is not Debian or has no certificates.
    """
    codename = debian_base(apt.releases()) if apt.is_debian_like() else ""
    if not codename:
        raise ToolMissing(
            "no Python base image can be made here: this machine has no Debian package sources", _PULL_HINT
        )
    return recipe_for(codename)


def recipe_for(codename: str) -> Recipe:
    """Return the recipe for a Debian release with this machine's certificates and pip settings.

    Raises ToolMissing where the machine has no certificates.
    """
    bundle = certificate_bundle()
    if bundle is None:
        raise ToolMissing("this machine has no certificate bundle", "apt-get install ca-certificates")
    settings = ask([*pip_command(), "config", "list"]).stdout
    return Recipe(codename, bundle, pip_settings(settings))


def build_image(recipe: Recipe) -> None:
    """Make the image of a recipe and give it the recipe's tag; a build that fails leaves no image.

    Raises ToolMissing without mmdebstrap or with an engine of another architecture, DevenvError when the build fails.
    """
    debian = debian_for(recipe.codename, _PULL_HINT)
    started = time.monotonic()
    say(f"base image: making {recipe.tag} from Debian {recipe.codename} packages (about 25 s)")
    with tempfile.TemporaryDirectory(prefix="devenv-base-") as folder:
        make_image(debian, _include(recipe, Path(folder)), recipe.tag, Path(folder))
    _require_python(recipe.tag)
    say(f"base image: done in {time.monotonic() - started:.0f} s, {image_megabytes(recipe.tag)} MB")


def _include(recipe: Recipe, folder: Path) -> Content:
    hooks = [
        'ln -sf python3 "$1/usr/bin/python"',
        f'mkdir -p "$1{Path(BUNDLE).parent}"',
        f'upload "{recipe.bundle}" "{BUNDLE}"',
    ]
    if recipe.pip_settings:
        settings = folder / "pip.conf"
        settings.write_text(recipe.pip_settings, encoding="utf-8")
        hooks.append(f'upload "{settings}" /etc/pip.conf')
    return Content(PACKAGES, tuple(hooks), LEFT_OUT, CHANGES)


def _require_python(tag: str) -> None:
    done = ask(
        [
            "docker",
            "run",
            "--rm",
            "--network=none",
            tag,
            "python",
            "-c",
            "import sys, ssl, venv, sqlite3; print(sys.version)",
        ]
    )
    version = tuple(int(part) for part in done.stdout.split(" ")[0].split(".")[:2]) if done.returncode == 0 else ()
    if version >= (3, 11):
        return
    ask(["docker", "image", "rm", tag])
    if not version:
        raise DevenvError(f"the base image that was made does not run\n{last_lines(done.stderr, 5)}", _PULL_HINT)
    raise DevenvError(f"this machine's Debian has Python {done.stdout.split()[0]}; 3.11 or newer is needed", _PULL_HINT)
