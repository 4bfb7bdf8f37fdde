"""Writes all reports of a run: report.json, report.md, report.html, the job's summary, and the history.

The page is one self-contained file, with a chart over the history for each criterion.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from devenv.core.errors import DevenvError
from devenv.core.masking import mask_values
from devenv.core.stored import Unreadable
from devenv.runs.criteria import Verdict
from devenv.runs.history import History, Point, Trend
from devenv.runs.report import HEAD, Report, html_page, html_table, markdown, rows, summary

WIDTH, HEIGHT, EDGE = 420, 120, 8  # of a chart, in CSS pixels
_STYLE = """:root { --line: #0969da; } @media (prefers-color-scheme: dark) { :root { --line: #58a6ff; } }
table { width: 100%; } pre { overflow-x: auto; background: #8881; padding: .8rem; border-radius: .4rem; }
.charts { display: flex; flex-wrap: wrap; gap: 1.5rem; }
figure { margin: 0; } svg { display: block; max-width: 100%; }"""


def page(report: Report, trend: Callable[[str], Trend]) -> str:
    """Write the page; it loads nothing from anywhere and runs no script."""
    began = datetime.fromtimestamp(report.began, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    commit = f"{report.commit.id[:12] or 'no commit'}{' with changes' if report.commit.dirty else ''}"
    machine = f"{report.machine.processor}, {report.machine.cores} cores, {report.machine.memory / 2**30:.0f} GiB"
    trends = [trend(name) for name in dict.fromkeys(item.criterion.name for item in report.measurements)]
    changes = {item.criterion: item.change for item in trends}
    facts = f"run {report.run}, {began}, {commit}, {machine}"
    tests = "".join(_test(report, index) for index in range(len(report.tests))) or "<p>None ran.</p>"
    body = f"{_criteria(report, changes.get)}\n{_charts(trends)}\n<h2>Tests</h2>\n{tests}"
    return html_page(summary(report), report.verdict, facts, body, _STYLE)


def _criteria(report: Report, change: Callable[[str], float | None]) -> str:
    if not report.measurements:
        return "<p>Nothing was measured.</p>"
    return f"<h2>Criteria</h2>{html_table(HEAD, rows(report, change))}"


def _test(report: Report, index: int) -> str:
    test = report.tests[index]
    head = (
        f'<b class="{test.verdict.value}">{test.verdict.value}</b> {escape(test.behaviour)} '
        f"<small>{escape(test.id)}, {test.seconds:.1f} s</small>"
    )
    if not test.why:
        return f"<p>{head}</p>"
    return f"<details{' open' if test.verdict is not Verdict.PASSED else ''}><summary>{head}</summary>" + (
        f"<pre>{escape(test.why)}</pre></details>"
    )


def _charts(trends: Sequence[Trend]) -> str:
    figures = [_figure(trend) for trend in trends if len(trend.values) > 1]
    return f'<h2>History</h2><div class="charts">{"".join(figures)}</div>' if figures else ""


def _figure(trend: Trend) -> str:
    points = [point for point in trend.points if point.value is not None]
    newest = points[-1]
    middle = trend.percentile(50)
    caption = f"{trend.criterion}: {newest.value:.3g} {newest.unit}, median {middle:.3g}, {len(points)} runs"
    return f"<figure>{_svg(points, newest.budget, caption)}<figcaption>{escape(caption)}</figcaption></figure>"


def _svg(points: Sequence[Point], budget: float | None, label: str) -> str:
    values = [point.value or 0.0 for point in points]
    # A budget far above all values would press them to the ground: it is drawn only near them.
    top = max(*values, budget if budget is not None and budget < 4 * max(values) else 0.0) * 1.05 or 1.0

    def place(index: int, value: float) -> tuple[float, float]:
        x = EDGE + (WIDTH - 2 * EDGE) * index / max(1, len(values) - 1)
        return round(x, 1), round(HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * value / top, 1)

    places = [place(index, value) for index, value in enumerate(values)]
    line = " ".join(f"{x},{y}" for x, y in places)
    dots = "".join(
        f'<circle cx="{x}" cy="{y}" r="2.5" fill="var(--{"good" if point.verdict == "passed" else "bad"})">'
        f"<title>{escape(f'{point.value:.3g} {point.unit} {point.verdict} {point.commit[:12]}')}</title></circle>"
        for (x, y), point in zip(places, points, strict=True)
    )
    limit = ""
    if budget is not None and budget <= top:
        height = place(0, budget)[1]
        limit = (
            f'<line x1="{EDGE}" x2="{WIDTH - EDGE}" y1="{height}" y2="{height}" stroke="var(--bad)"'
            f' stroke-dasharray="4 3"><title>budget {budget:g}</title></line>'
        )
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    return (
        f'<svg {size} role="img" aria-label="{escape(label)}">'
        f'{limit}<polyline points="{line}" fill="none" stroke="var(--line)" stroke-width="1.5"/>{dots}</svg>'
    )


def publish(report: Report, folder: Path, environ: Mapping[str, str], history: History | None = None) -> list[Path]:
    """Write everything and return the files; raises DevenvError where one cannot be written.

    A history that cannot be used says so in its `problem` and costs only the comparison; an interrupted run is in none.
    """
    history = history or History(lenient=True)
    if not report.interrupted:
        try:
            history.add(report)
        except Unreadable as error:
            history.problem = error.message

    def trend(name: str) -> Trend:
        return history.trend(name, report.project, report.machine.id)

    text = mask_values(markdown(report, lambda name: trend(name).change))
    files = {
        "report.json": json.dumps(report.to_data(), indent=2, ensure_ascii=False) + "\n",
        "report.md": text,
        "report.html": page(report, trend),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_text(mask_values(content), "utf-8", errors="backslashreplace")
    except OSError as error:
        raise DevenvError(f"a report cannot be written: {error}", "Choose another folder with --report-dir.") from error
    if environ.get("GITHUB_STEP_SUMMARY"):
        append(Path(environ["GITHUB_STEP_SUMMARY"]), f"{text}\n")
    return [folder / name for name in files]


def append(path: Path, text: str) -> None:
    """Add text to a job's summary; raises DevenvError where it cannot be written."""
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        raise DevenvError(f"{path} cannot be written: {error.strerror}", "Look at GITHUB_STEP_SUMMARY.") from error
