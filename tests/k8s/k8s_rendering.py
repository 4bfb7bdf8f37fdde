"""What `kubectl apply -k` would send, rendered once a run, and how to read it."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

K8S = Path(__file__).resolve().parents[2] / "k8s"
OVERLAYS = ("dev", "staging", "production")

Object = dict[str, Any]


@functools.cache
def render_text(folder: Path) -> str:
    kubectl = Path(sys.executable).with_name("kubectl")
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Rendering:
    """The objects of one Kustomize folder, found by kind and name."""

    def __init__(self, folder: Path) -> None:
        self.objects: list[Object] = list(yaml.safe_load_all(render_text(folder)))

    def all(self, kind: str) -> list[Object]:
        return [item for item in self.objects if item["kind"] == kind]

    def one(self, kind: str, name: str) -> Object:
        found = [item for item in self.all(kind) if item["metadata"]["name"] == name]
        assert len(found) == 1, f"{len(found)} {kind} named {name}"
        return found[0]

    def workloads(self) -> list[Object]:
        return [item for item in self.objects if item["kind"] in ("Deployment", "StatefulSet")]

    def config(self, workload: Object) -> dict[str, str]:
        """The environment that a workload's first container gets from its ConfigMaps."""
        container = workload["spec"]["template"]["spec"]["containers"][0]
        return {
            key: value
            for source in container["envFrom"]
            for key, value in self.one("ConfigMap", source["configMapRef"]["name"])["data"].items()
        }


def volumes(spec: Object) -> list[Object]:
    found: list[Object] = spec["template"]["spec"]["volumes"]
    return found


def container(spec: Object) -> Object:
    first: Object
    (first,) = spec["template"]["spec"]["containers"]
    return first


def cpu(text: str) -> float:
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


def mebibytes(text: str) -> float:
    units = {"Mi": 1.0, "Gi": 1024.0}
    return float(text[:-2]) * units[text[-2:]]
