"""Verdicts on series made on purpose: what each fault becomes, and with which reason."""

from __future__ import annotations

import pytest

from devenv.load.series import Recording
from devenv.load.verdicts.hpa import judge_scaling
from devenv.load.verdicts.judgement import Judgement
from devenv.load.verdicts.probes import judge_probes
from devenv.load.verdicts.settings import cores, settings_of
from devenv.verify.verdict import Verdict
from tests.load.recorded import recorded
from tests.load.synthetic import CONTAINER, DOWN, END, SPEC, UP, WALL, Story, scaled


def judged(recording: Recording) -> Judgement:
    found = judge_scaling(recording)
    assert found is not None
    return found


def test_an_autoscaler_that_does_what_it_should_passes_with_every_stage_timed() -> None:
    found = judged(scaled().recording())
    assert (found.verdict, found.reasons) == (Verdict.PASSED, ())
    assert {stage.name: stage.seconds for stage in found.stages} == {
        "metric fresh": 20.0,
        "desired raised": 30.0,
        "3 desired": 30.0,
        "pods created": 1.0,
        "Ready": 9.0,
        "endpoints serve": 2.0,
        "p95 below 50 ms": 20.0,
        "desired lowered": 85.0,
        "1 desired": 85.0,
        "pods gone": 1.0,
    }
    assert any("2.50 replicas" in fact for fact in found.facts)


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        (scaled(fresh=70, raised=75, created=76, ready=85, serving=87, recovered=95), "metric fresh: after 70 s"),
        (scaled(raised=100, created=101, ready=110, serving=112, recovered=120), "desired raised: after 100 s, 25 s"),
        (scaled(created=60, ready=70, serving=72), "pods created: after 30 s"),
        (scaled(ready=110, serving=112, recovered=120), "Ready: after 79 s, 19 s too late"),
        (scaled(serving=None), "endpoints serve: not reached within 15 s"),
        (scaled(recovered=200), "p95 below 50 ms: after"),
        (scaled(lowered=20), "desired lowered: after 20 s, 22 s too early"),
        (scaled(lowered=170), "desired lowered: after 170 s, 35 s too late"),
        (scaled(failed=1), "180 requests failed while it scaled"),
    ],
)  # fmt: skip
def test_a_stage_out_of_its_bounds_fails_on_either_side(story: Story, reason: str) -> None:
    found = judged(story.recording())
    assert found.verdict is Verdict.FAILED
    assert any(text.startswith(reason) for text in found.reasons), found.reasons


def test_a_replica_that_never_gets_ready_fails_with_what_was_not_reached() -> None:
    story = scaled(serving=None)
    story.watched = [
        line
        for line in story.watched
        if not (line["type"] == "resource" and line["name"] == "frontend-3" and line["health"] == "healthy")
    ]
    found = judged(story.recording())
    assert found.verdict is Verdict.FAILED
    assert "Ready: not reached within 60 s" in found.reasons


def test_more_replicas_than_the_measured_load_asks_for_fail() -> None:
    story = scaled()
    story.scaling(UP + 140.0, 4, 65.0)
    assert "4 replicas were held for a load of 2.50" in judged(story.recording()).reasons


def test_a_recording_of_a_real_cluster_passes_with_every_stage_timed() -> None:
    found = judged(recorded("hpa-15s"))
    assert (found.verdict, found.reasons) == (Verdict.PASSED, ())
    assert all(stage.seconds is not None for stage in found.stages)
    assert {stage.name: stage.seconds for stage in found.stages}["desired lowered"] == 58.1
    assert "3 replicas were held, 3 were planned" in found.facts
    probes = judge_probes(recorded("hpa-15s"))
    assert probes is not None
    assert (probes.verdict, probes.values["failures"]) == (Verdict.PASSED, 0.0)


def test_the_same_recording_with_late_metrics_or_an_unready_replica_does_not_pass() -> None:
    late = recorded("hpa-15s")
    began = next(t for t, name in late.phases if name == "scale up")
    late.scalings = [line if line["t"] < began else line | {"t": line["t"] + 90} for line in late.scalings]
    assert any("desired raised: after 116 s" in text for text in judged(late).reasons)
    unready = recorded("hpa-15s")
    first = {line["key"] for line in unready.resources if line["t"] < began and line["type"] == "resource"}
    unready.resources = [
        line if line["key"] in first or line["type"] == "gone" else line | {"health": "starting"}
        for line in unready.resources
    ]
    assert any(text.startswith("Ready: not reached") for text in judged(unready).reasons)


