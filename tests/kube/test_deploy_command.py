"""`devenv deploy` as it is typed: exit codes, stdout and stderr, the audit log and the history."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from devenv.backends.kube.kinds import Kind
from devenv.cli import main
from devenv.runs.history import History
from devenv.runs.identity import this_machine
from fakes.api_server import ApiServer
from tests.kube.deploying import image_of

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "deploy-report.schema.json"
OVERLAY = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
metadata: {name: dev, annotations: {devenv.io/environment: development}}
namespace: default
resources: [web.yaml]
"""
WEB = """
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app.kubernetes.io/name: web}}
spec:
  selector: {app.kubernetes.io/name: web}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app.kubernetes.io/name: web}}
spec:
  replicas: 1
  selector: {matchLabels: {app.kubernetes.io/name: web}}
  template:
    metadata: {labels: {app.kubernetes.io/name: web}}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      securityContext: {runAsNonRoot: true, runAsUser: 10001, runAsGroup: 10001, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: web
          image: web:1
          imagePullPolicy: IfNotPresent
          ports: [{name: http, containerPort: 8080, protocol: TCP}]
          startupProbe: {httpGet: {path: /health, port: http}, periodSeconds: 2, failureThreshold: 30}
          livenessProbe: {httpGet: {path: /health, port: http}, initialDelaySeconds: 30}
          readinessProbe: {httpGet: {path: /ready, port: http}, initialDelaySeconds: 5}
          resources:
            requests: {cpu: 50m, memory: 64Mi, ephemeral-storage: 16Mi}
            limits: {cpu: 100m, memory: 64Mi, ephemeral-storage: 16Mi}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
"""
Run = Callable[..., int]


