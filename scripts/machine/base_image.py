"""Decide which image the services are built on: the user's, the default one, or one made here.

Usage: scripts/base-image [--rebuild]

Prints the image's name on stdout. An image is made here only when the default one could neither be found nor pulled;
its name then goes to compose/.env as PYTHON_IMAGE, so that every later build uses it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from devenv.core.errors import DevenvError, UsageError
from scripts.machine.base_build import build_image, current_recipe, recipe_for
from scripts.machine.base_recipe import codename_in, is_ours
from scripts.machine.docker_cli import image_exists
from scripts.machine.dotenv import read_variable, remove_variable, set_variable
from scripts.machine.process import project_root
from scripts.machine.pull import pull_image
from scripts.machine.report import emit, run_script, say

# The default of ${PYTHON_IMAGE:-...} in compose/.
DEFAULT_IMAGE = "python:3.12-slim"
VARIABLE = "PYTHON_IMAGE"
COMMENT = "Written by scripts/base-image: no Python image could be pulled here. Remove both lines to try again."


def choose_image(env_file: Path, *, rebuild: bool = False) -> str:
    """Return the name of an image that the engine has; pulls or makes it where it has to.

    Raises DevenvError where the user's own choice cannot be had, or nothing can be pulled or made.
    """
    if chosen := os.environ.get(VARIABLE, ""):
        return _users_choice(chosen, "the environment")
    written = read_variable(env_file, VARIABLE)
    if written and not is_ours(written):
        return _users_choice(written, str(env_file))
    if rebuild:
        return _made_here(env_file, rebuild=True)
    if written and image_exists(written):
        return _made_here(env_file) if _is_outdated(written) else written
    if not image_exists(DEFAULT_IMAGE):
        say(f"base image: pulling {DEFAULT_IMAGE}")
        pull = pull_image(DEFAULT_IMAGE)
        if not pull.ok:
            say(f"base image: it cannot be pulled: {pull.reason}")
            return _made_here(env_file)
    if written:
        remove_variable(env_file, VARIABLE, COMMENT)
    return DEFAULT_IMAGE


def _users_choice(image: str, where: str) -> str:
    if image_exists(image):
        return image
    say(f"base image: pulling {image}, which {where} asks for")
    pull = pull_image(image)
    if not pull.ok:
        raise DevenvError(
            f"{VARIABLE}={image} from {where} is not there and cannot be pulled: {pull.reason}",
            f"correct {VARIABLE}, or remove it from {where} to get an image that works here",
        )
    return image


def _is_outdated(image: str) -> bool:
    # Other certificates or another package index since it was made; apt is not asked, which would take a second.
    return recipe_for(codename_in(image)).tag != image


def _made_here(env_file: Path, *, rebuild: bool = False) -> str:
    recipe = current_recipe()
    if rebuild or not image_exists(recipe.tag):
        build_image(recipe)
    set_variable(env_file, VARIABLE, recipe.tag, COMMENT)
    return recipe.tag


def main(arguments: Sequence[str]) -> None:
    """Run scripts/base-image."""
    if set(arguments) - {"--rebuild"}:
        raise UsageError(f"unknown argument: {' '.join(arguments)}", "usage: scripts/base-image [--rebuild]")
    emit(choose_image(project_root() / "compose" / ".env", rebuild="--rebuild" in arguments))


if __name__ == "__main__":
    run_script(main)
