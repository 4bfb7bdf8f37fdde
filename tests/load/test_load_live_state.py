"""What the terminal knows of a load test, folded from a real recording and from made-up lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devenv.core.errors import DevenvError
from devenv.load.live import BINS, Following, LoadState, TimeSeries
from devenv.load.runner import LiveLoad
from devenv.runs.identity import this_process
from devenv.tui.runs.load_rows import chart_parts
from tests.load.recorded import FOLDER, lines_of, recorded

HPA = "hpa-15s"
ME = str(this_process())  # goes on


def fold(name: str, until: float = float("inf")) -> LoadState:
    state = LoadState(run=json.loads((FOLDER / name / "run.json").read_text("utf-8")))
    state.take_load(line for line in lines_of(name, "load") if line["t"] <= until)
    state.take_target(line for line in lines_of(name, "target") if line["t"] <= until)
    return state


def test_a_recording_gives_the_figures_of_its_report() -> None:
    state, recording = fold(HPA), recorded(HPA)
    whole, told = state.whole, recording.figures()
    assert whole.keys() == told.keys()
    for name, figures in told.items():
        assert (whole[name].requests, whole[name].failures) == (figures.requests, figures.failures), name
        assert whole[name].percentile(95) == figures.percentile(95)
    assert [phase.name for phase in state.phases] == [name for _, name in recording.phases]


def test_in_the_middle_it_knows_the_phase_the_autoscaler_and_what_runs() -> None:
    state = fold(HPA, until=200.0)
    assert state.phases[-1].name == "scale up"
    assert state.users == 16
    assert state.scaling["desired"] == recorded_desired(200.0)
    assert state.endpoints == 3
    assert state.ready == 3
    assert {thing.service for thing in state.things.values()} == {"frontend", "backend"}
    assert all(thing.cpu is not None for thing in state.things.values())
    assert state.latest["total"].requests < state.whole["total"].requests
    assert state.length is None, "what it measures decides how long it takes"


def recorded_desired(until: float) -> int:
    return int([line for line in recorded(HPA).scalings if line["t"] <= until][-1]["desired"])


def test_phases_say_how_many_users_they_shall_have() -> None:
    users = {phase.name: phase.users for phase in fold(HPA).phases}
    assert users == {"prepare": 1, "idle": 1, "calibrate": 8, "scale up": 16, "scale down": 1, "clean up": 1}


def test_pods_that_are_gone_are_not_shown() -> None:
    state = fold(HPA)
    assert len([thing for thing in state.things.values() if thing.service == "frontend"]) == 1


def tick(t: float, **values: Any) -> dict[str, Any]:
    names = {"search": {"n": 10, "failed": 0, "seconds": 1.0, "times": {"20": 10}}}
    generator = {"cpu": [10.0], "arrivals": 10, "late": 0, "dropped": 0}
    line = {"t": t, "at": 1e9 + t, "type": "load", "phase": "steady", "users": 5}
    return {**line, "names": names, "generator": generator, **values}


def made(**run: Any) -> LoadState:
    base = {"warm_up": 3.0, "thresholds": ["search:p95<100", "rps>1000"], "options": {"shape": "steady"}}
    return LoadState(run=base | run)


def test_thresholds_stand_after_the_warm_up_and_leave_it_out() -> None:
    slow = {"search": {"n": 10, "failed": 0, "seconds": 1.0, "times": {"900": 10}}}
    state = made()
    state.take_load([tick(1.0, names=slow), tick(2.0, names=slow)])
    assert [item.holds for item in state.findings] == [None, None]
    assert state.warm_up_left == 1.0
    state.take_load([tick(3.0, names=slow), tick(4.0), tick(5.0)])
    assert [item.holds for item in state.findings] == [True, False]
    assert [item.value for item in state.findings] == [20.0, 10.0]
    state.outcome = {"findings": [{"threshold": "rps>1000", "value": 1.0, "holds": False, "margin": -1.0}]}
    assert [(str(item.threshold), item.value) for item in state.findings] == [("rps>1000", 1.0)]


def test_a_generator_that_is_its_own_limit_is_told_and_stays_told() -> None:
    state = made()
    busy = {"cpu": [99.0], "arrivals": 10, "late": 0, "dropped": 0}
    state.take_load([tick(1.0, generator=busy), tick(2.0, generator=busy)])
    assert not state.generator.inconclusive, "a moment is not the run"
    state.take_load([tick(3.0, generator=busy), tick(4.0)])
    assert ["99 % of a core" in text for text in state.generator.inconclusive] == [True]


def test_a_tick_of_no_length_after_the_end_is_counted_and_has_no_rate() -> None:
    late = {"search": {"n": 1, "failed": 0, "seconds": 0.0, "times": {"20": 1}}}
    state = made()
    state.take_load([tick(1.0), tick(1.0, names=late)])
    assert state.whole["search"].requests == 11
    assert state.series.columns("rps", 0.0, 2.0, 1, TimeSeries.MOST) == [10.0]


def test_a_lost_connection_and_what_cannot_be_read_are_told_until_they_are_back() -> None:
    state = made()
    link = {"t": 1.0, "type": "link", "backend": "docker"}
    state.take_target([{**link, "state": "retrying", "why": "refused"}])
    state.take_target([{"t": 1.0, "type": "missing", "what": "endpoints", "why": "forbidden"}])
    assert (state.links, state.missing) == ({"docker": "retrying refused"}, {"endpoints": "forbidden"})
    state.take_target([{**link, "state": "live", "why": ""}, {"t": 2.0, "type": "found", "what": "endpoints"}])
    assert (state.links, state.missing) == ({}, {})


def test_two_hours_take_no_more_memory_than_four_minutes() -> None:
    course = TimeSeries()
    for second in range(7200):
        course.add("rps", float(second), 100.0 if second < 3600 else 300.0)
    assert sum(len(bins) for bins in course._series.values()) <= BINS
    quarters = course.columns("rps", 0.0, 7200.0, 4, TimeSeries.MEAN)
    assert quarters == [pytest.approx(value, rel=0.01) for value in (100.0, 100.0, 300.0, 300.0)]
    assert course.columns("rps", 7200.0, 7300.0, 1, TimeSeries.MEAN) == [None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run.json").write_text((FOLDER / HPA / "run.json").read_text())
    return tmp_path


def test_a_line_that_is_not_whole_yet_waits_and_a_broken_one_is_left_out(folder: Path) -> None:
    following = Following(LiveLoad(folder, ME))
    text = "".join(json.dumps(line) + "\n" for line in lines_of(HPA, "load")[:40])
    cut = text.rindex("\n", 0, -10) + 20
    path = folder / "load.jsonl"
    path.write_text(text[:cut])
    following.look()
    requests = following.state.whole["total"].requests
    following.look()
    assert following.state.whole["total"].requests == requests, "nothing is read twice"
    with path.open("a") as file:
        file.write(text[cut:] + '{"t": 50, "ty\x00\n')
    following.look()
    assert following.state.whole["total"].requests > requests
    assert not following.state.over


def test_a_recording_of_another_version_is_refused(folder: Path) -> None:
    (folder / "run.json").write_text('{"schema": 99}')
    with pytest.raises(DevenvError, match="not recorded by this version"):
        Following(LiveLoad(folder, ME)).look()


@pytest.mark.parametrize("length", [0.0, 0.1, 1.0])
def test_a_run_that_ended_as_it_began_has_an_axis(length: float) -> None:
    state = made()
    state.take_load([{**tick(2.0), "type": "phase", "name": "steady"}, tick(2.0), tick(2.0 + length)])
    state.over = True
    text = "".join(part for part, _ in chart_parts(state, 80, 30)).splitlines()
    assert text[-3].endswith("└" + "─" * 72)
    assert "0:00" in text[-2]
