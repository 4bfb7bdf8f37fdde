"""What is right is no error: undeclared numbers, names that hold no secret, parts of a larger rendering, limits."""

from __future__ import annotations

from pathlib import Path

import pytest
from folders import CLAIM, check_folder, severities, workload, write

from devenv.cli import main
from devenv.manifests import yamlread
from devenv.manifests.check import Outside, check
from devenv.manifests.model import Severity
from devenv.manifests.schemas import choose_versions
from devenv.manifests.targets import Target

PROBE = "livenessProbe: {tcpSocket: {port: 9001}}"
POD = f"{{serviceAccountName: exporter, containers: [{{name: exporter, image: 'example.com/exporter:1', {PROBE}}}]}}"
DEPLOYMENT = workload("Deployment", "exporter", POD)
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: exporter}
spec:
  selector: {app: exporter}
  ports: [{port: 9001, targetPort: 9001}]
"""


def test_a_numeric_port_need_not_be_declared_and_a_named_one_must(tmp_path: Path) -> None:
    rules = ("service-port", "probe-port", "configmap-secret", "network-policy-port", "network-unreachable")
    config = """\
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: settings}
        data: {secret_name_template: "{namespace}-{user}-credentials", password_min_length: "12"}
        """
    write(tmp_path, kustomization="resources: [a.yaml, s.yaml, c.yaml]\n", a=DEPLOYMENT, s=SERVICE, c=config)
    assert severities(check_folder(tmp_path), *rules) == {}
    named = DEPLOYMENT.replace("port: 9001", "port: metrics")
    write(tmp_path, a=named, s=SERVICE.replace("targetPort: 9001", "targetPort: metrics"))
    found = severities(check_folder(tmp_path), *rules)
    assert found == {"service-port": Severity.ERROR, "probe-port": Severity.ERROR}


def test_the_only_port_of_pod_and_service_under_two_numbers_is_a_warning(tmp_path: Path) -> None:
    declared = DEPLOYMENT.replace("livenessProbe:", "ports: [{containerPort: 8080}], livenessProbe:")
    write(tmp_path, kustomization="resources: [a.yaml, s.yaml]\n", a=declared, s=SERVICE)
    assert severities(check_folder(tmp_path), "service-port") == {"service-port": Severity.WARNING}


PARTS = ("account-exists", "selector-mismatch", "network-policy-peer", "image-tag", "schema")
POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: exporter}
spec:
  podSelector: {matchLabels: {app: exporter}}
  ingress: [{from: [{podSelector: {matchLabels: {app: prometheus}}}]}]
"""


def test_a_base_that_an_overlay_uses_gets_warnings_for_what_the_overlay_may_bring(tmp_path: Path) -> None:
    incomplete = DEPLOYMENT.replace("  selector: {matchLabels: {app: exporter}}\n", "").replace(":1'", "'")
    other = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: other}\n"
    base = write(
        tmp_path / "base", kustomization="resources: [a.yaml, p.yaml, o.yaml]\n", a=incomplete, p=POLICY, o=other
    )
    alone = check_folder(base, tmp_path)
    assert severities(alone, *PARTS) == dict.fromkeys(PARTS, Severity.ERROR)
    write(tmp_path / "overlay", kustomization="resources: [../base]\n")
    part = check_folder(base, tmp_path)
    assert severities(part, *PARTS) == dict.fromkeys(PARTS, Severity.WARNING)
    assert any("a part of overlay" in finding.message for finding in part.findings)
    write(base, kustomization="kind: Component\nresources: [a.yaml, p.yaml, o.yaml]\n")
    component = check_folder(base)
    assert severities(component, *PARTS) == dict.fromkeys(PARTS, Severity.WARNING)


@pytest.mark.parametrize(
    ("extra", "because"),
    [
        ("", "this folder has no ServiceAccount at all"),
        ("apiVersion: example.com/v1\nkind: Exporter\nmetadata: {name: x}\n", "Exporter/x may make it"),
    ],
)
def test_what_may_come_from_elsewhere_is_a_warning_that_says_from_where(
    tmp_path: Path, extra: str, because: str
) -> None:
    account = "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: other}\n" if extra else ""
    write(tmp_path, kustomization="resources: [a.yaml]\n", a=f"{DEPLOYMENT}{account}---\n{extra}")
    (finding,) = [item for item in check_folder(tmp_path).findings if item.rule == "account-exists"]
    assert (finding.severity, because in finding.message) == (Severity.WARNING, True)


