"""How deployments end: succeeded, failed, rolled back, inconclusive; against the API server in this process."""

from __future__ import annotations

import pytest

from devenv.control.deploy.outcome import Check, Result, Status
from devenv.control.kube.wait import Waiting
from devenv.core.errors import EXIT_ROLLED_BACK, Interrupted
from fakes.api_server import ApiServer, Refusal
from tests.kube.deploying import OK, Deployer, ScriptedProver, application, image_of


def test_a_good_deployment_succeeds_and_is_recorded_here_and_in_the_cluster(live: ApiServer, deploy: Deployer) -> None:
    outcome = deploy(application())
    assert (outcome.result, outcome.exit_code, outcome.reason) == (Result.SUCCEEDED, 0, "")
    assert [stage.name for stage in outcome.stages if stage.status is Status.DONE] == [
        *("render", "check", "diff", "apply", "wait", "record")
    ]
    assert outcome.left_out == ("Namespace/default",)
    assert outcome.recorded == ("on this machine", "in the cluster")
    kept = live.get("configmaps", "devenv-deploy-shop")
    assert kept is not None
    assert outcome.revision in kept["data"]["about"]
    assert "devenv.io/deploying" not in kept["metadata"].get("annotations", {})
    assert outcome.stage("wait") is not None
    assert [pod.workload for pod in outcome.pods] == ["deployment/web"]


@pytest.mark.parametrize("behaviour", ["missing", "crash", "unschedulable"])
def test_a_broken_image_goes_back_to_the_last_good_revision(live: ApiServer, deploy: Deployer, behaviour: str) -> None:
    good = deploy(application("web:1"))
    live.controllers.behave("web:2", behaviour)
    outcome = deploy(application("web:2"), rollback=True)
    assert (outcome.result, outcome.exit_code) == (Result.ROLLED_BACK, EXIT_ROLLED_BACK)
    assert outcome.restored == good.revision
    assert image_of(live) == "web:1"
    settings = live.get("configmaps", "settings")
    assert settings is not None
    assert settings["data"] == {"image": "web:1"}
    assert outcome.rollback_proof is not None
    assert outcome.rollback_proof.status is Status.DONE


def test_a_rolled_back_deployment_is_not_the_next_way_back(live: ApiServer, deploy: Deployer) -> None:
    good = deploy(application("web:1"))
    live.controllers.behave("web:2", "missing")
    deploy(application("web:2"), rollback=True)
    outcome = deploy(application("web:2"), rollback=True)
    assert outcome.restored == good.revision


def test_an_exceeded_quota_is_rolled_back(live: ApiServer, deploy: Deployer) -> None:
    deploy(application("web:1"))
    live.controllers.quota["default"] = 1
    outcome = deploy(application("web:2"), rollback=True)
    assert outcome.result is Result.ROLLED_BACK
    assert "exceeded quota" in outcome.reason


def test_without_rollback_it_is_left_as_it_is(live: ApiServer, deploy: Deployer) -> None:
    deploy(application("web:1"))
    live.controllers.behave("web:2", "crash")

    def speak(waiting: Waiting) -> None:
        for pod in waiting.pods:
            live.logs.write(pod.name, "no such table: documents", container="main")

    deploy.waiting = speak
    outcome = deploy(application("web:2"))
    assert (outcome.result, outcome.exit_code) == (Result.FAILED, 7)
    assert "--rollback-on-failure" in outcome.hint
    waited = outcome.stage("wait")
    assert waited is not None
    assert any(line.endswith("said: no such table: documents") for line in waited.details)
    assert image_of(live) == "web:2"


def test_a_first_deployment_has_nothing_to_go_back_to(live: ApiServer, deploy: Deployer) -> None:
    live.controllers.behave("web:1", "missing")
    outcome = deploy(application("web:1"), rollback=True)
    assert outcome.result is Result.FAILED
    assert outcome.stage("roll back") is not None
    assert "nothing ran before" in outcome.hint


def test_without_a_record_it_goes_back_to_what_ran_before(live: ApiServer, deploy: Deployer) -> None:
    live.put(*application("web:1"))
    live.controllers.settle()
    live.controllers.behave("web:2", "missing")
    outcome = deploy(application("web:2"), rollback=True, force_conflicts=True)
    assert (outcome.result, outcome.restored) == (Result.ROLLED_BACK, "what ran before")
    assert image_of(live) == "web:1"


