"""Kustomize folders unlike the project's own: the right findings and no crash."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from folders import CLAIM, check_folder, rules_for, workload, write

from devenv.manifests.targets import discover


def test_a_bare_stateful_set_breaks_what_it_breaks_and_no_more(tmp_path: Path) -> None:
    pod = "{containers: [{name: db, image: db, volumeMounts: [{name: data, mountPath: /data}]}]}"
    text = workload("StatefulSet", "db", pod, CLAIM).replace("spec:\n", "spec:\n  serviceName: db\n", 1)
    write(tmp_path, kustomization="resources: [db.yaml]\n", db=text)
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
    pod = "{hostPID: true, volumes: [{name: host, hostPath: {path: /}}], containers: [{name: a, image: 'a:1'}]}"
    write(
        tmp_path,
        kustomization="""\
            resources: [jobs.yaml, agent.yaml]
            metadata: {annotations: {devenv.io/environment: development}}
            """,
        agent=workload("DaemonSet", "agent", pod),
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
    report = check_folder(tmp_path / "over", tmp_path)
    places = {finding.rule: (finding.file, finding.line) for finding in report.findings}
    assert places["host-network"] == ("part/kustomization.yaml", 6)
    assert places["image-pull-policy"] == ("base/web.yaml", 10)
    assert places["secret-committed"] == ("over/kustomization.yaml", 6)
    assert "config-generated" not in places
    assert "config-exists" not in places
    assert discover(tmp_path) == [tmp_path / "over"]
    assert not any("correct-horse" in finding.message for finding in report.findings)


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
        db=workload("StatefulSet", "db", "{containers: [{name: db, image: 'db:1', ports: [{containerPort: 1}]}]}"),
        services="".join(
            dedent(service).replace("NAME", name).replace("POD", pod) for name, pod in (("one", "db-0"), ("no", "dc-0"))
        ),
    )
    report = check_folder(tmp_path)
    assert rules_for(report, "Service/one") == set()
    assert rules_for(report, "Service/no") == {"service-dangling"}


def test_a_digest_of_zeros_is_noted_once_for_each_image_and_is_no_finding(tmp_path: Path) -> None:
    pod = """\
        apiVersion: v1
        kind: Pod
        metadata: {name: NAME}
        spec: {containers: [{name: a, image: "ghcr.io/shop/web@sha256:ZEROS"}, {name: b, image: "db@sha256:OTHER"}]}
        ---
        """
    text = dedent(pod).replace("ZEROS", "0" * 64).replace("OTHER", "a" * 64)
    write(
        tmp_path, kustomization="resources: [pods.yaml]\n", pods=text.replace("NAME", "a") + text.replace("NAME", "b")
    )
    report = check_folder(tmp_path)
    assert [note for note in report.notes if "zeros" in note] == [
        "ghcr.io/shop/web has a digest of zeros: until a release fills it in, devenv deploy refuses it"
    ]
    assert not {"image-digest", "image-tag"} & {finding.rule for finding in report.findings}
