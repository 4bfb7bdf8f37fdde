"""`devenv scan` on reports in the scanners' own forms: policy, exemptions, and what was not looked at is not passed."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from devenv.cli import main

TODAY = datetime.now(UTC).date()
LOCK = """\
# pip's lock file
urllib3==1.26.4 \\
    --hash=sha256:2f4da4594db7e1e110a944bb1b551fdf4e6c136ad42e4234131391e21eb5b0df
Jinja2==3.1.6
"""
TRIVY = {
    "SchemaVersion": 2,
    "ArtifactName": "shop:1",
    "Metadata": {"OS": {"Family": "debian", "Name": "12.7"}},
    "Results": [
        {
            "Target": "shop:1 (debian 12.7)",
            "Class": "os-pkgs",
            "Type": "debian",
            "Vulnerabilities": [
                {
                    "VulnerabilityID": "CVE-2024-9143",
                    "PkgName": "openssl",
                    "InstalledVersion": "3.0.14-1",
                    "Status": "affected",
                    "Severity": "LOW",
                },
                {
                    "VulnerabilityID": "CVE-2024-6119",
                    "PkgName": "libssl3",
                    "InstalledVersion": "3.0.14-1~deb12u1",
                    "FixedVersion": "3.0.14-1~deb12u2",
                    "Status": "fixed",
                    "Severity": "HIGH",
                    "Title": "openssl: possible denial of service in X.509 name checks",
                    "PrimaryURL": "https://avd.aquasec.com/nvd/cve-2024-6119",
                },
                {
                    "VulnerabilityID": "CVE-2023-45853",
                    "PkgName": "zlib1g",
                    "InstalledVersion": "1:1.2.13",
                    "Status": "will_not_fix",
                    "Severity": "CRITICAL",
                },
            ],
        },
        {"Target": "Python", "Class": "lang-pkgs", "Type": "python-pkg"},
    ],
}
AUDIT = {
    "dependencies": [
        {
            "name": "urllib3",
            "version": "1.26.4",
            "vulns": [
                {
                    "id": "PYSEC-2021-108",
                    "fix_versions": ["1.26.5"],
                    "aliases": ["CVE-2021-33503", "GHSA-q2q7-5pp4-w6pg"],
                    "description": "catastrophic backtracking in the authority",
                }
            ],
        },
        {"name": "jinja2", "version": "3.1.6", "vulns": []},
    ],
    "fixes": [],
}
CLEAN_AUDIT = {"dependencies": [{"name": "urllib3", "version": "2.6.0", "vulns": []}], "fixes": []}
CLEAN_TRIVY: dict[str, Any] = {"Metadata": TRIVY["Metadata"], "Results": [{"Target": "Python"}]}


class Project:
    """A folder with a lock and scanners that say what they are told, found on PATH and nowhere else."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "project"
        self.programs = folder / "bin"
        self.folder.mkdir()
        self.programs.mkdir()
        (self.folder / "requirements.lock").write_text(LOCK)
        self.settings()
        monkeypatch.chdir(self.folder)
        monkeypatch.setenv("PATH", f"{self.programs}:/usr/bin:/bin")
        monkeypatch.setattr(sys, "executable", str(folder / "nowhere" / "python"))

    def settings(self, text: str = "") -> None:
        (self.folder / "devenv.toml").write_text(f'[scan]\nlocks = ["requirements.lock"]\n{text}')

    def program(self, name: str, report: object, code: int = 0, said: str = "") -> None:
        text = report if isinstance(report, str) else json.dumps(report)
        (self.programs / f"{name}.txt").write_text(text)
        (self.programs / f"{name}.err").write_text(said)
        script = f'printf "%s\\n" "$*" >>"$0.calls"\ncat "$0.err" >&2\ncat "$0.txt"\nexit {code}\n'
        (self.programs / name).write_text(f"#!/bin/sh\n{script}")
        (self.programs / name).chmod(0o755)

    def calls(self, name: str) -> list[str]:
        file = self.programs / f"{name}.calls"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path, monkeypatch)


def scan(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["scan", "--json", *words])
    out = capsys.readouterr().out
    return code, json.loads(out) if out else {}


