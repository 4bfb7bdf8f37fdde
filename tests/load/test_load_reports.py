"""Reports: legible at any length, safe with any text, made again from the recording; and what history keeps."""

from __future__ import annotations

import html.parser
import json
import re
import time
from pathlib import Path

import pytest

from devenv.core.errors import DevenvError
from devenv.load.charts import COLUMNS, columns, nice, number, percentiles
from devenv.load.ending import conclude, finish, keep, newest, write_reports
from devenv.load.figures import evaluate, parse
from devenv.load.outcome import Facts, exit_code, save_outcome, verdict
from devenv.load.recording import BASE, LOAD, WATCHED
from devenv.load.report import UNFINISHED, make_report, terminal
from devenv.runs.criteria import Verdict
from devenv.runs.history import History
from devenv.runs.identity import this_machine
from tests.load.synthetic import Story, scaled


def saved(story: Story, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / BASE).write_text(json.dumps(dict(story.recording().run)))
    for name, lines in ((LOAD, story.load), (WATCHED, story.watched)):
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


class Parsed(html.parser.HTMLParser):
    """What a page consists of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.points: list[int] = []
        self.texts: list[str] = []
        self.outside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attributes)
        if tag == "polyline":
            self.points.append(len((given["points"] or "").split()))
        self.outside += [value for key in ("src", "href") if (value := given.get(key))]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def long_story(ticks: int) -> Story:
    """A soak: one spike of two seconds is in it, which no chart may lose."""
    story = Story(
        kind="compose", options={"shape": "soak", "open": False, "rate": 1.0}, limits={"frontend": {"cpu": 1}}
    )
    story.tell(0.0, "phase", name="soak")
    story.ticks(0, ticks, "soak")
    for line in story.load:
        if ticks // 2 <= line["t"] < ticks // 2 + 2 and line["type"] == "load":
            line["names"]["search"]["times"] = {"900": 10}
            line["users"] = 50
    for t in range(2, ticks, 2):
        story.sample(float(t), "frontend-1", 0.9 if t == ticks // 4 * 2 else 0.2, lag=0.0, window=None)
    return story


@pytest.mark.parametrize("ticks", [200, 20_000])
def test_a_page_is_legible_at_any_length_and_hides_no_peak(tmp_path: Path, ticks: int) -> None:
    folder = saved(long_story(ticks), tmp_path / "run")
    began = time.process_time()
    write_reports(folder)
    assert time.process_time() - began < 20
    text = (folder / "report.html").read_text()
    page = Parsed(text)
    assert len(text) < 600_000
    assert page.tags.count("svg") == 7
    assert max(page.points) <= 2 * COLUMNS + 2
    assert min(ticks - 2, COLUMNS // 2) <= max(page.points)
    assert "script" not in page.tags
    assert page.outside == []
    recording = make_report(folder).recording
    p99 = percentiles(recording.load, 99, recording.length)
    assert max(column.high for column in p99) == 900
    cpu = columns(((use.t, use.cpu) for use in recording.tracks["frontend-1"].uses), recording.length)
    assert max(column.high for column in cpu) == 0.9


def test_text_of_others_is_text_in_every_report(tmp_path: Path) -> None:
    story = scaled()
    evil = "<script>alert(1)</script>|x\n## y"
    story.event(150.0, "Killing", evil, evil)
    story.tell(1.0, "missing", what="probe counters", why=evil)
    folder = saved(story, tmp_path / "run")
    write_reports(folder)
    assert "script" not in Parsed((folder / "report.html").read_text()).tags
    markdown = (folder / "report.md").read_text()
    assert "<script>" not in markdown
    assert "\n## y" not in markdown


def test_every_report_says_why_requests_failed(tmp_path: Path) -> None:
    story = scaled()
    for count in (1, 7):  # cumulative: the last line counts
        story.load.append(
            {"t": 9.0, "at": 9.0, "type": "errors", "most": [[count, "search", "HTTPError('503 <b>busy')"]]}
        )
    folder = saved(story, tmp_path / "run")
    report = write_reports(folder)
    assert re.search(r"7 +search +HTTPError\('503 <b>busy'\)", terminal(report))
    assert "| 7 | search | HTTPError('503 &lt;b>busy') |" in (folder / "report.md").read_text()
    assert "HTTPError('503 <b>busy')" in Parsed((folder / "report.html").read_text()).texts
    told = json.loads((folder / "report.json").read_text())["errors"]
    assert told == [{"count": 7, "name": "search", "reason": "HTTPError('503 <b>busy')"}]


def test_an_interrupted_run_is_reported_as_that_and_is_in_no_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = saved(long_story(60), tmp_path / "run")
    findings = evaluate([parse("search:p95<10"), parse("rps>1")], make_report(folder).figures)
    facts = Facts(findings, failures=3, exceptions=1, reasons=["ended by SIGTERM"], interrupted=True)
    told = finish(folder, facts, {})
    assert "shop, soak: interrupted (" in told
    assert "interrupted: ended by SIGTERM" in told
    assert write_reports(folder).to_data()["outcome"] == "interrupted"
    assert (exit_code(facts), verdict(facts)) == (130, Verdict.INCONCLUSIVE)
    assert not (tmp_path / "state").exists()


def test_a_run_that_was_killed_is_reported_as_far_as_it_came(tmp_path: Path) -> None:
    folder = saved(long_story(60), tmp_path / "run")
    with (folder / LOAD).open("a") as file:
        file.write('{"t": 61.0, "ty')
    report = write_reports(folder)
    assert (report.verdict, report.reasons, report.exit_code) == (Verdict.INCONCLUSIVE, [UNFINISHED], None)
    assert json.loads((folder / "report.json").read_text())["figures"]["search"]["requests"] == 600


def test_the_verdict_on_the_autoscaler_decides_how_a_run_of_its_shape_ends(tmp_path: Path) -> None:
    passed, failed = saved(scaled(), tmp_path / "passed"), saved(scaled(lowered=20), tmp_path / "failed")
    other = saved(long_story(20), tmp_path / "soak")
    untested = scaled()
    untested.event(150.0, "FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu.", "frontend-3")
    untested.tell(2.0, "probes", counters={})
    full = conclude(saved(untested, tmp_path / "full"), Facts())
    assert [exit_code(conclude(folder, Facts())) for folder in (passed, failed, other)] == [0, 99, 0]
    assert (exit_code(full), full.inconclusive) == (
        12,
        ("the node is too small: 0/1 nodes are available: 1 Insufficient cpu.",),
    )
    save_outcome(tmp_path / "full", exit_code(full), verdict(full), full.inconclusive, [])
    judged = make_report(tmp_path / "full").judgements
    assert [(item.name, item.verdict) for item in judged] == [
        ("autoscaling", Verdict.INCONCLUSIVE),
        ("probes", Verdict.PASSED),
    ]


def test_a_finished_run_is_told_kept_and_reported_again_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = saved(long_story(60), tmp_path / "run")
    findings = evaluate([parse("search:p95<10"), parse("rps>1")], make_report(folder).figures)
    summary = tmp_path / "summary.md"
    told = finish(folder, Facts(findings), {"GITHUB_STEP_SUMMARY": str(summary)})
    assert "search:p95<10  FAILED   20 ms  -100%" in told
    assert "shop, soak: failed" in summary.read_text()
    again = write_reports(folder)
    assert (again.exit_code, again.verdict) == (99, Verdict.FAILED)
    assert again.findings == findings
    kept = {item.criterion.name: item for item in newest("shop", this_machine().id)}
    assert {name: item.verdict for name, item in kept.items()} == {
        "load_soak.search:p95": Verdict.FAILED,
        "load_soak.total:rps": Verdict.PASSED,
    }
    assert kept["load_soak.search:p95"].margin == -1.0


def test_only_the_newest_run_is_audited_with_the_autoscalers_verdict(tmp_path: Path) -> None:
    history = History(tmp_path / "history.sqlite3")
    folder = saved(scaled(lowered=20), tmp_path / "run")
    keep(make_report(folder), history)
    found = {item.criterion.name: item for item in newest("shop", this_machine().id, history)}
    assert found["load_autoscaling"].verdict is Verdict.INCONCLUSIVE
    assert found["load_autoscaling"].why.startswith(UNFINISHED)
    assert newest("other", this_machine().id, history) == []


def test_an_outcome_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    folder = saved(long_story(10), tmp_path / "run")
    (folder / "outcome.json").write_text('{"exit_code": 0}')
    with pytest.raises(DevenvError, match=r"outcome\.json cannot be read"):
        make_report(folder)


def test_numbers_on_axes_are_round_and_short() -> None:
    assert [nice(value) for value in (0, 0.07, 1, 13, 99, 101, 2100)] == pytest.approx([1, 0.08, 1, 15, 100, 150, 3000])
    assert [number(value) for value in (0, 0.1234, 12.3, 999.6, 12_345, 2.5e6, 3e9)] == [
        *("0", "0.123", "12.3", "1e+03", "12.3k", "2.5M", "3G")
    ]
