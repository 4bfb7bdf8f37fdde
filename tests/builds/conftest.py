"""A project to build."""

from __future__ import annotations

from pathlib import Path

import pytest
from sandbox import Sandbox


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """A project of one service, `web`, on a base image that the engine has."""
    made = Sandbox(tmp_path)
    made.service("web", args={"VERSION": "1"})
    made.write("web/main.py")
    made.write("web/.dockerignore", "*.log\n")
    made.have("base:1")
    return made
