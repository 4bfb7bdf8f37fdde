"""Tools to change the rendered objects of the clean folder, and what is declared about it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from devenv.core.manifest_settings import ManifestSettings, ProbeSettings

SETTINGS = ManifestSettings(
    probes={"liveness": ProbeSettings("/health", 30, 10, 3), "readiness": ProbeSettings("/ready", 5, 5, 3)},
    autoscaling={"cpu": 70},
)
COMPOSE: dict[str, Any] = {
    "services": {
        "api": {
            "ports": [{"target": 8000, "published": "8000"}],
            "environment": {"LOG_LEVEL": "debug", "WORKERS": "1", "REGION": "here", "LOG_FORMAT": "text"},
            "healthcheck": {"test": ["CMD", "curl", "-f", "http://127.0.0.1:8000/health"]},
            "user": "10001:10001",
            "deploy": {"resources": {"limits": {"cpus": 0.5, "memory": "268435456"}}},
        },
        "queue": {"expose": ["5672"]},
    }
}


class Objects:
    """Rendered objects by Kind/name, to be changed."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        self.items = items

    def __getitem__(self, title: str) -> dict[str, Any]:
        kind, _, name = title.partition("/")
        (found,) = [
            item
            for item in self.items
            if item["kind"] == kind and (item["metadata"]["name"] == name or item["metadata"]["name"][:-11] == name)
        ]
        return found

    def pod(self, title: str = "Deployment/api") -> dict[str, Any]:
        """The pod's spec of a workload."""
        spec: dict[str, Any] = self[title]["spec"]
        found: dict[str, Any] = spec.get("jobTemplate", {"spec": spec})["spec"]["template"]["spec"]
        return found

    def container(self, title: str = "Deployment/api") -> dict[str, Any]:
        """The first container of a workload."""
        found: dict[str, Any] = self.pod(title)["containers"][0]
        return found

    def add(self, **data: Any) -> None:
        """Add an object of the clean folder's namespace."""
        self.items.append({"metadata": {"namespace": "shop", **data.pop("metadata", {})}, **data})

    def remove(self, title: str) -> None:
        """Remove an object."""
        self.items.remove(self[title])


Change = Callable[[Objects], object]


@dataclass(frozen=True)
class Mutation:
    """What to change, in which overlay."""

    change: Change
    overlay: str = "production"


def setter(*steps: Any, to: Any) -> Callable[[Any], None]:
    """Make a function that sets a value deep in an object."""

    def change(data: Any) -> None:
        for step in steps[:-1]:
            data = data[step]
        data[steps[-1]] = to

    return change


def container(*steps: Any, to: Any, of: str = "Deployment/api") -> Change:
    return lambda objects: setter(*steps, to=to)(objects.container(of))


def pod(*steps: Any, to: Any, of: str = "Deployment/api") -> Change:
    return lambda objects: setter(*steps, to=to)(objects.pod(of))


def object_(title: str, *steps: Any, to: Any) -> Change:
    return lambda objects: setter(*steps, to=to)(objects[title])


def drop(*steps: Any, of: str = "Deployment/api") -> Change:
    def change(objects: Objects) -> None:
        data: Any = objects.container(of)
        for step in steps[:-1]:
            data = data[step]
        del data[steps[-1]]

    return change


def both(*changes: Change) -> Change:
    def change(objects: Objects) -> None:
        for each in changes:
            each(objects)

    return change


def ignore(value: Any, rule: str = "probe-startup") -> Change:
    return object_("Deployment/api", "metadata", "annotations", to={f"devenv.io/ignore.{rule}": value})


def named(data: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(data), **changes}
