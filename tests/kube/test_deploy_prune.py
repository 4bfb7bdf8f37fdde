"""What is no longer rendered: deleted only where that is asked for, only what devenv applied, no data unasked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devenv.backends.kube.client import KubeClient
from devenv.control.deploy.outcome import Outcome, Result
from devenv.control.deploy.record import DeploymentRecord, LocalRevisions, Revision, make_revision
from devenv.core.errors import Refused
from fakes.api_server import ApiServer
from fakes.api_server.handler import Handler
from tests.kube.deploying import Deployer, application, image_of

CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data", "namespace": "default"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


def without(kind: str, image: str = "web:1") -> list[dict[str, Any]]:
    return [item for item in application(image) if item["kind"] != kind]


def config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": {}}


def test_it_deletes_what_an_earlier_deployment_applied(live: ApiServer, deploy: Deployer) -> None:
    deploy(application())
    live.put(config_map("of-somebody"))
    outcome = deploy(without("Service"), prune=True)
    assert outcome.result is Result.SUCCEEDED
    assert (outcome.no_longer_rendered, outcome.prune, outcome.pruned) == (("Service/web",),) * 3
    assert live.get("services", "web") is None
    assert live.get("configmaps", "of-somebody") is not None
    assert image_of(live) == "web:1"
    again = deploy(without("Service"), prune=True)
    assert (again.no_longer_rendered, again.pruned) == ((), ())


def test_what_was_left_before_is_still_known_later(live: ApiServer, deploy: Deployer) -> None:
    deploy(application())
    deploy(without("Service"))
    deploy(without("Service", "web:2"))
    assert deploy(without("Service", "web:2")).no_longer_rendered == ("Service/web",)
    assert deploy(without("Service", "web:2"), prune=True).pruned == ("Service/web",)
    assert live.get("services", "web") is None


def test_a_dry_run_says_what_it_would_delete(live: ApiServer, deploy: Deployer) -> None:
    deploy(application())
    outcome = deploy(without("Service"), prune=True, dry_run=True)
    assert (outcome.result, outcome.prune, outcome.pruned) == (Result.PLANNED, ("Service/web",), ())
    assert live.get("services", "web") is not None


def test_what_somebody_made_anew_stays(live: ApiServer, deploy: Deployer) -> None:
    deploy(application())
    live.delete("services", "web")
    live.put({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"}, "spec": {}})
    outcome = deploy(without("Service"), prune=True)
    assert (outcome.result, outcome.pruned) == (Result.SUCCEEDED, ())
    assert any("Service/web is not deleted: devenv did not apply it" in note for note in outcome.notes)
    assert live.get("services", "web") is not None


def test_claims_need_a_flag_of_their_own_and_their_loss_is_told(live: ApiServer, deploy: Deployer) -> None:
    deploy([*application(), CLAIM])
    outcome = deploy(application(), prune=True)
    assert outcome.pruned == ()
    assert any("it holds data (--prune-data)" in note for note in outcome.notes)
    volume = {"storageClassName": "standard", "persistentVolumeReclaimPolicy": "Delete"}
    live.put({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv-1"}, "spec": volume})
    claim = live.get("persistentvolumeclaims", "data")
    assert claim is not None
    live.put({**claim, "spec": {**claim["spec"], "volumeName": "pv-1"}, "status": {"phase": "Bound"}})
    told: list[Outcome] = []
    deploy.confirm = told.append
    assert deploy(application(), prune=True, prune_data=True).pruned == ("PersistentVolumeClaim/data",)
    assert told[0].prune == ("PersistentVolumeClaim/data",)
    assert any("data" in loss for loss in told[0].losses)
    assert live.get("persistentvolumeclaims", "data") is None


def test_nothing_is_deleted_by_a_deployment_that_fails(live: ApiServer, deploy: Deployer) -> None:
    deploy(application())
    live.controllers.behave("web:2", "missing")
    outcome = deploy(without("Service", "web:2"), prune=True, rollback=True)
    assert (outcome.result, outcome.pruned) == (Result.ROLLED_BACK, ())
    assert live.get("services", "web") is not None


def test_no_is_no(live: ApiServer, deploy: Deployer) -> None:
    def refuse(outcome: Outcome) -> None:
        raise Refused("Not confirmed: nothing was changed")

    deploy(application())
    deploy.confirm = refuse
    with pytest.raises(Refused):
        deploy(without("Service", "web:2"), prune=True)
    assert (image_of(live), live.get("services", "web") is not None) == ("web:1", True)


def test_a_right_that_is_missing_makes_it_inconclusive_and_is_tried_again(live: ApiServer, deploy: Deployer) -> None:
    deploy(application())
    missing = True

    def answer(handler: Handler, path: str, body: bytes) -> None:
        status = {"kind": "Status", "status": "Failure", "reason": "Forbidden", "message": "not you", "code": 403}
        gone = {"kind": "Status", "status": "Success"}
        if not missing:
            live.delete("services", "web")
        handler.json(status if missing else gone, 403 if missing else 200)

    live.on("DELETE", r".*/services/web", answer)
    outcome = deploy(without("Service"), prune=True)
    assert (outcome.result, outcome.exit_code, outcome.pruned) == (Result.INCONCLUSIVE, 12, ())
    assert "could not all be deleted: not you" in outcome.reason
    assert outcome.recorded
    missing = False
    assert deploy(without("Service"), prune=True).pruned == ("Service/web",)


def test_a_record_that_somebody_wrote_deletes_nothing_of_others(
    live: ApiServer, deploy: Deployer, client: KubeClient
) -> None:
    deploy(application())
    forged = ("/ConfigMap/kube-system/theirs", "/Namespace//prod", "/ConfigMap/default/theirs")
    target = client.target.context
    for namespace in ("kube-system", "default"):
        live.put({**config_map("theirs"), "metadata": {"name": "theirs", "namespace": namespace}})
    revision = make_revision(
        Revision("forged", 1.0, "shop", target.name, "default", inventory=forged), application("web:1")
    )
    assert DeploymentRecord(client, "default", "shop").save(revision) == ""
    outcome = deploy(application(), prune=True)
    assert outcome.pruned == ()
    assert len([item for item in live.objects("configmaps") if item["metadata"]["name"] == "theirs"]) == 2


def test_a_revision_of_an_older_devenv_is_read(tmp_path: Path) -> None:
    local = LocalRevisions(tmp_path, "server", "minikube", "default", "shop")
    assert local.save(Revision("old", 1.0, "shop", "minikube", "default", inventory=("/Service/default/web",))) == ""
    found = local.newest()
    assert found is not None
    assert (found.inventory, found.left) == (("/Service/default/web",), ())
