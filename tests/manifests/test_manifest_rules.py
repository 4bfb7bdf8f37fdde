"""Every rule is broken by one mutation of the clean folder, and that mutation breaks no other rule."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mutation_tools import Objects
from mutations import FILES, MUTATIONS

from devenv.manifests.check import Outside, check, judge
from devenv.manifests.model import Finding, Manifest
from devenv.manifests.registry import all_rules
from devenv.manifests.rendering import Rendering
from devenv.manifests.schemas import choose_versions
from devenv.manifests.targets import Target

# What both enable by default: kube-linter's internal/defaultchecks (August 2026), Polaris' pkg/config/default.yaml.
KUBE_LINTER = (Path(__file__).parent / "kube-linter-defaults.txt").read_text("utf-8").split()
POLARIS = (Path(__file__).parent / "polaris-defaults.txt").read_text("utf-8").split()


def findings_after(rule_id: str, rendering: Rendering, root: Path) -> tuple[Finding, ...]:
    objects = Objects([copy.deepcopy(dict(manifest.data)) for manifest in rendering.manifests])
    MUTATIONS[rule_id].change(objects)
    mutated = replace(rendering, manifests=tuple(Manifest(item) for item in objects.items))
    return judge(mutated, root).findings


@pytest.mark.parametrize("overlay", ["dev", "staging", "production"])
def test_the_clean_folder_is_clean(overlay: str, rendering_of: Callable[[str], Rendering], outside: Outside) -> None:
    judgement = judge(rendering_of(overlay), outside.root)
    assert judgement.findings == ()
    assert judgement.excused == ()


def test_every_rule_has_exactly_one_mutation() -> None:
    assert MUTATIONS.keys() | FILES.keys() == all_rules().keys()
    assert not MUTATIONS.keys() & FILES.keys()


@pytest.mark.parametrize("rule_id", sorted(MUTATIONS))
def test_a_mutation_turns_exactly_its_rule_red(
    rule_id: str, rendering_of: Callable[[str], Rendering], outside: Outside
) -> None:
    rendering = rendering_of(MUTATIONS[rule_id].overlay)
    findings = findings_after(rule_id, rendering, outside.root)
    assert {finding.rule for finding in findings} == {rule_id}
    for finding in findings:
        assert finding.message
        assert finding.fix == all_rules()[rule_id].fix
        assert (outside.root / finding.file).is_file(), finding.file


@pytest.mark.parametrize("rule_id", sorted(FILES))
def test_a_spoilt_file_turns_exactly_its_rule_red(rule_id: str, clean_copy: Path, outside: Outside) -> None:
    FILES[rule_id](clean_copy)
    target = Target("production", clean_copy / "overlays" / "production", declared=True)
    report = check([target], choose_versions(()), replace(outside, root=clean_copy))
    assert {finding.rule for finding in report.findings} == {rule_id}
    assert all((clean_copy / finding.file).is_file() for finding in report.findings)
    assert report.verdict == "failed"


def test_every_default_check_of_kube_linter_and_polaris_is_covered() -> None:
    sources = " ".join(rule.source.replace(",", " ").replace(";", " ") for rule in all_rules().values()).split()
    assert set(KUBE_LINTER) - set(sources) == set()
    assert set(POLARIS) - set(sources) == set()


def test_every_rule_says_why_and_what_to_do() -> None:
    for rule in all_rules().values():
        assert rule.reason.endswith("."), rule.id
        assert rule.fix.strip(), rule.id
        assert rule.source.strip(), rule.id
        assert rule.environments, rule.id


@pytest.mark.parametrize("name", ["DB_PASS", "MYSQL_PWD", "SESSION_KEY", "redisPasswd", "SSH_PASSPHRASE", "X-Api-Key"])
@pytest.mark.parametrize("rule_id", ["env-secret", "configmap-secret"])
def test_a_secret_under_any_usual_name_turns_its_rule_red(
    name: str, rule_id: str, rendering_of: Callable[[str], Rendering], outside: Outside
) -> None:
    def findings(value: str) -> set[str]:
        objects = Objects([copy.deepcopy(dict(manifest.data)) for manifest in rendering.manifests])
        if rule_id == "env-secret":
            objects.container("CronJob/cleanup").setdefault("env", []).append({"name": name, "value": value})
        else:
            objects["ConfigMap/web-config"]["data"][name] = value
        mutated = replace(rendering, manifests=tuple(map(Manifest, objects.items)), compose=None)
        return {finding.rule for finding in judge(mutated, outside.root).findings}

    rendering = rendering_of("production")
    assert findings("vB7-q2Lx9zR4-wK") == {rule_id}
    assert findings("change-me") == set()
