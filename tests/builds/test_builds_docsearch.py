"""docsearch's own graph: what a change of each of its packages builds anew. Compose is asked, the engine is not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from devenv.builds.definition import read_definitions
from devenv.builds.graph import DEPENDS_ON, Edge, Graph, shared_folders
from devenv.builds.key import KeyReader
from devenv.builds.store import Store

COMPOSE = Path(__file__).parents[2] / "compose"
NOT_COPIED = shutil.ignore_patterns("__pycache__", ".*_cache", ".env", "secrets")


@pytest.fixture
def docsearch(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "compose"
    shutil.copytree(COMPOSE, folder, ignore=NOT_COPIED)
    return folder


def read(folder: Path) -> tuple[KeyReader, Graph]:
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = ("docker", "compose", "-f", str(folder / "compose.yaml"), "config", "--format", "json")
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True)
    document = json.loads(done.stdout)
    reader = KeyReader(read_definitions(document, environ), {}, Store(folder.parent))
    depends_on = {name: tuple(body.get("depends_on") or ()) for name, body in document["services"].items()}
    return reader, reader.graph(depends_on)


def keys(folder: Path) -> dict[str, str]:
    reader, graph = read(folder)
    return {service: reader.read(service, graph, {}).key for service in graph.services}


def test_the_graph_has_both_services_and_the_folder_they_share(docsearch: Path) -> None:
    reader, graph = read(docsearch)
    assert graph.services == ("backend", "frontend")
    assert graph.edges == (Edge("frontend", "backend", DEPENDS_ON),)
    folders = {service: reader.folders(service) for service in graph.services}
    assert shared_folders(folders) == {str(docsearch / "shared"): ("backend", "frontend")}


@pytest.mark.parametrize(
    ("file", "built"),
    [
        ("frontend/docfront/static/app.js", {"frontend"}),
        ("frontend/requirements.lock", {"frontend"}),
        ("backend/docindexer/api.py", {"backend"}),
        ("backend/Dockerfile", {"backend"}),
        ("shared/docshared/reloading.py", {"backend", "frontend"}),
        ("shared/README.md", set()),
        ("backend/README.md", set()),
    ],
)
def test_a_change_builds_what_is_made_from_it(docsearch: Path, file: str, built: set[str]) -> None:
    before = keys(docsearch)
    path = docsearch / file
    path.write_bytes(path.read_bytes() + b"\n")
    after = keys(docsearch)
    assert {service for service in after if after[service] != before[service]} == built
