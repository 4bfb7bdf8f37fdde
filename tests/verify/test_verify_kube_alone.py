"""Smoke tests of a cluster in a folder without a Compose file: of a Kustomize folder, or of a namespace as it is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.runs.criteria import Verdict
from devenv.verify.service_verdicts import ServiceVerdicts, place_of
from fakes.api_server import ApiServer, deployment
from tests import forked

ROOT = Path(__file__).parents[2]
KUSTOMIZATION = "{apiVersion: kustomize.config.k8s.io/v1beta1, kind: Kustomization, resources: [web.yaml]"
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:dev"}]}
"""
MARK = "import pytest\npytestmark = pytest.mark.targets('kubernetes')\n"
COPY = f"{MARK}def test_it(stack, cluster):\n    assert stack.isolated and cluster.pods('web')\n"
AS_IT_IS = f"{MARK}def test_it(stack):\n    assert stack.name == 'shop' and list(stack.services) == ['web']\n"


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer(namespaces=("default", "shop")) as made:
        made.controllers.start(pace=0.01)
        yield made


class Folder:
    """A folder with smoke tests and nothing else, and a cluster."""

    def __init__(self, path: Path, api: ApiServer) -> None:
        self.path = path
        (path / "smoketests").mkdir(parents=True)
        (path / "pytest.ini").write_text("[pytest]\n")
        self._environ = os.environ | {"KUBECONFIG": str(api.kubeconfig(path / "kubeconfig"))}
        for name in ("DEVENV_CONTEXT", "DEVENV_NAMESPACE"):
            self._environ.pop(name, None)

    def kustomize(self, name: str = ".", namespace: str = "shop") -> None:
        folder = self.path / name
        folder.mkdir(exist_ok=True)
        own = f", namespace: {namespace}" if namespace else ""
        (folder / "kustomization.yaml").write_text(f"{KUSTOMIZATION}{own}}}\n")
        (folder / "web.yaml").write_text(DEPLOYMENT)

    def verify(self, test: str, *options: str, target: str = "kubernetes") -> subprocess.CompletedProcess[str]:
        (self.path / "smoketests" / "test_it.py").write_text(test)
        environ = self._environ | {"PYTHONPATH": str(ROOT)}
        return forked.run("devenv", "verify", "--target", target, *options, cwd=self.path, env=environ)


@pytest.fixture
def folder(tmp_path: Path, api: ApiServer) -> Folder:
    return Folder(tmp_path / "alone", api)


def test_a_flag_names_the_folder(folder: Folder) -> None:
    folder.kustomize("overlay")
    done = folder.verify(COPY, "--overlay", "./overlay")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_a_namespace_is_tested_as_it_is(folder: Folder, api: ApiServer) -> None:
    api.controllers.rollout(deployment("web", namespace="shop"))
    done = folder.verify(AS_IT_IS, "--running", "--namespace", "shop")
    assert done.returncode == 0, done.stdout + done.stderr
    found = ServiceVerdicts().of(place_of("minikube", "shop"))
    assert {name: item.verdict for name, item in found.items()} == {"web": Verdict.PASSED}
    assert found["web"].subject.config
    assert [line for line in api.requests if line.startswith(("PATCH", "DELETE"))] == []


def test_what_is_missing_is_said_with_the_way_out(folder: Folder, api: ApiServer) -> None:
    nothing = folder.verify(AS_IT_IS, "--running", "--namespace", "shop")
    assert nothing.returncode == 1
    assert "the namespace shop has no workload that could be tested" in nothing.stdout
    unnamed = folder.verify(COPY)
    assert unnamed.returncode == 1
    assert "Name one with --overlay" in unnamed.stdout


def test_compose_still_needs_its_file(folder: Folder) -> None:
    done = folder.verify(COPY, target="compose")
    assert done.returncode == 5
    assert "No Compose file found" in done.stderr


def test_the_folder_itself_is_enough_and_its_copy_s_verdict_is_kept_for_its_place(folder: Folder) -> None:
    folder.kustomize()
    text = f"{MARK}def test_ok(stack):\n    pass\ndef test_not(stack):\n    assert stack.engine.pods('web') == 1\n"
    assert folder.verify(text).returncode == 1
    (found,) = ServiceVerdicts().of(place_of("minikube", "shop")).values()
    assert (found.service, found.verdict, found.tests) == ("web", Verdict.FAILED, 2)
    assert found.subject.config


def test_a_run_on_both_runtimes_keeps_their_verdicts_apart(folder: Folder) -> None:
    folder.kustomize()
    (folder.path / "compose.yaml").write_text("services: {web: {image: 'web:dev'}}\n")
    text = (
        "import pytest\n@pytest.mark.targets('compose', 'kubernetes')\ndef test_both(target, request):\n"
        "    assert target == 'kubernetes'\n    request.getfixturevalue('stack').engine.container('web')\n"
    )
    assert folder.verify(text, target="all").returncode == 1, "it fails on Compose"
    (found,) = ServiceVerdicts().of(place_of("minikube", "shop")).values()
    assert (found.verdict, found.tests) == (Verdict.PASSED, 1)
    assert [item.verdict for item in ServiceVerdicts().of("alone").values()] == [Verdict.FAILED]
