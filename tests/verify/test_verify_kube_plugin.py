"""Smoke tests on Kubernetes, run as a user runs them, against an API server in this process."""

from __future__ import annotations

import re

from kube_project import BOTH, Project, api, project

from devenv.runs.identity import this_process
from fakes.api_server import namespace_object
from fakes.api_server.handler import Handler

__all__ = ["api", "project"]  # fixtures: pytest finds them here


def test_a_copy_comes_up_in_a_namespace_of_its_own_and_goes(project: Project) -> None:
    project.tests(
        "pytestmark = pytest.mark.targets('kubernetes')\n"
        "def test_it(isolated_stack, cluster, measure):\n"
        "    namespaces = {pod.data['metadata']['namespace'] for pod in cluster.pods('web')}\n"
        "    assert namespaces == {isolated_stack.name}\n"
        "    (priority,) = {pod.data['spec']['priorityClassName'] for pod in cluster.pods()}\n"
        "    assert priority == f'{isolated_stack.name}-shop'\n"
        "    found = isolated_stack.client.get('/api/v1/namespaces/' + isolated_stack.name)['metadata']\n"
        "    assert found['labels']['devenv.run'] and found['annotations']['devenv.owner']\n"
        "    assert isolated_stack.is_well()\n"
        "    isolated_stack.restart('web')\n"
        "    isolated_stack.wait_healthy()\n"
        "    isolated_stack.stop()\n"
        "    assert cluster.pods() == [] and not isolated_stack.is_well()\n"
        "    isolated_stack.start()\n"
        "    isolated_stack.wait_healthy()\n"
        "    isolated_stack.down()\n"
        "    assert not isolated_stack.is_well()\n"
        "    isolated_stack.up()\n"
        "    report = isolated_stack.first_up\n"
        "    measure('deployment', report.seconds, stages=report.stages)\n"
    )
    done = project.pytest("--target", "kubernetes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "deployment" in done.stdout
    assert project.namespaces() == set()
    assert project.api.objects("priorityclasses") == []


def test_tests_are_selected_by_what_they_are_for(project: Project) -> None:
    project.tests(
        "def test_compose_by_default(target):\n    assert target == 'compose'\n"
        "@pytest.mark.targets('compose', 'kubernetes')\ndef test_both(target):\n    pass\n"
        "@pytest.mark.targets('kubernetes')\ndef test_cluster(target):\n    assert target == 'kubernetes'\n"
    )
    ids = {
        target: re.findall(r"::(\S+)", project.pytest("--target", target, "--collect-only").stdout)
        for target in ("kubernetes", "all")
    }
    assert ids["kubernetes"] == ["test_both", "test_cluster"]
    assert sorted(ids["all"]) == [
        "test_both[compose]",
        "test_both[kubernetes]",
        "test_cluster[kubernetes]",
        "test_compose_by_default[compose]",
    ]
    done = project.pytest("--target", "all")
    assert "4 passed" in done.stdout, done.stdout + done.stderr


def test_values_of_two_runtimes_have_two_names(project: Project) -> None:
    project.tests(
        "@pytest.mark.targets('compose', 'kubernetes')\ndef test_both(measure):\n    measure('restart', 1.0)\n"
        "@pytest.mark.targets('kubernetes')\ndef test_one(measure):\n    measure('deployment', 1.0)\n"
    )
    shown = project.pytest("--target", "all").stdout
    assert re.findall(r"^(\w+[.\w]*) +passed +1", shown, re.M) == ["restart", "restart.kubernetes", "deployment"]


def test_a_deployment_that_cannot_work_is_a_failure_that_says_why(project: Project) -> None:
    project.api.controllers.behave("web:dev", "missing")
    project.tests(BOTH + "def test_it(stack):\n    pass\n")
    settings = project.folder / "devenv.toml"
    settings.write_text("wait_timeout = 3\n" + settings.read_text())
    done = project.pytest("--target", "kubernetes")
    assert done.returncode == 1
    assert "web to be rolled out" in done.stdout
    assert "ImagePull" in done.stdout
    assert project.namespaces() == set(), "what failed is removed too"


def test_an_image_that_is_not_there_is_inconclusive_for_what_rolls(project: Project) -> None:
    node = project.api.get("nodes", "minikube")
    node["status"]["images"] = [{"names": ["docker.io/library/other:1"]}]
    project.api.put(node)
    project.tests("@pytest.mark.targets('kubernetes')\ndef test_it(rolling_stack):\n    assert False\n")
    done = project.pytest("--target", "kubernetes", "-rs")
    assert done.returncode == 0
    assert "inconclusive: no node has docker.io/library/web:1.0" in done.stdout
    assert project.pytest("--target", "kubernetes", "--strict").returncode == 1
    again = project.pytest("--target", "kubernetes", "--image", "web=docker.io/library/other:1")
    assert "assert False" in again.stdout, "with the image that is there, it runs"
    assert project.namespaces() == set()


def test_without_a_controller_the_ingress_is_inconclusive_with_the_reason(project: Project) -> None:
    with (project.folder / "dev" / "all.yaml").open("a") as file:
        file.write(
            "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\n"
            "spec: {ingressClassName: traefik, rules: [{host: shop.test}], tls: [{hosts: [shop.test]}]}\n"
        )
    project.tests(
        "from devenv.verify.kube.ingress import CannotReach, find_way_in\n"
        "@pytest.mark.targets('kubernetes')\n"
        "def test_it(stack, measure):\n"
        "    try:\n"
        "        find_way_in(stack, '127.0.0.1:9', '', 0.1)\n"
        "    except CannotReach as error:\n"
        "        measure.inconclusive('ingress', error.message)\n"
    )
    shown = project.pytest("--target", "kubernetes", "-rs").stdout
    assert "inconclusive: the cluster has no IngressClass 'traefik' (it has: none)" in shown


def test_who_may_not_make_priority_classes_has_none(project: Project) -> None:
    def no(handler: Handler, path: str, body: bytes) -> None:
        handler.json({"status": {"allowed": False}}, 201)

    project.api.on("POST", r"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", no)
    project.tests(
        BOTH + "def test_it(stack):\n    assert 'priorityClassName' not in stack.engine.pods()[0].data['spec']\n"
    )
    done = project.pytest("--target", "kubernetes")
    assert done.returncode == 0, done.stdout


def test_running_tests_the_namespace_that_is_up_and_removes_nothing(project: Project) -> None:
    project.tests(
        BOTH + "def test_it(stack):\n    assert stack.name == 'shop' and not stack.isolated\n"
        "def test_copy(isolated_stack):\n    assert False\n"
    )
    project.api.put(namespace_object("shop"))
    rendered = (project.folder / "dev" / "all.yaml").read_text().partition("---")[2]
    import yaml

    deployment = yaml.safe_load(rendered)
    deployment["metadata"]["namespace"] = "shop"
    project.api.controllers.rollout(deployment)
    done = project.pytest("--target", "kubernetes", "--running", "-rs")
    assert done.returncode == 0, done.stdout
    assert "1 passed, 1 skipped" in done.stdout
    assert "inconclusive: it needs an isolated copy" in done.stdout
    assert "shop" in project.namespaces()
    assert project.api.get("deployments", "web", "shop")


def test_doctor_removes_what_a_killed_run_left_and_nothing_else(project: Project) -> None:
    project.tests("@pytest.mark.targets('kubernetes')\ndef test_it(stack):\n    import os; os.kill(os.getpid(), 9)\n")
    assert project.pytest("--target", "kubernetes").returncode == -9
    (left,) = project.namespaces()
    live = namespace_object("devenv-live-1")
    live["metadata"] |= {"labels": {"devenv.run": "live"}, "annotations": {"devenv.owner": str(this_process())}}
    strange = namespace_object("devenv-strange")
    project.api.put(live, strange)
    done = project.devenv("doctor", "--clean")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"removed namespace {left}" in done.stdout
    assert f"removed priorityclass {left}-shop" in done.stdout
    assert project.namespaces() == {"devenv-live-1", "devenv-strange"}
    assert project.api.objects("priorityclasses") == []
    project.api.stop()
    away = project.devenv("doctor", "--clean")
    assert away.returncode == 0
    assert "not looked at: cluster minikube" in away.stderr
