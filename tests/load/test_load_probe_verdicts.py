"""Verdicts on probes under load, from series made on purpose."""

from __future__ import annotations

from devenv.load.scaling import judge_probes
from devenv.runs.criteria import Verdict
from tests.load.synthetic import Story


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
