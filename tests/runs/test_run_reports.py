"""Verdicts, the history, and the same run for each reader."""

from __future__ import annotations

import json
import sqlite3
from html.parser import HTMLParser
from pathlib import Path

import jsonschema_rs
import pytest

from devenv.cli import main
from devenv.core.errors import DevenvError
from devenv.runs.criteria import CRITERIA, SUCCESS_METRICS, Better, Criterion, Measurement, Verdict, criterion, judge
from devenv.runs.history import History, percentile, sparkline
from devenv.runs.identity import this_machine
from devenv.runs.publish import publish
from devenv.runs.report import HEAD, Report, markdown, rows, table
from devenv.verify.success_metrics import audit
from tests.verify.verify_samples import report_of

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "verify-report.schema.json"
HOSTILE = "```\n</pre><script>alert(1)</script> | `x` [/red]"


@pytest.mark.parametrize(
    ("better", "unit", "value", "scale", "verdict", "margin"),
    [
        ("lower", "s", 60.0, 1.0, Verdict.PASSED, 0.5),
        ("lower", "s", 120.0, 1.0, Verdict.PASSED, 0.0),
        ("lower", "s", 180.0, 1.0, Verdict.FAILED, -0.5),
        ("lower", "s", 180.0, 2.0, Verdict.PASSED, 0.25),
        ("lower", "writes", 180.0, 2.0, Verdict.FAILED, -0.5),
        ("higher", "%", 60.0, 1.0, Verdict.FAILED, -0.5),
        ("higher", "%", 180.0, 1.0, Verdict.PASSED, 0.5),
    ],
)
def test_a_value_is_judged(better: str, unit: str, value: float, scale: float, verdict: Verdict, margin: float) -> None:
    found = judge(Criterion("x", unit, 120.0, "", Better(better)), value, {}, 1.0, "t", scale)
    assert (found.verdict, found.margin) == (verdict, pytest.approx(margin))
    assert Measurement.from_data(json.loads(json.dumps(found.to_data()))) == found


def test_no_write_may_be_lost() -> None:
    zero = criterion("lost_writes", {})
    assert judge(zero, 0.0, {}, 1.0, "t").verdict is Verdict.PASSED
    assert judge(zero, 1.0, {}, 1.0, "t").verdict is Verdict.FAILED


def test_budgets_come_from_the_call_then_the_project_then_the_catalog() -> None:
    assert criterion("hot_reload.web", {}).budget == 3.0
    assert criterion("hot_reload.web", {"hot_reload": 5.0}).budget == 5.0
    assert criterion("hot_reload.web", {"hot_reload": 5.0, "hot_reload.web": 6.0}).budget == 6.0
    assert criterion("hot_reload.web", {"hot_reload": 5.0}, budget=7.0).budget == 7.0
    assert criterion("never.seen", {}).budget is None


def test_the_worst_counts() -> None:
    assert report_of("r", 10.0).verdict is Verdict.INCONCLUSIVE
    assert report_of("r", 200.0).verdict is Verdict.FAILED


def test_what_nothing_measured_is_inconclusive_in_the_audit() -> None:
    found = {item.criterion.name: item for item in audit(report_of("r", 10.0).measurements, {})}
    assert set(found) == set(SUCCESS_METRICS)
    assert found["cold_start"].verdict is Verdict.PASSED
    assert found["pod_ready"].verdict is Verdict.INCONCLUSIVE
    assert found["pod_ready"].why == "nothing measured it"
    told = {item.criterion.name: item.why for item in audit((), {}, {"pod_ready": "no cluster"})}
    assert told["pod_ready"] == "no cluster"


def test_every_success_metric_names_the_task_that_asks_for_it() -> None:
    assert {name: task for name, task in SUCCESS_METRICS.items() if name in CRITERIA} == {
        "cold_start": "T020",
        "hot_reload": "T021",
        "cached_build": "T045",
        "build_improvement": "T049",
        "pipeline": "T122",
        "pod_ready": "T079",
        "deployment": "T079",
        "deployment_success": "over time",
    }


def test_of_a_family_the_audit_takes_the_worst() -> None:
    measured = [
        judge(criterion(f"hot_reload.{name}", {}), value, {}, 1.0, "t")
        for name, value in (("a", 1.0), ("b", 4.0), ("c", 2.0))
    ]
    found = next(item for item in audit(measured, {}) if item.criterion.name.startswith("hot_reload"))
    assert found.criterion.name == "hot_reload.b"


