"""Which Secrets a rendering needs: every way to refer to one, and everything that may provide it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest

from devenv.cli import main

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schemas"
OBJECTS = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec:
      imagePullSecrets: [{name: registry}]
      containers:
        - name: web
          image: web:1
          env:
            - {name: A, valueFrom: {secretKeyRef: {name: db, key: password}}}
            - {name: B, valueFrom: {secretKeyRef: {name: db, key: user}}}
            - {name: C, valueFrom: {secretKeyRef: {name: maybe, key: x, optional: true}}}
          envFrom: [{secretRef: {name: extra}}]
      volumes:
        - {name: v, secret: {secretName: files, items: [{key: tls.key, path: k}]}}
        - {name: p, projected: {sources: [{secret: {name: sealed}}]}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop}
spec: {tls: [{hosts: [a.example], secretName: web-tls}], rules: [{host: a.example}]}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: from-the-store, namespace: shop}
spec: {target: {name: db}}
---
apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata: {name: sealed, namespace: shop}
spec: {}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: web, namespace: shop}
spec: {secretName: web-tls}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "objects.yaml").write_text(OBJECTS, "utf-8")
    (tmp_path / "kustomization.yaml").write_text(
        "resources: [objects.yaml]\nsecretGenerator: [{name: extra, namespace: shop, envs: [extra.env]}]\n", "utf-8"
    )
    (tmp_path / "extra.env.example").write_text("TOKEN=change-me\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_reference_and_every_provider_is_known(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["secrets", "list", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    jsonschema_rs.validate(json.loads((SCHEMAS / "secrets-list.schema.json").read_text("utf-8")), data)
    found = {need["secret"].partition("-7")[0]: need for need in data["secrets"]}
    extra = next(name for name in found if name.startswith("extra"))
    shown = {name: (need["keys"], need["provided_by"]) for name, need in found.items()}
    assert shown == {
        "db": (["password", "user"], "ExternalSecret/from-the-store"),
        extra: ([], "secretGenerator"),
        "files": (["tls.key"], ""),
        "maybe": (["x"], ""),
        "registry": ([".dockerconfigjson"], ""),
        "sealed": ([], "SealedSecret/sealed"),
        "web-tls": (["tls.crt", "tls.key"], "Certificate/web"),
    }
    assert [name for name, need in found.items() if need["optional"]] == ["maybe"]


def test_the_table_says_what_has_to_be_there_before(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["secrets", "list"]) == 0
    lines = {line.split()[1]: line for line in capsys.readouterr().out.splitlines()}
    assert "must be in the cluster before" in lines["files"]
    assert "(optional)" in lines["maybe"]
    assert "ExternalSecret/from-the-store" in lines["db"]


def test_a_folder_that_cannot_be_rendered_is_an_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "objects.yaml").unlink()
    assert main(["secrets", "list"]) == 1
    assert "cannot be rendered" in capsys.readouterr().err