def test_other_work_on_the_machine_is_another_cause_of_failed_probes() -> None:
    story = Story()
    story.tell(0.0, "begin", pid=1, cores=2)
    story.ticks(0, 60, "steady")
    for line in story.watched:
        if line["type"] == "tick":
            line["machine"] = 1.95
    story.tell(2.0, "probes", counters=counters(liveness_failed=0))
    story.tell(20.0, "probes", counters=counters(liveness_failed=2))
    found = judge_probes(story.recording())
    assert found is not None
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reasons[0] == "other programs used 1.8 of this machine's 2 cores"


def test_flapping_is_counted() -> None:
    story = scaled()
    for t, desired in ((UP + 120.0, 2), (UP + 135.0, 3), (UP + 150.0, 2), (UP + 165.0, 3)):
        story.scaling(t, desired, 65.0)
    found = judged(story.recording())
    assert found.verdict is Verdict.FAILED
    assert "flapping: the desired number fell 2 times under load and rose 0 times after it" in found.reasons


def test_more_than_the_maximum_and_less_than_the_minimum_fail() -> None:
    story = scaled()
    story.scaling(UP + 150.0, 6, 300.0)
    story.scaling(DOWN + 120.0, 0, 0.0)
    reasons = judged(story.recording()).reasons
    assert "6 replicas were desired, above the maximum of 5" in reasons
    assert "0 replicas were desired, below the minimum of 1" in reasons


INCONCLUSIVE = {
    "no metric": "ScalingActive is False: FailedGetResourceMetric: no metrics returned",
    "node too small": "the node is too small: 0/1 nodes are available: 1 Insufficient cpu.",
    "worker lost": "the worker w1 was lost",
    "clock": "the clock was set by +120 s at 200 s",
    "no room": "the autoscaler has no room: minimum 1, maximum 1",
    "API lost": "kubernetes/minikube: connection refused for 60 s",
    "late": "the generator fell behind",
}


@pytest.mark.parametrize("fault", INCONCLUSIVE)
def test_what_hinders_a_conclusion_makes_it_inconclusive_with_the_reason(fault: str) -> None:
    story = scaled()
    reasons: list[str] = []
    match fault:
        case "no metric":
            broken = ["ScalingActive", "False", "FailedGetResourceMetric", "no metrics returned"]
            story.scaling(UP + 20.0, 1, None, broken)
        case "node too small":
            story.event(UP + 32.0, "FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu.", "frontend-3")
        case "worker lost":
            story.tell(UP + 50.0, "lost", worker="w1")
        case "clock":
            for line in story.load:
                if line["t"] >= 200:
                    line["at"] += 120
        case "no room":
            story.watched = [line for line in story.watched if line["type"] != "settings"]
            story.settings(SPEC | {"maxReplicas": 1}, resolution=15.0)
        case "API lost":
            story.tell(2.0, "link", backend="kubernetes/minikube", state="live", why="")
            story.tell(UP + 40.0, "link", backend="kubernetes/minikube", state="retrying", why="connection refused")
            story.tell(UP + 100.0, "link", backend="kubernetes/minikube", state="live", why="")
        case "late":
            reasons.append("the generator fell behind")
    found = judge_scaling(story.recording(), reasons)
    assert found is not None
    assert found.verdict is Verdict.INCONCLUSIVE
    assert INCONCLUSIVE[fault] in found.reasons


def test_a_missing_metrics_api_is_inconclusive_with_what_the_controller_says() -> None:
    story = Story()
    story.settings(resolution=15.0)
    story.tell(0.0, "phase", name="idle")
    story.tell(float(UP), "phase", name="scale up")
    story.ticks(UP, DOWN, "scale up", users=60)
    story.tell(3.0, "missing", what="probe counters", why="the server has no such resource")
    story.scaling(UP + 5.0, 1, None, ["AbleToScale", "True", "SucceededGetScale", ""])
    found = judged(story.recording())
    assert (found.verdict, found.reasons) == (Verdict.INCONCLUSIVE, ("the autoscaler never got a CPU metric",))


def test_no_autoscaler_at_all_is_inconclusive() -> None:
    story = scaled()
    story.watched = [line for line in story.watched if line["type"] != "settings"]
    story.settings(None)
    found = judged(story.recording())
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reasons[0] == "the autoscaler of frontend could not be read"


def test_a_load_of_another_size_than_planned_is_inconclusive_and_not_the_autoscalers_fault() -> None:
    story = scaled(serving=None)
    for line in story.watched:
        if line["type"] == "sample" and line["t"] > UP:
            line["cpu"] /= 3
    found = judged(story.recording())
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reasons[0] == "the load was sized for 3 replicas, and what was measured asks for 0.83"


