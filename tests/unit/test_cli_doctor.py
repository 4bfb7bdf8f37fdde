"""`devenv doctor`: findings as lines or JSON, and an exit code that a script can use."""

from __future__ import annotations

import json

import pytest

from devenv.cli import doctor, main
from devenv.doctor import CHECKS
from devenv.doctor.check import Finding, Level

GOOD = Finding("engine", Level.OK, "Engine answers")
ODD = Finding("disk", Level.WARNING, "4 GiB free [/foo]", "docker builder prune")
BAD = Finding("ports", Level.FAILED, "Port 3000 is taken", "End it.")
BROKEN = Finding("clock", Level.CRASHED, "the check itself broke", "Please report this.")


@pytest.mark.parametrize(("findings", "code"), [((GOOD, ODD), 0), ((GOOD, BAD), 1), ((GOOD, BROKEN), 1)])
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


def test_the_checks_are_listed_without_being_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "run_checks", lambda context, checks: pytest.fail("nothing is to be checked"))
    assert main(["doctor", "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == [check.name for check in CHECKS]
    assert main(["doctor", "--list", "--json", "disk"]) == 0
    assert [row["check"] for row in json.loads(capsys.readouterr().out)["checks"]] == ["disk"]


def test_checks_are_chosen_by_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = []
    monkeypatch.setattr(doctor, "run_checks", lambda context, checks: chosen.extend(checks) or (GOOD,))
    assert main(["doctor", "ports", "engine"]) == 0
    assert [check.name for check in chosen] == ["engine", "ports"]
    assert main(["doctor", "port"]) == 2
    assert "Did you mean ports?" in capsys.readouterr().err


def test_a_safe_fix_is_carried_out_when_it_is_confirmed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Finding("leftovers", Level.WARNING, "2 containers", "devenv doctor --list", ("doctor", "--list"))
    after = Finding("leftovers", Level.OK, "nothing is left")
    made = iter([(before, GOOD), (after,), (before, GOOD), (before, GOOD)])
    checked = []
    monkeypatch.setattr(doctor, "run_checks", lambda context, checks: checked.append(len(checks)) or next(made))
    assert main(["doctor", "--fix", "--yes"]) == 0
    assert "nothing is left" in capsys.readouterr().out
    assert checked == [len(CHECKS), 1], "what was mended is looked at again, and nothing else"
    assert main(["doctor", "--fix"]) == 10, "without a terminal nobody can confirm"
    monkeypatch.setenv("DEVENV_READ_ONLY", "1")
    assert main(["doctor", "--fix", "--yes"]) == 10
    assert "read-only" in capsys.readouterr().err
