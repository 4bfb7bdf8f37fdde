"""A repository of three packages: two applications, one of which is made from a library too."""

from __future__ import annotations

from pathlib import Path

import pytest
from task_workspace import Workspace


@pytest.fixture
def shop(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path.resolve())
    made.package("lib")
    made.package("web", "lib")
    made.package("api")
    return made
