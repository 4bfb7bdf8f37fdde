"""Renderings of the overlays, and of kustomizations that a test writes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from k8s_rendering import K8S, OVERLAYS, Rendering


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def rendered(overlay: str) -> Rendering:
    return Rendering(K8S / "overlays" / overlay)


@pytest.fixture
def render() -> Callable[[str], Rendering]:
    return lambda path: Rendering(K8S / path)


@pytest.fixture
def build(tmp_path: Path) -> Callable[[str], Rendering]:
    """Renders a kustomization written by a test; `{k8s}` in it is the way to the manifests."""

    def write_and_render(text: str) -> Rendering:
        folder = tmp_path.resolve() / "built"
        folder.mkdir()
        # kustomize takes a folder by a relative path only.
        (folder / "kustomization.yaml").write_text(text.replace("{k8s}", os.path.relpath(K8S, folder)))
        return Rendering(folder)

    return write_and_render