def test_settings_come_from_the_cluster_and_the_resolution_is_measured_where_it_is_not_told() -> None:
    story = Story()
    story.settings(SPEC, sync=30.0, tolerance=0.05)
    for t in (10, 70, 130, 190):
        story.sample(float(t), "frontend-1", 0.1)
    found = settings_of(story.recording())
    assert found is not None
    assert (found.resolution, found.sync, found.tolerance, found.down_window) == (60.0, 30.0, 0.05, 60.0)
    assert (found.minimum, found.maximum, found.target, found.request) == (1, 5, 70.0, 0.05)
    assert [cores(text) for text in ("250m", "2", 0.5, "1e", None)] == [0.25, 2.0, 0.5, None, None]


def test_a_container_without_a_cpu_request_has_none() -> None:
    story = Story()
    story.tell(0.5, "settings", service="frontend", autoscaler=SPEC, containers=[CONTAINER, {"name": "bare"}])
    found = settings_of(story.recording())
    assert found is not None
    assert found.request is None


def counters(**values: int) -> dict[str, int]:
    return {f"frontend-1/frontend/{key.replace('_', '/')}": value for key, value in values.items()}


def test_probes_that_all_succeed_pass_and_failures_of_startup_probes_do_not_count() -> None:
    story = Story()
    story.ticks(0, 30, "steady")
    story.pod(1.0, "frontend-1")
    story.tell(2.0, "probes", counters=counters(readiness_successful=5, readiness_failed=3))
    story.tell(20.0, "probes", counters=counters(readiness_successful=9, readiness_failed=3, startup_failed=4))
    found = judge_probes(story.recording())
    assert found is not None
    assert (found.verdict, found.facts) == (Verdict.PASSED, ())


def test_failures_are_counted_by_container_and_type_also_after_a_counter_began_anew() -> None:
    story = Story()
    story.ticks(0, 60, "steady")
    story.tell(2.0, "probes", counters=counters(readiness_failed=3, liveness_failed=1))
    story.tell(20.0, "probes", counters=counters(readiness_failed=5, liveness_failed=2))
    story.tell(30.0, "probes", counters=counters(readiness_failed=1, liveness_failed=2))
    found = judge_probes(story.recording())
    assert found is not None
    assert found.verdict is Verdict.FAILED
    assert found.facts == (
        "frontend-1/frontend: 1 liveness probes failed",
        "frontend-1/frontend: 3 readiness probes failed",
    )


def test_a_restart_by_the_liveness_probe_under_load_fails_unless_something_else_happened_too() -> None:
    story = Story()
    story.ticks(0, 60, "steady")
    story.tell(2.0, "probes", counters=counters(liveness_failed=0))
    story.event(40.0, "Killing", "Container frontend failed liveness probe, will be restarted")
    found = judge_probes(story.recording())
    assert found is not None
    assert (found.verdict, found.reasons) == (
        Verdict.FAILED,
        ("the liveness probe made frontend-1 restart under load",),
    )
    story.event(30.0, "NodeNotReady", "Node rig status is now: NodeNotReady")
    other = judge_probes(story.recording())
    assert other is not None
    assert other.verdict is Verdict.INCONCLUSIVE


def test_readiness_flaps_are_counted_and_a_pod_that_leaves_does_not_flap() -> None:
    story = Story()
    story.ticks(0, 60, "steady")
    story.tell(2.0, "probes", counters={})
    for t, health in ((1.0, "healthy"), (10.0, "unhealthy"), (15.0, "healthy"), (20.0, "unhealthy")):
        story.pod(t, "frontend-1", health=health)
    story.pod(1.0, "frontend-2")
    story.pod(30.0, "frontend-2", health="unhealthy", state="removing")
    found = judge_probes(story.recording())
    assert found is not None
    assert found.verdict is Verdict.FAILED
    assert found.values["flaps"] == 2.0
    assert "frontend-1 became unready under load" in found.reasons


def test_counters_that_could_not_be_read_are_inconclusive_with_the_reason() -> None:
    story = Story()
    story.ticks(0, 30, "steady")
    story.tell(2.0, "missing", what="probe counters", why="nodes/proxy is forbidden")
    found = judge_probes(story.recording())
    assert found is not None
    assert (found.verdict, found.reasons) == (Verdict.INCONCLUSIVE, ("probe counters: nodes/proxy is forbidden",))


def test_a_target_without_a_kubelet_has_no_verdict_on_probes_and_other_shapes_none_on_scaling() -> None:
    story = Story(kind="compose")
    story.ticks(0, 30, "steady")
    assert judge_probes(story.recording()) is None
    assert judge_scaling(story.recording()) is None


def test_the_story_ends_where_its_phases_do() -> None:
    recording = scaled().recording()
    assert recording.length == END
    assert recording.gaps == []
    assert recording.run["began"] == WALL
