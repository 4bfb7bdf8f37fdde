"""`devenv doctor`: findings as lines or JSON, and an exit code that a script can use."""

from __future__ import annotations

import json

import pytest

from devenv.cli import doctor, main
from devenv.doctor import Finding, Level

GOOD = Finding("engine", Level.OK, "Engine answers")
ODD = Finding("disk", Level.WARNING, "4 GiB free [/foo]", "docker builder prune")
BAD = Finding("ports", Level.FAILED, "Port 3000 is taken", "End it.")


@pytest.mark.parametrize(("findings", "code"), [((GOOD, ODD), 0), ((GOOD, BAD), 1)])
def test_only_a_failure_is_one(
    findings: tuple[Finding, ...], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "run_checks", lambda context, checks: findings)
    assert main(["doctor"]) == code
    shown = capsys.readouterr().out
    for finding in findings:
        assert finding.message in shown
        assert finding.fix in shown
    assert main(["doctor", "--json"]) == code
    told = json.loads(capsys.readouterr().out)["findings"]
    assert [(item["check"], item["level"]) for item in told] == [(item.check, item.level.value) for item in findings]
