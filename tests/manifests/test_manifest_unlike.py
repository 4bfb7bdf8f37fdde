"""Kustomize folders unlike the project's own: the right findings, no crash, nothing fetched."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from devenv.errors import UsageError
from devenv.manifests.check import Outside, check
from devenv.manifests.model import TargetReport
from devenv.manifests.schemas import choose_versions
from devenv.manifests.targets import Target, discover


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        file = folder / {"kustomization": "kustomization.yaml"}.get(name, name.replace("__", "/") + ".yaml")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), "utf-8")
    return folder


def check_folder(folder: Path) -> TargetReport:
    report = check([Target(folder.name, folder)], choose_versions(()), Outside(folder))
    return report.targets[0]


def rules_for(report: TargetReport, title: str) -> set[str]:
    return {finding.rule for finding in report.findings if finding.object == title}


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A server on loopback that offers a base, and remembers who asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: remote}\n")

        def log_message(self, format: str, *arguments: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        thread = threading.Thread(target=http_server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http_server.server_port}", asked
        http_server.shutdown()
        thread.join()


def test_a_bare_stateful_set_breaks_what_it_breaks_and_no_more(tmp_path: Path) -> None:
    write(
        tmp_path,
        kustomization="resources: [db.yaml]\n",
        db="""\
            apiVersion: apps/v1
            kind: StatefulSet
            metadata: {name: db}
            spec:
              serviceName: db
              selector: {matchLabels: {app: db}}
              template:
                metadata: {labels: {app: db}}
                spec:
                  containers:
                    - name: db
                      image: db
                      volumeMounts: [{name: data, mountPath: /data}]
              volumeClaimTemplates:
                - metadata: {name: data}
                  spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
            """,
    )
    report = check_folder(tmp_path)
    assert rules_for(report, "StatefulSet/db") == {
        "account-own", "account-token", "capabilities-dropped", "cpu-limit", "cpu-request", "fixed-user",
        "image-digest", "image-pull-policy", "image-tag", "label-instance", "label-name", "memory-limit",
        "memory-request", "network-default-deny", "network-policy-missing", "priority-missing",
        "privilege-escalation", "probe-liveness", "probe-readiness", "probe-startup", "read-only-root",
        "run-as-non-root", "seccomp", "single-instance", "stateful-service",
    }  # fmt: skip
    assert report.environment_declared is False
    assert "environment is not declared" in report.notes[0]


def test_jobs_and_daemon_sets_get_their_own_rules_only(tmp_path: Path) -> None:
    write(
        tmp_path,
        kustomization="resources: [jobs.yaml]\nmetadata: {annotations: {devenv.io/environment: development}}\n",
        jobs="""\
            apiVersion: batch/v1
            kind: Job
            metadata: {name: once}
            spec:
              template:
                spec: {restartPolicy: Never, containers: [{name: a, image: "a:1"}]}
            ---
            apiVersion: batch/v1
            kind: CronJob
            metadata: {name: nightly}
            spec:
              schedule: "0 3 * * *"
              jobTemplate:
                spec:
                  ttlSecondsAfterFinished: 60
                  template:
                    spec: {containers: [{name: a, image: "a:1"}]}
            ---
            apiVersion: apps/v1
            kind: DaemonSet
            metadata: {name: agent}
            spec:
              selector: {matchLabels: {app: agent}}
              template:
                metadata: {labels: {app: agent}}
                spec:
                  hostPID: true
                  volumes: [{name: host, hostPath: {path: /}}]
                  containers: [{name: a, image: "a:1"}]
            """,
    )
    report = check_folder(tmp_path)
    once, nightly, agent = (rules_for(report, title) for title in ("Job/once", "CronJob/nightly", "DaemonSet/agent"))
    assert {"job-ttl", "memory-limit"} <= once
    assert not {"probe-liveness", "priority-missing", "job-restart-policy"} & once
    assert {"job-ttl", "job-restart-policy", "cpu-request"} <= nightly
    assert {"host-pid", "host-path", "probe-liveness"} <= agent
    assert not {"replicas", "pdb-missing", "image-digest", "rollout-unavailable"} & agent


def test_a_custom_resource_is_noted_and_its_definition_is_checked(tmp_path: Path) -> None:
    write(
        tmp_path,
        kustomization="resources: [crd.yaml, thing.yaml]\n",
        crd="""\
            apiVersion: apiextensions.k8s.io/v1
            kind: CustomResourceDefinition
            metadata: {name: things.example.com}
            spec:
              group: example.com
              scope: Namespaced
              names: {kind: Thing, plural: things}
              versions:
                - name: v1
                  served: true
                  storage: true
                  schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
            """,
        thing="""\
            apiVersion: example.com/v1
            kind: Thing
            metadata: {name: thing}
            spec: {containers: "not a list", template: 5}
            ---
            apiVersion: networking.example.com/v1
            kind: NetworkPolicy
            metadata: {name: not-the-builtin}
            spec: {anything: true}
            """,
    )
    report = check_folder(tmp_path)
    assert report.findings == ()
    assert len([note for note in report.notes if "custom resource" in note]) == 2


def test_a_removed_api_and_an_unknown_kind_of_a_builtin_group_are_found(tmp_path: Path) -> None:
    write(
        tmp_path,
        kustomization="resources: [old.yaml]\n",
        old="""\
            apiVersion: extensions/v1beta1
            kind: Ingress
            metadata: {name: old}
            ---
            apiVersion: apps/v1
            kind: Deploymnet
            metadata: {name: typo}
            """,
    )
    report = check_folder(tmp_path)
    assert {(finding.object, finding.rule) for finding in report.findings} == {
        ("Ingress/old", "api-version"),
        ("Deploymnet/typo", "api-version"),
    }


def test_generators_components_and_prefixes_are_traced_to_their_files(tmp_path: Path) -> None:
    write(
        tmp_path,
        base__kustomization="resources: [web.yaml]\nconfigMapGenerator: [{name: settings, literals: [A=1]}]\n",
        base__web="""\
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: web}
            spec:
              selector: {matchLabels: {app: web}}
              template:
                metadata: {labels: {app: web}}
                spec:
                  containers:
                    - name: web
                      image: web:1
                      envFrom: [{configMapRef: {name: settings}}]
            """,
        part__kustomization="""\
            apiVersion: kustomize.config.k8s.io/v1alpha1
            kind: Component
            patches:
              - target: {kind: Deployment}
                patch: |-
                  - op: add
                    path: /spec/template/spec/hostNetwork
                    value: true
            """,
        over__kustomization="""\
            metadata: {annotations: {devenv.io/environment: development}}
            namePrefix: my-
            nameSuffix: -one
            resources: [../base]
            components: [../part]
            secretGenerator: [{name: keys, literals: [password=correct-horse]}]
            """,
    )
    report = check([Target("over", tmp_path / "over")], choose_versions(()), Outside(tmp_path)).targets[0]
    places = {finding.rule: (finding.file, finding.line) for finding in report.findings}
    assert places["host-network"] == ("part/kustomization.yaml", 6)
    assert places["image-pull-policy"] == ("base/web.yaml", 10)
    assert places["secret-committed"] == ("over/kustomization.yaml", 6)
    assert "config-generated" not in places
    assert "config-exists" not in places
    assert discover(tmp_path) == [tmp_path / "over"]
    assert not any("correct-horse" in finding.message for finding in report.findings)


@pytest.mark.parametrize(
    "entry",
    [
        "https://github.com/example/base//deploy?ref=v1",
        "github.com/example/base",
        "git@github.com:example/base.git",
        "git::https://example.com/base",
        "ssh://git@example.com/base",
    ],
)
def test_a_remote_base_is_refused_with_a_clear_error(entry: str, tmp_path: Path) -> None:
    write(tmp_path, kustomization=f"resources:\n  - {entry}\n")
    report = check_folder(tmp_path)
    (finding,) = report.findings
    assert finding.rule == "remote-base"
    assert finding.line == 2
    assert "not on this machine" in finding.message
    assert "vendoring" in finding.fix
    assert report.objects == 0


@pytest.mark.parametrize(
    "kustomization",
    [
        "resources: [URL/base.yaml]\n",
        "configMapGenerator: [{name: a, files: [a=URL/a.txt]}]\n",
        "patches: [{path: URL/patch.yaml}]\n",
        "generators: [generator.yaml]\n",
        "generators:\n  - |-\n    apiVersion: builtin\n    kind: ConfigMapGenerator\n    metadata: {name: a}\n"
        "    files: [a=URL/a.txt]\n",
        "openapi: {path: URL/schema.json}\n",
    ],
)
def test_nothing_is_fetched(kustomization: str, tmp_path: Path, server: tuple[str, list[str]]) -> None:
    url, asked = server
    write(
        tmp_path,
        kustomization=kustomization.replace("URL", url),
        generator=f"apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {{name: a}}\nfiles: ['{url}/a.txt']\n",
    )
    report = check_folder(tmp_path)
    assert {finding.rule for finding in report.findings} == {"remote-base"}
    assert asked == []


def test_a_missing_secret_file_is_stood_in_for_by_its_example(tmp_path: Path) -> None:
    write(
        tmp_path,
        base__kustomization="resources: []\nsecretGenerator: [{name: db, envs: [db.env]}]\n",
        over__kustomization="resources: [../base]\nmetadata: {annotations: {devenv.io/environment: development}}\n",
    )
    over = tmp_path / "over"
    (missing,) = check_folder(over).findings
    assert (missing.rule, missing.line) == ("missing-file", 2)
    (tmp_path / "base" / "db.env.example").write_text("PASSWORD=change-me\n", "utf-8")
    report = check_folder(over)
    assert report.findings == ()
    assert report.objects == 1
    assert report.notes == ("db.env is not there: db.env.example stands in",)
    assert not (tmp_path / "base" / "db.env").exists()


def test_a_service_for_one_pod_of_a_stateful_set_selects_by_the_name_that_the_controller_gives(tmp_path: Path) -> None:
    service = """\
        apiVersion: v1
        kind: Service
        metadata: {name: NAME}
        spec:
          selector: {app: db, statefulset.kubernetes.io/pod-name: POD}
          ports: [{port: 1, targetPort: 1}]
        ---
        """
    write(
        tmp_path,
        kustomization="resources: [db.yaml, services.yaml]\n",
        db="""\
            apiVersion: apps/v1
            kind: StatefulSet
            metadata: {name: db}
            spec:
              selector: {matchLabels: {app: db}}
              template:
                metadata: {labels: {app: db}}
                spec: {containers: [{name: db, image: "db:1", ports: [{containerPort: 1}]}]}
            """,
        services="".join(
            dedent(service).replace("NAME", name).replace("POD", pod) for name, pod in (("one", "db-0"), ("no", "dc-0"))
        ),
    )
    report = check_folder(tmp_path)
    assert rules_for(report, "Service/one") == set()
    assert rules_for(report, "Service/no") == {"service-dangling"}


def test_what_is_no_kustomize_folder_is_a_wrong_command(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no kustomization\.yaml"):
        check_folder(tmp_path)


def test_cycles_end(tmp_path: Path) -> None:
    write(tmp_path, a__kustomization="resources: [../b]\n", b__kustomization="resources: [../a]\n")
    (finding,) = check_folder(tmp_path / "a").findings
    assert "cycle" in finding.message
