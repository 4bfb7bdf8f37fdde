"""Verdicts on series made on purpose: what each fault becomes, and with which reason."""

from __future__ import annotations

import pytest

from devenv.load.autoscaler import cores, settings_of
from devenv.load.outcome import Judgement
from devenv.load.recording import Recording
from devenv.load.scaling import judge_probes, judge_scaling
from devenv.runs.criteria import Verdict
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
        "p95 below 100 ms": 20.0,
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
        (scaled(recovered=200), "p95 below 100 ms: after"),
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
    assert (found.verdict, found.reasons[0]) == (Verdict.INCONCLUSIVE, "the autoscaler never got a CPU metric")


def test_a_run_that_ended_before_its_load_is_inconclusive_with_the_reason() -> None:
    story = Story()
    story.settings(resolution=15.0)
    story.ticks(0, 20, "idle")
    story.scaling(1.0, 1, None)
    story.event(2.0, "FailedGetResourceMetric", "missing request for cpu", "h")
    found = judge_scaling(story.recording(), ["ended by its steering"])
    assert found is not None
    assert (found.verdict, found.reasons) == (Verdict.INCONCLUSIVE, ("ended by its steering",))
    assert judged(story.recording()).reasons == ("the run ended before its load began",)


def test_a_lost_cpu_metric_is_told_in_the_words_of_the_autoscalers_event_while_another_metric_works() -> None:
    story = scaled()
    story.watched = [line for line in story.watched if line["type"] != "scaling"]
    story.scaling(1.0, 1, None)
    story.event(UP + 20.0, "FailedGetResourceMetric", "missing request for cpu in container frontend", "h")
    assert judged(story.recording()).reasons == (
        "the autoscaler never got a CPU metric",
        "FailedGetResourceMetric: missing request for cpu in container frontend",
    )


@pytest.mark.parametrize(("t", "verdict"), [(UP + 60.0, Verdict.PASSED), (DOWN + 20.0, Verdict.INCONCLUSIVE)])
def test_an_autoscaler_that_is_inactive_matters_only_while_it_has_something_to_do(t: float, verdict: Verdict) -> None:
    story = scaled()
    story.scaling(t, 3, None, ["ScalingActive", "False", "FailedGetResourceMetric", "pods might be unready"])
    assert judged(story.recording()).verdict is verdict


@pytest.mark.parametrize(
    ("phase", "end", "reason"),
    [
        ("scale down", UP + 20.0, "the run ended during its load"),
        ("clean up", DOWN + 30.0, "the run ended before the autoscaler had to be down again"),
    ],
)
def test_a_run_that_was_interrupted_says_nothing_about_what_was_still_to_come(
    phase: str, end: float, reason: str
) -> None:
    story = scaled()
    story.load = [line for line in story.load if line["t"] < end and line.get("name") != phase]
    story.watched = [line for line in story.watched if line["t"] < end]
    story.tell(end, "phase", name="clean up")
    found = judged(story.recording())
    assert (found.verdict, found.reasons) == (Verdict.INCONCLUSIVE, (reason,))


def test_replicas_that_were_there_before_the_load_are_no_reaction_to_it() -> None:
    story = scaled()
    story.scaling(UP - 20.0, 3, 20.0)
    found = judged(story.recording())
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "3 replicas were there before the load, and 3 were to be reached" in found.reasons


def test_a_quota_that_keeps_pods_from_being_made_is_inconclusive() -> None:
    story = scaled(serving=None)
    story.event(UP + 32.0, "FailedCreate", "pods frontend-3 is forbidden: exceeded quota", "rs")
    assert judged(story.recording()).reasons == (
        "a pod could not be made: pods frontend-3 is forbidden: exceeded quota",
    )


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


def test_a_target_without_a_kubelet_has_no_verdict_on_probes_and_other_shapes_none_on_scaling() -> None:
    story = Story(kind="compose", options={"shape": "steady"})
    story.ticks(0, 30, "steady")
    assert judge_probes(story.recording()) is None
    assert judge_scaling(story.recording()) is None


def test_the_story_ends_where_its_phases_do() -> None:
    recording = scaled().recording()
    assert recording.length == END
    assert recording.gaps == []
    assert recording.run["began"] == WALL