@pytest.fixture
def live(api: ApiServer) -> Iterator[ApiServer]:
    api.served.add(Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"))
    api.controllers.start(pace=0.02)
    yield api
    api.controllers.stop()


@pytest.fixture
def deploy(live: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    folder = tmp_path / "shop"
    (folder / "dev").mkdir(parents=True)
    (folder / "dev" / "kustomization.yaml").write_text(OVERLAY)
    (folder / "dev" / "web.yaml").write_text(WEB)
    (folder / "devenv.toml").write_text('[manifests.overlays.dev]\npath = "dev"\n')
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("KUBECONFIG", str(live.kubeconfig(tmp_path / "config")))
    for name in ("DEVENV_CONTEXT", "DEVENV_NAMESPACE", "DEVENV_READ_ONLY", "DEVENV_CONFIG", "COMPOSE_FILE"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> int:
        return main(["deploy", "dev", "--timeout", "20", *arguments])

    return run


def audit(tmp_path: Path) -> list[dict[str, Any]]:
    file = tmp_path / "state" / "devenv" / "audit.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_success_as_json_follows_its_schema(
    live: ApiServer, deploy: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert deploy("--wait", "--json") == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    jsonschema_rs.validator_for(json.loads(SCHEMA.read_text())).validate(told)
    assert (told["verdict"], told["namespace"], told["exit_code"]) == ("succeeded", "default", 0)
    assert [stage["name"] for stage in told["stages"]] == [
        "render",
        "check",
        "build",
        "diff",
        "apply",
        "wait",
        "record",
    ]
    assert "✔ wait" in err
    assert [(item["event"], item["verb"]) for item in audit(tmp_path)] == [
        ("allowed", "deploy"),
        ("finished", "deploy"),
    ]
    assert audit(tmp_path)[0]["context"] == "minikube"
    names = History(tmp_path / "state" / "devenv" / "history.sqlite3").criteria("shop", this_machine().id)
    assert {"deployment", "pod_ready", "deployment_success"} <= set(names)


def test_a_failure_is_rolled_back_with_14(
    live: ApiServer, deploy: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert deploy("--wait") == 0
    live.controllers.behave("web:2", "crash")
    capsys.readouterr()
    assert deploy("--rollback-on-failure", "--image", "web=web:2", "--json") == 14
    out, _ = capsys.readouterr()
    told = json.loads(out)
    jsonschema_rs.validator_for(json.loads(SCHEMA.read_text())).validate(told)
    assert told["verdict"] == "rolled back"
    assert image_of(live) == "web:1"
    assert audit(tmp_path)[-1]["result"] == "failed"


def test_text_says_the_verdict_and_the_reason(live: ApiServer, deploy: Run, capsys: pytest.CaptureFixture[str]) -> None:
    live.controllers.behave("web:1", "crash")
    assert deploy("--wait") == 7
    out, err = capsys.readouterr()
    assert "dev to default in minikube: failed after" in out
    assert "ended with exit code" in out
    assert "deployment/web: 0 of 1 new pods" in err


def test_a_context_that_is_not_allowed_is_refused_before_anything_is_asked(
    live: ApiServer, deploy: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(live.kubeconfig(tmp_path / "config", context="production")))
    assert deploy("--wait") == 10
    assert "production is not on the list" in capsys.readouterr().err
    assert live.requests == {}
    assert deploy("--dry-run") == 0
    assert live.get("deployments", "web") is None


def test_a_cluster_of_others_is_asked_for(
    live: ApiServer, deploy: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("devenv.toml").write_text('[manifests.overlays.dev]\npath = "dev"\n[kubernetes]\nallow = ["staging"]\n')
    monkeypatch.setenv("KUBECONFIG", str(live.kubeconfig(tmp_path / "config", context="staging")))
    assert deploy("--wait") == 10
    assert "there is no terminal to ask" in capsys.readouterr().err
    assert live.get("deployments", "web") is None
    assert deploy("--wait", "--yes") == 0


def test_errors_of_the_manifests_are_findings(live: ApiServer, deploy: Run, capsys: pytest.CaptureFixture[str]) -> None:
    web = Path("dev/web.yaml")
    web.write_text(web.read_text().replace("allowPrivilegeEscalation: false", "privileged: true"))
    assert deploy("--wait") == 11
    assert "Deployment/web" in capsys.readouterr().err
    assert live.get("deployments", "web") is None


def test_no_cluster_is_13_and_an_unknown_overlay_2(
    live: ApiServer, deploy: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    live.controllers.stop()
    live.stop()
    assert deploy("--wait") == 13
    assert main(["deploy", "nowhere"]) == 2
    assert "Overlays: dev." in capsys.readouterr().err


def test_pruning_asks_and_is_in_the_audit_log(
    live: ApiServer, deploy: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert deploy("--wait") == 0
    web = tmp_path / "shop" / "dev" / "web.yaml"
    web.write_text(WEB.partition("---")[2])
    assert deploy("--prune") == 10, "there is no terminal to ask"
    assert "1 are deleted" in capsys.readouterr().err.replace("\n", " ")
    assert live.get("services", "web") is not None
    assert deploy("--prune", "--dry-run") == 0
    assert "no longer rendered, would be deleted: Service/web" in capsys.readouterr().out
    assert deploy("--prune", "--yes", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    jsonschema_rs.validator_for(json.loads(SCHEMA.read_text())).validate(told)
    assert (told["prune"], told["pruned"]) == (["Service/web"], ["Service/web"])
    assert live.get("services", "web") is None
    assert [item["options"] for item in audit(tmp_path) if item["event"] == "allowed"][-1] == {"prune": "Service/web"}


def test_back_applies_the_revision_before_the_last(
    live: ApiServer, deploy: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy("--back", "--wait") == 2
    assert "There is no earlier revision of dev on this machine" in capsys.readouterr().err
    manifest = Path("dev/web.yaml")
    assert deploy("--wait") == 0
    manifest.write_text(WEB.replace("web:1", "web:2"))
    assert deploy("--wait") == 0
    assert image_of(live) == "web:2"
    capsys.readouterr()
    assert deploy("--back", "--wait", "--json") == 0
    out, err = capsys.readouterr()
    assert image_of(live) == "web:1"
    told = json.loads(out)
    assert (told["verdict"], told["restored"] != "") == ("succeeded", True)
    assert [stage["name"] for stage in told["stages"]] == [
        "render",
        "check",
        "go back",
        "diff",
        "apply",
        "wait",
        "record",
    ]
    assert f"to revision {told['restored']}" in err
    assert deploy("--back", "--wait") == 0
    assert image_of(live) == "web:2", "back once more is forth again, as with kubectl rollout undo"
