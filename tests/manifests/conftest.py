"""The clean Kustomize folder, rendered once by the real kubectl."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mutation_tools import COMPOSE, SETTINGS

from devenv.manifests.check import Outside, load
from devenv.manifests.rendering import Rendering, parse_services
from devenv.manifests.schemas import choose_versions
from devenv.manifests.targets import Target

CLEAN = Path(__file__).parent / "clean"


@pytest.fixture(scope="session")
def outside() -> Outside:
    return Outside(CLEAN, SETTINGS, compose=parse_services(COMPOSE))


@pytest.fixture(scope="session")
def rendering_of(outside: Outside) -> Callable[[str], Rendering]:
    found: dict[str, Rendering] = {}

    def rendering_of(overlay: str) -> Rendering:
        if overlay not in found:
            target = Target(overlay, CLEAN / "overlays" / overlay, declared=True)
            _, rendered, rendering, declared = load(target, choose_versions(()), outside)
            assert not rendered.problems
            assert declared
            found[overlay] = rendering
        # Without what the last test had computed from its own objects.
        clean = found[overlay]
        return Rendering(
            clean.manifests, clean.environment, clean.name, clean.versions, clean.tree, clean.settings, clean.compose
        )

    return rendering_of


@pytest.fixture
def clean_copy(tmp_path: Path) -> Path:
    """A copy of the clean folder that a test may spoil."""
    return Path(shutil.copytree(CLEAN, tmp_path / "shop"))
