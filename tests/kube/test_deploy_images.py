"""Images of a deployment: found, replaced, matched with what Compose builds, and brought to the cluster."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.kubeconfig import ContextInfo
from devenv.backends.kube.pod_start import PodStages
from devenv.control.deploy.images import (
    ImageTools,
    NodeLoader,
    ProgramLoader,
    SharedEngine,
    bring,
    check_digests,
    deliver,
    loader_for,
    on_every_node,
    parse_image,
    plan_images,
    replace_images,
    services_of,
    uses_of,
)
from devenv.control.deploy.outcome import Status
from devenv.core.errors import DevenvError
from devenv.core.model import Project, Service
from fakes.api_server import ApiServer, node_object
from tests.kube.deploying import application

DIGEST = f"sha256:{'a' * 64}"
PROJECT = Project("shop", "/shop", (), (Service("web", "docker.io/library/web:1", builds=True), Service("db", "pg:1")))


def context(name: str, flavour: str) -> ContextInfo:
    return ContextInfo(name, name, "https://127.0.0.1:6443", name, "", flavour)


@pytest.mark.parametrize("name", ["web", "web:1", "docker.io/library/web", "docker.io/library/web:1"])
def test_an_image_is_replaced_by_its_name_with_or_without_tag(name: str) -> None:
    replaced = replace_images(application("web:1"), {name: "registry.test:5000/web:2"})
    assert [use.image for use in uses_of(replaced)] == ["registry.test:5000/web:2"]
    assert [use.image for use in uses_of(application("web:1"))] == ["web:1"]


def test_another_image_is_left_alone() -> None:
    assert uses_of(replace_images(application("web:1"), {"web:2": "x", "ghcr.io/web": "y"}))[0].image == "web:1"


def test_the_last_part_of_a_name_is_enough_on_the_command_line() -> None:
    objects = application(f"ghcr.io/shop/web@{DIGEST}")
    name, reference = parse_image("web=web:2", objects)
    assert uses_of(replace_images(objects, {name: reference}))[0].image == "web:2"


def test_images_that_compose_builds_are_found_by_their_tag() -> None:
    assert services_of(application("web:1"), PROJECT) == {"web:1": "web"}
    assert services_of(application("web:2"), PROJECT) == {}


@pytest.mark.parametrize(
    ("images", "build", "image", "why"),
    [
        (ImageTools(PROJECT), False, "web:1", "--no-build"),
        (ImageTools(no_project="no compose.yaml"), True, "web:1", "no compose.yaml"),
        (ImageTools(PROJECT), True, f"web@{DIGEST}", "named by digest"),
        (ImageTools(PROJECT), True, "other:1", "no image is one that a service of Compose builds"),
        (ImageTools(PROJECT, no_loader="there is no minikube program here"), True, "web:1", "no minikube program here"),
    ],
)
def test_what_is_not_done_for_an_image_is_said(images: ImageTools, build: bool, image: str, why: str) -> None:
    plan = plan_images(application(image), images, build=build, push=False)
    assert not plan.services
    assert why in plan.why


def test_an_image_without_a_registry_is_pushed_nowhere() -> None:
    with pytest.raises(DevenvError, match="the name says no registry"):
        plan_images(application("web:1"), ImageTools(PROJECT), build=True, push=True)


@pytest.mark.parametrize(
    ("flavour", "name", "wanted"),
    [
        ("minikube", "minikube", ["minikube", "-p", "minikube", "image", "load", "web:1"]),
        ("kind", "kind-ci", ["kind", "load", "docker-image", "web:1", "--name", "ci"]),
        ("k3d", "k3d-dev", ["k3d", "image", "import", "web:1", "--cluster", "dev"]),
    ],
)
def test_an_image_is_loaded_by_the_program_of_its_cluster(
    tmp_path: Path, flavour: str, name: str, wanted: list[str]
) -> None:
    environ = {"PATH": str(tmp_path)}
    loader, why = loader_for(context(name, flavour), environ)
    assert (loader, why) == (None, f"there is no {flavour} program here to load them with")
    program(tmp_path / flavour, f'printf "%s\\n" "$0" "$@" > {tmp_path}/called')
    loader, _ = loader_for(context(name, flavour), environ)
    assert isinstance(loader, ProgramLoader)
    loader.load("web:1")
    called = (tmp_path / "called").read_text().splitlines()
    assert [Path(called[0]).name, *called[1:]] == wanted


def test_a_program_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    program(tmp_path / "kind", 'echo "ERROR: no nodes found for cluster" >&2; exit 1')
    loader, _ = loader_for(context("kind-ci", "kind"), {"PATH": str(tmp_path)})
    assert loader is not None
    with pytest.raises(DevenvError, match="no nodes found for cluster"):
        loader.load("web:1")


def test_clusters_of_others_have_no_way_in() -> None:
    loader, why = loader_for(context("prod", ""), {"PATH": "/usr/bin"})
    assert loader is None
    assert "prod" in why
    assert isinstance(loader_for(context("docker-desktop", "docker-desktop"), {})[0], SharedEngine)


def test_a_built_image_is_loaded_under_the_name_of_its_content(tmp_path: Path) -> None:
    identity = "0123456789ab" + "c" * 52
    inspected = json.dumps([{"Id": f"sha256:{identity}"}])
    program(tmp_path / "docker", f'echo "$@" >> {tmp_path}/asked\n[ "$1" = image ] && echo \'{inspected}\'; exit 0')
    program(tmp_path / "kind", f'echo "$@" >> {tmp_path}/loaded')
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    loader, _ = loader_for(context("kind-ci", "kind"), environ)
    images = ImageTools(PROJECT, loader=loader, environ=environ)
    delivered = deliver(plan_images(application("web:1"), images, build=True, push=False), images)
    assert delivered == {"web:1": "web:devenv-0123456789ab"}
    assert "web:devenv-0123456789ab" in (tmp_path / "loaded").read_text()
    assert "rmi --no-prune web:devenv-0123456789ab" in (tmp_path / "asked").read_text()


NAMED = "web:devenv-0123456789ab"


def put_nodes(api: ApiServer, *images: list[str]) -> None:
    """Put nodes of which each has one image of these names."""
    for number, names in enumerate(images):
        node = node_object(f"node-{number}" if number else "minikube")  # the server has this one
        node["status"]["images"] = [{"names": ["docker.io/library/other:1"]}, {"names": names, "sizeBytes": 1}]
        api.put(node)


def test_what_every_node_has_is_not_loaded_again(api: ApiServer, client: KubeClient) -> None:
    loads: list[tuple[str, ...]] = []

    class Recorder:
        shares = False

        def load(self, *images: str) -> None:
            loads.append(images)

    loader = NodeLoader(Recorder(), client)
    loader.load(NAMED)
    put_nodes(api, [f"docker.io/library/{NAMED}"], [f"docker.io/library/{NAMED}", "docker.io/library/web:1"])
    loader.load(NAMED)
    assert loads == [(NAMED,)], "before there was a node, and not since"
    assert on_every_node(client, NAMED)
    assert not on_every_node(client, NAMED, "web:1"), "one node has the image under one of both names"
    put_nodes(api, [f"docker.io/library/{NAMED}"], ["docker.io/library/web:1"])
    loader.load(NAMED)
    assert loads == [(NAMED,)] * 2, "a node lacks it"


def test_an_image_that_is_brought_gets_the_name_of_its_content_too(
    api: ApiServer, client: KubeClient, tmp_path: Path
) -> None:
    program(tmp_path / "docker", f'echo "$@" >> {tmp_path}/asked')
    program(tmp_path / "kind", f'echo "$@" >> {tmp_path}/loaded')
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    loader, _ = loader_for(context("kind-ci", "kind"), environ)
    assert loader is not None
    identity = f"sha256:0123456789ab{'c' * 52}"
    put_nodes(api, ["docker.io/library/web:1"])  # of an earlier build
    assert bring("web:1", identity, loader, client, environ)
    assert (tmp_path / "loaded").read_text() == f"load docker-image web:1 {NAMED} --name ci\n"
    assert (tmp_path / "asked").read_text() == f"tag web:1 {NAMED}\nrmi --no-prune {NAMED}\n"
    put_nodes(api, ["docker.io/library/web:1", f"docker.io/library/{NAMED}"])
    assert not bring("web:1", identity, loader, client, environ)
    assert not bring("web:2", identity, SharedEngine(), client, environ)
    assert len((tmp_path / "loaded").read_text().splitlines()) == 1


def pods(*digests: str) -> tuple[PodStages, ...]:
    return tuple(
        PodStages("default", f"web-{number}", "deployment/web", 1.0, digests={"main": digest})
        for number, digest in enumerate(digests)
    )


@pytest.mark.parametrize(
    ("image", "running", "recorded", "status", "words"),
    [
        (f"web@{DIGEST}", [DIGEST], None, Status.DONE, "runs sha256:aaaaaaaaaaaa"),
        (f"web@{DIGEST}", ["sha256:" + "b" * 64], None, Status.FAILED, "instead of sha256:aaaaaaaaaaaa"),
        ("web:1", [DIGEST], None, Status.DONE, "which web:1 does not state"),
        ("web:1", [DIGEST], {"deployment/web/main": DIGEST}, Status.DONE, "runs sha256:aaaaaaaaaaaa"),
        ("web:1", [DIGEST], {"deployment/web/main": "sha256:" + "b" * 64}, Status.FAILED, "instead of"),
        ("web:1", [DIGEST, "sha256:" + "b" * 64], None, Status.FAILED, "do not all run the same image"),
        (f"web:devenv-{'a' * 12}", [DIGEST], None, Status.DONE, "runs sha256:aaaaaaaaaaaa"),
        ("web:1", [], None, Status.SKIPPED, "no running pod"),
    ],
)
def test_digests_are_judged_by_what_was_meant(
    image: str, running: list[str], recorded: dict[str, str] | None, status: Status, words: str
) -> None:
    check = check_digests(application(image), pods(*running), recorded)
    assert check.status is status
    assert words in check.text


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