def test_a_rollback_that_fails_too_is_a_failure_that_says_both(live: ApiServer, deploy: Deployer) -> None:
    deploy(application("web:1", strategy={"type": "Recreate"}))
    live.controllers.behave("web:1", "crash")
    live.controllers.behave("web:2", "missing")
    outcome = deploy(application("web:2", strategy={"type": "Recreate"}), rollback=True)
    assert (outcome.result, outcome.exit_code) == (Result.FAILED, 7)
    assert "image web:2 cannot be pulled" in outcome.reason
    assert "failed too" in outcome.reason
    assert "exit code" in outcome.reason


def test_an_apply_that_fails_on_its_way_is_rolled_back(live: ApiServer, deploy: Deployer) -> None:
    deploy(application("web:1"))
    seen = []

    def refuse(verb: str, kind: object, content: dict[str, object]) -> None:
        seen.append(content["kind"])
        if content["kind"] == "Service" and seen.count("Service") == 2:  # the first is the dry run
            raise Refusal(403, "services are closed today")

    live.operations.admission.append(refuse)  # type: ignore[arg-type]  # a test's own function
    outcome = deploy(application("web:2"), rollback=True)
    assert outcome.result is Result.ROLLED_BACK
    assert "services are closed today" in outcome.reason
    assert image_of(live) == "web:1"


def test_a_cluster_that_goes_away_is_no_verdict_and_nothing_is_rolled_back(live: ApiServer, deploy: Deployer) -> None:
    deploy(application("web:1"))
    live.controllers.behave("web:2", "unready")
    deploy.waiting = lambda waiting: live.stop()
    outcome = deploy(application("web:2"), rollback=True, patience=deploy.options.patience.__class__(timeout=2))
    assert (outcome.result, outcome.exit_code) == (Result.INCONCLUSIVE, 12)
    assert outcome.restored == ""
    assert image_of(live) == "web:2"


def test_a_failed_proof_is_rolled_back_and_the_way_back_is_proven(live: ApiServer, deploy: Deployer) -> None:
    deploy(application("web:1"))
    prover = ScriptedProver([(Check("web", Status.FAILED, "answers 500"),), OK])
    deploy.prover = lambda: prover
    outcome = deploy(application("web:2"), verify=True, rollback=True)
    assert outcome.result is Result.ROLLED_BACK
    assert "web: answers 500" in outcome.reason
    assert (prover.prepared, prover.proven, prover.closed) == (1, ["web:2", "web:1"], True)
    assert image_of(live) == "web:1"


def test_a_way_back_that_does_not_serve_is_a_failure(live: ApiServer, deploy: Deployer) -> None:
    deploy(application("web:1"))
    live.controllers.behave("web:2", "missing")
    deploy.prover = lambda: ScriptedProver([(Check("data kept", Status.FAILED, "it is gone"),)])
    outcome = deploy(application("web:2"), rollback=True)
    assert outcome.result is Result.FAILED
    assert "data kept: it is gone" in outcome.reason


def test_what_could_not_be_proven_is_inconclusive_and_stays(live: ApiServer, deploy: Deployer) -> None:
    deploy.prover = lambda: ScriptedProver([(Check("endpoints", Status.INCONCLUSIVE, "not allowed"),)])
    outcome = deploy(application("web:1"), verify=True, rollback=True)
    assert (outcome.result, outcome.exit_code) == (Result.INCONCLUSIVE, 12)
    assert "not allowed" in outcome.reason
    assert image_of(live) == "web:1"


def test_without_endpoints_verify_says_that_it_proved_nothing(live: ApiServer, deploy: Deployer) -> None:
    outcome = deploy(application("web:1"), verify=True)
    assert outcome.result is Result.INCONCLUSIVE
    assert "[[verify.endpoint]]" in outcome.reason


def test_an_interrupt_says_what_is_left(live: ApiServer, deploy: Deployer) -> None:
    live.controllers.behave("web:1", "unready")

    def interrupt(waiting: object) -> None:
        if "Readiness probe failed" in str(waiting):
            raise KeyboardInterrupt

    deploy.waiting = interrupt
    with pytest.raises(Interrupted, match=r"shop is applied, and left as it is; still under way: deployment/web"):
        deploy(application("web:1"), rollback=True)
    assert deploy.last is not None
    assert (deploy.last.outcome.exit_code, deploy.last.outcome.result) == (130, Result.INCONCLUSIVE)
    kept = live.get("configmaps", "devenv-deploy-shop")
    assert kept is not None
    assert "devenv.io/deploying" not in kept["metadata"].get("annotations", {})
