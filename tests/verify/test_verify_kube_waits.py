"""Waits on a cluster that end for what can never come, against an API server in this process."""

from __future__ import annotations

import re
import time

import pytest
from kube_project import Project, api, project

from devenv.verify.kube.ingress import INGRESS_CLASSES

__all__ = ["api", "project"]  # fixtures: pytest finds them here

HEAD = """
import time

from devenv.backends.kube.kinds import SERVICES
from devenv.verify import kube_fixtures as helpers
from devenv.verify.waiting import Never
pytestmark = pytest.mark.targets("kubernetes")

def never(call):
    with pytest.raises(Never) as told:
        call()
    print("told:", told.value)
"""
WAITS = """
def service(cluster, name, selector):
    spec = {"selector": selector, "ports": [{"port": 80}]}
    about = {"name": name, "namespace": cluster.namespace}
    cluster.create(SERVICES, {"apiVersion": "v1", "kind": "Service", "metadata": about, "spec": spec})

def test_a_service_that_leads_to_nothing(stack, cluster, wait_for):
    service(cluster, "lost", {"app": "wbe"})
    service(cluster, "free", {})
    for name in ("absent", "lost"):
        never(lambda: wait_for("an endpoint", lambda: cluster.addresses(name), 100))
    assert cluster.addresses("free") == set(), "somebody else writes its endpoints"
    never(lambda: wait_for("the pod", lambda: cluster.container("wbe"), 100))
    never(lambda: wait_for("the page", lambda: stack.endpoint("wbe").probe().ok, 100))

def test_nothing_is_ready_that_is_scaled_to_0(isolated_stack):
    isolated_stack.stop()
    never(isolated_stack.wait_healthy)
    never(lambda: isolated_stack.engine.wait_health("web", healthy=True, since=0, timeout=100))
    isolated_stack.up()

def test_a_helper_whose_image_is_gone(isolated_stack, monkeypatch):
    like = helpers.like_service

    def gone(*arguments):
        pod = like(*arguments)
        pod["spec"]["containers"][0]["image"] = "gone:1"
        return pod

    monkeypatch.setattr(helpers, "like_service", gone)
    never(lambda: helpers.client_pod(isolated_stack))

def test_a_pod_whose_image_is_gone(isolated_stack, wait_for):
    cluster = isolated_stack.engine
    containers = [{"name": "web", "image": "gone:1"}]
    kind = "application/strategic-merge-patch+json"
    time.sleep(1.1)  # the API tells whole seconds: in the same one nobody knows which pod is the newest
    cluster.patch(cluster.path("web"), {"spec": {"template": {"spec": {"containers": containers}}}}, kind)
    wait_for("the new pod", lambda: not cluster.container("web").ready, 30)
    never(lambda: cluster.wait_health("web", healthy=True, since=0, timeout=100))
    with pytest.raises(AssertionError, match="gone:1 cannot be pulled"):
        isolated_stack.wait_healthy()
    isolated_stack.up()
"""
DEPLOYED_BY_NOBODY = """
def test_it(stack):
    pass
"""
INGRESS = """
from devenv.verify.kube import ingress

def test_it(stack, measure, monkeypatch):
    monkeypatch.setattr(ingress, "NOBODY", 1.0)
    with pytest.raises(ingress.CannotReach, match="connections refused"):
        ingress.find_way_in(stack, "127.0.0.1:9", "", 100)
"""


def told(project: Project, text: str, *options: str, code: int = 0) -> str:
    project.tests(HEAD + text)
    began = time.monotonic()
    done = project.pytest("--target", "kubernetes", "-rP", *options)
    assert done.returncode == code, done.stdout + done.stderr
    assert time.monotonic() - began < 90, "each wait is one of 100 s at least"
    return done.stdout


def test_waits_end_with_the_reason(project: Project) -> None:
    project.api.controllers.behave("gone:1", "missing")
    output = told(project, WAITS)
    for reason in (
        r"\S+ has no Service absent",
        "the Service lost selects app=wbe, which no workload and no pod has",
        "there is no workload 'wbe'; there are: web",
        "no endpoint 'wbe'; there are: none",
        "web is scaled to 0",
        r"the pod devenv-client cannot run: \w+, image gone:1 cannot be pulled",
        r"\w+: image gone:1 cannot be pulled",
    ):
        assert re.search(f"told: {reason}", output), reason


@pytest.mark.parametrize("namespace", ["shop", "elsewhere"])
def test_what_nobody_has_deployed_is_not_waited_for(project: Project, namespace: str) -> None:
    project.environ["DEVENV_NAMESPACE"] = namespace
    output = told(project, DEPLOYED_BY_NOBODY, "--running", code=1)
    assert f"web is not in the namespace {namespace}" in output
    assert "without --running a copy is tested" in output


def test_a_start_whose_image_is_nowhere_ends_long_before_its_time(project: Project) -> None:
    project.api.controllers.behave("web:dev", "missing")
    assert "image web:dev cannot be pulled" in told(project, DEPLOYED_BY_NOBODY, code=1)


def test_a_workload_that_the_overlay_scales_to_0_is_no_reason_to_wait(project: Project) -> None:
    file = project.folder / "dev" / "all.yaml"
    file.write_text(file.read_text().replace("replicas: 2", "replicas: 0"))
    settings = project.folder / "devenv.toml"
    settings.write_text(f'{settings.read_text()}\n[[verify.endpoint]]\nservice = "web"\nport = 80\npath = "/"\n')
    text = 'def test_it(stack):\n    never(lambda: stack.endpoint("web").wait_served(100))\n'
    assert "told: web is scaled to 0" in told(project, text)


def test_an_ingress_class_without_a_controller_is_not_waited_for(project: Project) -> None:
    project.api.served.add(INGRESS_CLASSES)
    about = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "traefik"}}
    project.api.put({**about, "spec": {"controller": "none"}})
    with (project.folder / "dev" / "all.yaml").open("a") as file:
        file.write(
            "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\n"
            "spec: {ingressClassName: traefik, rules: [{host: shop.test}], tls: [{hosts: [shop.test]}]}\n"
        )
    told(project, INGRESS)
