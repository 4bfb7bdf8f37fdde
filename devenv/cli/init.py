"""`devenv init`: a devenv.toml and two smoke tests for the Compose project that is here; what exists is kept."""

from __future__ import annotations

import json
import os
import re
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from devenv.backends.compose import ComposeOptions, NoComposeFile, find_project
from devenv.cli.console import tell
from devenv.cli.context import project_environment
from devenv.cli.options import read_settings
from devenv.core.errors import DevenvError, Refused
from devenv.core.model import Project
from devenv.core.settings import FILE_NAME, current_folder
from devenv.core.verify_settings import TESTS, EndpointSettings
from devenv.verify.compose_driver import Source
from devenv.verify.environment import locate
from devenv.verify.http import http_ports

CONFTEST: Final = '''"""The options by their short names: `pytest smoketests --keep`."""

from devenv.verify.plugin import short_options as pytest_addoption  # noqa: F401
'''
_HEAD: Final = '''"""What has to work whenever this project is up: `devenv verify`, or `pytest {folder}`.

The tests run on an isolated copy of the project, which is removed afterwards. What a test can ask for is listed by
`pytest {folder} --fixtures`, with an example for each behaviour in devenv's docs/VERIFY.md.
"""

import pytest


'''
_SERVED: Final = '''@pytest.mark.parametrize("name", {names})
def test_it_is_served(endpoint, name):
    """Each address that devenv.toml names answers, and not with an error of its own."""
    address = endpoint(name)
    answer = address.get(address.health)
    assert answer.status_code < 500, answer.text
'''
_RUNS: Final = '''@pytest.mark.parametrize("service", {names})
def test_it_runs(engine, service):
    """Each service runs, or has done its work and ended with 0."""
    container = engine.container(service)
    assert container.state == "running" or container.exit_code == 0, container.status
'''
_RESTART: Final = '''

def test_all_comes_back_after_a_restart(isolated_stack, measure):
    """`docker compose restart`: everything is healthy and served again, within the budget of devenv.toml."""
    with measure.timing("restart"):
        isolated_stack.restart()
        isolated_stack.wait_healthy()
        for address in isolated_stack.endpoints.values():
            address.wait_served(60)
'''
_SETTINGS: Final = """# What devenv knows about this project; `devenv` works from any folder below this one.

{compose}# The smoke tests: `devenv verify`. devenv's docs/VERIFY.md says what else may stand here.
[verify]
{tests}budgets = {{restart = 120}}  # seconds; `devenv history` shows what it took
"""
_PATH: Final = re.compile(r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\])(?::(\d+))?(/[^\s\"'|;)]*)?")


def endpoints_of(project: Project, document: Mapping[str, Any]) -> list[EndpointSettings]:
    """Return the addresses that a browser could ask: each published port, with the path that a health check asks."""
    services: Mapping[str, Any] = document.get("services") or {}
    endpoints = []
    for service in project.services:
        ports = http_ports(service)
        for port in ports:
            name = service.name if len(ports) == 1 else f"{service.name}:{port}"
            path = _checked_path(services.get(service.name), port)
            endpoints.append(EndpointSettings(service.name, name, port, path))
    return endpoints


def settings_text(root: Path, options: ComposeOptions, endpoints: Iterable[EndpointSettings], tests: str) -> str:
    """Return a devenv.toml. Compose files are named where they could not be found from the root by themselves."""
    files = [Path(file) for file in options.files if Path(file).is_relative_to(root)]
    named = [file.relative_to(root).as_posix() for file in files]
    compose = "" if _by_itself(root) == options.files or not named else f"[compose]\nfiles = {_quoted(named)}\n\n"
    folder = f"tests = {json.dumps(tests)}\n" if tests != TESTS else ""
    parts = [_SETTINGS.format(compose=compose, tests=folder)]
    for item in endpoints:
        lines = [f"name = {json.dumps(item.name)}", f"service = {json.dumps(item.service)}", f"port = {item.port}"]
        comment = "# answers with 2xx when the service serves; without it, all below 500 on / counts"
        lines.append(f"path = {json.dumps(item.path)}" if item.path else f'# path = "/health"  {comment}')
        parts.append("\n".join(["[[verify.endpoint]]", *lines, ""]))
    return "\n".join(parts)


def tests_text(endpoints: Sequence[EndpointSettings], project: Project, folder: str) -> str:
    """Return two tests: that all is served (or, where nothing is published, runs), and that it survives a restart."""
    running = [service.name for service in project.services if service.replicas]
    first = (
        _SERVED.format(names=_quoted(item.name for item in endpoints))
        if endpoints
        else _RUNS.format(names=_quoted(running))
    )
    return _HEAD.format(folder=folder) + first + _RESTART


def _by_itself(root: Path) -> tuple[str, ...]:
    """Return the files that Compose finds in the root when nothing names any."""
    try:
        return find_project(root, ComposeOptions(), {}).default_files
    except NoComposeFile:
        return ()


def _checked_path(service: Mapping[str, Any] | None, port: int) -> str:
    """Return the path on that port that the service's health check asks, "" where it asks none."""
    test = ((service or {}).get("healthcheck") or {}).get("test") or ()
    for match in _PATH.finditer(" ".join(map(str, test))):
        if int(match[1] or 80) == port and match[2]:
            return match[2]
    return ""


def _quoted(names: Iterable[str]) -> str:
    return f"[{', '.join(json.dumps(name, ensure_ascii=False) for name in names)}]"


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
