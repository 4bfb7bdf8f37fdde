"""Recordings of real runs on a one-node cluster, and the verdict and reason that each gets."""

from __future__ import annotations

import pytest

from devenv.core.errors import DevenvError
from devenv.load.autoscaler import settings_of
from devenv.load.hpa_shape import precheck
from devenv.load.outcome import Judgement
from devenv.load.recording import Recording
from devenv.load.scaling import judge_probes, judge_scaling
from devenv.runs.criteria import Verdict
from tests.load.recorded import recorded


def judged(recording: Recording) -> Judgement:
    found = judge_scaling(recording)
    assert found is not None
    return found


def seconds(found: Judgement) -> dict[str, float | None]:
    return {stage.name: stage.seconds for stage in found.stages}


@pytest.mark.parametrize(
    ("name", "resolution", "lowered", "held"),
    [
        ("hpa-15s", 15.0, 58.1, "3 replicas were held, 3 were planned"),
        # Requests cost more under load than in the calibration, and a fourth replica was right for some minutes: the
        # metrics asked for three again before the load ended, and the window counts from then.
        ("hpa-60s", 60.0, 35.6, "4 replicas were held, 3 were planned"),
    ],
)
def test_an_autoscaler_that_follows_its_load_passes_with_every_stage_timed(
    name: str, resolution: float, lowered: float, held: str
) -> None:
    recording = recorded(name)
    found = judged(recording)
    assert (found.verdict, found.reasons) == (Verdict.PASSED, ())
    assert all(stage.seconds is not None for stage in found.stages)
    assert seconds(found)["desired lowered"] == lowered
    assert held in found.facts
    settings = settings_of(recording)
    assert settings is not None
    assert settings.resolution == resolution
    probes = judge_probes(recording)
    assert probes is not None
    assert (probes.verdict, probes.values["failures"]) == (Verdict.PASSED, 0.0)


def test_late_metrics_or_an_unready_replica_in_the_same_recording_do_not_pass() -> None:
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


def test_a_window_down_shorter_than_the_metrics_of_a_new_replica_flaps_and_fails() -> None:
    found = judged(recorded("hpa-flaps"))
    assert found.verdict is Verdict.FAILED
    assert found.reasons == (
        "flapping: the desired number fell 2 times under load and rose 0 times after it",
        "a window down of 60 s is shorter than the 135 s after which a new replica counts, with metrics every 60 s",
        "1053 requests failed while it scaled",
        "2 replicas were held for a load of 3.12",
    )
    assert all(stage.problem == "" for stage in found.stages)


def test_other_programs_on_the_node_keep_failed_probes_from_being_the_loads_fault() -> None:
    probes = judge_probes(recorded("hpa-flaps"))
    assert probes is not None
    assert probes.verdict is Verdict.INCONCLUSIVE
    assert probes.reasons[0] == "other programs used 1.6 of this machine's 2 cores"
    assert "1 liveness probes failed under load" in probes.reasons


def test_replicas_whose_startup_probe_gives_up_on_them_fail_with_what_they_say() -> None:
    found = judged(recorded("never-ready"))
    assert found.verdict is Verdict.FAILED
    assert found.reasons[0] == "Ready: not reached within 65 s"
    assert seconds(found)["3 desired"] == 25.0
    words = [fact for fact in found.facts if "has not passed its startup probe; restarted 2 times" in fact]
    assert len(words) == 2


def test_an_autoscaler_that_lost_the_metric_of_its_only_ready_replica_later_is_still_judged() -> None:
    recording = recorded("never-ready")
    inactive = [
        line["t"] for line in recording.scalings if ["ScalingActive", "False"] in [c[:2] for c in line["conditions"]]
    ]
    assert inactive
    assert judged(recording).verdict is Verdict.FAILED


def test_replicas_that_start_later_than_their_probes_tell_fail_at_the_stage_ready() -> None:
    found = judged(recorded("late-ready"))
    assert (found.verdict, found.reasons) == (
        Verdict.FAILED,
        ("Ready: after 87 s, 27 s too late", "136 requests failed while it scaled"),
    )


def test_replicas_that_may_start_slowly_pass_within_what_their_probes_allow() -> None:
    found = judged(recorded("slow-start"))
    assert (found.verdict, found.reasons) == (Verdict.PASSED, ())
    (ready,) = [stage for stage in found.stages if stage.name == "Ready"]
    assert (ready.seconds, ready.high) == (83.5, 125.0)


def test_a_node_too_small_for_the_replicas_is_inconclusive_with_the_schedulers_message() -> None:
    found = judged(recorded("no-place"))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert len(found.reasons) == 1
    assert found.reasons[0].startswith("the node is too small: 0/1 nodes are available: 1 Insufficient memory.")


NO_REQUEST = "failed to get cpu utilization: missing request for cpu in container frontend of Pod frontend-f87c794b9"


@pytest.mark.parametrize(
    ("name", "wanted", "told"),
    [
        # With memory as a second metric ScalingActive stays True: only an event tells what is wrong.
        (
            "no-request",
            3,
            f"the load cannot be sized: a container has no CPU request (FailedGetResourceMetric: {NO_REQUEST}-f4b9p)",
        ),
        (
            "no-request-cpu-only",
            3,
            "the load cannot be sized: a container has no CPU request (ScalingActive is False: "
            f"FailedGetResourceMetric: the HPA was unable to compute the replica count: {NO_REQUEST}-67rrb)",
        ),
        ("no-room", 1, "the autoscaler has no room: minimum 1, maximum 1"),
    ],
)
def test_an_autoscaler_that_cannot_act_is_refused_before_the_load(name: str, wanted: int, told: str) -> None:
    recording = recorded(name)
    settings = settings_of(recording)
    assert settings is not None
    with pytest.raises(DevenvError) as caught:
        precheck(recording, "frontend", settings, wanted, recording.length, 300.0)
    assert caught.value.message == told
    found = judge_scaling(recording, [caught.value.message])
    assert found is not None
    assert (found.verdict, found.reasons) == (Verdict.INCONCLUSIVE, (told,))
