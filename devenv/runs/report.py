"""What all reports of a run show: JSON (docs/schemas/verify-report.schema.json), tables for terminals and Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from html import escape
from string import Template
from typing import Any, Final

from devenv import __version__
from devenv.runs.criteria import Measurement, TestResult, Verdict, worst
from devenv.runs.identity import Commit, Machine

SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class Report:
    """One run. `interrupted`: it was ended before all tests had run."""

    run: str
    began: float
    seconds: float
    project: str
    target: str
    isolated: bool
    machine: Machine
    commit: Commit
    measurements: tuple[Measurement, ...]
    tests: tuple[TestResult, ...]
    interrupted: bool = False
    budget_scale: float = 1.0
    evidence: str = ""

    @property
    def verdict(self) -> Verdict:
        """The worst of all; inconclusive where nothing ran."""
        verdicts = {item.verdict for item in self.measurements} | {test.verdict for test in self.tests}
        return worst(verdicts | ({Verdict.INCONCLUSIVE} if self.interrupted else set()))

    def to_data(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "schema": SCHEMA,
            "devenv": __version__,
            "run": {
                "id": self.run,
                "began": datetime.fromtimestamp(self.began, UTC).isoformat(timespec="milliseconds"),
                "seconds": round(self.seconds, 3),
                "target": self.target,
                "isolated": self.isolated,
                "interrupted": self.interrupted,
                "budget_scale": self.budget_scale,
                "evidence": self.evidence,
            },
            "project": self.project,
            "verdict": self.verdict.value,
            "machine": asdict(self.machine),
            "commit": asdict(self.commit),
            "measurements": [_flat(item) for item in self.measurements],
            "tests": [asdict(item) | {"verdict": item.verdict.value} for item in self.tests],
        }


def _flat(item: Measurement) -> dict[str, Any]:
    data = item.to_data()
    criterion = data.pop("criterion")
    return {**criterion, **data}


HEAD = ("CRITERION", "VERDICT", "VALUE", "BUDGET", "MARGIN", "CHANGE", "STAGES", "MEANING")
Change = Callable[[str], float | None]
_SIGNS = {
    Verdict.PASSED: "✅ passed",
    Verdict.FAILED: "❌ failed",
    Verdict.INCONCLUSIVE: "❔ inconclusive",
    Verdict.ERROR: "💥 error",
}


def rows(report: Report, change: Change = lambda name: None) -> list[tuple[str, ...]]:
    """Return a row for each measurement; `change` tells how its value compares with the history, as a fraction."""
    return [measurement_row(item, change(item.criterion.name)) for item in report.measurements]


def summary(report: Report) -> str:
    """Count the tests by verdict, in one line."""
    counts = [(sum(test.verdict is verdict for test in report.tests), verdict) for verdict in Verdict]
    counted = ", ".join(f"{count} {verdict}" for count, verdict in counts if count) or "nothing ran"
    ended = "; the run was interrupted" if report.interrupted else ""
    return f"{report.project}: {report.verdict} ({counted} in {report.seconds:.0f} s{ended})"


def markdown(report: Report, change: Change = lambda name: None) -> str:
    """Write the run as Markdown, as a job's summary shows it."""
    lines = [f"## {markdown_cell(summary(report))}", ""]
    if report.measurements:
        lines += [*markdown_table(report.measurements, change), ""]
    bad = [test for test in report.tests if test.verdict is not Verdict.PASSED]
    for test in bad:
        lines += [f"### {_SIGNS[test.verdict]}: {markdown_cell(test.behaviour)}", "", f"`{markdown_cell(test.id)}`", ""]
        lines += [*_fenced(test.why), ""]
    return "\n".join(lines)


def markdown_table(measurements: Iterable[Measurement], change: Change = lambda name: None) -> list[str]:
    """Return the lines of a Markdown table of measurements."""
    body = []
    for item in measurements:
        row = measurement_row(item, change(item.criterion.name))
        body.append((f"`{row[0]}`", _SIGNS[item.verdict], *map(markdown_cell, row[2:])))
    return markdown_lines(HEAD, body)


def markdown_lines(head: Sequence[str], body: Iterable[Iterable[str]]) -> list[str]:
    """Return the lines of a Markdown table whose cells are escaped already."""
    lines = [f"| {' | '.join(name.capitalize() for name in head)} |", f"|{' --- |' * len(head)}"]
    return lines + [f"| {' | '.join(row)} |" for row in body]


def table(head: Iterable[str], body: Iterable[Iterable[str]]) -> list[str]:
    """Return the lines of a left-aligned table without its empty columns."""
    columns = [column for column in zip(head, *body, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    ]


def measurement_row(item: Measurement, change: float | None) -> tuple[str, ...]:
    """Return the cells of one measurement, as HEAD names them."""
    criterion = item.criterion
    stages = " ".join(f"{stage} {seconds:.1f}" for stage, seconds in item.stages.items())
    value = "" if item.value is None else f"{item.value:.3g} {criterion.unit}"
    return (
        criterion.name,
        item.verdict.value,
        value if item.verdict is Verdict.PASSED else ": ".join(filter(None, (value, item.why))),
        "" if criterion.budget is None else f"{criterion.budget:g} {criterion.unit}",
        "" if item.margin is None else f"{item.margin:+.0%}",
        "" if change is None else f"{change:+.0%}",
        stages,
        criterion.source,
    )


def markdown_cell(text: str) -> str:
    """Return the text as it may stand in a Markdown table or heading."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _fenced(text: str) -> list[str]:
    # Longer than any run of backticks in it: what a service printed cannot end the block.
    fence = "`" * max(3, 1 + max((len(run) for run in _runs(text)), default=0))
    return [fence, *text[-6000:].splitlines(), fence]


def _runs(text: str) -> Iterable[str]:
    return ("`" * len(part) for part in "".join(c if c == "`" else " " for c in text).split())


_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>$title</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
:root { color-scheme: light dark; --good: #1a7f37; --bad: #cf222e; --unsure: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --good: #3fb950; --bad: #f85149; --unsure: #d29922; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0 1rem; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
.passed { color: var(--good); } .failed, .error { color: var(--bad); } .inconclusive { color: var(--unsure); }
small { opacity: .75; }
$style
</style></head><body>
<h1 class="$verdict">$title</h1>
<p><small>$facts</small></p>
$body
</body></html>
""")


def html_page(title: str, verdict: Verdict, facts: str, body: str, style: str) -> str:
    """Return one page that loads nothing from anywhere and runs no script; `body` and `style` are safe already."""
    texts = {"title": escape(title), "facts": escape(facts), "verdict": verdict.value}
    return _PAGE.substitute(texts, body=body, style=style)


def html_table(head: Iterable[str], body: Iterable[Iterable[str]]) -> str:
    """Return a table; a cell that is a verdict has its color."""
    top = "".join(f"<th>{escape(name.capitalize())}</th>" for name in head)
    lines = "".join(f"<tr>{''.join(map(_html_cell, row))}</tr>" for row in body)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>"


def _html_cell(text: str) -> str:
    kind = f' class="{text.lower()}"' if text.lower() in set(Verdict) else ""
    return f"<td{kind}>{escape(text)}</td>"
