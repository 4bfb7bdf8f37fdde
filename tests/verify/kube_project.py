"""A project with smoke tests for Kubernetes, in a folder of its own, run as a user runs it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.verify.kube.leftovers import PRIORITY_CLASSES
from fakes.api_server import ApiServer
from tests import forked

ROOT = Path(__file__).parents[2]
OVERLAY = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: shop
resources: [all.yaml]
"""
OBJECTS = """
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: shop}
value: 1
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      priorityClassName: shop
      containers: [{name: web, image: "IMAGE"}]
"""
SETTINGS = """
[manifests.overlays.dev]
path = "dev"
[manifests.overlays.rolling]
path = "rolling"
[verify.kubernetes]
overlay = "dev"
rolling = "rolling"
"""
SHORT_NAMES = "from devenv.verify.plugin import short_options as pytest_addoption\n"
BOTH = "pytestmark = pytest.mark.targets('compose', 'kubernetes')\n"


class Project:
    """A project with two overlays, and the cluster that its kubeconfig names."""

    def __init__(self, folder: Path, api: ApiServer, context: str = "minikube") -> None:
        self.folder = folder
        self.api = api
        for name, image in (("dev", "web:dev"), ("rolling", "docker.io/library/web:1.0")):
            (folder / name).mkdir()
            (folder / name / "kustomization.yaml").write_text(OVERLAY)
            (folder / name / "all.yaml").write_text(OBJECTS.replace("IMAGE", image))
        (folder / "devenv.toml").write_text(SETTINGS)
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "compose.yaml").write_text("services: {web: {image: 'web:dev'}}")
        (folder / "smoketests").mkdir()
        (folder / "smoketests" / "conftest.py").write_text(SHORT_NAMES)
        self.environ = os.environ | {"KUBECONFIG": str(api.kubeconfig(folder / "kubeconfig", context))}
        for name in ("DEVENV_CONTEXT", "DEVENV_NAMESPACE"):
            self.environ.pop(name, None)

    def tests(self, text: str) -> None:
        (self.folder / "smoketests" / "test_it.py").write_text(f"import pytest\n{text}")

    def pytest(self, *options: str) -> subprocess.CompletedProcess[str]:
        return self.run("pytest", "-q", "smoketests", *options)

    def devenv(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("devenv", *words)

    def run(self, module: str, *words: str) -> subprocess.CompletedProcess[str]:
        environ = self.environ | {"PYTHONPATH": str(ROOT)}
        return forked.run(module, *words, cwd=self.folder, env=environ)

    def namespaces(self) -> set[str]:
        return {item["metadata"]["name"] for item in self.api.objects("namespaces")} - {"default", "kube-system"}


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer() as made:
        made.served.add(PRIORITY_CLASSES)
        made.controllers.start(pace=0.01)
        yield made


@pytest.fixture
def project(tmp_path: Path, api: ApiServer) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder, api)
