"""From an applied overlay to a served page, stage by stage; and that applying it again changes nothing."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.behaviour("deployment"), pytest.mark.targets("kubernetes")]


def test_deployment_and_pods_by_stage(isolated_stack, measure) -> None:
    """Applied, created, scheduled, pulled, started, ready, served: the first deployment into a new namespace."""
    report = isolated_stack.first_up
    measure("deployment.first", report.seconds, stages=report.stages)
    slowest: dict[str, float] = {}
    for service, stages in report.services.items():
        assert set(stages) >= {"created", "scheduled", "started", "ready"}, f"{service}: a stage has no time"
        since = {f"{service} {stage}": at - stages["created"] for stage, at in stages.items() if stage != "created"}
        slowest |= since
    measure("pod_ready.first", max(at for stage, at in slowest.items() if stage.endswith("ready")), stages=slowest)


def test_deploying_again_changes_nothing(isolated_stack, measure) -> None:
    """The same objects once more: no pod is replaced."""
    before = {pod.container_id for pod in isolated_stack.engine.pods()}
    report = isolated_stack.up()
    measure("noop_deployment", report.seconds, stages=report.stages)
    assert {pod.container_id for pod in isolated_stack.engine.pods()} == before
