"""A load test of docsearch on the real engine, followed as the terminal does: one short run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devenv.control.audit import AuditLog
from devenv.control.guard import Guard
from devenv.core.kube_settings import KubeSettings
from devenv.core.load_settings import LoadSettings
from devenv.load.live import Following
from devenv.load.runner import LoadOptions, LoadRunner
from devenv.tui.runs.load_rows import chart_parts, number_parts, table_parts, title_parts
from tests.load.conftest import Target
from tests.load.playing import ROOT, wait_for

MORE = ("--documents", "40", "--collections", "2", "--threshold", "search:p95<5000", "--warm-up", "1")


def told(following: Following) -> str:
    state = following.state
    parts = [*title_parts(state), *number_parts(state), *table_parts(state, 66, 0.0), *chart_parts(state, 66, 30)]
    return "".join(text for text, _ in parts)


@pytest.mark.engine
def test_a_run_on_compose_is_followed_and_stopped(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    environ = dict(os.environ) | target.environ
    runner = LoadRunner(ROOT, LoadSettings(), KubeSettings(), Guard(AuditLog(tmp_path / "audit.jsonl")), environ)
    options = LoadOptions(users=4, seconds=120, more=MORE)
    live = runner.start(runner.plan(options), options)
    following = Following(live)
    state = following.state

    def measures() -> bool:
        following.look()
        assert not state.over, state.last_words
        measured = state.things and all(thing.cpu is not None for thing in state.things.values())
        return bool(measured and state.elapsed > 3 and state.findings[0].holds is not None)

    try:
        wait_for(measures, "a measurement of each container", 45)
        assert {thing.service for thing in state.things.values()} == {"backend", "frontend"}
        assert state.latest["total"].rps > 0
        text = told(following)
        assert "✓ search:p95<5000" in text
        assert "CPU frontend % of a core" in text
        assert f"steady on compose {target.environ['COMPOSE_PROJECT_NAME']} frontend" in text
        assert "AUTOSCALER" not in text
        assert "REPLICAS" not in text
        live.stop()
        wait_for(lambda: following.look() or state.over, "the run's end", 30)  # type: ignore[func-returns-value]  # it always looks
        assert state.exit_code == 130, state.last_words
        assert (live.folder / "report.html").is_file()
        assert target.collections() == ["mine"], "what the run made is removed"
    finally:
        live.kill()
