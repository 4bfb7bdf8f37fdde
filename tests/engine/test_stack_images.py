"""The images of both services: small, and running as the Kubernetes manifests say, on either store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import httpx
import pytest
from manifest_pod import Pod, pods
from stack_images import SERVICES, Images, run

from tests.k8s.k8s_rendering import K8S, Rendering

pytestmark = pytest.mark.engine

MAX_BYTES = 90 * 10**6  # of an image beyond its base


@pytest.fixture(scope="module", params=["overlays/dev", "variants/dev-postgres"])
def running(
    request: pytest.FixtureRequest, stack_images: Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Pod]]:
    """The services of an overlay in the order in which each finds what it needs."""
    folder = tmp_path_factory.mktemp("manifests")
    copy = shutil.copytree(K8S, folder / "k8s")
    (copy / "components/local-secrets/password").write_text("a-developers-own")
    (folder / "database").mkdir()
    (folder / "database" / "password").write_text("a-developers-own")
    # The mounted folder alone is reached by the containers' users, not by this machine's.
    folder.chmod(0o755)
    rendering = Rendering(copy / request.param)
    names = ["postgres", *SERVICES] if "postgres" in request.param else list(SERVICES)
    with pods(rendering, names, stack_images, folder) as started:
        yield started


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_adds_little_to_its_base(stack_images: Images, service: str) -> None:
    added = stack_images.size(stack_images.name(service)) - stack_images.size(stack_images.base)
    assert 0 < added < MAX_BYTES


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_has_no_tools_to_build_or_install_with(stack_images: Images, service: str) -> None:
    listed = run("docker", "run", "--rm", "--network=none", stack_images.name(service), "ls", "/opt/venv/bin")
    assert not {"pip", "pip3", "uv"} & set(listed.split())


def test_every_probe_passes_and_documents_are_found_through_the_page(running: dict[str, Pod]) -> None:
    for pod in running.values():
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert pod.passes(probe) == "", (pod.name, probe)
    with httpx.Client(base_url=running["frontend"].url(), trust_env=False, timeout=10) as page:
        collection = page.post("/api/collections", json={"name": "c"}).raise_for_status().json()["id"]
        body = {"title": "kept", "text": "a needle in a haystack"}
        page.post(f"/api/collections/{collection}/documents", json=body).raise_for_status()
        (hit,) = page.get("/api/search", params={"q": "need"}).json()["results"]
        assert hit["snippet"] == "a <mark>needle</mark> in a haystack"
    tables = "SELECT count(*) FROM documents"
    if postgres := running.get("postgres"):
        counted = postgres.execute("psql", "-U", "docsearch", "-d", "docsearch", "-tAc", tables)
        assert counted.stdout.strip() == "1", "the backend keeps its documents somewhere else"


def test_processes_have_no_rights_they_do_not_need(running: dict[str, Pod]) -> None:
    for name, pod in running.items():
        user = str(pod.workload["spec"]["template"]["spec"]["securityContext"]["runAsUser"])
        status = pod.execute("cat", "/proc/1/status").stdout
        fields = dict(line.split(":\t", 1) for line in status.splitlines())
        assert fields["Uid"].split() == [user] * 4, name
        assert (int(fields["CapEff"], 16), int(fields["CapBnd"], 16)) == (0, 0), name
        assert fields["NoNewPrivs"] == "1", name
        written = pod.execute("sh", "-c", "echo x >/opt/x || echo x >/usr/x")
        assert "Read-only file system" in written.stderr, name
        for mount in pod.container["volumeMounts"]:
            if mount.get("readOnly"):
                continue
            probe = f"{mount['mountPath']}/.written"
            written = pod.execute("sh", "-c", f"echo x >{probe} && rm {probe}")
            assert written.returncode == 0, (name, mount, written.stderr)


def test_everything_ends_in_its_grace_period(running: dict[str, Pod]) -> None:
    """Last: the containers are stopped, those first that need the others."""
    codes = {name: pod.stop() for name, pod in reversed(running.items())}
    assert codes == dict.fromkeys(running, 0)
