"""What each environment is for: its sizes, its store, how it rolls, where its images come from."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from k8s_rendering import K8S, OVERLAYS, Rendering, container, cpu, mebibytes, render_text, volumes

Render = Callable[[str], Rendering]
DIGEST = "sha256:" + "5eed" * 16


@pytest.mark.parametrize(("name", "backends", "frontends"), [("dev", 1, 1), ("staging", 2, 2), ("production", 3, 3)])
def test_replicas(render: Render, name: str, backends: int, frontends: int) -> None:
    overlay = render(f"overlays/{name}")
    assert overlay.one("Deployment", "backend")["spec"]["replicas"] == backends
    assert "replicas" not in overlay.one("Deployment", "frontend")["spec"]
    assert overlay.one("HorizontalPodAutoscaler", "frontend")["spec"]["minReplicas"] == frontends


def test_autoscaler_measures_both_and_has_room(rendered: Rendering) -> None:
    spec = rendered.one("HorizontalPodAutoscaler", "frontend")["spec"]
    targets = {item["resource"]["name"]: item["resource"]["target"]["averageUtilization"] for item in spec["metrics"]}
    assert targets == {"cpu": 70, "memory": 80}
    assert spec["maxReplicas"] > spec["minReplicas"]


def test_scale_down_window(render: Render) -> None:
    window = {
        name: render(f"overlays/{name}").one("HorizontalPodAutoscaler", "frontend")["spec"]["behavior"]["scaleDown"][
            "stabilizationWindowSeconds"
        ]
        for name in OVERLAYS
    }
    assert window["dev"] <= 60
    assert window["production"] >= 300


def test_dev_keeps_sqlite_on_its_volume(render: Render) -> None:
    overlay = render("overlays/dev")
    spec = overlay.one("Deployment", "backend")["spec"]
    assert spec["strategy"] == {"type": "Recreate"}
    claims = [
        volume["persistentVolumeClaim"]["claimName"] for volume in volumes(spec) if "persistentVolumeClaim" in volume
    ]
    assert claims == [claim["metadata"]["name"] for claim in overlay.all("PersistentVolumeClaim")]
    assert {"name": "data", "mountPath": "/data"} in container(spec)["volumeMounts"]
    assert "DATABASE_URL" not in overlay.config(overlay.one("Deployment", "backend"))


@pytest.mark.parametrize("name", ["staging", "production"])
def test_others_roll_on_postgresql(render: Render, name: str) -> None:
    overlay = render(f"overlays/{name}")
    for deployment in overlay.all("Deployment"):
        assert deployment["spec"]["strategy"] == {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        }
    backend = overlay.one("Deployment", "backend")
    assert not overlay.all("PersistentVolumeClaim")
    assert not [volume for volume in volumes(backend["spec"]) if "persistentVolumeClaim" in volume]
    config = overlay.config(backend)
    assert re.fullmatch(r"postgresql://docsearch@[\w.]+:5432/docsearch(\?.*)?", config["DATABASE_URL"])
    mount = next(item for item in container(backend["spec"])["volumeMounts"] if item["name"] == "database")
    assert mount["readOnly"] is True
    assert config["DATABASE_PASSWORD_FILE"] == mount["mountPath"] + "/password"


def test_only_staging_brings_its_own_database(render: Render) -> None:
    brought = {
        name: [item["metadata"]["name"] for item in render(f"overlays/{name}").all("StatefulSet")] for name in OVERLAYS
    }
    assert brought == {"dev": [], "staging": ["postgres"], "production": []}


def test_production_verifies_its_database(render: Render) -> None:
    overlay = render("overlays/production")
    url = overlay.config(overlay.one("Deployment", "backend"))["DATABASE_URL"]
    assert "sslmode=verify-full" in url
    assert "sslrootcert=/run/secrets/database/ca.crt" in url


def test_staging_is_smaller_than_production(render: Render) -> None:
    staging, production = render("overlays/staging"), render("overlays/production")
    for name in ("backend", "frontend"):
        small, full = (
            container(item.one("Deployment", name)["spec"])["resources"]["limits"] for item in (staging, production)
        )
        assert cpu(small["cpu"]) < cpu(full["cpu"])
        assert mebibytes(small["memory"]) < mebibytes(full["memory"])


def test_dev_images_are_the_ones_compose_builds(render: Render) -> None:
    compose = yaml.safe_load((K8S.parent / "compose/compose.yaml").read_text())
    built = {
        name: re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", service["image"]) for name, service in compose["services"].items()
    }
    for deployment in render("overlays/dev").all("Deployment"):
        first = container(deployment["spec"])
        assert first["image"] == built[first["name"]]
        assert first["imagePullPolicy"] == "IfNotPresent"


@pytest.mark.parametrize("name", ["staging", "production"])
def test_a_release_fills_in_every_digest(build: Render, name: str) -> None:
    """The kustomization that README.md tells CI to write."""
    template = re.search(r"<!-- release -->\n```yaml\n(.*?)```", (K8S / "README.md").read_text(), re.DOTALL)
    assert template, "README.md lost its release kustomization"
    text = template[1].replace("../k8s/overlays/production", f"{{k8s}}/overlays/{name}")
    release = build(re.sub(r"sha256:<\w+>", DIGEST, text))
    for workload in release.workloads():
        image = container(workload["spec"])["image"]
        assert re.search(r"@sha256:(?!0{64})[0-9a-f]{64}$", image), image
        assert workload["kind"] == "StatefulSet" or image.endswith(DIGEST)


@pytest.mark.parametrize("name", ["staging", "production"])
def test_images_are_named_by_digest(render: Render, name: str) -> None:
    for workload in render(f"overlays/{name}").workloads():
        assert re.search(r"@sha256:[0-9a-f]{64}$", container(workload["spec"])["image"])


def test_no_secret_is_rendered(rendered: Rendering, overlay: str) -> None:
    assert not rendered.all("Secret")
    assert "REPLACE-ME" not in render_text(K8S / "overlays" / overlay)


def test_secret_example_has_every_key_that_pods_read(rendered: Rendering) -> None:
    example = {
        item["metadata"]["name"]: item["stringData"]
        for item in yaml.safe_load_all((K8S / "secret-example.yaml").read_text())
    }
    for workload in rendered.workloads():
        for volume in volumes(workload["spec"]):
            if "secret" in volume:
                assert "password" in example[volume["secret"]["secretName"]]
    for ingress in rendered.all("Ingress"):
        assert {"tls.crt", "tls.key"} <= example[ingress["spec"]["tls"][0]["secretName"]].keys()


def test_a_developers_secret_reaches_both_ends(tmp_path: Path) -> None:
    """variants/dev-postgres, with the file that git ignores in its place."""
    copy = tmp_path.resolve() / "k8s"
    shutil.copytree(K8S, copy)
    (copy / "components/local-secrets/password").write_text("a-developers-own")
    variant = Rendering(copy / "variants/dev-postgres")
    (secret,) = variant.all("Secret")
    assert base64.b64decode(secret["data"]["password"]) == b"a-developers-own"
    assert secret["metadata"]["name"].startswith("database-"), "no hash: a new password would not roll out"
    for workload in (variant.one("Deployment", "backend"), variant.one("StatefulSet", "postgres")):
        names = [volume["secret"]["secretName"] for volume in volumes(workload["spec"]) if "secret" in volume]
        assert names == [secret["metadata"]["name"]]


def test_a_developers_secret_stays_out_of_git() -> None:
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", "password", "ca.crt", "password.example", "kustomization.yaml"],
        cwd=K8S / "components/local-secrets",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ignored.stdout.split() == ["password", "ca.crt"], ignored.stderr


def test_the_ground_is_named_like_the_overlay(rendered: Rendering, overlay: str) -> None:
    assert {item["metadata"]["labels"]["app.kubernetes.io/instance"] for item in rendered.objects} == {
        f"docsearch-{overlay}"
    }
    assert {item["metadata"]["labels"]["app.kubernetes.io/part-of"] for item in rendered.objects} == {"docsearch"}


def test_selectors_do_not_differ_between_environments(render: Render) -> None:
    """They are immutable: one that an overlay changed could not be applied over another overlay's."""
    seen: dict[str, set[str]] = {}
    for name in OVERLAYS:
        for workload in render(f"overlays/{name}").workloads():
            seen.setdefault(workload["metadata"]["name"], set()).add(str(workload["spec"]["selector"]))
    assert seen.keys() == {"backend", "frontend", "postgres"}
    assert all(len(selectors) == 1 for selectors in seen.values())
