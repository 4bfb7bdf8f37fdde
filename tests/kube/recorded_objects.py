"""Objects that a real cluster gave (recorded/README.md), by kind and name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from devenv.backends.kube.parse import Parsed, parse
from devenv.core.model import Resource

FOLDER = Path(__file__).parent / "recorded"


def recorded(file: str) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = json.loads((FOLDER / f"{file}.json").read_text("utf-8"))
    return made


def one(file: str, name: str) -> dict[str, Any]:
    return next(item for item in recorded(file) if item["metadata"]["name"] == name)


def parsed(file: str, kind: str, name: str) -> Parsed:
    return parse(one(file, name), kind, "minikube")


def shown(file: str, kind: str, name: str) -> Resource:
    return parsed(file, kind, name).resource