def test_a_planted_vulnerable_dependency_fails_the_gate(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """T123: the report is one of pip-audit, as recorded: its advisories are reached from nowhere here."""
    project.program("pip-audit", AUDIT, code=1, said="Found 1 known vulnerability in 1 package\n")
    code, report = scan(capsys, "--no-images")
    assert (code, report["verdict"]) == (11, "failed")
    (finding,) = report["findings"]
    assert (finding["id"], finding["package"], finding["fixed_in"]) == ("PYSEC-2021-108", "urllib3", "1.26.5")
    assert (finding["severity"], finding["line"]) == ("unknown", 2)
    assert "--no-deps --disable-pip" in project.calls("pip-audit")[0]
    assert main(["scan", "--no-images"]) == 11
    out = capsys.readouterr().out
    assert "requirements.lock:2" in out
    assert out.splitlines()[-1] == "failed: 1 found, 0 excused, 0 below the policy, 1 scanned"


def test_a_clean_lock_passes(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.program("pip-audit", CLEAN_AUDIT)
    assert scan(capsys)[0] == 0  # there is no Compose project here, and so no image


def test_the_policy_is_by_severity(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.program("trivy", TRIVY)
    code, report = scan(capsys, "shop:1")
    assert code == 11
    assert [item["id"] for item in report["findings"]] == ["CVE-2023-45853", "CVE-2024-6119"]  # the worst first
    assert (report["below_policy"], report["scanned"]) == (1, ["shop:1"])
    project.settings('severity = "low"')
    assert len(scan(capsys, "shop:1")[1]["findings"]) == 3
    project.settings('severity = "critical"\nfixable_only = true')
    code, report = scan(capsys, "shop:1")
    assert (code, report["findings"], report["below_policy"]) == (0, [], 3)


def test_only_what_a_newer_version_mends(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.program("trivy", TRIVY)
    project.settings("fixable_only = true")
    assert [item["id"] for item in scan(capsys, "shop:1")[1]["findings"]] == ["CVE-2024-6119"]


def exemption(name: str, expires: object, package: str = "") -> str:
    extra = f'package = "{package}"\n' if package else ""
    return f'[[scan.allow]]\nid = "{name}"\n{extra}expires = {expires}\nreason = "not reached"\n'


def test_an_exemption_holds_until_its_day_and_no_longer(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.program("pip-audit", AUDIT, code=1)
    project.settings(exemption("cve-2021-33503", TODAY))  # by another of its names, on the last day
    code, report = scan(capsys, "--no-images")
    assert (code, report["findings"]) == (0, [])
    assert (report["excused"][0]["id"], report["excused"][0]["reason"]) == ("PYSEC-2021-108", "not reached")
    assert f"ends on {TODAY}" in report["notes"][0]
    project.settings(exemption("CVE-2021-33503", TODAY - timedelta(days=1)))
    code, report = scan(capsys, "--no-images")
    assert (code, len(report["findings"]), len(report["expired"])) == (11, 1, 1)
    project.program("pip-audit", CLEAN_AUDIT)  # an exemption that has ended fails also where it is not needed
    assert scan(capsys, "--no-images")[0] == 11


def test_an_exemption_is_of_its_package_and_one_that_excuses_nothing_is_told(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.program("pip-audit", AUDIT, code=1)
    later = TODAY + timedelta(days=90)
    project.settings(exemption("PYSEC-2021-108", later, "jinja2"))
    code, report = scan(capsys, "--no-images")
    assert (code, report["notes"]) == (11, ["the exemption of PYSEC-2021-108 excuses nothing"])
    project.settings(exemption("PYSEC-2021-108", later, "urllib3"))
    assert scan(capsys, "--no-images")[0] == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('severity = "bad"', "scan.severity must be one of low, medium, high, critical"),
        ('sverity = "low"', "unknown key scan.sverity"),
        (exemption("X", '"2027-01-31"').replace("reason", "because"), "unknown key scan.allow[0].because"),
        ('[[scan.allow]]\nid = "X"\nexpires = 2027-01-31', "scan.allow[0].reason must be a string"),
        ('[[scan.allow]]\nid = "X"\nreason = "y"', "scan.allow[0].expires must be a date without quotes"),
        (exemption("X", '"soon"'), "scan.allow[0].expires must be a date without quotes"),
    ],
)
def test_a_wrong_policy_names_its_key(
    project: Project, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    project.settings(text)
    assert main(["scan"]) == 2
    assert told in capsys.readouterr().err


def test_no_scanner_is_inconclusive(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    code, report = scan(capsys)
    assert (code, report["verdict"]) == (12, "inconclusive")
    assert "pip-audit is not installed here" in report["unchecked"][0]
    code, report = scan(capsys, "shop:1")
    assert (code, "Trivy is not installed here" in report["unchecked"][0]) == (12, True)


@pytest.mark.parametrize(
    ("name", "report", "code", "said", "told"),
    [
        ("trivy", "", 1, "FATAL\tFatal error\tfailed to download vulnerability DB\n", "failed to download"),
        ("trivy", "", 1, "FATAL\tunable to find the specified image\n", "unable to find the specified image"),
        ("trivy", CLEAN_TRIVY | {"Results": None}, 0, "", "recognised nothing in it"),
        ("trivy", "{not json", 0, "", "its report cannot be read"),
        ("trivy", "[]", 0, "", "its report cannot be read"),
        (
            *("trivy", CLEAN_TRIVY | {"Metadata": {"OS": {"Family": "debian", "Name": "9", "EOSL": True}}}, 0, ""),
            "debian 9 gets no advisories any more",
        ),
        ("pip-audit", "", 1, "ERROR:pip_audit._cli:Could not connect to the service\n", "Could not connect"),
        (
            *("pip-audit", {"dependencies": [{"name": "a", "skip_reason": "not found"}]}, 0),
            *("No known vulnerabilities found\n", "the database had nothing to say of a"),
        ),
        ("pip-audit", {"dependencies": []}, 0, "", "found no package in it"),
    ],
)
def test_what_was_not_looked_at_is_never_passed(
    project: Project, capsys: pytest.CaptureFixture[str], name: str, report: object, code: int, said: str, told: str
) -> None:
    project.program(name, report, code, said)
    ended, data = scan(capsys, *(["--no-images"] if name == "pip-audit" else ["shop:1"]))
    assert (ended, data["verdict"], data["findings"]) == (12, "inconclusive", [])
    assert told in data["unchecked"][0]


def test_what_was_found_beside_what_was_not_looked_at_fails(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.program("pip-audit", AUDIT | {"dependencies": [*AUDIT["dependencies"], {"name": "b", "skip_reason": "?"}]})
    code, report = scan(capsys, "--no-images")
    assert (code, len(report["findings"]), len(report["unchecked"])) == (11, 1, 1)


def test_a_lock_that_is_gone_is_inconclusive_and_nothing_at_all_is_a_mistake(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.folder / "requirements.lock").unlink()
    assert scan(capsys)[0] == 12
    (project.folder / "devenv.toml").write_text("")
    assert main(["scan"]) == 2
    assert "nothing to scan" in capsys.readouterr().err


def test_hostile_names_are_text(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.program("trivy", CLEAN_TRIVY)
    assert scan(capsys, "--", "--format=table")[0] == 0
    assert project.calls("trivy")[0].endswith("--format json -- --format=table")
    nasty = {"VulnerabilityID": "CVE-\x1b[31m1", "PkgName": "[/x]\x1b]0;t\x07", "Severity": "\x9b", "Title": "\x1b[2J"}
    project.program("trivy", {"Results": [{"Vulnerabilities": [nasty]}]})
    assert main(["scan", "shop\x1b[31m:1"]) == 11
    assert "\x1b" not in capsys.readouterr().out


def test_sarif_has_a_result_a_finding_at_its_line_and_what_is_excused_suppressed(
    project: Project, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    project.program("pip-audit", AUDIT, code=1)
    file = tmp_path / "scan.sarif"
    assert main(["scan", "--no-images", "--sarif", str(file)]) == 11
    (run,) = json.loads(file.read_text())["runs"]
    (result,) = run["results"]
    place = result["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("requirements.lock", 2)
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "PYSEC-2021-108"
    project.settings(exemption("PYSEC-2021-108", TODAY + timedelta(days=90)))
    assert main(["scan", "--no-images", "--sarif", str(file)]) == 0
    (result,) = json.loads(file.read_text())["runs"][0]["results"]
    assert result["suppressions"] == [{"kind": "external", "justification": "not reached"}]
    assert main(["scan", "--no-images", "--sarif", f"{tmp_path}/none/x"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_the_images_of_an_overlay_are_those_it_runs(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from devenv.manifests.render import __file__ as source

    root = Path(source).parents[2]
    beside = root / ".venv" / "bin"
    monkeypatch.setenv("PATH", f"{project.programs}:{beside}:{os.defpath}")
    monkeypatch.chdir(root)
    project.program("trivy", CLEAN_TRIVY)
    code, report = scan(capsys, "--overlay", "staging")
    zeros = "0" * 64
    assert code == 0
    assert f"ghcr.io/docsearch/backend@sha256:{zeros}" in report["scanned"]
    assert any(name.startswith("docker.io/library/postgres:") for name in report["scanned"])
    assert main(["scan", "--overlay", "stagin"]) == 2
