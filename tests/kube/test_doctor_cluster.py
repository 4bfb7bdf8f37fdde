"""The doctor's checks of a cluster: what it has, what it lacks with the fix, and whether the manifests fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devenv.core.model import Project
from devenv.core.settings import load_config
from devenv.doctor import CHECKS
from devenv.doctor.check import Context, Finding, Level, run_checks
from fakes.api_server import ApiServer, node_object

OVERLAY = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: web, image: "web:1", resources: {requests: {cpu: CPU, memory: 64Mi}}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 1
  maxReplicas: 5
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  ingressClassName: traefik
  defaultBackend: {service: {name: web, port: {number: 80}}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "k8s").mkdir()
    (tmp_path / "k8s/all.yaml").write_text(OVERLAY.replace("CPU", "200m"))
    (tmp_path / "k8s/kustomization.yaml").write_text("namespace: shop\nresources: [all.yaml]\n")
    (tmp_path / "devenv.toml").write_text('[manifests.overlays.dev]\npath = "k8s"\n')
    return tmp_path


def look(project: Path, environ: dict[str, str], *names: str) -> dict[str, Finding]:
    def no_project() -> Project:
        raise AssertionError("a cluster's check needs no Compose project")

    context = Context(no_project, environ, config=lambda: load_config(project, environ))
    chosen = tuple(check for check in CHECKS if check.name in names)
    return {finding.check: finding for finding in run_checks(context, chosen)}


def minikube(folder: Path) -> str:
    program = folder / "minikube"
    program.write_text("#!/bin/sh\necho '{}'\n")
    program.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_a_cluster_that_answers_is_told_with_its_nodes(api: ApiServer, project: Path, environ: dict[str, str]) -> None:
    assert "1 node, all ready" in look(project, environ, "cluster")["cluster"].message
    api.put(node_object("second", ready=False))
    found = look(project, environ, "cluster")["cluster"]
    assert found.level is Level.WARNING
    assert "not ready: second" in found.message


def test_what_cannot_be_asked_of_a_cluster_is_told_once(api: ApiServer, project: Path, environ: dict[str, str]) -> None:
    api.stop()
    found = look(project, environ, "cluster", "metrics", "ingress", "capacity")
    assert found.pop("cluster").level is Level.WARNING, "Compose needs no cluster"
    assert {item.message for item in found.values()} == {"not checked: see cluster"}
    nowhere = look(project, environ | {"KUBECONFIG": str(project / "none")}, "cluster", "metrics", "capacity")
    assert {item.level for item in nowhere.values()} == {Level.UNKNOWN}


def test_a_metrics_server_is_told_with_how_often_it_measures(
    api: ApiServer, project: Path, environ: dict[str, str]
) -> None:
    assert "not measured any node yet" in look(project, environ, "metrics")["metrics"].message
    api.put(
        {
            "apiVersion": "metrics.k8s.io/v1beta1",
            "kind": "NodeMetrics",
            "metadata": {"name": "minikube"},
            "timestamp": "2026-01-01T00:00:00Z",
            "window": "15s",
            "usage": {"cpu": "1", "memory": "1Gi"},
        }
    )
    assert "every 15 s" in look(project, environ, "metrics")["metrics"].message
    server = {"name": "metrics-server", "image": "m:1", "args": ["--metric-resolution=60s"]}
    api.put(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "metrics-server", "namespace": "kube-system", "labels": {"k8s-app": "metrics-server"}},
            "spec": {"template": {"spec": {"containers": [server]}}},
        }
    )
    assert "every 60 s: autoscalers react" in look(project, environ, "metrics")["metrics"].message


def test_what_minikube_can_add_is_a_fix_by_command(
    api: ApiServer, project: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    api.served.metrics = False
    environ = environ | {"PATH": minikube(tmp_path)}
    found = look(project, environ, "metrics", "ingress")
    assert found["metrics"].command[:4] == ("minikube", "addons", "enable", "metrics-server")
    assert found["ingress"].command[:4] == ("minikube", "addons", "enable", "traefik")
    assert "the class traefik of dev; there: none" in found["ingress"].message


def test_an_ingress_class_that_is_there_is_fine(api: ApiServer, project: Path, environ: dict[str, str]) -> None:
    api.put({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "traefik"}})
    assert look(project, environ, "ingress")["ingress"].level is Level.OK


@pytest.mark.parametrize("name", ["nginx", "traefik"])
def test_an_ingress_without_a_class_needs_a_default_one(
    api: ApiServer, project: Path, environ: dict[str, str], tmp_path: Path, name: str
) -> None:
    (project / "k8s/all.yaml").write_text(OVERLAY.replace("CPU", "200m").replace("  ingressClassName: traefik\n", ""))
    environ = environ | {"PATH": minikube(tmp_path)}
    found = look(project, environ, "ingress")["ingress"]
    assert found.level is Level.WARNING
    assert "Ingresses without a class, as those of dev; there: none" in found.message
    assert found.command[:4] == ("minikube", "addons", "enable", "traefik")
    api.put({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": name}})
    found = look(project, environ, "ingress")["ingress"]
    assert (found.level, found.command) == (Level.WARNING, ()), "there is one, but none is the default"
    default = {"name": name, "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}
    api.put({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": default})
    found = look(project, environ, "ingress")["ingress"]
    assert (found.level, found.message) == (Level.OK, f"The class {name} (the default) is served; there: {name}")


@pytest.mark.parametrize(
    ("cpu", "level", "words"),
    [
        ("200m", Level.OK, "5 pods of dev ask for 1 CPUs"),
        ("900m", Level.WARNING, "ask for 4.5 CPUs"),
        ("3", Level.FAILED, "asks for more cpu than any node has"),
    ],
)
def test_all_pods_at_the_autoscalers_maximum_are_held_against_the_nodes(
    project: Path, environ: dict[str, str], api: ApiServer, cpu: str, level: Level, words: str
) -> None:
    (project / "k8s/all.yaml").write_text(OVERLAY.replace("CPU", cpu))
    found = look(project, environ, "capacity")["capacity"]
    assert found.level is level, found
    assert words in found.message


def test_kubectl_is_held_against_the_clusters_version(api: ApiServer, project: Path, environ: dict[str, str]) -> None:
    found = look(project, environ, "kubectl")["kubectl"]
    assert "the cluster 1." in found.message
    api.on("GET", "/version", lambda handler, path, body: handler.json({"gitVersion": "v1.20.1"}))
    found = look(project, environ, "kubectl")["kubectl"]
    assert found.level is Level.WARNING
    assert "minor versions apart" in found.message


@pytest.mark.parametrize(
    ("status", "level", "command"),
    [("OK", Level.OK, ()), ("Stopped", Level.WARNING, ("minikube", "start", "--profile", "minikube"))],
)
def test_minikube_is_told_with_its_size_and_started_where_it_is_off(
    project: Path, environ: dict[str, str], tmp_path: Path, status: str, level: Level, command: tuple[str, ...]
) -> None:
    config = {
        "CPUs": 4,
        "Memory": 6144,
        "KubernetesConfig": {"KubernetesVersion": "v1.36.2"},
        "Addons": {"metrics-server": True, "dashboard": False},
    }
    profiles = json.dumps({"valid": [{"Name": "minikube", "Status": status, "Config": config}], "invalid": []})
    (tmp_path / "minikube").write_text(f"#!/bin/sh\necho '{profiles}'\n")
    (tmp_path / "minikube").chmod(0o755)
    found = look(project, environ | {"PATH": f"{tmp_path}:/usr/bin:/bin"}, "minikube")["minikube"]
    assert (found.level, found.command) == (level, command)
    assert "4 CPUs, 6.0 GiB, addons metrics-server" in found.message


def test_a_minikube_that_is_not_installed_is_told_where_its_context_is_chosen(
    project: Path, environ: dict[str, str]
) -> None:
    found = look(project, environ | {"PATH": str(project)}, "minikube")["minikube"]
    assert found.level is Level.WARNING
    assert "which is not installed" in found.message
    nothing = look(project, environ | {"PATH": str(project), "KUBECONFIG": str(project / "none")}, "minikube")[
        "minikube"
    ]
    assert nothing.level is Level.UNKNOWN