def test_what_another_folder_of_the_project_declares_is_a_warning_that_names_the_file(tmp_path: Path) -> None:
    accounts = "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: NAME\n"
    web = write(tmp_path / "web", kustomization="resources: [a.yaml, o.yaml]\n", a=DEPLOYMENT)
    write(web, o=accounts.replace("NAME", "other"))
    write(tmp_path / "shared", kustomization="resources: [x.yaml]\n", x=accounts.replace("NAME", "exporter"))
    (finding,) = [item for item in check_folder(web, tmp_path).findings if item.rule == "account-exists"]
    assert finding.severity is Severity.WARNING
    assert "it is in shared/x.yaml" in finding.message


def test_a_claim_that_the_stateful_set_itself_makes_is_there(tmp_path: Path) -> None:
    pod = """{containers: [{name: db, image: "db:1", volumeMounts: [{name: data, mountPath: /data}]}],
      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]}"""
    text = workload("StatefulSet", "db", pod, CLAIM)
    write(tmp_path, kustomization="resources: [db.yaml]\n", db=text)
    assert severities(check_folder(tmp_path), "volume-claim", "volume-mount") == {}


@pytest.mark.parametrize(("failures", "found"), [(3, {"probe-liveness-own": Severity.WARNING}), (6, {})])
def test_one_path_for_two_probes_is_right_where_liveness_is_more_patient(
    tmp_path: Path, failures: int, found: dict[str, Severity]
) -> None:
    probe = "{httpGet: {path: /health, port: 1}"
    text = DEPLOYMENT.replace(
        PROBE, f"livenessProbe: {probe}, failureThreshold: {failures}}}, readinessProbe: {probe}}}"
    )
    write(tmp_path, kustomization="resources: [a.yaml]\n", a=text)
    assert severities(check_folder(tmp_path), "probe-liveness-own") == found


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ("stringData: {token: 'op://vault/item/field'}", None),
        ("stringData: {ca.crt: '-----BEGIN CERTIFICATE-----'}", None),
        ("data: {password: Y2hhbmdlLW1l}", None),
        ("stringData: {password: 'ENC[AES256_GCM,data:x,iv:y]'}\nsops: {mac: x}", None),
        ("stringData: {config.yaml: 'allow: [read]'}", Severity.WARNING),
        ("data: {password: aHVudGVyMg==}", Severity.ERROR),
        ("data: {tls.key: aHVudGVyMg==}", Severity.ERROR),
    ],
)
def test_a_secrets_values_are_judged(tmp_path: Path, data: str, found: Severity | None) -> None:
    text = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\n{data}\n"
    write(tmp_path, kustomization="resources: [s.yaml]\n", s=text)
    expected = {} if found is None else {"secret-committed": found}
    assert severities(check_folder(tmp_path), "secret-committed", "unknown-field") == expected


def test_an_anchor_that_is_set_again_is_yaml(tmp_path: Path) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: &a one}\ndata: {x: &a two, y: *a}\n"
    write(tmp_path, kustomization="resources: [c.yaml]\n", c=text)
    report = check_folder(tmp_path)
    assert (report.objects, report.findings) == (1, ())


def test_what_is_too_large_to_read_is_inconclusive_and_names_the_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: large}\ndata: {x: '" + "0" * 900_000 + "'}\n"
    names = [f"c{number}" for number in range(12)]
    write(tmp_path, **{name: text.replace("large", name) for name in names})
    write(tmp_path, kustomization=f"resources: [{', '.join(f'{name}.yaml' for name in names)}]\n")
    monkeypatch.chdir(tmp_path)
    assert main(["manifests", "check", "--no-compose", "."]) == 12
    out = capsys.readouterr().out
    assert "the rendering was not read: it is larger than 10 MB, the most that is read" in out
    monkeypatch.setattr(yamlread, "MOST_YAML", 500_000)
    assert main(["manifests", "check", "--no-compose", "."]) == 12
    assert "c0.yaml: was not read: it is larger than" in capsys.readouterr().out


def test_a_chart_is_not_rendered_and_no_error(tmp_path: Path) -> None:
    write(tmp_path, kustomization="helmCharts: [{name: web, repo: 'https://charts.example', version: 1.0.0}]\n")
    report = check([Target("x", tmp_path)], choose_versions(()), Outside(tmp_path))
    assert report.findings == ()
    assert report.verdict == "inconclusive"
    assert "--enable-helm" in report.unchecked[0]
