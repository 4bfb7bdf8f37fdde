"""What is decided before anything is changed: refusals, dry runs, locks, scope; and where revisions are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.backends.kube.client import KubeClient
from devenv.control.deploy.outcome import Outcome, Result
from devenv.control.deploy.record import DeploymentRecord, Revision, decode, encode, make_revision, trusted
from devenv.control.kube.apply import FieldConflicts
from devenv.core.errors import DevenvError, FindingsFound, Refused, UsageError
from devenv.manifests.model import Finding, Severity
from fakes.api_server import ApiServer
from tests.kube.deploying import Deployer, application, image_of


def test_a_dry_run_shows_the_changes_and_makes_none(live: ApiServer, deploy: Deployer) -> None:
    deploy(application("web:1"))
    before = {item["metadata"]["resourceVersion"] for item in (*live.objects("configmaps"), *live.objects("services"))}
    outcome = deploy(application("web:2"), dry_run=True)
    assert (outcome.result, outcome.exit_code, outcome.changed) == (Result.PLANNED, 0, False)
    changed = {item.name: item for item in outcome.changes if item.action == "changed"}
    assert set(changed) == {"settings", "web"}
    assert any("web:2" in line for line in changed["web"].diff)
    assert image_of(live) == "web:1"
    after = {item["metadata"]["resourceVersion"] for item in (*live.objects("configmaps"), *live.objects("services"))}
    assert after == before


def test_errors_of_the_manifests_end_it_before_the_cluster_is_asked(live: ApiServer, deploy: Deployer) -> None:
    finding = Finding(
        "image-tag", Severity.ERROR, "shop", "Deployment/web", "", "", "web.yaml", 1, "no tag", "name one"
    )
    with pytest.raises(FindingsFound, match="Deployment/web: no tag"):
        deploy(application(), errors=(finding,))
    assert live.get("deployments", "web") is None
    assert live.count("PATCH") == 0


def test_fields_of_others_are_told_and_nothing_is_changed(
    live: ApiServer, deploy: Deployer, client: KubeClient
) -> None:
    deploy(application("web:1"))
    client.request(
        "PATCH",
        "/api/v1/namespaces/default/configmaps/settings",
        query={"fieldManager": "kubectl-edit"},
        body={"data": {"image": "by hand"}},
        content_type="application/merge-patch+json",
    )
    with pytest.raises(FieldConflicts, match="kubectl edit"):
        deploy(application("web:2"))
    assert image_of(live) == "web:1"
    assert deploy(application("web:2"), force_conflicts=True).result is Result.SUCCEEDED


def test_a_kind_that_may_not_be_changed_ends_it_before_any_change(live: ApiServer, deploy: Deployer) -> None:
    live.faults.forbidden.add("services")
    with pytest.raises(DevenvError, match=r"Service default/web: .*forbidden"):
        deploy(application())
    assert live.get("deployments", "web") is None
    assert live.get("configmaps", "settings") is None


def test_a_missing_namespace_is_one_sentence(live: ApiServer, deploy: Deployer) -> None:
    objects = application()
    for item in objects[1:]:
        item["metadata"]["namespace"] = "shop"
    objects[0]["metadata"]["name"] = "shop"
    with pytest.raises(DevenvError, match="the namespace shop is not there") as caught:
        deploy(objects)
    assert "--include-platform" in caught.value.hint
    assert deploy(objects, include_platform=True).result is Result.SUCCEEDED


def test_another_namespace_than_the_overlays_is_refused(live: ApiServer, deploy: Deployer) -> None:
    with pytest.raises(UsageError, match="The overlay says namespace default, the command line other"):
        deploy(application(), namespace="other")


def test_a_second_deployment_on_this_machine_is_noticed(live: ApiServer, deploy: Deployer) -> None:
    problems = []

    def second(_: object) -> None:
        with pytest.raises(Refused, match="is being deployed already by process") as caught:
            Deployer(deploy.client, deploy.state)(application("web:2"))
        problems.append(caught.value)

    deploy.confirm = second
    assert deploy(application("web:1")).result is Result.SUCCEEDED
    assert len(problems) == 1


def test_a_second_deployment_from_another_machine_is_noticed(live: ApiServer, deploy: Deployer, tmp_path: Path) -> None:
    problems = []

    def second(_: object) -> None:
        with pytest.raises(Refused, match="is being deployed to default by") as caught:
            Deployer(deploy.client, tmp_path / "other")(application("web:2"))
        problems.append(caught.value)

    deploy.waiting = lambda waiting: second(waiting) if not problems else None
    assert deploy(application("web:1")).result is Result.SUCCEEDED
    assert len(problems) == 1
    assert image_of(live) == "web:1"


def test_the_lock_of_a_dead_deployment_gives_way(api: ApiServer, client: KubeClient) -> None:
    dead = DeploymentRecord(client, "default", "shop", clock=lambda: 1000.0)
    dead.take()
    with pytest.raises(Refused):
        DeploymentRecord(client, "default", "shop", clock=lambda: 1050.0).take()
    later = DeploymentRecord(client, "default", "shop", clock=lambda: 1061.0)
    later.take()
    later.release()
    dead.release()
    assert later.notes == []


def test_an_account_without_config_maps_deploys_with_this_machines_record_alone(
    live: ApiServer, deploy: Deployer
) -> None:
    live.faults.forbidden.add("configmaps")
    objects = [item for item in application() if item["kind"] != "ConfigMap"]
    outcome = deploy(objects)
    assert outcome.result is Result.SUCCEEDED
    assert outcome.recorded == ("on this machine",)
    assert any("other machines do not see" in note for note in outcome.notes)


def test_another_machine_goes_back_by_the_clusters_record(live: ApiServer, deploy: Deployer, tmp_path: Path) -> None:
    good = deploy(application("web:1"))
    live.controllers.behave("web:2", "missing")
    other = Deployer(deploy.client, tmp_path / "other")
    outcome = other(application("web:2"), rollback=True)
    assert (outcome.result, outcome.restored) == (Result.ROLLED_BACK, good.revision)
    assert image_of(live) == "web:1"


def test_what_is_no_longer_rendered_is_listed_and_stays(live: ApiServer, deploy: Deployer) -> None:
    deploy(application("web:1"))
    outcome = deploy([item for item in application("web:1") if item["kind"] != "Service"])
    assert outcome.no_longer_rendered == ("Service/web",)
    assert live.get("services", "web") is not None


def test_without_wait_it_is_applied_and_judged_by_nobody(live: ApiServer, deploy: Deployer) -> None:
    outcome = deploy(application("web:1"), wait=False)
    assert (outcome.result, outcome.exit_code, outcome.recorded) == (Result.APPLIED, 0, ())


def test_a_digest_of_zeros_is_refused_until_a_release_fills_it_in(live: ApiServer, deploy: Deployer) -> None:
    waiting = application(f"ghcr.io/shop/web@sha256:{'0' * 64}")
    before = dict(live.requests)
    with pytest.raises(FindingsFound, match=r"ghcr\.io/shop/web has a digest of zeros") as caught:
        deploy(waiting)
    assert caught.value.hint.startswith("Say what was released (--image ghcr.io/shop/web=ghcr.io/shop/web@sha256:...)")
    assert dict(live.requests) == before, "the cluster was asked nothing"
    planned = deploy(waiting, dry_run=True)
    assert planned.result is Result.PLANNED
    assert any(note.startswith("a deployment is refused: shop waits for a release; ghcr.io/") for note in planned.notes)
    deploy(waiting, images=(f"web=ghcr.io/shop/web@sha256:{'a' * 64}",))
    assert image_of(live) == f"ghcr.io/shop/web@sha256:{'a' * 64}"


def test_an_image_of_the_command_line_replaces_the_overlays(live: ApiServer, deploy: Deployer) -> None:
    deploy(application("web:1"), images=("web=registry.test/web:7",))
    assert image_of(live) == "registry.test/web:7"
    with pytest.raises(UsageError, match="No workload runs an image 'nothing'"):
        deploy(application("web:1"), images=("nothing=x:1",))


def test_what_is_not_confirmed_is_not_done(live: ApiServer, deploy: Deployer) -> None:
    def refuse(outcome: Outcome) -> None:
        raise Refused("Not confirmed: nothing was changed")

    deploy.confirm = refuse
    with pytest.raises(Refused):
        deploy(application())
    assert live.objects("configmaps", "default") == []


def test_a_revision_keeps_no_secret_and_the_clusters_copy_brings_no_other_kind() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "hunter2"}}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r", "namespace": "d"}}
    elsewhere = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "kube-system"}}
    ours = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "d"}}
    made = make_revision(Revision("a", 1.0, "shop", "minikube", "d"), [secret, role, elsewhere, ours])
    assert b"hunter2" not in made.packed()
    back = decode(encode(made))
    assert back.objects == (role, elsewhere, ours)
    assert trusted(back, [ours], "d").objects == (ours,)


@pytest.mark.parametrize("text", ["", "!", "aGVsbG8=", "H4sIAAAAAAAA"])
def test_a_record_that_is_none_is_an_error_of_ours(text: str) -> None:
    with pytest.raises(DevenvError, match="cannot be read"):
        decode(text)
