"""ARCHITECTURE.md and CONTRIBUTING.md name files that are there, and the layers that import-linter holds."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`([\w*./-]+(?:\.py|\.md|\.toml|/))`")


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md", "tests/README.md"])
def test_what_it_names_is_there(page: str) -> None:
    names = set(NAMED.findall((ROOT / page).read_text("utf-8")))
    assert names
    folders = (ROOT, ROOT / "devenv", ROOT / "tests")
    missing = [name for name in names if not any(_is_there(folder, name) for folder in folders)]
    assert missing == []


def test_each_room_is_in_the_picture_and_in_the_contract() -> None:
    picture = (ROOT / "ARCHITECTURE.md").read_text("utf-8").partition("```mermaid")[2].partition("```")[0]
    rooms = {path.name for path in (ROOT / "devenv").iterdir() if (path / "__init__.py").is_file()}
    assert {room for room in rooms if not re.search(rf"\b{room}\[", picture)} == set()
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"][0]
    layers = " | ".join(contract["layers"])
    assert {room for room in rooms if f"devenv.{room}" not in layers} == set()


def _is_there(folder: Path, name: str) -> bool:
    return (folder / name).exists() or (("*" in name or "/" not in name) and any(folder.rglob(name)))
