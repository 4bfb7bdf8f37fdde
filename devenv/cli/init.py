"""`devenv init`: a devenv.toml and two smoke tests for the Compose project that is here; what exists is kept."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path

from devenv.cli.console import tell
from devenv.cli.context import project_environment
from devenv.cli.options import read_settings
from devenv.core.errors import DevenvError, Refused
from devenv.core.settings import FILE_NAME, current_folder
from devenv.verify.compose_driver import Source
from devenv.verify.environment import locate
from devenv.verify.first_tests import CONFTEST, endpoints_of, settings_text, tests_text


def run(arguments: Namespace) -> int:
    """Write what is not there yet; with --force all of it. Raises Refused where all is there."""
    here = current_folder(arguments.files)
    source = locate(here, read_settings(arguments), project_environment(arguments))
    if source.config.read_only or arguments.read_only:
        raise Refused("init was refused: devenv is read-only here", "Unset read_only or DEVENV_READ_ONLY.")
    root = _root(source, here)
    verify = source.config.verify
    endpoints = endpoints_of(source.project, source.document)
    known = list(verify.endpoints) if verify.endpoints and not arguments.force else endpoints
    folder = root / verify.tests
    texts = {
        root / FILE_NAME: settings_text(root, source.options, endpoints, verify.tests),
        folder / "conftest.py": CONFTEST,
        folder / f"test_{_word(source.project.name)}.py": tests_text(known, source.project, verify.tests),
    }
    kept = [] if arguments.force else [path for path in texts if os.path.lexists(path)]
    if len(kept) == len(texts):
        raise Refused("init has nothing to write: all its files exist", "--force replaces them.")
    for path, text in texts.items():
        word = "kept" if path in kept else "written"
        if path not in kept:
            _write(path, text)
        sys.stdout.write(f"{word:<8} {path}\n")
    tell(f"devenv: run the tests with `devenv verify`, in {root}", no_color=arguments.no_color)
    return 0


def _root(source: Source, here: Path) -> Path:
    """Return the project's root: devenv.toml's folder, else here where the project is below, else where it is."""
    return source.config.root or (here if source.root.is_relative_to(here) else source.root)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise DevenvError(f"{path} cannot be written: {error.strerror}", "What is above was written.") from error


def _word(name: str) -> str:
    """Return the project's name as a part of a module's."""
    return "".join(letter if letter.isalnum() else "_" for letter in name.lower())