def test_the_json_report_keeps_its_schema() -> None:
    validator = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text()))
    data = report_of("r1", 10.0, why=HOSTILE).to_data()
    assert [error.message for error in validator.iter_errors(data)] == []
    data["measurements"][0]["value"] = None
    assert not validator.is_valid(data), "a passed criterion without a value must not be accepted"


def test_history_compares_like_machines_only(tmp_path: Path) -> None:
    history = History(tmp_path / "h.sqlite3")
    for index, value in enumerate((10.0, 20.0, 30.0, 60.0)):
        history.add(report_of(f"r{index}", value, at=1000.0 + index))
    history.add(report_of("slow", 500.0, machine="m2", at=2000.0))
    trend = history.trend("cold_start", "shop", "m1")
    assert trend.values == [10.0, 20.0, 30.0, 60.0]
    assert trend.change == pytest.approx(2.0)  # 60 against the median of 10, 20, 30
    assert trend.against("r0") == pytest.approx((10 - 30) / 30)
    assert trend.percentile(50) == 25.0
    assert history.criteria("shop", "m1") == ["cold_start", "search"]
    history.add(report_of("r3", 90.0, at=1003.0))
    assert history.trend("cold_start", "shop", "m1").values[-1] == 90.0, "the same run again replaces it"


def test_the_values_of_a_criterion_are_json_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "shop"  # a project without Compose is called by its folder
    folder.mkdir()
    (folder / "devenv.toml").touch()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    History().add(report_of("r0", 10.0, machine=this_machine().id))
    assert main(["history", "cold_start", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["criteria"]
    (point,) = told["points"]
    assert (point["run"], point["value"]) == ("r0", 10.0)


def test_a_broken_history_is_told(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite3"
    path.write_text("this is no database, and it is long enough to be looked at by SQLite " * 20)
    with pytest.raises(DevenvError, match="cannot be used"):
        History(path).add(report_of("r", 1.0))
    with sqlite3.connect(tmp_path / "new.sqlite3") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(DevenvError, match="newer devenv"):
        History(tmp_path / "new.sqlite3").add(report_of("r", 1.0))


def test_small_numbers_of_values_have_percentiles_and_bars() -> None:
    assert percentile([], 50) is None
    assert percentile([3.0], 95) == 3.0
    assert sparkline([]) == ""
    assert sparkline([1.0, 1.0]) == "▁▁"
    assert sparkline([0.0, 7.0]) == "▁█"


def test_all_files_are_written_and_the_summary_of_the_job(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    files = publish(report_of("r1", 10.0), tmp_path / "out", {"GITHUB_STEP_SUMMARY": str(summary)})
    assert sorted(path.name for path in files) == ["report.html", "report.json", "report.md"]
    assert summary.read_text().startswith("before\n## shop: inconclusive")


def test_markdown_cannot_be_broken_out_of() -> None:
    text = markdown(report_of("r1", 200.0, why=HOSTILE))
    fence = next(line for line in text.splitlines() if line.startswith("````"))
    assert text.splitlines().count(fence) == 2
    assert "no &lt;search> \\| here" in text


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_stands_alone_and_shows_a_chart(tmp_path: Path) -> None:
    for index in range(3):
        publish(report_of(f"r{index}", 100.0 + index * 20, why=HOSTILE, at=1000.0 + index), tmp_path, {})
    parser = Tags()
    parser.feed((tmp_path / "report.html").read_text())
    names = [tag for tag, _ in parser.seen]
    assert not {"script", "link", "img", "iframe"} & set(names)
    assert not [attrs for _, attrs in parser.seen if {"src", "href", "onclick"} & attrs.keys()]
    assert names.count("svg") == 1
    assert names.count("circle") == 3
    assert names.count("line") == 1, "the budget is a line"


def test_the_terminal_table_leaves_empty_columns_out() -> None:
    report: Report = report_of("r1", 10.0)
    head, *body = table(HEAD, rows(report))
    assert "CHANGE" not in head
    assert len(body) == 2
    assert body[0].startswith("cold_start  passed")
